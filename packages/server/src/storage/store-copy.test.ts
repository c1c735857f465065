import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeBackup } from './backup-file.ts';
import { openDump, openStore } from './open-store.ts';
import { isSkipped, startPostgres, type TestServer } from './postgres-server.contract.ts';
import { ENVIRONMENT, put, reportOf } from './samples.contract.ts';
import { summaryOf } from './store-copy.ts';
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
  STAMP,
  withStore,
} from './store-copy.contract.ts';
import type { DumpRecord } from './store-dump.ts';

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
