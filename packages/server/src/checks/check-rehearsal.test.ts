import { type CheckConfig, DEFAULT_CHECK } from '@understudy/core/checks/config';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openCheckAsker } from './check-asker.ts';
import { rehearseChecks } from './check-rehearsal.ts';
import { ANY_ADDRESS, json, openTestProvider, type TestProvider, vector } from './test-provider.ts';

const SUBJECT = { model: 'fraud', champion: 'v1', challenger: 'v2', rollout: 'fraud-3', step: 0 };

let provider: TestProvider;
beforeEach(async () => {
  provider = await openTestProvider();
});
afterEach(async () => {
  await provider[Symbol.asyncDispose]();
});

function queryCheck(query = 'x{v="{{challenger}}"}', auth?: NonNullable<CheckConfig['source']['auth']>): CheckConfig {
  const source = { kind: 'prometheus', url: provider.url, query, failAbove: 1, ...(auth === undefined ? {} : { auth }) } as const;
  return { name: 'slo', ...DEFAULT_CHECK, source };
}

function hookCheck(): CheckConfig {
  return { name: 'desk', ...DEFAULT_CHECK, source: { kind: 'webhook', url: provider.url } };
}

async function rehearse(...checks: readonly CheckConfig[]) {
  const asker = openCheckAsker({ addresses: ANY_ADDRESS, readVariable: () => undefined });
  return rehearseChecks(asker, checks, SUBJECT);
}

it('finds nothing wrong with checks that answer', async () => {
  provider.answer = (response, asked) => {
    (asked.path === '/' ? json({ verdict: 'undecided' }) : vector('0.5'))(response, asked);
  };
  expect(await rehearse(queryCheck(), hookCheck())).toEqual({ refusals: [], problems: [] });
});

it('asks queries about the champion in the place of the challenger, and webhooks about the rollout', async () => {
  provider.answer = vector('0.5');
  await rehearse(queryCheck());
  await rehearse(hookCheck());
  expect(new URLSearchParams(provider.received[0]?.body).get('query')).toBe('x{v="v1"}');
  expect(JSON.parse(provider.received[1]?.body ?? '')).toEqual({ check: 'desk', ...SUBJECT });
});

it.each([
  { name: 'no data', answer: vector(), problem: 'has no data about the champion' },
  { name: 'several series', answer: vector('1', '2'), problem: 'cannot be asked: the query gives 2 series' },
  { name: 'an error', answer: json({}, 503), problem: 'cannot be asked: HTTP 503' },
  { name: 'a champion beyond the limit', answer: vector('7'), problem: 'fails on the champion already, with 7' },
])('tells of $name', async ({ answer, problem }) => {
  provider.answer = answer;
  const { refusals, problems } = await rehearse(queryCheck());
  expect(refusals).toEqual([]);
  expect(problems).toEqual([expect.stringContaining(`the check "slo" ${problem}`)]);
});

it('expects no data about a rollout that has not started', async () => {
  provider.answer = vector();
  expect(await rehearse(queryCheck('x{r="{{rollout}}"}'))).toEqual({ refusals: [], problems: [] });
});

it('tells of a webhook that is against it already', async () => {
  provider.answer = json({ verdict: 'fail', reason: 'audit under way' });
  expect((await rehearse(hookCheck())).problems).toEqual(['the check "desk" fails before the start: audit under way']);
});

it('refuses what has no secret, and asks nobody', async () => {
  const { refusals } = await rehearse(queryCheck('x', { kind: 'bearer', variable: 'UNDERSTUDY_CHECK_A' }), hookCheck());
  expect(refusals).toEqual([
    expect.stringContaining('the check "slo" has no secret to send: the server has no variable UNDERSTUDY_CHECK_A'),
  ]);
  expect(provider.received).toEqual([]);
});
