import { describe, expect, it } from 'vitest';
import {
  asksForNothing,
  BUILT_IN_PLANS,
  CHECK_EVERY_MS,
  type Plan,
  type PlanStep,
  problemsOfPlan,
  strictestStepOf,
} from './plan.ts';
import { DEFAULT_GUARDS, DEFAULT_SEQUENTIAL } from './sequential/config.ts';
import { DEFAULT_THRESHOLDS } from './thresholds.ts';

const HOUR_MS = 3_600_000;

function stepAt(trafficPercent: number, demands: Partial<PlanStep> = {}): PlanStep {
  return { trafficPercent, holdMs: 0, minSamples: 50, ...demands };
}

const policy = { kind: 'thresholds', ...DEFAULT_THRESHOLDS } as const;
const sequential = { kind: 'sequential', ...DEFAULT_SEQUENTIAL } as const;
const good: Plan = { name: 'good', steps: [stepAt(10), stepAt(100)], policy, checkEveryMs: 10_000, startCheck: 'warn' };

const shadowAt = (shadowPercent: number): PlanStep => ({ ...stepAt(0), shadowPercent });

describe('problemsOfPlan', () => {
  it.each(BUILT_IN_PLANS)('finds nothing wrong with the built-in plan $name', (plan) => {
    expect(problemsOfPlan(plan)).toEqual([]);
  });

  it.each([
    { name: 'a plan without steps', plan: { steps: [] }, problems: ['a plan needs at least one step'] },
    {
      name: 'steps that fall',
      plan: { steps: [stepAt(50), stepAt(25), stepAt(100)] },
      problems: ['step 2 has 25 % but must be above the 50 % of the step before'],
    },
    {
      name: 'steps that stay',
      plan: { steps: [stepAt(50), stepAt(50), stepAt(100)] },
      problems: ['step 2 has 50 % but must be above the 50 % of the step before'],
    },
    {
      name: 'a plan that ends below 100 %',
      plan: { steps: [stepAt(10), stepAt(50)] },
      problems: ['the last step has 50 % but must reach 100 %'],
    },
    {
      name: 'a share too small for one bucket',
      plan: { steps: [stepAt(0.0004), stepAt(100)] },
      problems: ['step 1 has 0.0004 %, which moves nobody: the finest share is 0.001 %'],
    },
    {
      name: 'a growth too small for one bucket',
      plan: { steps: [stepAt(10), stepAt(10.0001), stepAt(100)] },
      problems: ['step 2 has 10.0001 %, which moves nobody: the finest share is 0.001 %'],
    },
    {
      name: 'a shadow after traffic',
      plan: { steps: [stepAt(10), shadowAt(10), stepAt(100, { minSamples: 0 })], policy: sequential },
      problems: ['step 2 is a shadow but comes after traffic; what users get already needs no rehearsal'],
    },
    {
      name: 'shadows that shrink',
      plan: { steps: [shadowAt(50), shadowAt(10), stepAt(10), stepAt(100, { minSamples: 0 })], policy: sequential },
      problems: ['step 2 has 10 % but must be above the 50 % of the step before'],
    },
    {
      name: 'a plan that ends in the shadow',
      plan: { steps: [shadowAt(50)], policy: sequential },
      problems: ['a plan cannot end in the shadow: add steps of traffic up to 100 %'],
    },
    {
      name: 'a shadow that nobody can judge',
      plan: { steps: [shadowAt(50), stepAt(10), stepAt(100)] },
      problems: ['step 1 is a shadow, which only the policy sequential can judge; leave it out or change the policy'],
    },
    {
      name: 'a shadow of which every guard is blind',
      plan: {
        steps: [shadowAt(50), stepAt(10), stepAt(100, { minSamples: 0 })],
        policy: { ...sequential, guards: [{ metric: 'score' as const, name: 'stars', ...DEFAULT_GUARDS.score }] },
      },
      problems: ['no guard can judge a shadow: add one on errors, latency, drift or agreement'],
    },
    {
      name: 'agreement without a shadow',
      plan: {
        steps: [stepAt(10), stepAt(100, { minSamples: 0 })],
        policy: { ...sequential, guards: [{ metric: 'agreement' as const, atLeast: 0.9, ...DEFAULT_GUARDS.agreement }] },
      },
      problems: ['the guard agreement compares answers to the same requests, so it needs a step of shadow'],
    },
    {
      name: 'a first step that leaves no champion to compare with',
      plan: { steps: [stepAt(100)] },
      problems: ['the only step sends everybody to the challenger, so it can never be compared; begin below 100 %'],
    },
    {
      name: 'a comparison that its window cannot hold',
      plan: { policy: { ...policy, minSamples: 200, window: 100 } },
      problems: ['minSamples 200 can never be reached in a window of 100 requests'],
    },
    {
      name: 'a health check that its window cannot hold',
      plan: { policy: { ...policy, health: { ...policy.health, minSamples: 300 } } },
      problems: ['health.minSamples 300 can never be reached in a window of 200 requests'],
    },
    {
      name: 'a time box that is over before the holds are',
      plan: {
        steps: [stepAt(10, { holdMs: HOUR_MS }), stepAt(100, { holdMs: HOUR_MS })],
        timeBox: { afterMs: 2 * HOUR_MS, onExpiry: 'roll-back' as const },
      },
      problems: ['the steps are held for 2h together, so the time box of 2h is over before the plan can be'],
    },
    {
      name: 'numbers that the policy sequential cannot use',
      plan: { policy: { ...sequential, guards: [] }, steps: [stepAt(10), stepAt(100, { minSamples: 0 })] },
      problems: ['a policy without guards would promote anything; name at least one'],
    },
    {
      name: 'a last step that sequential could never pass, as there is nobody left to compare with',
      plan: { policy: sequential, steps: [stepAt(10), stepAt(100, { minSamples: 0, holdMs: 1 })] },
      problems: [
        'the step of 100 % leaves no champion to compare with, so sequential could never pass it; leave out its hold and minSamples: the challenger is then promoted, and the watch takes over',
      ],
    },
    {
      name: 'a minimum sample of such a step',
      plan: { policy: sequential, steps: [stepAt(10), stepAt(100, { minSamples: 1 })] },
      problems: [expect.stringContaining('sequential could never pass it')],
    },
  ])('says what is wrong with $name', ({ plan, problems }) => {
    expect(problemsOfPlan({ ...good, ...plan })).toEqual(problems);
  });

  it.each([
    { name: 'one step of 100 % that asks for nothing', plan: { steps: [stepAt(100, { minSamples: 0 })] } },
    { name: 'the finest share', plan: { steps: [stepAt(0.001), stepAt(100)] } },
    { name: 'a window that just holds the sample', plan: { policy: { ...policy, minSamples: 1000 } } },
    {
      name: 'sequential with a last step that asks for nothing',
      plan: { policy: sequential, steps: [stepAt(10), stepAt(100, { minSamples: 0 })] },
    },
    {
      name: 'thresholds with a last step that asks for something',
      plan: { steps: [stepAt(10), stepAt(100, { holdMs: HOUR_MS })] },
    },
    {
      name: 'a time box that leaves time',
      plan: {
        steps: [stepAt(10, { holdMs: HOUR_MS }), stepAt(100)],
        timeBox: { afterMs: HOUR_MS + 1, onExpiry: 'hold' as const },
      },
    },
  ])('accepts $name', ({ plan }) => {
    expect(problemsOfPlan({ ...good, ...plan })).toEqual([]);
  });

  it('lists every problem at once', () => {
    const plan: Plan = { ...good, steps: [stepAt(60), stepAt(50)], policy: { ...policy, minSamples: 2000 } };
    expect(problemsOfPlan(plan)).toHaveLength(3);
  });
});

describe('the built-in plans', () => {
  it.each([
    { name: 'standard', percents: [10, 25, 50, 75, 100], holdHours: [0, 0, 0, 0, 0] },
    { name: 'careful', percents: [5, 25, 50, 100], holdHours: [24, 48, 48, 0] },
  ])('$name climbs by $percents', ({ name, percents, holdHours }) => {
    const plan = BUILT_IN_PLANS.find((candidate) => candidate.name === name);
    expect(plan?.steps.map((step) => step.trafficPercent)).toEqual(percents);
    expect(plan?.steps.map((step) => step.holdMs / HOUR_MS)).toEqual(holdHours);
  });
});

describe('the built-in plans together', () => {
  it.each(BUILT_IN_PLANS)('$name judges by evidence, once a second, and warns of what is missing', (plan) => {
    expect(plan).toMatchObject({ policy: sequential, checkEveryMs: CHECK_EVERY_MS.sequential, startCheck: 'warn' });
    expect(plan).not.toHaveProperty('timeBox');
  });

  it('ask a policy as often as its evidence is weighed', () => {
    expect(CHECK_EVERY_MS).toEqual({ sequential: DEFAULT_SEQUENTIAL.errorsEveryMs, thresholds: 10_000 });
  });
});

describe('strictestStepOf', () => {
  it.each([
    { percents: [10, 25, 50, 75, 100], strictest: 2 },
    { percents: [10, 40, 70, 100], strictest: 1 },
    { percents: [25, 75, 100], strictest: 0 },
    { percents: [1, 100], strictest: 0 },
    { percents: [0.001, 100], strictest: 0 },
    { percents: [], strictest: -1 },
  ])('of $percents is the one nearest to equal shares, of two the first: $strictest', ({ percents, strictest }) => {
    expect(strictestStepOf(percents.map((percent) => stepAt(percent)))).toBe(strictest);
  });
});

describe('asksForNothing', () => {
  it.each([
    { name: 'without hold and sample', step: stepAt(100, { minSamples: 0 }), expected: true },
    { name: 'with a hold', step: stepAt(100, { minSamples: 0, holdMs: 1 }), expected: false },
    { name: 'with a sample', step: stepAt(100, { minSamples: 1 }), expected: false },
  ])('is $expected for a step $name', ({ step, expected }) => {
    expect(asksForNothing(step)).toBe(expected);
  });
});
