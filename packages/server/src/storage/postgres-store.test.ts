import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPostgresStore } from './postgres-store.ts';
import { isSkipped, startPostgres, type TestServer } from './postgres-server.contract.ts';
import { raceForOneRevision } from './samples.contract.ts';
import { testStoreContract } from './store-contract.ts';

describe.skipIf(isSkipped)('PostgreSQL', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.close());

  testStoreContract('PostgreSQL', () => openPostgresStore(server.newAddress()));

  it('would notice if compare-and-set were off', async () => {
    const store = await openPostgresStore(server.newAddress(), { planted: { noCompareAndSet: true } });
    expect(await raceForOneRevision(store)).toEqual(['committed', 'committed']);
    await store.close();
  });
});
