import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { emptyFolder, type Fixture, openFixture, run, type RunOptions } from './test-cli.ts';

interface World {
  readonly folder: string;
  readonly options: RunOptions;
}

/** A user with contexts `here` (current) and `there`, in a project that has a file of its own. */
async function openWorld(fixture: Fixture, projectFile?: string): Promise<World> {
  const folder = await emptyFolder();
  const contexts = {
    here: { url: fixture.url, token: 'from-here' },
    there: { url: 'http://127.0.0.1:9', token: 'from-there' },
  };
  await mkdir(path.join(folder, 'understudy'));
  await writeFile(path.join(folder, 'understudy', 'contexts.json'), JSON.stringify({ current: 'here', contexts }), {
    mode: 0o600,
  });
  await writeFile(path.join(folder, 'token'), 'from-file\n', { mode: 0o600 });
  if (projectFile !== undefined) await writeFile(path.join(folder, '.understudy.yaml'), projectFile);
  return { folder, options: { cwd: folder } };
}

const NOWHERE = 'http://127.0.0.1:9';

describe('the address', () => {
  it.each([
    {
      name: 'a flag beats everything',
      words: (url: string) => ['--url', url],
      env: () => NOWHERE,
      project: () => `url: ${NOWHERE}`,
    },
    { name: 'the environment beats the project', words: () => [], env: (url: string) => url, project: () => `url: ${NOWHERE}` },
    { name: 'the project beats the user', words: () => [], env: () => undefined, project: (url: string) => `url: ${url}` },
    { name: 'the user beats the default', words: () => [], env: () => undefined, project: () => undefined },
    { name: '--context beats the environment', words: () => ['--context', 'here'], env: () => NOWHERE, project: () => undefined },
  ])('$name', async ({ words, env, project }) => {
    await using fixture = await openFixture();
    const { options } = await openWorld(fixture, project(fixture.url));
    const { code } = await run(['model', 'list', ...words(fixture.url)], {
      ...options,
      env: { UNDERSTUDY_URL: env(fixture.url) },
    });
    expect(code).toBe(0);
    expect(fixture.seen).toHaveLength(1);
  });

  it('is the default when nobody says anything', async () => {
    // Somebody may be listening there.
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('fetch failed');
    });
    const { stderr } = await run(['model', 'list']).finally(() => vi.unstubAllGlobals());
    expect(stderr).toContain('no answer from http://127.0.0.1:7070');
  });
});

describe('the token', () => {
  it.each([
    { name: '--token-file', words: ['--token-file', 'token'], env: { UNDERSTUDY_TOKEN: 'from-env' }, expected: 'from-file' },
    {
      name: 'UNDERSTUDY_TOKEN',
      words: [],
      env: { UNDERSTUDY_TOKEN: 'from-env', UNDERSTUDY_TOKEN_FILE: 'token' },
      expected: 'from-env',
    },
    { name: 'UNDERSTUDY_TOKEN_FILE', words: [], env: { UNDERSTUDY_TOKEN_FILE: 'token' }, expected: 'from-file' },
    { name: 'the current context', words: [], env: {}, expected: 'from-here' },
  ])('comes from $name', async ({ words, env, expected }) => {
    await using fixture = await openFixture();
    const { options, folder } = await openWorld(fixture);
    const located = (value: string) => (value === 'token' ? path.join(folder, value) : value);
    const envLocated = Object.fromEntries(Object.entries(env).map(([key, value]) => [key, located(value)]));
    await run(['model', 'list', ...words.map(located)], { ...options, env: envLocated });
    expect(fixture.seen.at(-1)?.token).toBe(expected);
  });

  it('comes from stdin for --token-file -', async () => {
    await using fixture = await openFixture();
    await run(['model', 'list', '--token-file', '-'], { url: fixture.url, stdin: 'piped\n' });
    expect(fixture.seen.at(-1)?.token).toBe('piped');
  });

  it('of a context goes nowhere else, whatever the project says', async () => {
    await using fixture = await openFixture();
    const { options } = await openWorld(fixture);
    await using other = await openFixture();
    await run(['model', 'list', '--url', other.url], options);
    expect(other.seen.at(-1)?.token).toBeUndefined();
  });

  it.skipIf(process.getuid?.() === undefined)('warns of a file that others can read', async () => {
    await using fixture = await openFixture();
    const { options, folder } = await openWorld(fixture);
    const file = path.join(folder, 'token');
    await chmod(file, 0o644);
    const { stderr } = await run(['model', 'list', '--token-file', file], options);
    expect(stderr).toContain(`chmod 600 ${file}`);
  });

  it.each([
    { name: 'a file outside of the project', text: 'token-file: ../../etc/passwd', says: 'must lie inside of' },
    { name: 'a token itself', text: 'token: secret', says: 'unknown field "token"' },
    { name: 'what is not YAML', text: 'a: [', says: 'as YAML' },
  ])('is not taken from a project file with $name', async ({ text, says }) => {
    await using fixture = await openFixture();
    const { options } = await openWorld(fixture, text);
    const { code, stderr } = await run(['model', 'list'], options);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
  });

  it('has no flag of its own', async () => {
    const { code } = await run(['model', 'list', '--token', 'secret']);
    expect(code).toBe(2);
  });
});

describe('login', () => {
  it('tries the token, then stores it for the user alone', async () => {
    await using fixture = await openFixture();
    const folder = await emptyFolder();
    const options = { cwd: folder, stdin: 'secret\n' };
    expect((await run(['login', '--url', fixture.url, '--context', 'prod'], options)).code).toBe(0);
    const file = path.join(folder, 'understudy', 'contexts.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      current: 'prod',
      contexts: { prod: { url: fixture.url, token: 'secret' } },
    });
    await run(['model', 'list'], { cwd: folder });
    expect(fixture.seen.map(({ token }) => token)).toEqual(['secret', 'secret']);
    expect((await run(['context', 'list'], { cwd: folder })).stdout).not.toContain('secret');
  });

  it('stores nothing that does not work', async () => {
    const folder = await emptyFolder();
    const { code } = await run(['login', '--url', NOWHERE], { cwd: folder, stdin: 'secret' });
    expect(code).toBe(7);
    await expect(stat(path.join(folder, 'understudy'))).rejects.toThrow('ENOENT');
  });
});

it('suggests the context that was probably meant', async () => {
  await using fixture = await openFixture();
  const { options } = await openWorld(fixture);
  const { code, stderr } = await run(['context', 'use', 'ther'], options);
  expect(code).toBe(2);
  expect(stderr).toContain('did you mean "there"?');
});
