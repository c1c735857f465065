// Two control planes on one PostgreSQL or Redis: what one acknowledges the other shows, serves and attributes.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@understudy/contract/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startUnderstudy, type Understudy } from '../packages/server/src/compose.ts';
import { readConfig } from '../packages/server/src/config.ts';
import { openLog } from '../packages/server/src/log.ts';
import { isSkipped, startPostgres } from '../packages/server/src/storage/postgres-server.contract.ts';
import { startRedis } from '../packages/server/src/storage/redis-faults/redis-server.contract.ts';
import { isRedisSkipped } from '../packages/server/src/storage/redis-faults/redis-suite.contract.ts';

const SERVERS = [
  {
    name: 'PostgreSQL',
    isLeftOut: isSkipped,
    start: async () => {
      const server = await startPostgres();
      return { store: server.newAddress('&listen=on'), close: () => server.close() };
    },
  },
  {
    name: 'Redis',
    isLeftOut: isRedisSkipped,
    start: async () => {
      const server = await startRedis();
      return { store: server.url, close: () => server.close() };
    },
  },
];

describe.each(SERVERS.filter(({ isLeftOut }) => !isLeftOut))('two control planes on one $name', ({ start }) => {
  const data = mkdtempSync(join(tmpdir(), 'understudy-shared-'));
  let server: Awaited<ReturnType<typeof start>>;
  const running: Understudy[] = [];
  beforeAll(async () => {
    server = await start();
    const { store } = server;
    for (const gatewayName of ['g1', 'g2']) {
      const config = readConfig({ store, data, controlPort: 0, gatewayPort: 0, gatewayName, drainGraceMs: 0 }, {});
      const onFatal = (error: unknown): never => {
        throw error;
      };
      running.push(await startUnderstudy(config, { log: openLog('silent'), onFatal }));
    }
  }, 90_000);
  afterAll(async () => {
    for (const one of running) await one.close();
    await server.close();
    rmSync(data, { recursive: true });
  });

  it('show one token, one model and one kill switch', async () => {
    const [first, second] = running;
    if (first?.adminToken === undefined || second === undefined) throw new Error('the first start showed no token');
    expect(second.adminToken).toBeUndefined();
    const [here, there] = [first, second].map(({ controlUrl }) =>
      createClient({ url: controlUrl, token: first.adminToken ?? '' }),
    );
    if (here === undefined || there === undefined) throw new Error('no clients');
    await here('createModel', { body: { name: 'fraud' } });
    expect((await there('listModels', {})).map(({ model }) => model.name)).toEqual(['fraud']);
    await expect(there('createModel', { body: { name: 'fraud' } })).rejects.toMatchObject({ code: 'model.already_exists' });
  });
});
