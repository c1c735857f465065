import { expect, it } from 'vitest';
import { dueNumber, problemsOfChecks } from './config.ts';
import { queryCheck } from './test-checks.ts';

it.each([
  { name: 'nothing', source: {}, problem: undefined },
  { name: 'a query that can never fail', source: { never: true }, problem: 'can never fail' },
  { name: 'a ratio without a baseline', source: { failAbove: { ratio: 2, plus: 0 } }, problem: 'no baseline to multiply' },
  { name: 'a baseline without a ratio', source: { baseline: 'y' }, problem: 'a baseline that no limit uses' },
  { name: 'limits that leave nothing between them', source: { failBelow: 2 }, problem: 'fails on every value' },
  { name: 'a warning beyond the failure', source: { warnAbove: 2 }, problem: 'a warning begins earlier' },
  { name: 'an unknown place', source: { query: 'x{v="{{version}}"}' }, problem: 'the check "slo" has a place {{version}}' },
])('finds $name', ({ source, problem }) => {
  const base = { kind: 'prometheus', url: 'http://prometheus:9090', query: 'x' } as const;
  const limits = 'never' in source ? {} : { failAbove: 1, warnAbove: 0.5 };
  const { never: _never, ...rest } = { never: true, ...source };
  const problems = problemsOfChecks([queryCheck({ source: { ...base, ...limits, ...rest } })]).join();
  if (problem === undefined) expect(problems).toBe('');
  else expect(problems).toContain(problem);
});

it('finds two checks of one name', () => {
  expect(problemsOfChecks([queryCheck(), queryCheck()])).toEqual([
    'two checks are called "slo"; their answers could not be told apart',
  ]);
});

it('counts due times from the start of the rollout', () => {
  const check = { everyMs: 1000 };
  expect([5000, 5999, 6000, 4000].map((atMs) => dueNumber(check, 5000, atMs))).toEqual([0, 0, 1, 0]);
});
