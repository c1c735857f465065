import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBackup, writeBackup } from './backup-file.ts';
import { openDump, openStore } from './open-store.ts';
import { isSkipped, startPostgres, type TestServer } from './postgres-server.contract.ts';
import { blockOf, decide, ENVIRONMENT, put, reportOf } from './samples.contract.ts';
import { checkedRecords, copyStore, summaryOf } from './store-copy.ts';
import type { DumpRecord } from './store-dump.ts';
import type { Store } from './store.ts';

const root = mkdtempSync(path.join(tmpdir(), 'understudy-copy-'));
afterAll(() => rmSync(root, { recursive: true }));
let names = 0;
const newFile = () => path.join(root, String((names += 1)));
const newSqlite = () => `sqlite:${newFile()}`;
const quiet = () => undefined;
const STAMP = { release: '1.2.3', atMs: 7 };
const KEY = new Uint8Array(32).fill(9);

async function withStore<T>(address: string, work: (store: Store) => Promise<T>): Promise<T> {
  const { store, secrets } = await openStore(address, { onFatal: quiet });
  try {
    await secrets.keepSecret('request-id', KEY);
    return await work(store);
  } finally {
    await store.close();
  }
}

/** Something of everything, in two environments, with numbers and texts that are easy to spoil. */
async function fill(address: string): Promise<void> {
  await withStore(address, async (store) => {
    for (const environment of [ENVIRONMENT, 'staging']) {
      for (let revision = 0; revision < 220; revision += 1) {
        await store.commit({
          ...put('counter', revision, { revision, text: '\u0000\ud83d\ude00\ud800' }),
          environment,
          atMs: revision + 0.1,
        });
      }
      const idempotency = { key: 'k', request: 'd', answer: { a: 0.1 } };
      await store.commit({ ...decide('r1', 1), environment, idempotency });
      await store.commit({ ...put('gone', 0, 1), environment });
      await store.commit({
        ...put('gone', 222, 1),
        environment,
        writes: [{ kind: 'model', id: 'gone', expectedRevision: 222, body: undefined }],
      });
      for (let sequence = 0; sequence < 3; sequence += 1) {
        const blocks = [blockOf('fraud', sequence + 0.5), blockOf('churn', sequence)];
        await store.appendReport(environment, reportOf(sequence, { blocks }), 100.25 + sequence);
      }
    }
  });
}

/** Everything that the port shows. */
async function contentOf(address: string) {
  return withStore(address, async (store) => {
    const environments = [ENVIRONMENT, 'staging', 'other'];
    return Promise.all(
      environments.map(async (environment) => ({
        documents: await store.readAll(environment),
        journal: await store.journal(environment, { limit: 10_000 }),
        check: await store.verifyJournal(environment),
        ofSubject: await store.journal(environment, { limit: 9, subject: { kind: 'model', id: 'gone' } }),
        decisions: await store.decisions(environment, 'r1', 9),
        record: await store.findIdempotent(environment, 'k'),
        evidence: (await store.evidence(environment, { afterCursor: 0, limit: 99 })).map(
          ({ cursor: _cursor, ...stored }) => stored,
        ),
        gateways: await store.gateways(environment),
      })),
    );
  });
}

async function copy(from: string, to: string) {
  const source = await openDump(from);
  try {
    const target = await openDump(to);
    try {
      return await copyStore(source, target, quiet);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function backup(address: string, file: string): Promise<void> {
  const source = await openDump(address);
  try {
    await writeBackup(file, checkedRecords(source.dump(), quiet).records, STAMP);
  } finally {
    await source.close();
  }
}

async function restore(file: string, address: string) {
  const target = await openDump(address);
  try {
    return await copyStore({ dump: () => readBackup(file) }, target, quiet);
  } finally {
    await target.close();
  }
}

const isEmpty = (address: string) =>
  withStore(
    address,
    async (store) => (await store.revision(ENVIRONMENT)) === 0 && (await store.gateways(ENVIRONMENT)).length === 0,
  );

describe('with SQLite', () => {
  const filled = newSqlite();
  const saved = newFile();
  beforeAll(async () => {
    await fill(filled);
    await backup(filled, saved);
  }, 60_000);

  it('copies everything, with the key, and goes on where the first store stopped', async () => {
    const target = newSqlite();
    const summary = await copy(filled, target);
    expect(summary.environments.map(({ environment, revision }) => [environment, revision])).toEqual([
      [ENVIRONMENT, 223],
      ['staging', 223],
    ]);
    expect(await contentOf(target)).toEqual(await contentOf(filled));
    expect(readFileSync(path.join(target.slice('sqlite:'.length), 'request-id.key'))).toEqual(Buffer.from(KEY));
    await withStore(target, async (store) => {
      expect(await store.commit(put('counter', 220, 1))).toEqual({ outcome: 'committed', revision: 224 });
      expect(await store.appendReport(ENVIRONMENT, reportOf(1), 1)).toBe('duplicate');
      expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true, entries: 224 });
    });
  });

  it('restores what was backed up', async () => {
    const target = newSqlite();
    await restore(saved, target);
    expect(await contentOf(target)).toEqual(await contentOf(filled));
  });

  it('refuses a target that holds anything, and leaves it as it is', async () => {
    const target = newSqlite();
    await withStore(target, (store) => store.commit(put('mine', 0, 1)));
    await expect(copy(filled, target)).rejects.toMatchObject({ code: 'store.not_empty' });
    await expect(restore(saved, target)).rejects.toMatchObject({ code: 'store.not_empty' });
    expect(await withStore(target, (store) => store.revision(ENVIRONMENT))).toBe(1);
  });

  it('refuses a store that a server has open', async () => {
    await withStore(newSqlite(), async () => undefined);
    const target = newSqlite();
    await withStore(target, async () => {
      await expect(copy(filled, target)).rejects.toMatchObject({ code: 'store.locked' });
    });
  });

  it('never overwrites a backup', async () => {
    const before = readFileSync(saved);
    await expect(backup(filled, saved)).rejects.toMatchObject({ code: 'store.write_failed' });
    expect(readFileSync(saved)).toEqual(before);
  });

  const lines = () => gunzipSync(readFileSync(saved)).toString('utf8').split('\n').slice(0, -1);
  const zip = (changed: readonly string[]) => gzipSync(`${changed.join('\n')}\n`);
  it.each([
    { name: 'cut off', damage: () => readFileSync(saved).subarray(0, -100) },
    { name: 'without its end', damage: () => zip(lines().slice(0, -1)) },
    { name: 'with a line missing', damage: () => zip(lines().filter((_, index) => index !== 300)) },
    {
      name: 'with two lines exchanged',
      damage: () =>
        zip(
          lines()
            .with(5, lines()[6] ?? '')
            .with(6, lines()[5] ?? ''),
        ),
    },
    { name: 'with evidence changed', damage: () => zip(lines().map((line) => line.replace('"start_ms":2.5', '"start_ms":2.6'))) },
    {
      name: 'with a bit flipped',
      damage: () => Buffer.from(readFileSync(saved).map((byte, index) => (index === 3000 ? byte ^ 4 : byte))),
    },
    { name: 'with something after its end', damage: () => zip([...lines(), '{}']) },
  ])('refuses a backup $name, and restores nothing of it', async ({ damage }) => {
    const file = newFile();
    writeFileSync(file, damage());
    const target = newSqlite();
    await expect(restore(file, target)).rejects.toMatchObject({ code: 'store.corrupt' });
    expect(await isEmpty(target)).toBe(true);
  });

  it.each([
    { name: 'something else', content: gzipSync('hello\n'), code: 'store.corrupt' },
    { name: 'JSON of something else', content: gzipSync('{}\n'), code: 'config.invalid' },
    {
      name: 'a backup of a later format',
      content: gzipSync('{"understudyBackup":2,"release":"9.0.0","atMs":1}\n'),
      code: 'config.invalid',
    },
  ])('refuses $name', async ({ content, code }) => {
    const file = newFile();
    writeFileSync(file, content);
    await expect(restore(file, newSqlite())).rejects.toMatchObject({ code });
  });

  it('would notice without the chain: a changed entry is found although the checksum is right', async () => {
    const source = await openDump(filled);
    async function* forged(): AsyncGenerator<DumpRecord> {
      for await (const record of source.dump()) {
        yield record.table === 'journal' && record.revision === 200 ? { ...record, reason: 'forged' } : record;
      }
    }
    const file = newFile();
    await writeBackup(file, forged(), STAMP);
    await source.close();
    const target = newSqlite();
    await expect(restore(file, target)).rejects.toMatchObject({ code: 'store.corrupt', message: expect.stringContaining('200') });
    expect(await isEmpty(target)).toBe(true);
  });

  describe.skipIf(isSkipped)('and PostgreSQL', () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startPostgres();
    }, 60_000);
    afterAll(() => server.close());

    it('copies there and back without a difference', async () => {
      const [middle, end] = [server.newAddress(), newSqlite()];
      const there = await copy(filled, middle);
      const back = await copy(middle, end);
      expect(back).toEqual(there);
      const expected = await contentOf(filled);
      expect(await contentOf(middle)).toEqual(expected);
      expect(await contentOf(end)).toEqual(expected);
      await withStore(middle, async (store) => {
        expect(await store.commit(put('counter', 220, 1))).toEqual({ outcome: 'committed', revision: 224 });
        expect(await store.appendReport(ENVIRONMENT, reportOf(7, { blocks: [blockOf('fraud', 7)] }), 1)).toBe('stored');
        expect((await store.evidence(ENVIRONMENT, { afterCursor: 0, limit: 99 })).at(-1)).toMatchObject({ seenAtMs: 102.25 });
      });
    }, 60_000);

    it('restores a backup of SQLite, and refuses it twice', async () => {
      const target = server.newAddress();
      await restore(saved, target);
      expect(await contentOf(target)).toEqual(await contentOf(filled));
      await expect(restore(saved, target)).rejects.toMatchObject({ code: 'store.not_empty' });
    }, 60_000);

    it('backs up one moment while commits go on', async () => {
      const address = server.newAddress();
      const { store } = await openStore(address, { onFatal: quiet });
      let isDone = false;
      const writing = (async () => {
        for (let revision = 0; !isDone; revision += 1) await store.commit(put('a', revision, revision));
      })();
      await expect.poll(() => store.revision(ENVIRONMENT)).toBeGreaterThan(5);
      for (let round = 0; round < 3; round += 1) {
        const file = newFile();
        await backup(address, file);
        const target = newSqlite();
        const { environments } = await restore(file, target);
        expect(await withStore(target, (restored) => restored.verifyJournal(ENVIRONMENT))).toMatchObject({
          intact: true,
          entries: environments[0]?.revision,
        });
      }
      isDone = true;
      await writing;
      await store.close();
    }, 60_000);

    it('leaves nothing when a copy is interrupted', async () => {
      const target = server.newAddress();
      const source = await openDump(filled);
      async function* interrupted(): AsyncGenerator<DumpRecord> {
        let count = 0;
        for await (const record of source.dump()) {
          if ((count += 1) > 300) throw new Error('interrupted');
          yield record;
        }
      }
      const to = await openDump(target);
      await expect(copyStore({ dump: interrupted }, to, quiet)).rejects.toThrow('interrupted');
      await to.close();
      await source.close();
      expect(await isEmpty(target)).toBe(true);
      await copy(filled, target);
    }, 60_000);

    it('finds what somebody changed', async () => {
      const address = server.newAddress();
      await fill(address);
      const schema = new URL(address).searchParams.get('schema');
      await server.sql(`UPDATE "${schema}".journal SET reason = 'forged' WHERE revision = 4`);
      const opened = await openDump(address);
      await expect(summaryOf(opened, quiet)).rejects.toMatchObject({
        code: 'store.corrupt',
        message: expect.stringContaining('entry 4'),
      });
      await opened.close();
    }, 60_000);
  });
});
