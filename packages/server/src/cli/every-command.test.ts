import { describe, expect, it } from 'vitest';
import type { Answers, Ran } from './test-cli.ts';
import { allCommands } from './commands.ts';
import { emptyFolder, openFixture, openLocalFixture, run } from './test-cli.ts';
import { answers } from './test-data.ts';
import { LINES, prepareLine } from './test-lines.ts';

const COMMANDS = allCommands([]).map((command) => ({ command, path: command.path }));
const FORMS = ['table', 'json', 'yaml', 'name'] as const;

// Terminal escapes, C1 controls, OSC 8 and 52, bidi overrides, line separators, and what shells and markup like.
const NAUGHTY = [
  'a\u001B[31mred\u001B[0m\u001B[2J',
  '\u001B]8;;http://evil.example\u001B\\link\u001B]8;;\u001B\\',
  '\u001B]52;c;ZXZpbA==\u0007',
  '\u009B31m\u009D52;c;ZXZpbA==\u009C\u0090q\u009C',
  '\u202Eevil\u202C\u2066x\u2069\u200F',
  '\u2028\u2029\u0000\u0007\b\u007F',
  '\r\nerror: fake\r\u001B',
  '👩‍👩‍👧 ｗｉｄｅ o͞ $(touch x) `id` %s <script>',
].join('');

// What must never reach a terminal raw; a line feed is ours.
const HAZARD = /(?!\n)[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

async function runLine(path: string, options: { more?: Answers; local?: string; words?: readonly string[] } = {}): Promise<Ran> {
  await using fixture = await openFixture(options.more);
  const folder = await emptyFolder();
  await using _gateway = await openLocalFixture(folder, options.local);
  const words = await prepareLine(LINES[path] ?? [], folder, fixture.url);
  return await run([...(options.words ?? []), ...words], { url: fixture.url, cwd: folder, stdin: 'us_token\n' });
}

it('has a line to try for every command', () => {
  expect(COMMANDS.map(({ path }) => path).toSorted()).toEqual(Object.keys(LINES).toSorted());
});

describe.each(COMMANDS)('$path', ({ command, path }) => {
  it('gives one JSON document with --json', async () => {
    const { code, stdout, stderr } = await runLine(path, { words: ['--json'] });
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({
      code: path === 'rollout wait' ? 8 : 0,
      stderr: expect.any(String),
    });
    expect(JSON.parse(stdout)).toBeTypeOf('object');
  });

  it.each(FORMS)('lets nothing of the server act on the terminal as %s', async (form) => {
    const { code, stdout, stderr } = await runLine(path, { more: answers(NAUGHTY), local: NAUGHTY, words: ['-o', form] });
    expect(code, stderr).toBe(path === 'rollout wait' ? 8 : 0);
    expect(stdout).not.toMatch(HAZARD);
    expect(stderr).not.toMatch(HAZARD);
  });

  it('shows a help page of less than 80 columns that has examples', async () => {
    const { code, stdout } = await run([...path.split(' '), '--help']);
    expect(code).toBe(0);
    expect(stdout.split('\n').filter((line) => line.length >= 80)).toEqual([]);
    expect(stdout).toContain(`Examples:\n  understudy ${command.examples[0]}`);
    await expect(stdout).toMatchFileSnapshot(`testdata/help/${path.replaceAll(' ', '-')}.txt`);
  });
});

describe.each(COMMANDS.filter(({ command }) => command.isChange === true))('$path --dry-run', ({ path }) => {
  it('shows what would be sent and sends no change', async () => {
    await using fixture = await openFixture();
    const folder = await emptyFolder();
    const words = await prepareLine(LINES[path] ?? [], folder, fixture.url);
    const { code, stdout } = await run([...words, '--dry-run', '--json'], { url: fixture.url, cwd: folder });
    expect(code).toBe(0);
    const shown: unknown = JSON.parse(stdout);
    expect(shown).toEqual({
      dryRun: true,
      requests: expect.arrayContaining([
        expect.objectContaining({
          method: expect.stringMatching(/POST|PUT|PATCH|DELETE/),
          path: expect.stringContaining('/api/v1/'),
        }),
      ]),
    });
    expect(fixture.seen.filter(({ endpoint }) => !/^(get|list|whoAmI)/.test(endpoint))).toEqual([]);
  });
});

it('escapes hazards in JSON without losing them', async () => {
  const { stdout } = await runLine('rollout why', { more: answers(NAUGHTY), words: ['--json'] });
  const shown: { now: { reason: string } } = JSON.parse(stdout);
  expect(shown.now.reason).toBe(NAUGHTY);
});

it('shows the help of the program', async () => {
  const { stdout } = await run(['--help']);
  expect(stdout.split('\n').filter((line) => line.length >= 80)).toEqual([]);
  await expect(stdout).toMatchFileSnapshot('testdata/help/understudy.txt');
});

it.each(['model', 'version', 'rollout', 'plan', 'flag', 'segment', 'sdk', 'freeze', 'hook', 'token', 'context', 'gateway'])(
  'shows the help of the group %s',
  async (group) => {
    const { code, stderr } = await run([group]);
    expect(code).toBe(2);
    expect(stderr.split('\n').filter((line) => line.length >= 80)).toEqual([]);
    await expect(stderr).toMatchFileSnapshot(`testdata/help/${group}.txt`);
  },
);
