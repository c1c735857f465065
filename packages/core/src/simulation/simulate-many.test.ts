import { expect, it } from 'vitest';
import type { Plan } from '../plan.ts';
import { DEFAULT_THRESHOLDS } from '../thresholds.ts';
import { prepareScenario } from './prepared-scenario.ts';
import { scenarioNamed } from './scenarios.ts';
import { endUnder, type RolloutEnd, simulateMany, spreadOf, summaryOf } from './simulate-many.ts';
import type { Moment, SimulatedRollout, Trial } from './simulate-rollout.ts';

const moment: Moment = { atMs: 60_000, step: 0, challengerRequests: 100, requestsSinceOnset: 100 };
const endOf = (end: RolloutEnd['end'], changes: Partial<Moment> = {}): RolloutEnd => ({ ...moment, ...changes, end });

it('counts ends, and spreads only what has come to that end', () => {
  const ends = [
    endOf('rolled-back', { requestsSinceOnset: 10 }),
    endOf('rolled-back', { requestsSinceOnset: 30 }),
    endOf('promoted', { atMs: 120_000 }),
    endOf('held'),
  ];
  expect(summaryOf(ends)).toEqual({
    rollouts: 4,
    promoted: 1,
    rolledBack: 2,
    held: 1,
    requestsToRollback: { count: 2, median: 10, p95: 30, mean: 20 },
    minutesToPromotion: { count: 1, median: 2, p95: 2, mean: 2 },
  });
});

it('has no spread of what never happened', () => {
  expect(summaryOf([endOf('held')])).toEqual({ rollouts: 1, promoted: 0, rolledBack: 0, held: 1 });
});

it.each([
  { name: 'one value', values: [7], median: 7, p95: 7 },
  { name: 'twenty values, in any order', values: Array.from({ length: 20 }, (_, index) => 20 - index), median: 10, p95: 19 },
  { name: 'a hundred values', values: Array.from({ length: 100 }, (_, index) => index + 1), median: 50, p95: 95 },
])('takes the nearest rank of $name', ({ values, median, p95 }) => {
  expect(spreadOf(values)).toMatchObject({ count: values.length, median, p95 });
});

it('ends a rollout where the larger risk would have ended it', () => {
  const crossing: Moment = { ...moment, atMs: 5000, requestsSinceOnset: 9 };
  const rollout: SimulatedRollout = { ...moment, end: 'promoted', crossings: [crossing, undefined] };
  expect(endUnder(rollout, 0)).toEqual({ ...crossing, end: 'rolled-back' });
  expect(endUnder(rollout, 1)).toMatchObject({ end: 'promoted', atMs: 60_000 });
});

it('plays the same rollouts whichever way the seeds are split', () => {
  const scenario = scenarioNamed('aa-low-traffic');
  if (scenario === undefined) throw new Error('no scenario');
  const plan: Plan = {
    name: 'test',
    steps: [{ trafficPercent: 50, holdMs: 0, minSamples: 0 }],
    policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS },
    checkEveryMs: 1000,
    startCheck: 'warn',
  };
  const trial: Trial = {
    prepared: prepareScenario({ ...scenario, limitMs: 60_000 }),
    plan,
    openJudge: () => ({ reads: 'requests', see: () => undefined, verdict: () => 'undecided' }),
  };
  const whole = simulateMany(trial, 4, 1);
  expect([...simulateMany(trial, 1, 1), ...simulateMany(trial, 3, 2)]).toEqual(whole);
  expect(new Set(whole.map(({ challengerRequests }) => challengerRequests)).size).toBeGreaterThan(1);
});
