import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPostgresStore as openStore, type PostgresOptions } from './postgres-store.ts';
import { isSkipped, startPostgres, type TestServer } from './postgres-server.contract.ts';
import { commitOf, ENVIRONMENT, put, raceForOneRevision, reportOf, writeTo } from './samples.contract.ts';
import { raceBetween, testSharedStore } from './shared-store.contract.ts';
import { testStoreContract } from './store-contract.ts';

// A machine that does a dozen other things must not fail a test.
const openPostgresStore = (address: string, options: PostgresOptions = {}) =>
  openStore(address, { deadlineMs: 60_000, ...options });

describe.skipIf(isSkipped)('PostgreSQL', () => {
  let server: TestServer;
  let poolerPort = 0;
  beforeAll(async () => {
    server = await startPostgres();
    poolerPort = await server.startPooler();
  }, 60_000);
  afterAll(() => server.close());
  const open = (options?: PostgresOptions) => openPostgresStore(server.newAddress(), options);

  testStoreContract('PostgreSQL', open);

  describe('several processes, told by asking', () => {
    testSharedStore(async () => {
      const address = server.newAddress();
      return () => openPostgresStore(address, { pollMs: 20 });
    });
  });

  describe('several processes, told by the server', () => {
    testSharedStore(async () => {
      const address = server.newAddress('&listen=on');
      // Nobody asks within the time of a test.
      return () => openPostgresStore(address, { pollMs: 3_600_000 });
    });
  });

  describe('several processes through a pooler in transaction mode', () => {
    testSharedStore(async () => {
      const address = server.through(server.newAddress(), poolerPort);
      return () => openPostgresStore(address, { pollMs: 20 });
    });
  });

  describe('with a bug planted', () => {
    it('would notice if compare-and-set were off', async () => {
      const store = await open({ planted: { noCompareAndSet: true } });
      expect(await raceForOneRevision(store)).toEqual(['committed', 'committed']);
      await store.close();
    });

    it('would notice if two processes did not compare', async () => {
      const address = server.newAddress();
      const blind = () => openPostgresStore(address, { planted: { noCompareAndSet: true } });
      const stores = [await blind(), await blind()] as const;
      expect(await raceBetween(stores)).toEqual(['committed', 'committed']);
      for (const store of stores) await store.close();
    });

    it('is kept from writing on a head that has moved by the tables themselves', async () => {
      const address = server.newAddress();
      const blind = () => openPostgresStore(address, { planted: { noHeadCheck: true } });
      const stores = await Promise.all([blind(), blind(), blind()]);
      const changes = stores.flatMap((store, place) =>
        Array.from({ length: 10 }, (_, n) => store.commit(put(`m${place}-${n}`, 0, n))),
      );
      const refused = (await Promise.allSettled(changes)).filter(({ status }) => status === 'rejected');
      expect(refused.length).toBeGreaterThan(0);
      for (const store of stores) await store.close();
    });
  });

  describe('verifying the journal', () => {
    it.each([
      { name: 'a changed reason', sql: "UPDATE s.journal SET reason = 'other' WHERE revision = 2", at: 2, problem: 'hash' },
      { name: 'a changed content', sql: "UPDATE s.journal SET changes = '[]' WHERE revision = 3", at: 3, problem: 'hash' },
      { name: 'a broken row', sql: "UPDATE s.journal SET changes = '{' WHERE revision = 2", at: 2, problem: 'not JSON' },
      { name: 'a deleted entry', sql: 'DELETE FROM s.journal WHERE revision = 2', at: 2, problem: 'missing' },
      { name: 'a changed document', sql: `UPDATE s.documents SET body = '{"n":9}' WHERE id = 'b'`, at: 1, problem: 'model "b"' },
      { name: 'a deleted document', sql: `DELETE FROM s.documents WHERE id = 'a'`, at: 3, problem: 'gone' },
      {
        name: 'an end that was cut off with its documents',
        sql: `DELETE FROM s.journal WHERE revision = 3; UPDATE s.documents SET body = '{"n":2}', revision = 2 WHERE id = 'a'`,
        at: 3,
        problem: 'head',
      },
    ])('finds $name', async ({ sql, at, problem }) => {
      const address = server.newAddress();
      const store = await openPostgresStore(address);
      await store.commit(commitOf([writeTo('a', 0, { n: 1 }), writeTo('b', 0, { n: 1 })]));
      await store.commit(put('a', 1, { n: 2 }));
      await store.commit(put('a', 2, { n: 3 }));
      const schema = new URL(address).searchParams.get('schema');
      await server.sql(`SET session_replication_role = replica; ${sql.replaceAll('s.', `"${schema}".`)}`);
      expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({
        intact: false,
        brokenAtRevision: at,
        problem: expect.stringContaining(problem),
      });
      await store.close();
    });
  });

  describe('opening', () => {
    it('keeps everything over a restart, and tells listeners only what is new', async () => {
      const address = server.newAddress();
      const first = await openPostgresStore(address);
      await first.commit(put('a', 0, 1));
      await first.appendReport(ENVIRONMENT, reportOf(1), 1);
      const secret = await first.keepSecret('key', new Uint8Array([1, 2]));
      await first.close();
      const second = await openPostgresStore(address, { pollMs: 10 });
      const heard: number[] = [];
      second.onCommit((_, revision) => heard.push(revision));
      expect(await second.revision(ENVIRONMENT)).toBe(1);
      expect(await second.appendReport(ENVIRONMENT, reportOf(1), 2)).toBe('duplicate');
      expect([...(await second.keepSecret('key', new Uint8Array([3])))]).toEqual([...secret]);
      const third = await openPostgresStore(address);
      await third.commit(put('a', 1, 2));
      await expect.poll(() => heard).toEqual([2]);
      await second.close();
      await third.close();
    });

    it.each([
      {
        name: 'a database that does not exist',
        address: (good: string) => good.replace('/postgres?', '/nowhere?'),
        says: 'nowhere',
      },
      { name: 'an unknown option', address: (good: string) => `${good}&ssl=yes`, says: 'unknown' },
      { name: 'a schema that is none', address: (good: string) => good.replace('schema=', 'schema=Ü'), says: 'schema' },
      { name: 'a pool that is none', address: (good: string) => `${good}&pool=1`, says: 'pool' },
    ])('refuses $name and says what to do', async ({ address, says }) => {
      const refusal = { code: 'config.invalid', message: expect.stringContaining(says) };
      await expect(openPostgresStore(address(server.newAddress()))).rejects.toMatchObject(refusal);
    });

    it('says so when nobody answers, without the password', async () => {
      const opening = openPostgresStore('postgres://ada:secret@127.0.0.1:1/x', { openWithinMs: 50 });
      await expect(opening).rejects.toMatchObject({ code: 'store.busy', message: expect.not.stringContaining('secret') });
    });
  });

  it('refuses text that it could not give back as it was', async () => {
    const store = await open();
    for (const reason of ['a\0b', 'half \ud800 a pair']) {
      await expect(store.commit({ ...put('a', 0, 1), reason })).rejects.toMatchObject({ code: 'request.invalid' });
    }
    await store.close();
  });
});
