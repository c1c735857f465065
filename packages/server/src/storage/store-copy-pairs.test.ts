// Every backend copied into every backend, and what each does with a copy that goes wrong.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDump, openStore } from './open-store.ts';
import { isSkipped as isPostgresSkipped, startPostgres } from './postgres-server.contract.ts';
import { openLoadWriter } from './redis-load-writer.ts';
import { parseRedisAddress } from './redis-address.ts';
import { LOADED_KEY, LOADING_KEY } from './redis-keys.ts';
import { openRedisLink } from './redis-link.ts';
import { startRedis, type TestServer } from './redis-faults/redis-server.contract.ts';
import { describeRedis, isRedisSkipped } from './redis-faults/redis-suite.contract.ts';
import { blockOf, ENVIRONMENT, put, reportOf } from './samples.contract.ts';
import { copyStore, summaryOf } from './store-copy.ts';
import {
  backup,
  contentOf,
  copy,
  fill,
  isEmpty,
  KEY,
  newFile,
  newSqlite,
  quiet,
  restore,
  withStore,
} from './store-copy.contract.ts';
import type { DumpRecord } from './store-dump.ts';

interface Backend {
  readonly name: string;
  readonly start: () => Promise<{ newAddress(): string; close(): Promise<unknown> }>;
}

const ALL: readonly (Backend & { readonly isSkipped: boolean })[] = [
  { name: 'SQLite', isSkipped: false, start: async () => ({ newAddress: newSqlite, close: async () => undefined }) },
  { name: 'PostgreSQL', isSkipped: isPostgresSkipped, start: startPostgres },
  { name: 'Redis', isSkipped: isRedisSkipped, start: startRedisServer },
];
const BACKENDS = ALL.filter(({ isSkipped }) => !isSkipped);

async function startRedisServer() {
  const server = await startRedis({ settings: ['--databases', '64'] });
  let databases = 0;
  return { newAddress: () => server.url.replace('/0?', `/${(databases += 1)}?`), close: () => server.close() };
}

/** The records of a store, until they are interrupted. */
async function* interrupted(records: AsyncIterable<DumpRecord>): AsyncGenerator<DumpRecord> {
  let count = 0;
  for await (const record of records) {
    if ((count += 1) > 300) throw new Error('interrupted');
    yield record;
  }
}

describe('every pair of backends', () => {
  const servers = new Map<string, Awaited<ReturnType<Backend['start']>>>();
  const filled = new Map<string, string>();
  const newAddress = (name: string): string => servers.get(name)?.newAddress() ?? '';
  beforeAll(async () => {
    for (const { name, start } of BACKENDS) {
      servers.set(name, await start());
      const address = newAddress(name);
      filled.set(name, address);
      await fill(address);
    }
  }, 120_000);
  afterAll(async () => {
    for (const server of servers.values()) await server.close();
  });

  it('holds the same to the letter when the same was done to it', async () => {
    const sums = new Set<string>();
    for (const address of filled.values()) {
      const opened = await openDump(address);
      sums.add((await summaryOf(opened, quiet)).sha256);
      await opened.close();
    }
    expect(sums.size).toBe(1);
  }, 60_000);

  const pairs = BACKENDS.flatMap((from) => BACKENDS.map((to) => ({ from: from.name, to: to.name })));
  it.each(pairs)(
    'copies from $from to $to without a difference, and goes on there',
    async ({ from, to }) => {
      const [source, target] = [filled.get(from) ?? '', newAddress(to)];
      const { environments } = await copy(source, target);
      expect(environments.map(({ environment, revision }) => [environment, revision])).toEqual([
        [ENVIRONMENT, 223],
        ['staging', 223],
      ]);
      expect(await contentOf(target)).toEqual(await contentOf(source));
      const { store, secrets } = await openStore(target, { onFatal: quiet });
      expect(new Uint8Array(await secrets.keepSecret('request-id', new Uint8Array(32)))).toEqual(KEY);
      expect(await store.commit(put('counter', 220, 1))).toEqual({ outcome: 'committed', revision: 224 });
      expect(await store.appendReport(ENVIRONMENT, reportOf(1), 1)).toBe('duplicate');
      expect(await store.appendReport(ENVIRONMENT, reportOf(7, { blocks: [blockOf('fraud', 7)] }), 1)).toBe('stored');
      // A reader that has counted everything misses nothing that comes.
      const evidence = await store.evidence(ENVIRONMENT, { afterCursor: 6, limit: 99 });
      expect(evidence).toMatchObject([{ seenAtMs: 102.25, block: { startMs: 7 } }]);
      expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true, entries: 224 });
      await store.close();
    },
    60_000,
  );

  describe.each(BACKENDS)('$name', ({ name }) => {
    it('backs up, restores, and refuses to restore on top', async () => {
      const [file, target] = [newFile(), newAddress(name)];
      await backup(filled.get(name) ?? '', file);
      await restore(file, target);
      expect(await contentOf(target)).toEqual(await contentOf(filled.get(name) ?? ''));
      await expect(restore(file, target)).rejects.toMatchObject({ code: 'store.not_empty' });
    }, 60_000);

    it('holds nothing of a copy that was interrupted, and takes it the next time', async () => {
      const target = newAddress(name);
      const [from, to] = [await openDump(filled.get('SQLite') ?? ''), await openDump(target)];
      await expect(copyStore({ dump: () => interrupted(from.dump()) }, to, quiet)).rejects.toThrow('interrupted');
      await to.close();
      await from.close();
      expect(await isEmpty(target)).toBe(true);
      await copy(filled.get('SQLite') ?? '', target);
    }, 60_000);
  });
});

describeRedis('Redis', () => {
  let server: TestServer;
  const source = newSqlite();
  beforeAll(async () => {
    server = await startRedis();
    await fill(source);
  }, 60_000);
  afterAll(() => server.close());

  it.each([
    { name: 'a commit', change: (address: string) => withStore(address, (store) => store.commit(put('late', 0, 1))) },
    {
      name: 'a report',
      change: (address: string) => withStore(address, (store) => store.appendReport('staging', reportOf(9), 1)),
    },
    {
      name: 'a clean-up',
      change: (address: string) =>
        withStore(address, (store) => store.prune(ENVIRONMENT, { evidenceMs: 1e6, feedbackMs: 1e6, idempotencyMs: 0 })),
    },
    {
      name: 'another environment',
      change: (address: string) => withStore(address, (store) => store.appendReport('new', reportOf(9), 1)),
    },
  ])(
    'notices $name while everything is read, and gives no half of it',
    async ({ change }) => {
      server.cli('flushall');
      await copy(source, server.url);
      const [from, to] = [await openDump(server.url), await openDump(newSqlite())];
      async function* disturbed(): AsyncGenerator<DumpRecord> {
        let count = 0;
        for await (const record of from.dump()) {
          if ((count += 1) === 300) await change(server.url);
          yield record;
        }
      }
      const refusal = { code: 'store.busy', message: expect.stringContaining('changed meanwhile') };
      await expect(copyStore({ dump: disturbed }, to, quiet)).rejects.toMatchObject(refusal);
      await from.close();
      await to.close();
    },
    60_000,
  );

  /** What a copy leaves that was killed just before, or just after, everything was staged. */
  async function killedCopy(isComplete: boolean): Promise<void> {
    server.cli('flushall');
    const [from, link] = [await openDump(source), await openRedisLink(parseRedisAddress(server.url))];
    const writer = openLoadWriter(link, 'killed');
    for await (const record of from.dump()) await writer.add(record);
    await writer.flush();
    if (isComplete) await link.send('fill the store', [['set', LOADED_KEY, 'killed']]);
    await link.close();
    await from.close();
  }

  it('is empty after a copy that was killed before all of it was there', async () => {
    await killedCopy(false);
    expect(await isEmpty(server.url)).toBe(true);
    await copy(source, server.url);
    expect(server.cli('keys', '*staged*')).toBe('');
    expect(await contentOf(server.url)).toEqual(await contentOf(source));
  }, 60_000);

  it('is full after a copy that was killed when all of it was there', async () => {
    await killedCopy(true);
    expect(await contentOf(server.url)).toEqual(await contentOf(source));
    expect(server.cli('exists', LOADED_KEY)).toBe('0');
  }, 60_000);

  /** A few changes that no other source has. */
  async function smallSource(place: number): Promise<string> {
    const address = newSqlite();
    await withStore(address, async (store) => {
      for (let n = 0; n < 20; n += 1) await store.commit(put(`of-${place}-${n}`, 0, { place, n }));
    });
    return address;
  }

  it('is filled by one of several copies that are made at once, and the others say so', async () => {
    server.cli('flushall');
    const sources = await Promise.all([1, 2, 3, 4].map(smallSource));
    const results = await Promise.allSettled(sources.map((from) => copy(from, server.url)));
    const winners = results.flatMap(({ status }, place) => (status === 'fulfilled' ? [place] : []));
    expect(winners).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason.code).toMatch(/^store\.(busy|not_empty)$/);
    }
    expect(await contentOf(server.url)).toEqual(await contentOf(sources[winners[0] ?? 0] ?? ''));
    expect(server.cli('keys', '*staged*')).toBe('');
    expect(server.cli('keys', '{understudy-load}*')).toBe('');
  }, 60_000);

  it('is left alone by a copy that was held up until another one began', async () => {
    server.cli('flushall');
    const other = await smallSource(1);
    const [from, to] = [await openDump(source), await openDump(server.url)];
    async function* heldUp(): AsyncGenerator<DumpRecord> {
      let count = 0;
      for await (const record of from.dump()) {
        // As if a minute had passed.
        if ((count += 1) === 300) {
          server.cli('del', LOADING_KEY);
          await copy(other, server.url);
        }
        yield record;
      }
    }
    await expect(to.load(heldUp())).rejects.toMatchObject({ code: 'store.not_empty' });
    await from.close();
    await to.close();
    expect(await contentOf(server.url)).toEqual(await contentOf(other));
    expect(server.cli('keys', '*staged*')).toBe('');
  }, 60_000);

  it('finds what somebody changed', async () => {
    server.cli('flushall');
    await copy(source, server.url);
    server.cli('hset', '{understudy:staging}:documents:model', 'counter', '220:{"forged":1}');
    const opened = await openDump(server.url);
    await expect(summaryOf(opened, quiet)).rejects.toMatchObject({ code: 'store.corrupt' });
    await opened.close();
  }, 60_000);
});
