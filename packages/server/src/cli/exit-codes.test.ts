import { AppError, ERROR_STATUS, type ErrorCode } from '@understudy/core/errors';
import { expect, it } from 'vitest';
import { EXIT, EXIT_OF } from './exit-codes.ts';
import { openFixture, run } from './test-cli.ts';

it.each([
  { code: 'internal.unexpected', expected: EXIT.error },
  { code: 'model.not_found', expected: EXIT.notFound },
  { code: 'store.conflict', expected: EXIT.conflict },
  { code: 'rollout.already_live', expected: EXIT.conflict },
  { code: 'auth.missing_token', expected: EXIT.notAuthenticated },
  { code: 'auth.invalid_token', expected: EXIT.notAuthenticated },
  { code: 'auth.forbidden', expected: EXIT.forbidden },
  { code: 'request.shutting_down', expected: EXIT.unavailable },
  { code: 'request.deadline_exceeded', expected: EXIT.timeout },
] as const)('ends with $expected when the server says $code', async ({ code, expected }) => {
  await using fixture = await openFixture({
    listModels: () => {
      throw new AppError(code, 'it did not work');
    },
  });
  const ran = await run(['model', 'list'], { url: fixture.url });
  expect(ran.code).toBe(expected);
  expect(ran.stdout).toBe('');
  expect(ran.stderr).toContain('error: it did not work (request r-1)');
  expect(ran.stderr).toContain(`code: ${code}`);
});

it('has an exit code for every error code, and success for none', () => {
  const codes = Object.keys(ERROR_STATUS).filter((code): code is ErrorCode => code in ERROR_STATUS);
  expect(codes.filter((code) => EXIT_OF[code] === undefined || EXIT_OF[code] === EXIT.ok)).toEqual([]);
});

it('ends with 7 when nothing answers', async () => {
  const { code, stderr } = await run(['status'], { url: 'http://127.0.0.1:9' });
  expect(code).toBe(EXIT.unavailable);
  expect(stderr).toContain('fix: give the address with --url');
});

it('ends with 7 when something answers that is no control plane of this release', async () => {
  await using fixture = await openFixture();
  fixture.set({ whoAmI: undefined });
  const { code } = await run(['status'], { url: `${fixture.url}/elsewhere` });
  expect(code).toBe(EXIT.notFound);
});

it.each([
  { words: ['rollout', 'gt'], says: 'Did you mean get?' },
  { words: ['rolout', 'get'], says: 'Did you mean rollout?' },
  { words: ['model', 'list', '--jsn'], says: 'Did you mean --json?' },
  { words: ['rollout', 'get'], says: "missing required argument 'rollout'" },
  { words: ['rollout'], says: 'Usage: understudy rollout' },
  { words: [], says: 'Usage: understudy' },
  { words: ['model', 'list', '-o', 'xml'], says: 'Allowed choices are table, json, yaml, name' },
  { words: ['model', 'list', '--json', '-o', 'yaml'], says: '--json and --output yaml contradict each other' },
  { words: ['kill', 'digits'], says: 'kill needs --reason' },
  { words: ['kill', 'digits', '--reason', ' '], says: 'kill needs --reason' },
  { words: ['rollout', 'rollback', 'digits'], says: 'rollout rollback needs --reason' },
  { words: ['model', 'rollback', 'digits'], says: 'model rollback needs --reason' },
  { words: ['version', 'mark-unhealthy', 'digits', 'v1'], says: 'needs --reason' },
  { words: ['version', 'register', 'digits', 'v2'], says: 'choose one of --onnx FILE, --upstream URL and --external' },
  { words: ['version', 'baseline', 'digits', 'v2'], says: 'choose one of --live and --from FILE' },
  { words: ['model', 'create', 'no spaces'], says: 'name: use 1 to 63 letters' },
  { words: ['model', 'update', 'digits'], says: 'nothing to change' },
  { words: ['model', 'create', 'digits', '--deadline', 'soon'], says: 'write a length of time' },
  { words: ['model', 'create', 'digits', '--subject', 'body'], says: 'write header:NAME' },
  { words: ['token', 'create', 'ci'], says: 'name at least one --scope' },
  { words: ['token', 'create', 'ci', '--scope', 'root'], says: 'choose from flags-client' },
  { words: ['rollout', 'promote', 'digits'], says: 'add --yes' },
  { words: ['version', 'promote', 'digits', 'v2'], says: 'add --yes' },
  { words: ['model', 'list', '--url', 'ftp://x'], says: 'is not an address' },
  { words: ['rollout', 'wait', 'digits', '--timeout', 'x'], says: 'write a length of time' },
])('ends with 2 and says why for: $words', async ({ words, says }) => {
  await using fixture = await openFixture();
  const { code, stdout, stderr } = await run(words, { url: fixture.url });
  expect({ code, stdout }).toEqual({ code: EXIT.usage, stdout: '' });
  expect(stderr).toContain(says);
  expect(fixture.seen.filter(({ endpoint }) => !/^(get|list)/.test(endpoint))).toEqual([]);
});

it('suggests the name that was probably meant', async () => {
  await using fixture = await openFixture({
    getModel: () => {
      throw new AppError('model.not_found', 'there is no model "digts"');
    },
  });
  const { code, stderr } = await run(['model', 'show', 'digts'], { url: fixture.url });
  expect(code).toBe(EXIT.notFound);
  expect(stderr).toContain('did you mean "digits"?');
});

it('adds the stack only with --debug', async () => {
  const stack = /\n\s*at /;
  expect((await run(['status'], { url: 'http://127.0.0.1:9' })).stderr).not.toMatch(stack);
  expect((await run(['status', '--debug'], { url: 'http://127.0.0.1:9' })).stderr).toMatch(stack);
});
