// Servers that crash, restart and refuse; connections that are cut and terminated; processes that are killed.
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runPostgresChild } from './crash/postgres-child.ts';
import { keyOf, upTo } from './crash/operations.ts';
import { seededRandom } from './crash/seeded-random.ts';
import { type FaultProxy, openFaultProxy } from './fault-proxy.contract.ts';
import { openPostgresStore, type PostgresOptions } from './postgres-store.ts';
import { isSkipped, startPostgres, type TestServer } from './postgres-server.contract.ts';
import { ENVIRONMENT, put } from './samples.contract.ts';
import type { Commit, Store } from './store.ts';

const FACTOR = Number(process.env['UNDERSTUDY_CRASH_FACTOR'] ?? 1);
const SEED = Number(process.env['UNDERSTUDY_CRASH_SEED'] ?? 1);
const TIMEOUT_MS = 120_000 * Math.max(1, FACTOR);
// Three processes are killed in each.
const ROUNDS = Math.round(20 * FACTOR);
const CRASHES = Math.round(4 * FACTOR);
const WRITE = '.heads AS h (environment';

const keyed = (writer: string, operation: number, revision: number): Commit => ({
  ...put(writer, revision, { operation }),
  actor: writer,
  atMs: operation,
  idempotency: { key: `${writer}-${keyOf(operation)}`, request: 'digest', answer: operation },
});

/** The operations of one writer in the journal, which must be one unbroken chain. */
async function operationsIn(store: Store, writer: string): Promise<number[]> {
  expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true });
  const entries = await store.journal(ENVIRONMENT, { limit: 1_000_000 });
  return entries.filter(({ actor }) => actor === writer).map(({ atMs }) => atMs);
}

/** Commits one operation, asking again with the same key as long as nobody knows what came of it. */
async function insist(store: Store, writer: string, operation: number): Promise<void> {
  for (;;) {
    try {
      const revision = (await store.read(ENVIRONMENT, 'model', writer))?.revision ?? 0;
      const { outcome } = await store.commit(keyed(writer, operation, revision));
      if (outcome === 'committed' || outcome === 'replayed') return;
      throw new Error(`unexpected outcome ${outcome}`);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'store.busy')) throw error;
    }
  }
}

describe.skipIf(isSkipped)('PostgreSQL in trouble', () => {
  let server: TestServer;
  let proxy: FaultProxy;
  beforeAll(async () => {
    // A server that is set up to lose the newest commits in a crash, and to write its log late.
    server = await startPostgres(['synchronous_commit = off', 'wal_writer_delay = 10s', 'autovacuum = off']);
  }, 60_000);
  afterAll(() => server.close());
  beforeEach(async () => {
    proxy = await openFaultProxy(server.port);
  });
  afterEach(() => proxy.close());
  const open = (address: string, options: PostgresOptions = {}) => openPostgresStore(address, { deadlineMs: 60_000, ...options });

  describe('a connection that is cut in mid-commit', () => {
    it.each([{ moment: 'before' as const }, { moment: 'after' as const }])(
      'commits once when it is cut $moment the change arrived, and says so',
      async ({ moment }) => {
        const address = server.newAddress();
        const store = await open(server.through(address, proxy.port));
        const cut = proxy.cutAt(WRITE, moment);
        expect(await store.commit(put('fraud', 0, 1))).toEqual({ outcome: 'committed', revision: 1 });
        await cut;
        expect(await store.journal(ENVIRONMENT, { limit: 9 })).toHaveLength(1);
        await store.close();
      },
      TIMEOUT_MS,
    );

    it('would notice a store that does not look what came of it', async () => {
      const store = await open(server.through(server.newAddress(), proxy.port), { planted: { repeatBlindly: true } });
      void proxy.cutAt(WRITE, 'after');
      // It was committed, and the caller is told that somebody else was faster.
      expect(await store.commit(put('fraud', 0, 1))).toMatchObject({ outcome: 'conflict', actualRevision: 1 });
      await store.close();
    });

    it('says that nobody knows when it cannot find out, and the key tells later', async () => {
      const address = server.newAddress();
      const far = await open(server.through(address, proxy.port), { deadlineMs: 3000 });
      const near = await open(address);
      for (const [operation, moment] of (['before', 'after'] as const).entries()) {
        const revision = await near.revision(ENVIRONMENT);
        const cut = proxy.cutAt(WRITE, moment).then(() => proxy.refuse(true));
        const refusal = { code: 'store.busy', message: expect.stringContaining('cannot say what came of') };
        await expect(far.commit(keyed('w', operation, revision))).rejects.toMatchObject(refusal);
        await cut;
        proxy.refuse(false);
        const outcome = moment === 'before' ? 'committed' : 'replayed';
        await expect.poll(() => near.revision(ENVIRONMENT)).toBe(revision + (moment === 'before' ? 0 : 1));
        expect(await far.commit(keyed('w', operation, revision))).toMatchObject({ outcome });
      }
      expect(await operationsIn(near, 'w')).toEqual([0, 1]);
      await far.close();
      await near.close();
    });

    it('counts once when the first try is still under way while the second one is made', async () => {
      const address = server.newAddress();
      const store = await open(server.through(address, proxy.port));
      await store.commit(keyed('w', 0, 0));
      const schema = new URL(address).searchParams.get('schema');
      const came = proxy.cutAt(WRITE, 'meanwhile');
      // Holds the head for as long as the test wants: the first try waits for it in the server.
      const holder = new pg.Client({ connectionString: address.replace(/\?.*/, '') });
      await holder.connect();
      await holder.query(`BEGIN; SELECT * FROM "${schema}".heads FOR UPDATE`);
      const committing = store.commit(keyed('w', 1, 1));
      await came;
      const waiting = () => server.sql("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
      await expect.poll(async () => (await waiting()).length, { timeout: 10_000 }).toBeGreaterThan(0);
      proxy.cutAll();
      await holder.query('COMMIT');
      await holder.end();
      expect(await committing).toEqual({ outcome: 'committed', revision: 2 });
      expect(await operationsIn(store, 'w')).toEqual([0, 1]);
      await store.close();
    });
  });

  it(
    'loses and repeats nothing while connections of three processes are terminated at random',
    async () => {
      const address = server.newAddress();
      const random = seededRandom(SEED);
      const stores = await Promise.all(['w0', 'w1', 'w2'].map(() => open(address, { deadlineMs: 5000 })));
      const count = Math.round(40 * FACTOR);
      let isDone = false;
      let kills = 0;
      const work = Promise.all(
        stores.map(async (store, place) => {
          for (let operation = 0; operation < count; operation += 1) await insist(store, `w${place}`, operation);
        }),
      ).finally(() => {
        isDone = true;
      });
      while (!isDone) {
        const victims = await server.sql(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'understudy' AND state = 'active' AND random() < ${random()}`,
        );
        kills += victims.length;
      }
      await work;
      expect(kills).toBeGreaterThan(5);
      for (const [place, store] of stores.entries()) {
        expect(await operationsIn(store, `w${place}`)).toEqual(upTo(count));
        await store.close();
      }
    },
    TIMEOUT_MS,
  );

  it(
    'loses nothing acknowledged and repeats nothing when three processes are killed in mid-commit, again and again',
    async () => {
      const address = server.newAddress();
      const store = await open(address);
      const random = seededRandom(SEED);
      const next = [0, 0, 0];
      let acknowledged = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        const runs = next.map((first, place) => runPostgresChild({ address, writer: `w${place}`, first }, 20 + random() * 60));
        for (const [place, { acked, errors }] of (await Promise.all(runs)).entries()) {
          expect(errors).toBe('');
          acknowledged += acked.length;
          // The operation in flight is of unknown outcome: asked again with its key it is there once.
          const unknown = (acked.at(-1) ?? (next[place] ?? 0) - 1) + 1;
          await insist(store, `w${place}`, unknown);
          next[place] = unknown + 1;
          expect(await operationsIn(store, `w${place}`)).toEqual(upTo(unknown + 1));
        }
      }
      expect(acknowledged).toBeGreaterThan(0);
      await store.close();
    },
    TIMEOUT_MS,
  );

  it(
    'is not held up by a process that is gone while it had the head, and that one goes on when it is back',
    async () => {
      const address = server.newAddress();
      const far = await open(server.through(address, proxy.port));
      const near = await open(address);
      const next = { far: 0, near: 0, last: 0 };
      // The moment may be missed once: it is gone before the server hears of its place in the line.
      for (let round = 0; round < 3; round += 1) {
        let isGone = false;
        void proxy.cutAt('FOR UPDATE', 'meanwhile').then(() => {
          proxy.silence(true);
          isGone = true;
        });
        // Both commit as fast as they can until the far one waits in line.
        const committing = (async () => {
          for (; !isGone; next.far += 1) await insist(far, 'far', next.far);
        })();
        for (; !isGone; next.near += 1) await insist(near, 'near', next.near);
        for (let times = 0; times < 3; times += 1, next.last += 1) await insist(near, 'last', next.last);
        proxy.silence(false);
        await committing;
      }
      for (const [writer, count] of Object.entries(next)) expect(await operationsIn(near, writer)).toEqual(upTo(count));
      await far.close();
      await near.close();
    },
    TIMEOUT_MS,
  );

  describe('a server that crashes', () => {
    /** Commits, crashes the server, and says how many acknowledged operations are gone. */
    async function lostInCrash(options: PostgresOptions): Promise<number> {
      const address = server.newAddress();
      const store = await open(address, options);
      const count = 20;
      // Whatever was written until now is on the disk.
      await server.sql('CHECKPOINT');
      for (let operation = 0; operation < count; operation += 1) {
        expect(await store.commit(keyed('w', operation, operation))).toMatchObject({ outcome: 'committed' });
      }
      await server.crash();
      await server.start();
      const kept = await operationsIn(store, 'w');
      expect(kept).toEqual(upTo(kept.length));
      await store.close();
      return count - kept.length;
    }

    it(
      'has everything that was acknowledged, whatever its own settings',
      async () => {
        for (let round = 0; round < CRASHES; round += 1) expect(await lostInCrash({})).toBe(0);
      },
      TIMEOUT_MS,
    );

    it(
      'would be noticed to lose what was acknowledged too early',
      async () => {
        expect(await lostInCrash({ planted: { relaxedCommits: true } })).toBeGreaterThan(0);
      },
      TIMEOUT_MS,
    );

    it(
      'is answered for with store.busy while it is down, and works again without anybody doing anything',
      async () => {
        const store = await open(server.newAddress(), { deadlineMs: 500 });
        await store.commit(put('a', 0, 1));
        await server.crash();
        const busy = { code: 'store.busy' };
        await expect(store.commit(put('a', 1, 2))).rejects.toMatchObject(busy);
        await expect(store.revision(ENVIRONMENT)).rejects.toMatchObject(busy);
        await server.start();
        await expect.poll(() => store.revision(ENVIRONMENT).catch(() => undefined), { timeout: 20_000 }).toBe(1);
        await insist(store, 'w', 0);
        expect(await operationsIn(store, 'w')).toEqual([0]);
        await store.close();
      },
      TIMEOUT_MS,
    );
  });

  it('says that a read-only server is one, and works again when it is none', async () => {
    const store = await open(server.newAddress());
    await store.commit(put('a', 0, 1));
    const terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'understudy'";
    await server.sql('ALTER SYSTEM SET default_transaction_read_only = on');
    await server.sql('SELECT pg_reload_conf()');
    await server.sql(terminate);
    const refusal = { code: 'store.write_failed', message: expect.stringContaining('primary') };
    await expect
      .poll(() => store.commit(put('b', 0, 2)).catch((error: unknown) => error), { timeout: 10_000 })
      .toMatchObject(refusal);
    expect((await store.read(ENVIRONMENT, 'model', 'a'))?.body).toBe(1);
    // ALTER SYSTEM is no change of the database's content.
    await server.sql('ALTER SYSTEM RESET default_transaction_read_only');
    await server.sql('SELECT pg_reload_conf()');
    await server.sql(terminate);
    const outcome = () =>
      store.commit(put('b', 0, 2)).then(
        (result) => result.outcome,
        () => undefined,
      );
    await expect.poll(outcome, { timeout: 10_000 }).toBe('committed');
    await store.close();
  });

  it(
    'gives up after its deadline when every connection hangs, and works again afterwards',
    async () => {
      const address = server.newAddress('&pool=2');
      const store = await open(address, { deadlineMs: 800 });
      const schema = new URL(address).searchParams.get('schema');
      const holding = server.sql(`BEGIN; LOCK TABLE "${schema}".heads; SELECT pg_sleep(2); COMMIT`);
      await expect
        .poll(async () => (await server.sql("SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted")).length)
        .toBeGreaterThan(0);
      const calls = Array.from({ length: 6 }, () => store.revision(ENVIRONMENT));
      for (const call of await Promise.allSettled(calls)) {
        expect(call).toMatchObject({ status: 'rejected', reason: { code: 'store.busy' } });
      }
      await holding;
      expect(await store.commit(put('a', 0, 1))).toMatchObject({ outcome: 'committed' });
      await store.close();
    },
    TIMEOUT_MS,
  );

  it('stores a report once when the answer is lost', async () => {
    const store = await open(server.through(server.newAddress(), proxy.port));
    const cut = proxy.cutAt('.evidence_heads AS h', 'after');
    const report = { gateway: 'g', boot: 'b', sequence: 1, revision: 0, readiness: [], blocks: [] };
    await store.appendReport(ENVIRONMENT, report, 1);
    await cut;
    expect(await store.appendReport(ENVIRONMENT, report, 2)).toBe('duplicate');
    expect(await store.gateways(ENVIRONMENT)).toMatchObject([{ seenAtMs: 1 }]);
    await store.close();
  });
});
