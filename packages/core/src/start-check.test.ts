import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY, momentsOf, type Tally } from './evidence.ts';
import type { Baseline } from './model-version.ts';
import { BUILT_IN_PLANS, type Plan } from './plan.ts';
import { binsOfNormal, type Distribution, type PredictionBins } from './prediction-bins.ts';
import type { Baselines } from './rollout.ts';
import { DEFAULT_GUARDS, DEFAULT_SEQUENTIAL, type GuardConfig, nameOfGuard, type SequentialConfig } from './sequential/config.ts';
import { logShareOf } from './sequential/harm.ts';
import { drawTally } from './sequential/test-traffic.ts';
import { randomOf } from './simulation/random.ts';
import { checkStart, type StartCheck, type StartSituation } from './start-check.ts';
import { DEFAULT_THRESHOLDS } from './thresholds.ts';

const HOUR_MS = 3_600_000;
const [standard] = BUILT_IN_PLANS;
if (standard === undefined) throw new Error('there is no built-in plan');

const errors = { metric: 'errors', ...DEFAULT_GUARDS.errors } as const;
const slowest = { metric: 'latency', quantile: 0.99, ratio: 1.5, ...DEFAULT_GUARDS.latency } as const;
const drift = { metric: 'drift', ...DEFAULT_GUARDS.drift } as const;
const accuracy = { metric: 'score', name: 'accuracy', ...DEFAULT_GUARDS.score } as const;
const errorLimit = { metric: 'limit', of: 'errors', share: 0.05, ...DEFAULT_GUARDS.limit } as const;
const latencyLimit = { metric: 'limit', of: 'latency', share: 0.05, aboveMs: 300, ...DEFAULT_GUARDS.limit } as const;

const baseline: Baseline = { count: 1000, mean: 0, standardDeviation: 1, source: 'validation', setAtMs: 0 };
const other: Baseline = { ...baseline, mean: 9 };
/** 5.5 requests a second. */
const usual: Tally = drawTally(randomOf(1, 'usual'), 20_000, { accuracy: 0.9 });

const planOf = (guards: readonly GuardConfig[], changes: Partial<Plan> = {}, numbers: Partial<SequentialConfig> = {}): Plan => ({
  ...standard,
  name: 'mine',
  ...changes,
  policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL, guards, ...numbers },
});

function check(plan: Plan, changes: Partial<Omit<StartSituation, 'plan'>> = {}): StartCheck {
  return checkStart({ plan, baselines: { champion: baseline }, recent: usual, recentMs: HOUR_MS, deadlineMs: 5000, ...changes });
}

const guardsOf = ({ plan }: StartCheck) => (plan.policy.kind === 'sequential' ? plan.policy.guards.map(nameOfGuard) : []);
const withBins = (bins: PredictionBins): Baseline => {
  const distribution: Distribution = { bins, counts: [] };
  return { ...baseline, distribution };
};

describe('a start of which nothing is missing', () => {
  it('has no problems, and keeps its plan', () => {
    const { plan, problems } = check(standard);
    expect(problems).toEqual([]);
    expect(plan).toEqual(standard);
  });

  it('has none with a guard of every metric', () => {
    const guards = [errors, slowest, drift, accuracy, errorLimit, latencyLimit];
    expect(check(planOf(guards))).toMatchObject({ problems: [] });
  });

  it('is not checked for thresholds, which judge by themselves what they have no data for', () => {
    const plan: Plan = { ...standard, policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS } };
    const found = check(plan, { baselines: {}, recent: EMPTY_TALLY });
    expect(found).toEqual({ plan, problems: [] });
  });
});

describe('a guard without data', () => {
  const bare: Tally = { ...usual, predictions: EMPTY_TALLY.predictions, bins: {}, scores: {} };

  it.each<{
    readonly name: string;
    readonly guard: GuardConfig;
    readonly changes: Partial<StartSituation>;
    readonly problem: string;
  }>([
    {
      name: 'drift, when nobody knows what predictions look like',
      guard: drift,
      changes: { baselines: {}, recent: bare },
      problem:
        'the guard drift has no data and is left out: nobody knows what predictions look like; give a version a baseline (understudy version baseline)',
    },
    {
      name: 'drift, when no number is predicted',
      guard: drift,
      changes: { recent: bare },
      problem: "the guard drift has no data and is left out: no number could be read from the champion's answers",
    },
    {
      name: 'drift, when classes are predicted where numbers are registered',
      guard: drift,
      changes: {
        baselines: { champion: withBins({ kind: 'ordered', edges: [0, 1] }) },
        recent: { ...bare, classes: { spam: 99 } },
      },
      problem: "the guard drift has no data and is left out: no number could be read from the champion's answers",
    },
    {
      name: 'drift, when numbers are predicted where classes are registered',
      guard: drift,
      changes: { baselines: { champion: withBins({ kind: 'classes', classes: ['spam', 'ham'] }) } },
      problem: "the guard drift has no data and is left out: no class could be read from the champion's answers",
    },
    {
      name: 'a score that nobody reports',
      guard: accuracy,
      changes: { recent: bare },
      problem: 'the guard score.accuracy has no data and is left out: nobody reported a score "accuracy" lately',
    },
  ])('is left out: $name', ({ guard, changes, problem }) => {
    const found = check(planOf([errors, guard]), changes);
    expect(found.problems).toEqual([problem]);
    expect(guardsOf(found)).toEqual(['errors']);
  });

  it('leaves its part of the risk to the others', () => {
    const { plan } = check(standard, { baselines: {}, recent: bare });
    if (plan.policy.kind !== 'sequential') throw new Error('another policy');
    const { policy } = plan;
    const shares = policy.guards.map((_, index) => Math.exp(logShareOf(policy, index)));
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
    expect(shares[0]).toBeCloseTo(0.4 / 0.75, 12);
  });

  it.each([
    { name: 'drift', guard: drift },
    { name: 'a score', guard: accuracy },
  ])('stays in while nobody has asked the champion anything: $name', ({ guard }) => {
    const found = check(planOf([errors, guard]), { recent: EMPTY_TALLY });
    expect(guardsOf(found)).toHaveLength(2);
  });

  it.each([
    { name: 'it was the only one', guards: [drift] },
    { name: 'the others have a weight of 0', guards: [drift, { ...errors, weight: 0 }] },
  ])('leaves no guard at all, rather than one that could promote anything, when $name', ({ guards }) => {
    const found = check(planOf(guards), { baselines: {}, recent: bare });
    expect(guardsOf(found)).toEqual([]);
    expect(found.problems).toEqual([
      'the guard drift has no data and is left out: nobody knows what predictions look like; give a version a baseline (understudy version baseline)',
      'no guard is left that could roll back',
    ]);
  });
});

describe('a guard that can never fire', () => {
  const slow = drawTally(randomOf(2, 'slow'), 20_000, { medianMs: 150, accuracy: 0.005 });

  it.each<{
    readonly name: string;
    readonly guard: GuardConfig;
    readonly changes: Partial<StartSituation>;
    readonly problem: RegExp;
  }>([
    {
      name: 'latency that would be slow only after the deadline',
      guard: slowest,
      changes: { recent: slow, deadlineMs: 700 },
      problem: /^the guard latency\.p99 can never fire: it begins at 7\d\d ms, and requests end after 700 ms$/,
    },
    {
      name: 'a limit on latency beyond the deadline',
      guard: { ...latencyLimit, aboveMs: 5000 },
      changes: {},
      problem: /^the guard limit\.latency can never fire: it begins at 5,000 ms, and requests end after 5,000 ms$/,
    },
    {
      name: 'errors of a champion that fails nearly always',
      guard: { ...errors, rollback: { ratio: 2, plus: 0.1 }, promote: { ratio: 2, plus: 0.1 } },
      changes: { recent: { ...usual, errors: 10_000 } },
      problem: /^the guard errors can never fire: harm would begin at 110 % failed requests$/,
    },
    {
      name: 'a score that cannot become worse by its tolerance',
      guard: accuracy,
      changes: { recent: slow },
      problem: /^the guard score\.accuracy can never fire: the champion's mean is within 0\.01 of the worst there is$/,
    },
  ])('is told: $name', ({ guard, changes, problem }) => {
    const sick = { errorRate: 0.9, slowMs: 100_000, slowShare: 0.9 };
    const { problems } = check(planOf([guard], {}, { sick }), changes);
    expect(problems[0]).toMatch(problem);
  });

  it.each([
    { name: 'latency within the deadline', guard: slowest, changes: { recent: slow, deadlineMs: 5000 } },
    {
      name: 'latency of which too little is known',
      guard: slowest,
      changes: { recent: { ...EMPTY_TALLY, requests: 9 }, deadlineMs: 1 },
    },
    { name: 'a score of which less is better', guard: { ...accuracy, better: 'lower' }, changes: { recent: slow } },
  ] as const)('is not suspected: $name', ({ guard, changes }) => {
    expect(check(planOf([guard]), changes).problems.filter((problem) => problem.includes('never fire'))).toEqual([]);
  });
});

describe('a champion beyond what the policy calls sick', () => {
  it.each([
    {
      name: 'fails too often',
      recent: { ...usual, errors: 1500 },
      problem:
        'the champion fails more than 5 % of its requests, so it counts as sick and nothing would be decided; if that is its usual state, raise sick.errorRate',
    },
    {
      name: 'is too slow',
      recent: drawTally(randomOf(3, 'slow'), 5000, { medianMs: 400 }),
      problem:
        "more than 5 % of the champion's answers take over 500 ms, so it counts as sick and nothing would be decided; if that is its usual state, raise sick.slowMs",
    },
  ])('is told of: it $name', ({ recent, problem }) => {
    expect(check(planOf([errors]), { recent }).problems).toEqual([problem]);
  });

  it('is not told of by chance', () => {
    expect(check(planOf([errors]), { recent: { ...EMPTY_TALLY, requests: 10, errors: 1 } }).problems).toEqual([]);
  });
});

describe('traffic', () => {
  const boxed = (afterMs: number, guards: readonly GuardConfig[] = DEFAULT_SEQUENTIAL.guards): Plan =>
    planOf(guards, { timeBox: { afterMs, onExpiry: 'hold' } });
  const little = (requests: number): Tally => drawTally(randomOf(4, 'little'), requests, {});

  it('that is missing altogether is told', () => {
    const { problems } = check(standard, { recent: EMPTY_TALLY });
    expect(problems).toEqual(['the champion had no request within the last 1h; without traffic nothing is ever decided']);
  });

  it('that cannot fill the time box is told, with what it would take', () => {
    expect(check(boxed(24 * HOUR_MS)).problems).toEqual([]);
    const [problem, ...others] = check(boxed(HOUR_MS)).problems;
    expect(others).toEqual([]);
    expect(problem).toMatch(
      /^at the present traffic a good challenger needs about \dh( \d+m)?, and the time box is 1h: begin with a larger share, widen the promote margins, or give it more time$/,
    );
  });

  it('counts the holds and the minimum samples of the plan', () => {
    const steps = [
      { trafficPercent: 50, holdMs: 0, minSamples: 1_000_000 },
      { trafficPercent: 100, holdMs: 0, minSamples: 0 },
    ];
    const plan = { ...boxed(48 * HOUR_MS, [errors]), steps };
    // Half of 20 000 requests an hour.
    expect(check(plan).problems[0]).toContain('a good challenger needs about 4d 4h, and the time box is 2d');
  });

  it.each([
    { name: 'no time box and no latency to tell by', plan: planOf([errors, slowest]), requests: 40 },
    { name: 'a tail that too few answers have reached', plan: planOf([errors, slowest]), requests: 300 },
    { name: 'hardly a request, and enough time', plan: boxed(10_000 * HOUR_MS), requests: 40 },
  ])('that is too little to tell by is not called impossible: $name', ({ plan, requests }) => {
    expect(check(plan, { recent: little(requests) }).problems).toEqual([]);
  });

  it('that is too little to know its tail can still be too little for the time box', () => {
    expect(check(boxed(24 * HOUR_MS, [errors, slowest]), { recent: little(40) }).problems[0]).toMatch(
      /^at the present traffic a good challenger needs about \d+d/,
    );
  });

  it('of a champion that nobody could be proven to match is told', () => {
    const { problems } = check(planOf([errors, errorLimit], {}, { sick: { ...DEFAULT_SEQUENTIAL.sick, errorRate: 0.5 } }), {
      recent: { ...usual, errors: 2000 },
    });
    expect(problems).toEqual(['no step can be passed: by what is known of the champion, limit.errors cannot be proven safe']);
  });
});

describe('the bins', () => {
  const edgesOf = (bins: PredictionBins | undefined) => (bins?.kind === 'ordered' ? bins.edges : undefined);
  const [mine, theirs]: readonly PredictionBins[] = [
    { kind: 'ordered', edges: [1, 2] },
    { kind: 'ordered', edges: [3, 4] },
  ];
  const registered = (bins: PredictionBins | undefined): Baseline => (bins === undefined ? baseline : withBins(bins));
  const binsOf = (baselines: Baselines, recent: Tally = usual) => check(standard, { baselines, recent }).bins;
  const classes: Tally = { ...usual, classes: { ham: 30, spam: 60, other: 5 } };

  it('are those of the champion first, then those of the challenger', () => {
    expect(binsOf({ champion: registered(mine), challenger: registered(theirs) })).toEqual(mine);
    expect(binsOf({ champion: baseline, challenger: registered(theirs) })).toEqual(theirs);
    expect(binsOf({ champion: registered(mine) }, classes)).toEqual(mine);
  });

  it('are then the classes that were seen, the most frequent first', () => {
    expect(binsOf({ champion: baseline }, classes)).toEqual({ kind: 'classes', classes: ['spam', 'ham'] });
  });

  it('are then a normal distribution around what is known, or was seen', () => {
    expect(binsOf({ champion: baseline, challenger: other })).toEqual(binsOfNormal(0, 1));
    expect(binsOf({ challenger: other })).toEqual(binsOfNormal(9, 1));
    expect(edgesOf(binsOf({}))?.[9]).toBeCloseTo(0, 1);
  });

  it('pass over what has no spread', () => {
    const flat: Baseline = { ...baseline, standardDeviation: 0 };
    expect(binsOf({ champion: flat, challenger: other })).toEqual(binsOfNormal(9, 1));
    expect(binsOf({ champion: registered({ kind: 'classes', classes: [] }) })).toEqual(binsOfNormal(0, 1));
  });

  it.each([
    { name: 'too few were seen', predictions: momentsOf(Array.from({ length: 29 }, (_, index) => index)) },
    { name: 'all were the same', predictions: momentsOf(Array.from({ length: 99 }, () => 7)) },
    { name: 'none was seen', predictions: momentsOf([]) },
  ])('are missing when $name', ({ predictions }) => {
    expect(binsOf({}, { ...usual, predictions })).toBeUndefined();
  });

  it('are fixed for thresholds too', () => {
    const plan: Plan = { ...standard, policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS } };
    expect(check(plan, { baselines: { champion: registered(mine) } }).bins).toEqual(mine);
  });
});
