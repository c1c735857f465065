// The Redis store on real servers: the contract of every backend, two planes on one server, opening and refusing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serverPrograms, startRedis, type TestServer } from './redis-faults/redis-server.contract.ts';
import { describeRedis } from './redis-faults/redis-suite.contract.ts';
import { openRedisStore } from './redis-store.ts';
import { ENVIRONMENT, put, raceForOneRevision } from './samples.contract.ts';
import { raceBetween, testSharedStore } from './shared-store.contract.ts';
import { openSqliteStore } from './sqlite-store.ts';
import { testStoreContract } from './store-contract.ts';

describeRedis.each(serverPrograms())('$name', ({ name, program }) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startRedis({ program });
  });
  afterAll(async () => {
    await server.close();
  });
  const open = async () => {
    server.cli('flushall');
    return openRedisStore(server.url);
  };

  testStoreContract(name, open);
  describe('several processes', () => {
    testSharedStore(async () => {
      server.cli('flushall');
      return () => openRedisStore(server.url);
    });
  });

  it('would notice if compare-and-set were off', async () => {
    server.cli('flushall');
    const store = await openRedisStore(server.url, { planted: { noCompareAndSet: true } });
    expect(await raceForOneRevision(store)).toEqual(['committed', 'committed']);
    await store.close();
  });

  it('would notice if two processes did not compare', async () => {
    server.cli('flushall');
    const blind = () => openRedisStore(server.url, { planted: { noCompareAndSet: true } });
    const stores = [await blind(), await blind()] as const;
    expect(await raceBetween(stores)).toEqual(['committed', 'committed']);
    for (const store of stores) await store.close();
  });

  it('keeps one secret, whoever proposes one, and over a restart', async () => {
    server.cli('flushall');
    const stores = [await openRedisStore(server.url), await openRedisStore(server.url)] as const;
    const kept = await Promise.all(stores.map((store, n) => store.keepSecret('key', new Uint8Array([0, 255, n]))));
    expect(kept[0]).toEqual(kept[1]);
    for (const store of stores) await store.close();
    const next = await openRedisStore(server.url);
    expect(await next.keepSecret('key', new Uint8Array([9]))).toEqual(kept[0]);
    await next.close();
  });

  it('writes the same hashes as SQLite', async () => {
    const [redis, sqlite] = [await open(), await openSqliteStore(':memory:')];
    for (const store of [redis, sqlite]) {
      await store.commit(put('fraud', 0, { 'ключ "': ['\u0000\ud83d\ude00', 0.1, 1e21, -0], b: 2 ** 53 - 1 }));
      await store.commit(put('fraud', 1, { b: 5e-324 }));
    }
    expect(await redis.journal(ENVIRONMENT, { limit: 9 })).toEqual(await sqlite.journal(ENVIRONMENT, { limit: 9 }));
    expect(await redis.verifyJournal(ENVIRONMENT)).toEqual(await sqlite.verifyJournal(ENVIRONMENT));
    await redis.close();
    await sqlite.close();
  });

  it('keeps numbers exact that Lua would round', async () => {
    const store = await open();
    server.cli('set', '{understudy:production}:cursor', '9007199254740000');
    const block = { model: 'm', version: 'v', arm: 'champion', startMs: 1_700_000_000_000.25 } as const;
    const { EMPTY_TALLY } = await import('@understudy/core/evidence');
    const report = {
      gateway: 'g',
      boot: 'b',
      sequence: 1,
      revision: 0,
      readiness: [],
      blocks: [{ ...block, tally: EMPTY_TALLY }],
    };
    await store.appendReport(ENVIRONMENT, report, 1_700_000_000_000.125);
    expect(await store.evidence(ENVIRONMENT, { afterCursor: 0, limit: 9 })).toMatchObject([
      { cursor: 9_007_199_254_740_001, seenAtMs: 1_700_000_000_000.125, block: { startMs: 1_700_000_000_000.25 } },
    ]);
    expect(await store.prune(ENVIRONMENT, { evidenceMs: 2e12, feedbackMs: 2e12, idempotencyMs: 0 })).toEqual({
      evidence: 1,
      idempotency: 0,
    });
    await store.close();
  });
});
