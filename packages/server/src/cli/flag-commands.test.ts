import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '@understudy/core/errors';
import { describe, expect, it } from 'vitest';
import { emptyFolder, openFixture, run } from './test-cli.ts';
import { answers } from './test-data.ts';

const FLAG = 'key: checkout\ntype: boolean\non: true\nvariants:\n  - name: new\n    value: true\nfallthrough:\n  variant: new\n';

async function fileOf(text: string, name = 'flag.yaml'): Promise<string> {
  const file = path.join(await emptyFolder(), name);
  await writeFile(file, text);
  return file;
}

describe('flag save', () => {
  it.each([
    { name: 'what is there now', text: FLAG, words: [], revision: 7 },
    { name: 'the revision in the file', text: `revision: 5\nflag:\n${FLAG.replaceAll(/^/gm, '  ')}`, words: [], revision: 5 },
    { name: '--revision', text: FLAG, words: ['--revision', '4'], revision: 4 },
  ])('replaces $name', async ({ text, words, revision }) => {
    await using fixture = await openFixture();
    const file = await fileOf(text);
    const { code, stderr } = await run(['flag', 'save', file, '--reason', 'r', ...words], { url: fixture.url });
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(fixture.seen.at(-1)).toMatchObject({
      endpoint: 'saveFlag',
      body: { revision, reason: 'r', flag: { key: 'checkout', rules: [] } },
    });
  });

  it('creates a flag that is not there', async () => {
    await using fixture = await openFixture({
      getFlag: () => {
        throw new AppError('flag.not_found', 'there is no flag "checkout"');
      },
    });
    await run(['flag', 'save', await fileOf(FLAG), '--reason', 'r'], { url: fixture.url });
    expect(fixture.seen.at(-1)).toMatchObject({ endpoint: 'saveFlag', body: { revision: 0 } });
  });

  it('says what to do when somebody was faster', async () => {
    await using fixture = await openFixture({
      saveFlag: () => {
        throw new AppError('flag.changed', 'it was changed at revision 9');
      },
    });
    const { code, stderr } = await run(['flag', 'save', await fileOf(FLAG), '--reason', 'r'], { url: fixture.url });
    expect(code).toBe(4);
    expect(stderr).toContain('fix: read it again with `understudy flag get <flag> -o yaml`');
  });

  it('checks the file before it asks anybody', async () => {
    await using fixture = await openFixture();
    const file = await fileOf(`${FLAG}offVariant: old\n`);
    const { code, stderr } = await run(['flag', 'save', file, '--reason', 'r'], { url: fixture.url });
    expect(code).toBe(1);
    expect(stderr).toContain('offVariant: there is no variant "old"; the flag has "new"');
    expect(fixture.seen).toEqual([]);
  });

  it('takes back what `flag get` prints', async () => {
    await using fixture = await openFixture();
    const { stdout } = await run(['flag', 'get', 'checkout'], { url: fixture.url });
    await run(['flag', 'save', await fileOf(stdout), '--reason', 'r'], { url: fixture.url });
    const { flag, revision } = answers().getFlag;
    expect(fixture.seen.at(-1)).toMatchObject({ endpoint: 'saveFlag', body: { flag, revision } });
  });
});

describe('flag ramp', () => {
  it.each([
    { words: ['25%'], body: { percent: 25 } },
    { words: ['0.5'], body: { percent: 0.5 } },
    { words: ['50', '--rule', '2', '--against', 'old'], body: { percent: 50, rule: 2, against: 'old' } },
  ])('sends $words', async ({ words, body }) => {
    await using fixture = await openFixture();
    expect((await run(['flag', 'ramp', 'checkout', 'new', ...words], { url: fixture.url })).code).toBe(0);
    expect(fixture.seen.at(-1)).toMatchObject({ endpoint: 'rampFlag', body: { variant: 'new', ...body } });
  });
});

it.each([
  { words: ['flag', 'off', 'checkout', '--reason', 'r'], undo: 'undo: understudy flag on checkout', on: false },
  { words: ['flag', 'on', 'checkout'], undo: 'undo: understudy flag off checkout --reason "…"', on: true },
])('switches and says how to take it back: $words', async ({ words, undo, on }) => {
  await using fixture = await openFixture();
  const { code, stderr } = await run(words, { url: fixture.url });
  expect(code).toBe(0);
  expect(stderr).toContain(undo);
  expect(fixture.seen.at(-1)).toMatchObject({ endpoint: 'switchFlag', body: { on } });
});

describe('flag import', () => {
  it.each([
    { words: ['--preview'], body: { dryRun: true, replace: false } },
    { words: ['--replace', '--reason', 'move'], body: { replace: true, reason: 'move' } },
  ])('sends the file with $words and prints the report', async ({ words, body }) => {
    await using fixture = await openFixture();
    const file = await fileOf('{"features": []}', 'features.json');
    const { code, stdout } = await run(['flag', 'import', file, '--from', 'unleash', ...words], { url: fixture.url });
    expect(code).toBe(0);
    expect(stdout).toMatch(/import +fine\nreplaces +fine\nleft out +fine: fine\ndiffers +fine: fine/);
    expect(fixture.seen.at(-1)).toMatchObject({
      endpoint: 'importFlags',
      body: { from: 'unleash', data: { features: [] }, ...body },
    });
  });
});

describe('eval and why', () => {
  it('sends attributes as JSON reads them, and the key as text', async () => {
    await using fixture = await openFixture();
    const words = ['eval', 'checkout', '--user', '{"plan": "pro"}', '--attribute', 'key=42', '--attribute', 'age=30'];
    const more = ['--attribute', 'mail=a=b', '--kinds', '{"organization": {"key": "acme"}}', '--at', '2026-01-01T00:00:00Z'];
    expect((await run([...words, ...more], { url: fixture.url })).code).toBe(0);
    expect(fixture.seen.at(-1)?.body).toEqual({
      flag: 'checkout',
      context: { plan: 'pro', key: '42', age: 30, mail: 'a=b' },
      kinds: { organization: { key: 'acme' } },
      at: '2026-01-01T00:00:00.000Z',
    });
  });

  it('numbers the steps', async () => {
    await using fixture = await openFixture();
    const { stdout } = await run(['why', 'checkout', '--attribute', 'key=42'], { url: fixture.url });
    expect(stdout).toBe(
      'flag     checkout\nvalue    "fine"\nvariant  new\nreason   SPLIT\nbecause  fine\n\n1. The flag is on.\n2. fine\n',
    );
  });

  it('fails when the flag cannot be evaluated', async () => {
    const detail = { kind: 'error', code: 'PARSE_ERROR', message: 'broken' };
    await using fixture = await openFixture({
      evaluateFlag: { ...answers().evaluateFlag, reason: 'ERROR', detail, why: [{ step: 'error', sentence: 'broken' }] },
    });
    expect((await run(['eval', 'checkout'], { url: fixture.url })).code).toBe(1);
  });

  it.each([
    { words: ['--context', '{"key": "42"}'], says: 'write --user with the attributes' },
    { words: ['--attribute', 'key'], says: 'write NAME=VALUE' },
    { words: ['--user', '42'], says: 'write a JSON object' },
    { words: ['--kinds', '{"a": 1}'], says: 'write attributes for each kind' },
  ])('ends with 2 for $words', async ({ words, says }) => {
    await using fixture = await openFixture();
    const { code, stderr } = await run(['eval', 'checkout', ...words], { url: fixture.url });
    expect(code).toBe(2);
    expect(stderr).toContain(says);
    expect(fixture.seen).toEqual([]);
  });

  it('suggests the flag that was probably meant', async () => {
    await using fixture = await openFixture({
      evaluateFlag: () => {
        throw new AppError('flag.not_found', 'there is no flag "chekout"');
      },
    });
    const { code, stderr } = await run(['why', 'chekout'], { url: fixture.url });
    expect(code).toBe(3);
    expect(stderr).toContain('did you mean "checkout"?');
  });
});
