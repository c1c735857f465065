import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { emptyFolder, openFixture, run } from './test-cli.ts';
import { answers } from './test-data.ts';

describe('model rollback', () => {
  it('names the champion it has read, so that a rollback is never repeated', async () => {
    await using fixture = await openFixture();
    const { code, stderr } = await run(['model', 'rollback', 'digits', '--reason', 'bad'], { url: fixture.url });
    expect(code).toBe(0);
    expect(fixture.seen.at(-1)).toMatchObject({ endpoint: 'rollBackModel', body: { version: 'v1', reason: 'bad' } });
    expect(stderr).toContain('champion of digits now: v1');
    expect(stderr).toContain('undo: understudy version mark-healthy digits v1 && understudy version promote digits v1');
  });

  it('says plainly that nothing was left to do', async () => {
    await using fixture = await openFixture({
      rollBackModel: { outcome: 'already-done', message: 'v0 is champion', revision: 43 },
    });
    const { code, stdout, stderr } = await run(['model', 'rollback', 'digits', 'v1', '--reason', 'bad'], { url: fixture.url });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'already done, nothing was changed: v0 is champion\n' });
    expect(stderr).not.toContain('undo');
  });

  it('is refused without a champion', async () => {
    await using fixture = await openFixture({ getChampion: { model: 'digits', atMs: 0, champion: null } });
    const { code, stderr } = await run(['model', 'rollback', 'digits', '--reason', 'bad'], { url: fixture.url });
    expect(code).toBe(4);
    expect(stderr).toContain('it has no champion');
  });
});

describe('a severe change', () => {
  it.each([
    { keys: 'y', code: 0, sent: 1 },
    { keys: 'n', code: 1, sent: 0 },
    { keys: '\r', code: 1, sent: 0 },
  ])('asks on a terminal: $keys', async ({ keys, code, sent }) => {
    await using fixture = await openFixture();
    const ran = await run(['rollout', 'promote', 'digits'], { url: fixture.url, isTty: true, canAsk: true, keys });
    expect(ran.code).toBe(code);
    expect(ran.stderr).toContain('v2 becomes champion of digits now and serves all of its requests; v1 becomes the fallback.');
    expect(fixture.seen.filter(({ endpoint }) => endpoint === 'promoteRollout')).toHaveLength(sent);
  });

  it('never asks with --no-input', async () => {
    await using fixture = await openFixture();
    const { code, stderr } = await run(['version', 'promote', 'digits', 'v2', '--no-input'], {
      url: fixture.url,
      isTty: true,
      canAsk: true,
    });
    expect(code).toBe(2);
    expect(stderr).toContain('add --yes');
  });
});

it.each([
  { words: ['kill', 'digits', '--reason', 'r'], undo: 'undo: understudy unkill digits' },
  {
    words: ['rollout', 'rollback', 'digits', '--reason', 'r'],
    undo: 'undo: understudy rollout retry digits-3',
  },
  { words: ['rollout', 'pause', 'digits'], undo: 'undo: understudy rollout resume digits-3' },
  { words: ['rollout', 'abort', 'digits'], undo: 'undo: understudy rollout retry digits-3' },
])('asks nothing and says how to take it back: $words', async ({ words, undo }) => {
  await using fixture = await openFixture();
  const { code, stderr } = await run(words, { url: fixture.url });
  expect(code).toBe(0);
  expect(stderr).toContain(undo);
});

describe('version register', () => {
  it('streams the file up, shows its sha256, then registers', async () => {
    const folder = await emptyFolder();
    const file = path.join(folder, 'model.onnx');
    await writeFile(file, 'abc');
    const sha256 = createHash('sha256').update('abc').digest('hex');
    await using fixture = await openFixture({ uploadArtifact: { ...answers().uploadArtifact, sha256 } });
    const { code, stderr } = await run(['version', 'register', 'digits', 'v2', '--onnx', file], { url: fixture.url });
    expect(code).toBe(0);
    expect(stderr).toContain(`3 bytes, sha256 ${sha256}`);
    expect(fixture.seen).toMatchObject([
      { endpoint: 'uploadArtifact', path: '/artifacts?name=model.onnx', body: 'abc' },
      { endpoint: 'registerVersion', path: '/models/digits/versions', body: { version: 'v2', artifact: sha256 } },
    ]);
  });

  it('refuses an upload that arrived changed', async () => {
    const file = path.join(await emptyFolder(), 'model.onnx');
    await writeFile(file, 'abc');
    await using fixture = await openFixture();
    const { code, stderr } = await run(['version', 'register', 'digits', 'v2', '--onnx', file], { url: fixture.url });
    expect(code).toBe(1);
    expect(stderr).toContain('artifact.checksum_mismatch');
  });

  it.each(['model.pkl', 'model.joblib', 'model.PT', 'weights.safetensors'])('does not even upload %s', async (name) => {
    await using fixture = await openFixture();
    const { code, stderr } = await run(['version', 'register', 'digits', 'v2', '--onnx', name], { url: fixture.url });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Export|export/);
    expect(fixture.seen).toEqual([]);
  });

  it.each([
    { text: '[0.1, 0.7]', expected: { predictions: [0.1, 0.7] } },
    {
      text: '[[1, 2], [3, 4]]',
      expected: {
        features: [
          [1, 2],
          [3, 4],
        ],
      },
    },
    { text: '{"predictions": [1, 2]}', expected: { predictions: [1, 2] } },
  ])('takes the baseline $text', async ({ text, expected }) => {
    const file = path.join(await emptyFolder(), 'baseline.json');
    await writeFile(file, text);
    await using fixture = await openFixture();
    const words = ['version', 'register', 'digits', 'v2', '--upstream', 'http://m', '--protocol', 'predict', '--baseline', file];
    expect((await run(words, { url: fixture.url })).code).toBe(0);
    expect(fixture.seen.at(-1)).toMatchObject({ body: { baseline: expected } });
  });
});

describe('rollout start', () => {
  it.each([
    { plan: undefined, expected: 'standard' },
    { plan: 'careful', expected: 'careful' },
  ])('sends the plan $plan by name', async ({ plan, expected }) => {
    await using fixture = await openFixture();
    await run(['rollout', 'start', 'digits', 'v2', ...(plan === undefined ? [] : ['--plan', plan])], { url: fixture.url });
    expect(fixture.seen.at(-1)).toMatchObject({ body: { model: 'digits', challenger: 'v2', plan: expected } });
  });

  it('checks a plan file before it sends anything', async () => {
    const file = path.join(await emptyFolder(), 'plan.yaml');
    await writeFile(file, 'name: mine\nsteps:\n  - trafic: 10\n');
    await using fixture = await openFixture();
    const { code, stderr } = await run(['rollout', 'start', 'digits', 'v2', '--plan', file], { url: fixture.url });
    expect(code).toBe(1);
    expect(stderr).toContain('unknown field "trafic"');
    expect(fixture.seen).toEqual([]);
  });
});

it('prints the secret of a new token alone, so that it can go to a file', async () => {
  await using fixture = await openFixture();
  const { stdout } = await run(['token', 'create', 'ci', '--scope', 'read', '--scope', 'predict'], { url: fixture.url });
  expect(stdout).toBe('us_secret\n');
  expect(fixture.seen.at(-1)).toMatchObject({ body: { name: 'ci', scopes: ['predict', 'read'] } });
});

describe('--override-freeze', () => {
  it.each([
    { words: ['rollout', 'step', 'digits'], endpoint: 'stepRollout' },
    { words: ['rollout', 'promote', 'digits', '--yes'], endpoint: 'promoteRollout' },
    { words: ['version', 'promote', 'digits', 'v2', '--yes'], endpoint: 'promoteVersion' },
  ])('is sent with $words', async ({ words, endpoint }) => {
    await using fixture = await openFixture();
    const { code } = await run([...words, '--override-freeze', '--reason', 'urgent'], { url: fixture.url });
    expect(code).toBe(0);
    expect(fixture.seen.at(-1)).toMatchObject({ endpoint, body: { overrideFreeze: true, reason: 'urgent' } });
  });

  it('needs a reason', async () => {
    await using fixture = await openFixture();
    const { code, stderr } = await run(['rollout', 'step', 'digits', '--override-freeze'], { url: fixture.url });
    expect(code).toBe(2);
    expect(stderr).toContain('--override-freeze needs --reason');
    expect(fixture.seen.filter(({ endpoint }) => endpoint === 'stepRollout')).toEqual([]);
  });
});

describe('freeze set', () => {
  it.each([
    {
      words: ['--day', 'sun', '--day', 'sat', '--from', '16:00', '--timezone', 'Europe/Berlin', '--model', 'digits'],
      expected: { times: { days: ['sat', 'sun'], from: '16:00', to: '24:00', timezone: 'Europe/Berlin' }, models: ['digits'] },
    },
    {
      words: ['--from', '2026-12-24T00:00:00Z', '--to', '2026-12-27T00:00:00Z'],
      expected: { times: { from: '2026-12-24T00:00:00Z', until: '2026-12-27T00:00:00Z' } },
    },
  ])('sends $words', async ({ words, expected }) => {
    await using fixture = await openFixture();
    await run(['freeze', 'set', 'quiet', ...words, '--reason', 'r'], { url: fixture.url });
    expect(fixture.seen.at(-1)).toEqual({
      endpoint: 'saveFreeze',
      path: '/freezes/quiet',
      token: undefined,
      body: { ...expected, reason: 'r' },
    });
  });

  it.each([
    { words: ['--from', '16:00'], problem: 'name a --day, or give both --from and --to' },
    { words: ['--from', 'a', '--to', 'b', '--timezone', 'UTC'], problem: '--timezone goes with --day' },
  ])('refuses $words', async ({ words, problem }) => {
    await using fixture = await openFixture();
    const { code, stderr } = await run(['freeze', 'set', 'quiet', ...words, '--reason', 'r'], { url: fixture.url });
    expect(code).toBe(2);
    expect(stderr).toContain(problem);
    expect(fixture.seen).toEqual([]);
  });
});

it('prints the secret of a new hook alone, so that it can go to a file', async () => {
  await using fixture = await openFixture();
  const { stdout } = await run(['hook', 'create', 'ops', 'https://ops.example/x', '--format', 'slack'], { url: fixture.url });
  expect(stdout).toBe('whsec_secret\n');
  expect(fixture.seen.at(-1)).toMatchObject({ body: { name: 'ops', url: 'https://ops.example/x', format: 'slack' } });
});

it('ends a test of a hook that fails with exit code 1, and says why', async () => {
  await using fixture = await openFixture({
    testHook: { outcome: 'failed', status: 404, problem: 'it answered 404', tookMs: 12 },
  });
  const { code, stdout } = await run(['hook', 'test', 'ops'], { url: fixture.url });
  expect({ code, stdout }).toEqual({ code: 1, stdout: 'failed (404) in 12ms: it answered 404\n' });
});
