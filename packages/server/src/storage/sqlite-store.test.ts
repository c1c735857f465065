import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterAll, describe, expect, it } from 'vitest';
import { commitOf, ENVIRONMENT, put, raceForOneRevision, reportOf, writeTo } from './samples.contract.ts';
import { acknowledgedFileOf } from './sqlite-acknowledged.ts';
import { openSqliteStore, type SqliteOptions } from './sqlite-store.ts';
import { testStoreContract } from './store-contract.ts';

const root = mkdtempSync(path.join(tmpdir(), 'understudy-store-'));
afterAll(() => rmSync(root, { recursive: true }));

let files = 0;
const newFile = () => path.join(root, String((files += 1)), 'state.db');
const openFile = (file: string, options: SqliteOptions = {}) => openSqliteStore(file, { ballastBytes: 0, ...options });

testStoreContract('SQLite in memory', () => openSqliteStore(':memory:'));
testStoreContract('SQLite in a file', () => openFile(newFile()));

it('would notice if compare-and-set were off', async () => {
  const store = await openSqliteStore(':memory:', { planted: { noCompareAndSet: true } });
  expect(await raceForOneRevision(store)).toEqual(['committed', 'committed']);
  await store.close();
});

/** A file with three entries, changed behind the store's back. */
async function tamper(sql: string): Promise<string> {
  const file = newFile();
  const store = await openFile(file);
  await store.commit(commitOf([writeTo('a', 0, { n: 1 }), writeTo('b', 0, { n: 1 })]));
  await store.commit(put('a', 1, { n: 2 }));
  await store.commit(put('a', 2, { n: 3 }));
  await store.close();
  const database = new Sqlite(file);
  database.pragma('foreign_keys = OFF');
  database.exec(sql);
  database.close();
  return file;
}

describe('verifying the journal', () => {
  it.each([
    { name: 'a changed reason', sql: "UPDATE journal SET reason = 'other' WHERE revision = 2", at: 2, problem: 'hash' },
    { name: 'a changed time', sql: 'UPDATE journal SET at_ms = at_ms + 1 WHERE revision = 2', at: 2, problem: 'hash' },
    { name: 'a broken row', sql: `UPDATE journal SET changes = '{' WHERE revision = 2`, at: 2, problem: 'not JSON' },
    { name: 'a deleted entry', sql: 'DELETE FROM journal WHERE revision = 2', at: 2, problem: 'missing' },
  ])('finds $name that no document is made by', async ({ sql, at, problem }) => {
    const store = await openFile(await tamper(sql));
    expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({
      intact: false,
      brokenAtRevision: at,
      problem: expect.stringContaining(problem),
    });
    await store.close();
  });

  it.each([
    { name: 'a changed time', sql: 'UPDATE journal SET at_ms = at_ms + 1 WHERE revision = 1', problem: 'entry 1' },
    { name: 'a changed content', sql: `UPDATE journal SET changes = '[]' WHERE revision = 3`, problem: 'entry 3' },
    { name: 'a changed subject', sql: `DELETE FROM journal_subjects WHERE revision = 3`, problem: 'model "a"' },
    { name: 'a deleted first entry', sql: 'DELETE FROM journal WHERE revision = 1', problem: 'entry 1' },
    { name: 'a deleted last entry', sql: 'DELETE FROM journal WHERE revision = 3', problem: 'revision 3' },
    { name: 'a changed document', sql: `UPDATE documents SET body = '{"n":9}' WHERE id = 'b'`, problem: 'model "b"' },
    { name: 'a changed revision', sql: `UPDATE documents SET revision = 9 WHERE id = 'b'`, problem: 'model "b"' },
    { name: 'a deleted document', sql: `DELETE FROM documents WHERE id = 'a'`, problem: 'model "a"' },
    {
      name: 'a document out of nowhere',
      sql: `INSERT INTO documents VALUES ('production', 'token', 'mine', 2, '{}')`,
      problem: 'token "mine"',
    },
  ])('is not even opened with $name', async ({ sql, problem }) => {
    const refusal = { code: 'store.corrupt', message: expect.stringContaining(problem) };
    await expect(openFile(await tamper(sql))).rejects.toMatchObject(refusal);
  });

  it('takes an older copy only when somebody says that it is meant', async () => {
    const file = newFile();
    const store = await openFile(file);
    await store.commit(put('a', 0, 1));
    await store.close();
    copyFileSync(file, `${file}.older`);
    const later = await openFile(file);
    await later.commit(put('a', 1, 2));
    await later.close();
    copyFileSync(`${file}.older`, file);
    const refusal = { code: 'store.corrupt', message: expect.stringContaining(acknowledgedFileOf(file)) };
    await expect(openFile(file)).rejects.toMatchObject(refusal);
    rmSync(acknowledgedFileOf(file));
    const meant = await openFile(file);
    expect(await meant.revision(ENVIRONMENT)).toBe(1);
    await meant.close();
  });

  it('finds nothing in a file that nobody touched', async () => {
    const store = await openFile(await tamper('SELECT 1'));
    expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true, entries: 3 });
    await store.close();
  });
});

describe('opening', () => {
  it('keeps everything over a restart', async () => {
    const file = newFile();
    const first = await openFile(file);
    await first.commit(put('a', 0, 1));
    await first.appendReport(ENVIRONMENT, reportOf(1), 1);
    await first.close();
    const second = await openFile(file);
    expect(await second.revision(ENVIRONMENT)).toBe(1);
    expect(await second.appendReport(ENVIRONMENT, reportOf(1), 2)).toBe('duplicate');
    await second.close();
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  it('refuses a second store on the same file and names the first', async () => {
    const file = newFile();
    const first = await openFile(file);
    const refusal = { code: 'store.locked', message: expect.stringContaining(`process ${process.pid}`) };
    await expect(openFile(file)).rejects.toMatchObject(refusal);
    await first.close();
    await (await openFile(file)).close();
  });

  it('is kept out by the database itself when the lock file is gone', async () => {
    const file = newFile();
    const first = await openFile(file);
    rmSync(`${file}.lock`);
    await expect(openFile(file)).rejects.toMatchObject({ code: 'store.locked' });
    await first.close();
  });

  it.each([
    { name: 'a process that ended', holder: () => ({ pid: endedPid(), host: hostname(), since: 'then' }) },
    { name: 'a pid that is used again', holder: () => ({ pid: process.pid, startTime: '1', host: hostname(), since: 'then' }) },
    { name: 'another machine that let go', holder: () => ({ pid: process.pid, host: 'elsewhere', since: 'then' }) },
    { name: 'nobody, being garbage', holder: () => 'garbage' },
  ])('takes over a lock file of $name', async ({ holder }) => {
    const file = newFile();
    await (await openFile(file)).close();
    writeFileSync(`${file}.lock`, JSON.stringify(holder()));
    const store = await openFile(file);
    expect(JSON.parse(readFileSync(`${file}.lock`, 'utf8'))).toMatchObject({ pid: process.pid });
    await store.close();
  });

  it('refuses while the process in the lock file lives', async () => {
    const file = newFile();
    await (await openFile(file)).close();
    const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { stdio: 'ignore' });
    try {
      writeFileSync(`${file}.lock`, JSON.stringify({ pid: child.pid, host: hostname(), since: 'then' }));
      await expect(openFile(file)).rejects.toMatchObject({ code: 'store.locked' });
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('refuses a file that is no database, and says what to do', async () => {
    const file = newFile();
    await (await openFile(file)).close();
    writeFileSync(file, 'x'.repeat(8192));
    const refusal = { code: 'store.corrupt', message: expect.stringContaining('restore the newest backup') };
    await expect(openFile(file)).rejects.toMatchObject(refusal);
  });

  it('refuses a database with damaged pages', async () => {
    const file = newFile();
    const store = await openFile(file);
    for (let n = 0; n < 50; n += 1) await store.commit(put(`m${n}`, 0, 'x'.repeat(500)));
    await store.close();
    const bytes = readFileSync(file);
    // Every page but the first: which tables they belong to does not matter.
    for (let page = 4096; page < bytes.length; page += 4096) bytes.fill(0xa5, page, page + 16);
    writeFileSync(file, bytes);
    await expect(openFile(file)).rejects.toMatchObject({ code: 'store.corrupt', message: expect.stringContaining('backup') });
  });

  it('refuses a directory it cannot use', async () => {
    const file = newFile();
    await (await openFile(file)).close();
    await expect(openFile(path.join(file, 'below.db'))).rejects.toMatchObject({ code: 'store.write_failed' });
  });
});

/** The pid of a process that has ended. */
function endedPid(): number {
  return Number(execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }));
}
