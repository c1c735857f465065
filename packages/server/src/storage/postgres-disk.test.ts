// Disks of PostgreSQL that fail, fill up and flip bits. UNDERSTUDY_CRASH_FACTOR multiplies the counts of a pull request.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { isAppError } from '@understudy/core/errors';
import { openClosing } from './closed-after-each.contract.ts';
import { keyOf, operationsIn, upTo } from './crash/operations.ts';
import { seededRandom } from './crash/seeded-random.ts';
import { examinePostgres } from './postgres-doctor.ts';
import { isSkipped, type ServerOptions, startPostgres, type TestServer } from './postgres-server.contract.ts';
import { canMount } from './postgres-small-disk.contract.ts';
import { openPostgresStore, type PostgresOptions } from './postgres-store.ts';
import { ENVIRONMENT, put } from './samples.contract.ts';
import type { Commit, Store } from './store.ts';

const FACTOR = Number(process.env['UNDERSTUDY_CRASH_FACTOR'] ?? 1);
const SEED = Number(process.env['UNDERSTUDY_CRASH_SEED'] ?? 1);
const PANICS = Math.round(6 * FACTOR);
const FLIPS = Math.round(24 * FACTOR);
const TIMEOUT_MS = 120_000 * Math.max(1, FACTOR);
// What the store promises is two seconds; machines that test are busy.
const BOUND_MS = 6000;

const closed = openClosing();
const server = async (settings: readonly string[] = [], options: ServerOptions = {}): Promise<TestServer> =>
  closed(await startPostgres(settings, options));
const storeAt = async (address: string, options: PostgresOptions = {}): Promise<Store> =>
  closed(await openPostgresStore(address, options));

const keyed = (operation: number, revision: number): Commit => ({
  ...put('w', revision, { operation, padding: 'x'.repeat((operation * 991) % 3000) }),
  atMs: operation,
  idempotency: { key: keyOf(operation), request: 'digest', answer: operation },
});

/** What was heard of operations that were asked for one after the other, each until it was there. */
interface Heard {
  readonly refusals: { readonly code: string; readonly message: string }[];
  next: number;
  longestMs: number;
}

const heardNothing = (): Heard => ({ refusals: [], next: 0, longestMs: 0 });

/** Asks once for the next operation, whatever became of it before. True when it is there. */
async function ask(store: Store, heard: Heard): Promise<boolean> {
  const beganMs = performance.now();
  try {
    const revision = (await store.read(ENVIRONMENT, 'model', 'w'))?.revision ?? 0;
    const { outcome } = await store.commit(keyed(heard.next, revision));
    expect(['committed', 'replayed']).toContain(outcome);
    heard.next += 1;
    return true;
  } catch (error) {
    if (!isAppError(error)) throw error;
    heard.refusals.push({ code: error.code, message: error.message });
    return false;
  } finally {
    heard.longestMs = Math.max(heard.longestMs, performance.now() - beganMs);
  }
}

const failing = (call: string, nth: number): string[] => {
  return [
    'strace',
    '-f',
    '--seccomp-bpf',
    '-o',
    '/dev/null',
    '-e',
    `trace=${call}`,
    '-e',
    `inject=${call}:error=EIO:when=${nth}`,
  ];
};

describe.skipIf(isSkipped)('an fsync of the server that fails (F03)', () => {
  it.each([
    { what: 'its log', call: 'fdatasync', nth: 12, work: 'SELECT 1' },
    { what: 'its tables', call: 'fsync', nth: 30, work: 'CHECKPOINT' },
  ])(
    'ends the server; what was acknowledged is there once, every answer comes in time, and work goes on by itself: $what',
    async ({ call, nth, work }) => {
      // Each process of the server counts its own calls, so this one fails again and again.
      // Otherwise a server that recovers calls fsync on every file it has, each of them under the tracer.
      const postgres = await server(['recovery_init_sync_method = syncfs']);
      const address = postgres.newAddress();
      await (await openPostgresStore(address)).close();
      await postgres.stop();
      await postgres.start(failing(call, nth));
      const store = await storeAt(address);
      const heard = heardNothing();
      const panics = (): number => readFileSync(postgres.log, 'utf8').split('PANIC:').length - 1;
      while (panics() < PANICS) {
        for (let times = 0; times < 4; times += 1) await ask(store, heard);
        // Refused while the server recovers.
        await postgres.sql(work).catch(() => undefined);
      }
      while (!(await ask(store, heard)));
      expect(await operationsIn(store)).toEqual(upTo(heard.next));
      expect(new Set(heard.refusals.map(({ code }) => code))).toEqual(new Set(heard.refusals.length > 0 ? ['store.busy'] : []));
      expect(heard.longestMs).toBeLessThan(BOUND_MS);
      expect(heard.next).toBeGreaterThan(PANICS);
    },
    TIMEOUT_MS,
  );
});

describe.skipIf(isSkipped || !canMount())('a full disk of the server (F04)', () => {
  const small: ServerOptions = { diskMegabytes: 80, initialize: ['--wal-segsize=1'] };
  const settings = ['min_wal_size = 2MB', 'max_wal_size = 4MB', 'shared_buffers = 1MB', 'wal_recycle = off', 'autovacuum = off'];

  async function onFullDisk() {
    const postgres = await server(settings, small);
    const store = await storeAt(postgres.newAddress());
    const heard = heardNothing();
    for (let times = 0; times < 20; times += 1) expect(await ask(store, heard)).toBe(true);
    postgres.disk?.fill();
    return { postgres, store, heard };
  }

  it(
    'refuses changes with what to do, reads on, and takes changes again when there is room, without a restart of anything',
    async () => {
      const { postgres, store, heard } = await onFullDisk();
      while (heard.refusals.length < 20) await ask(store, heard);
      const refusal = { code: 'store.write_failed', message: expect.stringContaining('free some space, nothing was changed') };
      expect(heard.refusals).toEqual(Array.from({ length: 20 }, () => refusal));
      expect((await store.readAll(ENVIRONMENT)).revision).toBe(heard.next);
      postgres.disk?.free();
      expect(await ask(store, heard)).toBe(true);
      expect(await operationsIn(store)).toEqual(upTo(heard.next));
      expect(heard.longestMs).toBeLessThan(BOUND_MS);
    },
    TIMEOUT_MS,
  );

  it(
    'is answered for with store.busy when the server ends over it, and nothing is lost when it is back',
    async () => {
      const { postgres, store, heard } = await onFullDisk();
      // Each time the next change needs a new file of the log, until there is no room for one.
      while (heard.refusals.at(-1)?.code !== 'store.busy') {
        await postgres.sql('SELECT pg_switch_wal()').catch(() => undefined);
        await ask(store, heard);
      }
      await postgres.ended();
      await ask(store, heard);
      expect(heard.refusals.at(-1)).toMatchObject({ code: 'store.busy' });
      await expect(store.readAll(ENVIRONMENT)).rejects.toMatchObject({ code: 'store.busy' });
      postgres.disk?.free();
      await postgres.start();
      while (!(await ask(store, heard)));
      expect(await operationsIn(store)).toEqual(upTo(heard.next));
      expect(heard.longestMs).toBeLessThan(BOUND_MS);
    },
    TIMEOUT_MS,
  );
});

describe.skipIf(isSkipped)('a flipped bit in a file of the server (F05)', () => {
  /** Everything the store says, or the code of its refusal. */
  async function contentOf(address: string): Promise<unknown> {
    try {
      await using store = closingLater(await openPostgresStore(address, { openWithinMs: 2000 }));
      const documents = await store.opened.readAll(ENVIRONMENT);
      return { documents, journal: await store.opened.journal(ENVIRONMENT, { limit: 1000 }) };
    } catch (error) {
      if (!isAppError(error)) throw error;
      return { code: error.code, message: error.message };
    }
  }

  /** One store for each flip, all of them in one server: its tables and indexes are files of its own. */
  async function flip(
    initialize: readonly string[],
    flips: number,
    flipOne: (paths: readonly string[], random: () => number) => void,
  ) {
    const postgres = await server(['autovacuum = off'], { initialize });
    const random = seededRandom(SEED);
    const addresses = Array.from({ length: flips }, () => postgres.newAddress());
    const before: unknown[] = [];
    for (const address of addresses) {
      const store = await openPostgresStore(address);
      for (let operation = 0; operation < 12; operation += 1) await store.commit(keyed(operation, operation));
      await store.close();
      before.push(await contentOf(address));
    }
    const files = await postgres.sql(
      `SELECT nspname, array_agg(pg_relation_filepath(c.oid) ORDER BY relname) AS paths FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
       WHERE nspname LIKE 's%' AND relname IN ('documents', 'journal', 'heads') GROUP BY nspname`,
    );
    await postgres.stop();
    for (const address of addresses) {
      const row = files.find(({ nspname }) => nspname === new URL(address).searchParams.get('schema'));
      const paths: readonly unknown[] = Array.isArray(row?.['paths']) ? row['paths'] : [];
      flipOne(
        paths.map((file) => path.join(postgres.data, String(file))),
        random,
      );
    }
    await postgres.start();
    const after: unknown[] = [];
    for (const address of addresses) after.push(await contentOf(address));
    return { postgres, addresses, before, after };
  }

  it(
    'is refused with store.corrupt and what to do where pages have checksums, and never believed',
    async () => {
      const { before, after } = await flip(['--data-checksums'], FLIPS, flipAnywhere);
      const different = after.filter((content, place) => !isEqual(content, before[place]));
      const refusal = { code: 'store.corrupt', message: expect.stringContaining('understudy store restore') };
      expect(different).toEqual(different.map(() => refusal));
      // Every page that was read was hit.
      expect(different.length).toBeGreaterThan(FLIPS * 0.8);
    },
    TIMEOUT_MS,
  );

  it(
    'may be believed where pages have none: doctor says so, and the check of the journal finds it',
    async () => {
      const { postgres, addresses, before, after } = await flip([], 4, flipDigit);
      const [warning] = (await examinePostgres(postgres.newAddress())).filter(({ state }) => state === 'warning');
      expect(warning).toMatchObject({
        detail: expect.stringContaining('checksums'),
        fix: expect.stringContaining('pg_checksums'),
      });
      const believed = addresses.filter((_, place) => !isEqual(after[place], before[place]) && isContent(after[place]));
      expect(believed.length).toBeGreaterThan(0);
      for (const address of believed) {
        const store = await storeAt(address);
        expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: false });
      }
    },
    TIMEOUT_MS,
  );

  it('does not take an environment that lost its head for an empty one', async () => {
    const postgres = await server();
    const address = postgres.newAddress();
    const store = await storeAt(address);
    await store.commit(keyed(0, 0));
    await postgres.sql(`DELETE FROM "${new URL(address).searchParams.get('schema')}".heads`);
    const refusal = { code: 'store.corrupt', message: expect.stringContaining('head is gone') };
    await expect(store.readAll(ENVIRONMENT)).rejects.toMatchObject(refusal);
    await expect(store.verifyJournal(ENVIRONMENT)).rejects.toMatchObject(refusal);
    expect(await store.readAll('elsewhere')).toEqual({ revision: 0, documents: [] });
  });
});

const isContent = (answer: unknown): boolean => typeof answer === 'object' && answer !== null && 'documents' in answer;
const isEqual = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function closingLater<T extends { close(): Promise<void> }>(opened: T): AsyncDisposable & { readonly opened: T } {
  return { opened, [Symbol.asyncDispose]: () => opened.close() };
}

function flipAnywhere(files: readonly string[], random: () => number): void {
  const file = files[Math.floor(random() * files.length)] ?? '';
  const bytes = readFileSync(file);
  const place = Math.floor(random() * bytes.length);
  bytes[place] = (bytes[place] ?? 0) ^ (1 << Math.floor(random() * 8));
  writeFileSync(file, bytes);
}

/** Makes another operation of the last one in the documents. */
function flipDigit([documents = '']: readonly string[]): void {
  const bytes = readFileSync(documents);
  const place = bytes.indexOf('"operation":11');
  expect(place).toBeGreaterThan(0);
  bytes[place + '"operation":1'.length] = '0'.charCodeAt(0);
  writeFileSync(documents, bytes);
}
