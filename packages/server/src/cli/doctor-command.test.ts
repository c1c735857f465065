import { AppError } from '@understudy/core/errors';
import { expect, it } from 'vitest';
import { openFixture, run } from './test-cli.ts';
import { answers, modelView } from './test-data.ts';

const CLOCK = { nowMs: () => Date.now() };
const status = answers().getStatus;
const [gateway] = status.gateways;

it('finds nothing where all is well', async () => {
  await using fixture = await openFixture();
  const { code, stdout } = await run(['doctor'], {
    url: fixture.url,
    clock: CLOCK,
    localChecks: async () => [{ name: 'disk', state: 'ok', detail: 'free' }],
  });
  expect(stdout).toContain('All is well.');
  expect(stdout).toContain('✔ ok       disk');
  expect(code).toBe(0);
});

it.each([
  { name: 'no gateway', table: { getStatus: { ...status, gateways: [] } }, says: 'nobody serves predictions', expected: 1 },
  {
    name: 'a gateway that is away',
    table: { getStatus: { ...status, gateways: [gateway, { ...gateway, gateway: 'gw-2', isConnected: false }] } },
    says: 'not heard of: gw-2',
    expected: 0,
  },
  { name: 'a gateway that is behind', table: { getStatus: { ...status, revision: 50 } }, says: 'fine has 42 of 50', expected: 0 },
  {
    name: 'a version that failed to load',
    table: {
      getStatus: {
        ...status,
        gateways: [{ ...gateway, readiness: [{ model: 'digits', version: 'v2', state: 'failed', detail: 'bad opset' }] }],
      },
    },
    says: 'digits/v2 on fine: bad opset',
    expected: 1,
  },
  {
    name: 'an alarm',
    table: {
      getStatus: {
        ...status,
        models: [
          {
            ...modelView(),
            model: { ...modelView().model, alarm: { code: 'no-last-known-good', message: 'all is lost', sinceMs: 0 } },
          },
        ],
      },
    },
    says: 'alarm: all is lost',
    expected: 1,
  },
  {
    name: 'a model without champion',
    table: { getStatus: { ...status, models: [{ ...modelView(), model: withoutChampion() }] } },
    says: 'no champion',
    expected: 1,
  },
  { name: 'another release', table: { getStatus: { ...status, release: '9.9.9' } }, says: 'the server is 9.9.9', expected: 0 },
  {
    name: 'a changed journal',
    table: { verifyJournal: { intact: false, entries: 3, brokenAtRevision: 2, problem: 'hash' } },
    says: 'changed at revision 2',
    expected: 1,
  },
  {
    name: 'a token that may only look',
    table: { whoAmI: { ...answers().whoAmI, scopes: ['read'] } },
    says: 'may look, not change',
    expected: 0,
  },
  {
    name: 'a bad token',
    table: {
      whoAmI: () => {
        throw new AppError('auth.invalid_token', 'this token is not valid');
      },
    },
    says: 'this token is not valid',
    expected: 1,
  },
])('finds $name and says what to do', async ({ table, says, expected }) => {
  await using fixture = await openFixture(table);
  const { code, stdout } = await run(['doctor'], { url: fixture.url, clock: CLOCK, columns: 200 });
  expect(stdout).toContain(says);
  expect(stdout).toContain('what to do: ');
  expect(code).toBe(expected);
});

it('finds a clock that is wrong', async () => {
  await using fixture = await openFixture();
  const { stdout } = await run(['doctor'], { url: fixture.url, clock: { nowMs: () => Date.now() - 60_000 } });
  expect(stdout).toMatch(/(1m|60s|59s) behind the server/);
});

it('finds that nothing answers', async () => {
  const { code, stdout } = await run(['doctor'], { url: 'http://127.0.0.1:9', clock: CLOCK });
  expect(code).toBe(1);
  expect(stdout).toContain('understudy serve');
});

function withoutChampion(): object {
  const { champion: _gone, ...model } = modelView().model;
  return model;
}
