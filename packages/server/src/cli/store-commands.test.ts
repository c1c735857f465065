import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStore } from '../storage/open-store.ts';
import { put } from '../storage/samples.contract.ts';
import { STORE_COMMANDS, storeChecks } from '../store-commands.ts';
import { run } from './test-cli.ts';

const root = mkdtempSync(path.join(tmpdir(), 'understudy-store-commands-'));
afterAll(() => rmSync(root, { recursive: true }));
const place = (name: string) => `sqlite:${path.join(root, name)}`;
const clock = { nowMs: () => 0 };
const store = (...words: readonly string[]) => run(['store', ...words], { extraCommands: STORE_COMMANDS, clock });

beforeAll(async () => {
  const { store: filled, secrets } = await openStore(place('filled'), { onFatal: () => undefined });
  await secrets.keepSecret('request-id', new Uint8Array(32));
  for (let revision = 0; revision < 3; revision += 1) await filled.commit(put('a', revision, revision));
  await filled.close();
});

it('copies, and says what arrived', async () => {
  const { code, stdout } = await store('copy', place('filled'), place('copied'), '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    done: 'copied',
    from: place('filled'),
    to: place('copied'),
    environments: [{ environment: 'production', revision: 3 }],
  });
});

it('backs up into a file that only its owner may read, and restores it', async () => {
  const file = path.join(root, 'saved');
  expect(await store('backup', file, '--store', place('filled'))).toMatchObject({ code: 0 });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(await store('restore', file, '--store', place('restored'))).toMatchObject({ code: 0 });
  const heads = await Promise.all(['filled', 'restored'].map((name) => store('verify', '--store', place(name), '--json')));
  const [before, after] = heads.map(({ stdout }): { sha256: string } => JSON.parse(stdout));
  expect(after?.sha256).toBe(before?.sha256);
  expect(await store('backup', file, '--store', place('filled'))).toMatchObject({ code: 7 });
});

it('refuses a target that is not empty, a damaged backup and an address that is none', async () => {
  expect(await store('copy', place('filled'), place('filled-2'))).toMatchObject({ code: 0 });
  const again = await store('copy', place('filled'), place('filled-2'));
  expect(again).toMatchObject({ code: 4, stderr: expect.stringContaining('holds something already') });
  const damaged = path.join(root, 'damaged');
  await store('backup', damaged, '--store', place('filled'));
  writeFileSync(damaged, readFileSync(damaged).subarray(0, -30));
  expect(await store('restore', damaged, '--store', place('never'))).toMatchObject({ code: 1 });
  expect(existsSync(`${damaged}.part`)).toBe(false);
  const wrong = await store('verify', '--store', 'mysql://ada:secret@db/x');
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('mysql') });
  expect(wrong.stderr).not.toContain('secret');
});

it('has nothing to say to doctor about SQLite, and says what is wrong with a server that does not answer', async () => {
  expect(await storeChecks(undefined)).toEqual([]);
  expect(await storeChecks(place('filled'))).toEqual([]);
  for (const address of ['postgres://127.0.0.1/x?pool=0', 'redis://127.0.0.1:1/0?timeout-ms=100', 'redis://127.0.0.1/x']) {
    expect(await storeChecks(address)).toMatchObject([{ name: 'store', state: 'problem' }]);
  }
});
