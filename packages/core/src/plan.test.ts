import { describe, expect, it } from 'vitest';
import { asksForNothing, BUILT_IN_PLANS, type Plan, type PlanStep, problemsOfPlan } from './plan.ts';
import { DEFAULT_THRESHOLDS } from './thresholds.ts';

const HOUR_MS = 3_600_000;

function stepAt(trafficPercent: number, demands: Partial<PlanStep> = {}): PlanStep {
  return { trafficPercent, holdMs: 0, minSamples: 50, ...demands };
}

const policy: Plan['policy'] = { kind: 'thresholds', ...DEFAULT_THRESHOLDS };
const good: Plan = { name: 'good', steps: [stepAt(10), stepAt(100)], policy, checkEveryMs: 10_000 };

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
  ])('says what is wrong with $name', ({ plan, problems }) => {
    expect(problemsOfPlan({ ...good, ...plan })).toEqual(problems);
  });

  it.each([
    { name: 'one step of 100 % that asks for nothing', plan: { steps: [stepAt(100, { minSamples: 0 })] } },
    { name: 'the finest share', plan: { steps: [stepAt(0.001), stepAt(100)] } },
    { name: 'a window that just holds the sample', plan: { policy: { ...policy, minSamples: 1000 } } },
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

describe('asksForNothing', () => {
  it.each([
    { name: 'without hold and sample', step: stepAt(100, { minSamples: 0 }), expected: true },
    { name: 'with a hold', step: stepAt(100, { minSamples: 0, holdMs: 1 }), expected: false },
    { name: 'with a sample', step: stepAt(100, { minSamples: 1 }), expected: false },
  ])('is $expected for a step $name', ({ step, expected }) => {
    expect(asksForNothing(step)).toBe(expected);
  });
});
