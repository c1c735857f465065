import { AppError } from '@understudy/core/errors';
import { BUILT_IN_PLANS, type Plan, problemsOfPlan } from '@understudy/core/plan';
import { DEFAULT_GUARDS, DEFAULT_SEQUENTIAL, type GuardConfig } from '@understudy/core/sequential/config';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PlanSchema } from './rollout-documents.ts';
import { planJsonSchema, readPlan, writePlan } from './plan-file.ts';

fc.configureGlobal({ seed: 1 });

const steps = [{ traffic: 10 }, { traffic: 50, hold: '1h30m', minSamples: 7 }, { traffic: 100 }];
const file = (changes: object = {}) => ({ name: 'mine', steps, ...changes });
const withPolicy = (policy: object) => file({ policy: { kind: 'sequential', ...policy } });

function problemWith(input: unknown): string {
  try {
    readPlan(input);
  } catch (error) {
    if (error instanceof AppError && error.code === 'plan.invalid') return error.message;
    throw error;
  }
  return 'no problem';
}

function guardsOf(guards: readonly object[]): readonly GuardConfig[] {
  const { policy } = readPlan(withPolicy({ guards }));
  return policy.kind === 'sequential' ? policy.guards : [];
}

describe('what is left out of a plan', () => {
  it('has the defaults of evidence', () => {
    expect(readPlan(file())).toEqual({
      name: 'mine',
      steps: [
        { trafficPercent: 10, holdMs: 0, minSamples: 100 },
        { trafficPercent: 50, holdMs: 5_400_000, minSamples: 7 },
        { trafficPercent: 100, holdMs: 0, minSamples: 0 },
      ],
      policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL },
      checkEveryMs: 1000,
      startCheck: 'warn',
      leaseMs: 120_000,
    });
  });

  it('has the defaults of plain limits, when these are asked for', () => {
    const plan = readPlan(file({ policy: { kind: 'thresholds', window: 500, health: { errorRate: 0.2 } } }));
    expect(plan.steps.map(({ minSamples }) => minSamples)).toEqual([50, 7, 0]);
    expect(plan.checkEveryMs).toBe(10_000);
    const health = { ...DEFAULT_THRESHOLDS.health, errorRate: 0.2 };
    expect(plan.policy).toEqual({ kind: 'thresholds', ...DEFAULT_THRESHOLDS, window: 500, health });
  });

  it.each([
    { written: { metric: 'errors' }, meant: { metric: 'errors', ...DEFAULT_GUARDS.errors } },
    {
      written: { metric: 'errors', of: 'timeouts', rollback: { ratio: 1, plus: 0.002 } },
      meant: { metric: 'errors', ...DEFAULT_GUARDS.errors, of: 'timeouts', rollback: { ratio: 1, plus: 0.002 } },
    },
    {
      written: { metric: 'latency', quantile: 0.9, ratio: 1.3 },
      meant: { metric: 'latency', quantile: 0.9, ratio: 1.3, weight: 0.15, ignoreBelowMs: 0 },
    },
    { written: { metric: 'drift', promote: 0.2 }, meant: { metric: 'drift', weight: 0.25, tolerance: 0.05, promote: 0.2 } },
    {
      written: { metric: 'score', name: 'stars', better: 'lower' },
      meant: { metric: 'score', name: 'stars', better: 'lower', weight: 0.25, tolerance: 0.01, promote: 0.02 },
    },
    {
      written: { metric: 'limit', of: 'latency', share: 0.01, aboveMs: 250 },
      meant: { metric: 'limit', of: 'latency', share: 0.01, aboveMs: 250, weight: 0.1 },
    },
  ])('is filled in for the guard $written', ({ written, meant }) => {
    expect(guardsOf([written])).toEqual([meant]);
  });

  it('leaves the other numbers of the policy as they are', () => {
    const plan = readPlan(withPolicy({ alpha: 0.01, othersEvery: '30s', silence: '10m', sick: { slowMs: 2000 } }));
    expect(plan.policy).toEqual({
      kind: 'sequential',
      ...DEFAULT_SEQUENTIAL,
      alpha: 0.01,
      othersEveryMs: 30_000,
      silenceMs: 600_000,
      sick: { ...DEFAULT_SEQUENTIAL.sick, slowMs: 2000 },
    });
  });
});

describe('a bake', () => {
  it('is a step before the last one, and reads back as it was written', () => {
    const plan = readPlan(file({ bake: { hold: '24h' } }));
    expect(plan.steps.slice(2)).toEqual([
      { trafficPercent: 95, holdMs: 86_400_000, minSamples: 100, isBake: true },
      { trafficPercent: 100, holdMs: 0, minSamples: 0 },
    ]);
    expect(PlanSchema.parse(plan)).toEqual(plan);
    expect(writePlan(plan)).toMatchObject({
      steps: [{ traffic: 10 }, { traffic: 50 }, { traffic: 100 }],
      bake: { hold: '1d', holdBack: 5, minSamples: 100 },
    });
    expect(readPlan(writePlan(plan))).toEqual(plan);
  });

  it('holds back any share that a bucket can have', () => {
    const plan = readPlan(file({ bake: { hold: '1h', holdBack: 0.1, minSamples: 7 } }));
    expect(plan.steps[2]).toMatchObject({ trafficPercent: 99.9, minSamples: 7 });
    expect(writePlan(plan).bake).toEqual({ hold: '1h', holdBack: 0.1, minSamples: 7 });
  });
});

describe('a plan that says everything', () => {
  it.each([
    { name: 'checkEvery', written: { checkEvery: '100ms' }, read: { checkEveryMs: 100 } },
    { name: 'startCheck', written: { startCheck: 'refuse' }, read: { startCheck: 'refuse' } },
    {
      name: 'a time box that promotes',
      written: { lease: '30s', pinned: 2.5 },
      read: { leaseMs: 30_000, pinnedPercent: 2.5 },
    },
    {
      written: { timeBox: { after: '7d', onExpiry: 'promote' } },
      read: { timeBox: { afterMs: 7 * 86_400_000, onExpiry: 'promote' } },
    },
  ])('is read as it is written: $name', ({ written, read }) => {
    expect(readPlan(file(written))).toMatchObject(read);
    expect(writePlan(readPlan(file(written)))).toMatchObject(written);
  });

  it.each(BUILT_IN_PLANS)('is read back as it was: $name', (plan) => {
    expect(readPlan(JSON.parse(JSON.stringify(writePlan(plan))))).toEqual(plan);
  });

  const ms = fc.oneof(fc.nat(1_000_000_000), fc.constantFrom(1000, 90_000, 86_400_000));
  const share = fc.double({ min: 0.001, max: 0.5, noNaN: true });
  const weight = fc.double({ min: 0.1, max: 9, noNaN: true });
  const margin = fc.record({ ratio: fc.double({ min: 1.01, max: 5, noNaN: true }), plus: share });
  const guards: fc.Arbitrary<readonly GuardConfig[]> = fc.subarray<GuardConfig>(
    [
      { metric: 'errors', ...DEFAULT_GUARDS.errors },
      { metric: 'errors', ...DEFAULT_GUARDS.errors, of: 'invalid' },
      { metric: 'latency', quantile: 0.999, ratio: 2, weight: 3, ignoreBelowMs: 1.5 },
      { metric: 'drift', ...DEFAULT_GUARDS.drift },
      { metric: 'score', name: 'stars', better: 'lower', weight: 1, tolerance: 0, promote: 0.5 },
      { metric: 'limit', of: 'errors', share: 0.5, weight: 1 },
      { metric: 'limit', of: 'latency', share: 0.5, aboveMs: 0.5, weight: 1 },
    ],
    { minLength: 1 },
  );
  const sequential: fc.Arbitrary<Plan['policy']> = fc
    .tuple(guards, share, ms, weight, margin)
    .map(([list, risk, everyMs, ofErrors, line]): Plan['policy'] => ({
      kind: 'sequential',
      ...DEFAULT_SEQUENTIAL,
      alpha: risk,
      promoteRisk: risk,
      strictPromoteRisk: risk / 2,
      errorsEveryMs: 1000,
      othersEveryMs: 1000 + everyMs,
      silenceMs: 1000 + everyMs,
      guards: list.map((guard) =>
        guard.metric === 'errors' ? { ...guard, weight: ofErrors, rollback: line, promote: line } : guard,
      ),
    }));
  const thresholds: fc.Arbitrary<Plan['policy']> = fc
    .tuple(fc.integer({ min: 2, max: 100 }), share)
    .map(([minSamples, errorRate]) => ({
      kind: 'thresholds',
      ...DEFAULT_THRESHOLDS,
      minSamples,
      health: { ...DEFAULT_THRESHOLDS.health, errorRate },
    }));
  const plans: fc.Arbitrary<Plan> = fc
    .tuple(
      fc.oneof(sequential, thresholds),
      fc.uniqueArray(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 4 }),
      ms,
      fc.nat(900),
    )
    .map(([policy, percents, someMs, minSamples]) => ({
      name: 'any',
      steps: [
        ...percents.toSorted((a, b) => a - b).map((trafficPercent) => ({ trafficPercent, holdMs: someMs, minSamples })),
        { trafficPercent: 100, holdMs: 0, minSamples: 0 },
      ],
      policy,
      checkEveryMs: 100 + someMs,
      startCheck: 'refuse',
      leaseMs: 15_000 + someMs,
      ...(minSamples % 3 === 0 ? {} : { pinnedPercent: 7.5 }),
      ...(minSamples % 2 === 0 ? {} : { timeBox: { afterMs: 1 + 5 * someMs, onExpiry: 'roll-back' } }),
    }));

  it('is read back as it was, whatever it says', () => {
    fc.assert(
      fc.property(plans, (plan) => {
        expect(problemsOfPlan(plan)).toEqual([]);
        expect(readPlan(JSON.parse(JSON.stringify(writePlan(plan))))).toEqual(plan);
      }),
    );
  });
});

describe('a plan that can be read', () => {
  const durations = ['0s', '1ms', '99ms', '100ms', '999ms', '1s', '1.5s', '10s', '2m', '400d'];

  it.each<{ readonly field: string; readonly least: string; readonly fileWith: (duration: string) => object }>([
    { field: 'checkEvery', least: '100ms', fileWith: (checkEvery) => file({ checkEvery }) },
    {
      field: 'timeBox.after',
      least: '1ms',
      fileWith: (after) => file({ steps: [{ traffic: 9 }, { traffic: 100 }], timeBox: { after, onExpiry: 'hold' } }),
    },
    { field: 'steps[].hold', least: '0s', fileWith: (hold) => file({ steps: [{ traffic: 9, hold }, { traffic: 100 }] }) },
    { field: 'policy.errorsEvery', least: '1s', fileWith: (errorsEvery) => withPolicy({ errorsEvery, othersEvery: '999d' }) },
    { field: 'policy.othersEvery', least: '1s', fileWith: (othersEvery) => withPolicy({ othersEvery }) },
    { field: 'policy.silence', least: '1s', fileWith: (silence) => withPolicy({ silence }) },
  ])('can be stored: $field from $least on', ({ least, fileWith }) => {
    const accepted = durations.filter((duration) => problemWith(fileWith(duration)) === 'no problem');
    expect(accepted).toEqual(durations.slice(durations.indexOf(least)));
    for (const duration of accepted) expect(PlanSchema.safeParse(readPlan(fileWith(duration))).success).toBe(true);
  });
});

describe('a plan that cannot be used', () => {
  it.each([
    { name: 'no plan', input: 'standard', problem: 'the plan cannot be used: ' },
    { name: 'an unknown field', input: file({ surprise: 1 }), problem: 'the plan cannot be used: ' },
    {
      name: 'an unknown field of a step',
      input: file({ steps: [{ traffic: 10, speed: 9 }] }),
      problem: 'steps.[1]: unknown field "speed"',
    },
    { name: 'an unknown field of the policy', input: withPolicy({ window: 10 }), problem: 'policy' },
    {
      name: 'an unknown field of a guard',
      input: withPolicy({ guards: [{ metric: 'drift', quantile: 0.5 }] }),
      problem: 'policy.guards.[1]',
    },
    { name: 'an unknown metric', input: withPolicy({ guards: [{ metric: 'luck' }] }), problem: 'policy.guards.[1]' },
    { name: 'an unknown policy', input: file({ policy: { kind: 'coin' } }), problem: 'policy' },
    { name: 'no guard', input: withPolicy({ guards: [] }), problem: 'policy.guards' },
    {
      name: 'a guard without what it is about',
      input: withPolicy({ guards: [{ metric: 'latency' }] }),
      problem: 'policy.guards.[1].quantile',
    },
    {
      name: 'a margin without its other half',
      input: withPolicy({ guards: [{ metric: 'errors', promote: { ratio: 2 } }] }),
      problem: 'policy.guards.[1].promote.plus',
    },
    { name: 'a risk out of range', input: withPolicy({ alpha: 5 }), problem: 'policy.alpha' },
    {
      name: 'a duration without a unit',
      input: file({ checkEvery: '10' }),
      problem: 'checkEvery: write a length of time such as "90s", "10m", "24h" or "1h30m"',
    },
    { name: 'a check that is too frequent', input: file({ checkEvery: '99ms' }), problem: 'checkEvery: use at least 100ms' },
    {
      name: 'evidence weighed within a second',
      input: withPolicy({ errorsEvery: '999ms' }),
      problem: 'policy.errorsEvery: use at least 1s',
    },
    {
      name: 'a time box that is over at once',
      input: file({ timeBox: { after: '0s', onExpiry: 'hold' } }),
      problem: 'the time box of 0ms is over',
    },
    {
      name: 'another end of a time box',
      input: file({ timeBox: { after: '9d', onExpiry: 'shrug' } }),
      problem: 'timeBox.onExpiry',
    },
    { name: 'another answer to the check at the start', input: file({ startCheck: 'ignore' }), problem: 'startCheck' },
    {
      name: 'numbers that contradict each other',
      input: withPolicy({ strictPromoteRisk: 0.4 }),
      problem: 'the plan "mine" cannot be used: strictPromoteRisk 0.4 must not be above promoteRisk 0.2',
    },
    {
      name: 'windows that hold too little',
      input: file({ policy: { kind: 'thresholds', minSamples: 2000 } }),
      problem: 'the plan "mine" cannot be used: minSamples 2000 can never be reached in a window of 1000 requests',
    },
    {
      name: 'a bake as the first step',
      input: file({ steps: [{ traffic: 100 }], bake: { hold: '1h' } }),
      problem: 'the bake asks for no proof, so it cannot be the first step',
    },
    {
      name: 'a bake after a step that holds back less',
      input: file({ steps: [{ traffic: 97 }, { traffic: 100 }], bake: { hold: '1h' } }),
      problem: 'the bake holds back 5 %, so the step before it must be below 95 %, and has 97 %',
    },
    {
      name: 'a bake beside a held step of 100 %',
      input: file({
        steps: [{ traffic: 10 }, { traffic: 100, hold: '1h' }],
        bake: { hold: '1h' },
        policy: { kind: 'thresholds' },
      }),
      problem: 'the bake takes the place of holding the step of 100 %',
    },
    { name: 'a bake that holds back most', input: file({ bake: { hold: '1h', holdBack: 60 } }), problem: 'bake.holdBack' },
    { name: 'a bake without an end', input: file({ bake: { holdBack: 5 } }), problem: 'bake.hold' },
    {
      name: 'a hold with nobody left to compare with',
      input: file({ steps: [{ traffic: 50 }, { traffic: 100, hold: '1h' }] }),
      problem: 'the plan "mine" cannot be used: the step of 100 % leaves no champion to compare with',
    },
  ])('is refused with the reason: $name', ({ input, problem }) => {
    expect(problemWith(input)).toContain(problem);
  });

  it('is refused with all reasons at once', () => {
    const broken = file({ checkEvery: 'soon', policy: { kind: 'sequential', alpha: 2 } });
    expect(problemWith(broken)).toMatch(/checkEvery.*policy\.alpha|policy\.alpha.*checkEvery/);
    const wrong = withPolicy({
      guards: [
        { metric: 'errors', weight: 0 },
        { metric: 'errors', weight: 0 },
      ],
    });
    expect(problemWith(wrong)).toBe(
      'the plan "mine" cannot be used: every guard has weight 0, so nothing could ever be rolled back; the guard errors is there twice',
    );
  });
});

describe('the JSON Schema', () => {
  it('names every field of the format, for editors', () => {
    const text = JSON.stringify(planJsonSchema());
    for (const field of [
      'steps',
      'policy',
      'checkEvery',
      'startCheck',
      'timeBox',
      'guards',
      'ignoreBelowMs',
      'promote',
      'sick',
      'health',
    ]) {
      expect(text).toContain(`"${field}"`);
    }
    expect(text).toContain('(?:ms|s|m|h|d)');
  });
});
