// Kills of our process and of the server, torn logs, failing disks. UNDERSTUDY_CRASH_FACTOR multiplies the counts of a pull request.
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { runLoop } from '../crash/child.ts';
import { commitOf, ENVIRONMENT, missingOf, operationsIn, readRevisions, upTo } from '../crash/operations.ts';
import { seededRandom } from '../crash/seeded-random.ts';
import { openClosing } from '../closed-after-each.contract.ts';
import { type Moment, openFaultProxy } from '../fault-proxy.contract.ts';
import type { RedisPlantedBugs } from '../redis-commit.ts';
import { COMMIT_SCRIPT, REPORT_SCRIPT } from '../redis-scripts.ts';
import { openRedisStore } from '../redis-store.ts';
import type { Store } from '../store.ts';
import type { LoopTask } from './commit-loop.child.ts';
import { type ServerOptions, startRedis, type TestServer } from './redis-server.contract.ts';
import { describeRedis } from './redis-suite.contract.ts';

const FACTOR = Number(process.env['UNDERSTUDY_CRASH_FACTOR'] ?? 1);
const SEED = Number(process.env['UNDERSTUDY_CRASH_SEED'] ?? 1);
const CLIENT_KILLS = Math.round(20 * FACTOR);
const SERVER_KILLS = Math.round(10 * FACTOR);
const TORN_LOGS = Math.round(12 * FACTOR);
const TIMEOUT_MS = 90_000 * Math.max(1, FACTOR);

const CHILD = fileURLToPath(new URL('./commit-loop.child.ts', import.meta.url));
const childOf = (task: Partial<LoopTask> & Pick<LoopTask, 'url'>): readonly string[] => {
  const whole: LoopTask = { first: 0, count: 1_000_000, work: 'documents', planted: {}, ...task };
  return [process.execPath, CHILD, JSON.stringify(whole)];
};

const closed = openClosing();
const server = async (options: ServerOptions = {}): Promise<TestServer> => closed(await startRedis(options));
const storeAt = async (url: string, planted: RedisPlantedBugs = {}): Promise<Store> =>
  closed(await openRedisStore(url, { planted }));

/** Commits until the server is gone; gives what was acknowledged. */
async function commitUntilRefused(store: Store, first: number, most = 10_000): Promise<number[]> {
  const acked: number[] = [];
  for (let operation = first; operation < first + most; operation += 1) {
    try {
      const result = await store.commit(commitOf(operation, 'small', await readRevisions(store)));
      if (result.outcome === 'committed' || result.outcome === 'replayed') acked.push(operation);
    } catch {
      return acked;
    }
  }
  return acked;
}

const impatient = (url: string): string => url.replace(/timeout-ms=\d+/, 'timeout-ms=300');

describeRedis('kill -9 of our process in mid-commit (F01)', () => {
  it(
    'loses nothing that was acknowledged and repeats nothing',
    async () => {
      const { url } = await server();
      const random = seededRandom(SEED);
      const store = await storeAt(url);
      let next = 0;
      let acknowledged = 0;
      for (let round = 0; round < CLIENT_KILLS; round += 1) {
        const { acked, errors } = await runLoop(childOf({ url, first: next }), { afterMs: random() * 40, first: 'ack' });
        expect(errors).toBe('');
        acknowledged += acked.length;
        expect(await missingOf(store, acked)).toEqual([]);
        const unknown = (acked.at(-1) ?? next - 1) + 1;
        const again = await store.commit(commitOf(unknown, 'several', await readRevisions(store)));
        expect(['committed', 'replayed']).toContain(again.outcome);
        next = unknown + 1;
        expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true, entries: next });
        expect(await operationsIn(store)).toEqual(upTo(next));
      }
      expect(acknowledged).toBeGreaterThanOrEqual(CLIENT_KILLS);
    },
    TIMEOUT_MS,
  );

  it(
    'would notice commits that are not one script',
    async () => {
      const redis = await server();
      const random = seededRandom(SEED);
      for (let round = 0; round < 60; round += 1) {
        redis.cli('flushall');
        await runLoop(childOf({ url: redis.url, planted: { inPieces: true } }), { afterMs: random() * 40, first: 'ack' });
        const store = await openRedisStore(redis.url);
        const check = await store.verifyJournal(ENVIRONMENT);
        await store.close();
        if (!check.intact) return;
      }
      expect.fail('a commit in pieces was never cut in two');
    },
    TIMEOUT_MS,
  );
});

describeRedis('kill -9 of the server (F08)', () => {
  async function killOften(redis: TestServer, store: Store): Promise<number> {
    const random = seededRandom(SEED);
    const acked: number[] = [];
    for (let round = 0; round < SERVER_KILLS; round += 1) {
      const first = await store.revision(ENVIRONMENT).catch(() => 0);
      const [done] = await Promise.all([
        commitUntilRefused(store, first),
        new Promise((resolve) => setTimeout(resolve, 20 + random() * 60)).then(() => redis.kill()),
      ]);
      acked.push(...done);
      await redis.start();
    }
    const fresh = await storeAt(redis.url);
    return (await missingOf(fresh, acked)).length;
  }

  it(
    'keeps what was acknowledged, and the same store goes on after each restart',
    async () => {
      const redis = await server();
      const store = await storeAt(impatient(redis.url));
      expect(await killOften(redis, store)).toBe(0);
      const entries = (await operationsIn(store)).length;
      expect(entries).toBeGreaterThan(SERVER_KILLS);
      expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true, entries });
      expect(await operationsIn(store)).toEqual(upTo(entries));
    },
    TIMEOUT_MS,
  );

  it(
    'would notice a server that keeps no log',
    async () => {
      const redis = await server({ settings: ['--appendonly', 'no'] });
      const store = await storeAt(impatient(redis.url), { ignoreLoss: true });
      expect(await killOften(redis, store)).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it('says that the server is gone within its patience, and that nothing was changed', async () => {
    const redis = await server();
    const store = await storeAt(impatient(redis.url));
    await store.commit(commitOf(0, 'small', new Map()));
    await redis.kill();
    const began = performance.now();
    const refusal = { code: 'store.busy', message: expect.stringContaining('nothing was changed') };
    await expect(store.commit(commitOf(1, 'small', new Map()))).rejects.toMatchObject(refusal);
    await expect(store.readAll(ENVIRONMENT)).rejects.toMatchObject({ code: 'store.busy' });
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

describeRedis('a power cut that tears the log (F02)', () => {
  const logOf = (directory: string): string => {
    const folder = path.join(directory, 'appendonlydir');
    return path.join(folder, readdirSync(folder).find((name) => name.endsWith('.incr.aof')) ?? '');
  };

  /** How many images lost something acknowledged, of logs cut anywhere after the last acknowledgement's end. */
  async function lossyImages(planted: RedisPlantedBugs): Promise<number> {
    const redis = await server();
    const store = await storeAt(redis.url, planted);
    const sizes: number[] = [];
    for (let operation = 0; operation < 60; operation += 1) {
      // What is early is measured before it can have arrived.
      const before = statSync(logOf(redis.directory)).size;
      await store.commit(commitOf(operation, 'small', await readRevisions(store)));
      sizes.push(planted.acknowledgeEarly === true ? before : statSync(logOf(redis.directory)).size);
    }
    await store.revision(ENVIRONMENT);
    await redis.kill();
    const total = statSync(logOf(redis.directory)).size;
    const random = seededRandom(SEED);
    let lossy = 0;
    for (let image = 0; image < TORN_LOGS; image += 1) {
      const last = Math.floor(random() * sizes.length);
      const size = sizes[last] ?? 0;
      const directory = mkdtempSync(path.join(tmpdir(), 'understudy-torn-'));
      cpSync(redis.directory, directory, { recursive: true });
      // The most that can be torn is what was being written: up to the next commit's end.
      truncateSync(logOf(directory), size + Math.floor(random() * ((sizes[last + 1] ?? total) - size)));
      const torn = await startRedis({ directory });
      try {
        const after = await openRedisStore(torn.url);
        expect(await after.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true });
        if ((await missingOf(after, upTo(last + 1))).length > 0) lossy += 1;
        await after.close();
      } finally {
        await torn.close();
        rmSync(directory, { recursive: true });
      }
    }
    return lossy;
  }

  it(
    'loses nothing that was acknowledged, and no commit is there by half',
    async () => expect(await lossyImages({})).toBe(0),
    TIMEOUT_MS,
  );

  it(
    'would notice acknowledgements that come early',
    async () => expect(await lossyImages({ acknowledgeEarly: true, ignoreLoss: true })).toBeGreaterThan(0),
    TIMEOUT_MS,
  );
});

describeRedis('a disk that fails under the server', () => {
  /** Runs the server under strace, which breaks system calls on its log from the nth on. */
  async function commitOnBrokenDisk(inject: string, settings: readonly string[] = []) {
    const directory = mkdtempSync(path.join(tmpdir(), 'understudy-broken-'));
    closed({ close: async () => rmSync(directory, { recursive: true }) });
    const log = path.join(directory, 'appendonlydir', 'appendonly.aof.1.incr.aof');
    const under = ['strace', '-f', '-o', '/dev/null', '-P', log, '-e', `inject=${inject}`];
    const broken = await server({ directory, under, settings });
    const store = await storeAt(impatient(broken.url));
    const acked = await commitUntilRefused(store, 0, 60);
    const reads = await store.revision(ENVIRONMENT).catch(() => undefined);
    await broken.kill();
    return { directory, acked, reads };
  }

  it.each([
    { name: 'no fsync works (F03)', inject: 'fsync,fdatasync:error=EIO:when=20+' },
    { name: 'it is full (F04)', inject: 'write:error=ENOSPC:when=20+' },
  ])(
    'acknowledges nothing from then on, and all that it acknowledged is there when it is well again: $name',
    async ({ inject }) => {
      const { directory, acked } = await commitOnBrokenDisk(inject);
      expect(acked.length).toBeGreaterThan(3);
      expect(acked.length).toBeLessThan(40);
      const repaired = await server({ directory });
      const store = await storeAt(repaired.url);
      expect(await missingOf(store, acked)).toEqual([]);
      expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true });
      // What was in flight is there once when it is asked again with its key.
      const unknown = acked.length;
      const again = await store.commit(commitOf(unknown, 'small', await readRevisions(store)));
      expect(['committed', 'replayed']).toContain(again.outcome);
      expect(await operationsIn(store)).toEqual(upTo(unknown + 1));
    },
    TIMEOUT_MS,
  );

  it(
    'would notice a server that goes on, as one does with appendfsync no',
    async () => {
      const { acked } = await commitOnBrokenDisk('fsync,fdatasync:error=EIO:when=1+', ['--appendfsync', 'no']);
      expect(acked).toHaveLength(60);
    },
    TIMEOUT_MS,
  );

  it('refuses changes while memory is full, reads on, and recovers without a restart (F04)', async () => {
    const redis = await server();
    const store = await storeAt(redis.url);
    await store.commit(commitOf(0, 'small', new Map()));
    redis.cli('config', 'set', 'maxmemory', '1mb');
    const before = await store.readAll(ENVIRONMENT);
    const refusal = { code: 'store.write_failed', message: expect.stringContaining('maxmemory') };
    await expect(store.commit(commitOf(1, 'small', new Map()))).rejects.toMatchObject(refusal);
    expect(await store.readAll(ENVIRONMENT)).toEqual(before);
    expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true, entries: 1 });
    redis.cli('config', 'set', 'maxmemory', '0');
    expect(await store.commit(commitOf(1, 'small', new Map()))).toMatchObject({ outcome: 'committed' });
  });
});

describeRedis('two control planes of which one is killed again and again (F10)', () => {
  async function decideInTurns(planted: LoopTask['planted']) {
    const { url } = await server();
    const random = seededRandom(SEED);
    const acked: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      const both = await Promise.all([
        runLoop(childOf({ url, work: 'windows', planted }), { afterMs: 20 + random() * 60, first: 'ack' }),
        runLoop(childOf({ url, work: 'windows', planted }), { afterMs: 20 + random() * 60, first: 'ack' }),
      ]);
      acked.push(...both.flatMap((run) => run.acked));
    }
    const store = await storeAt(url);
    expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true });
    const windows = (await store.decisions(ENVIRONMENT, 'r1', 1_000_000)).map(({ window }) => window).toReversed();
    return { acked, windows };
  }

  it(
    'decides every window once, and keeps each decision that was acknowledged',
    async () => {
      const { acked, windows } = await decideInTurns({});
      expect(windows.length).toBeGreaterThan(4);
      expect(windows).toEqual(upTo(windows.length));
      expect(acked.filter((window) => !windows.includes(window))).toEqual([]);
      expect(new Set(acked).size).toBe(acked.length);
    },
    TIMEOUT_MS,
  );

  it(
    'would notice a window that is decided twice',
    async () => {
      const { windows } = await decideInTurns({ noCompareAndSet: true });
      expect(new Set(windows).size).toBeLessThan(windows.length);
    },
    TIMEOUT_MS,
  );
});

describeRedis('an answer that is lost', () => {
  const put = (operation: number): Parameters<Store['commit']>[0] => {
    const { idempotency: _, ...commit } = commitOf(operation, 'small', new Map());
    return commit;
  };
  async function throughProxy(planted: RedisPlantedBugs = {}) {
    const redis = await server();
    const proxy = closed(await openFaultProxy(redis.port));
    return { redis, proxy, store: await storeAt(redis.url.replace(String(redis.port), String(proxy.port)), planted) };
  }
  async function cutOnce(moment: Moment, planted: RedisPlantedBugs = {}) {
    const { redis, proxy, store } = await throughProxy(planted);
    await store.commit(put(0));
    const cut = proxy.cutAt(COMMIT_SCRIPT.sha1, moment);
    const result = await store.commit(put(1));
    await cut;
    const direct = await storeAt(redis.url);
    return { result, entries: (await operationsIn(direct)).length };
  }

  it.each<{ moment: Moment }>([{ moment: 'before' }, { moment: 'after' }])(
    'is found out: the change is there once, and the caller hears so, when the connection broke $moment it was made',
    async ({ moment }) => {
      expect(await cutOnce(moment)).toEqual({ result: { outcome: 'committed', revision: 2 }, entries: 2 });
    },
  );

  it('would notice a commit that is taken for one that never happened', async () => {
    const { result, entries } = await cutOnce('after', { noReadBack: true });
    expect(result).toMatchObject({ outcome: 'conflict' });
    expect(entries).toBe(2);
  });

  it('does not matter for reports either', async () => {
    const { proxy, store } = await throughProxy();
    const report = { gateway: 'g', boot: 'b', sequence: 1, revision: 0, readiness: [], blocks: [] };
    const cut = proxy.cutAt(REPORT_SCRIPT.sha1, 'after');
    expect(await store.appendReport(ENVIRONMENT, report, 1)).toBe('stored');
    await cut;
    expect(await store.appendReport(ENVIRONMENT, report, 2)).toBe('duplicate');
  });
});
