import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DEFAULT_GUARDS,
  DEFAULT_SEQUENTIAL,
  type GuardConfig,
  nameOfGuard,
  problemsOfSequential,
  type SequentialConfig,
} from './config.ts';
import { play, trafficOf } from './test-traffic.ts';

fc.configureGlobal({ seed: 1 });

const errors = { metric: 'errors', ...DEFAULT_GUARDS.errors } as const;
const latency = { metric: 'latency', quantile: 0.5, ratio: 1.2, ...DEFAULT_GUARDS.latency } as const;
const drift = { metric: 'drift', ...DEFAULT_GUARDS.drift } as const;
const score = { metric: 'score', name: 'accuracy', ...DEFAULT_GUARDS.score } as const;
const limit = { metric: 'limit', of: 'errors', share: 0.05, ...DEFAULT_GUARDS.limit } as const;

describe('problemsOfSequential', () => {
  it('finds nothing wrong with the default', () => {
    expect(problemsOfSequential(DEFAULT_SEQUENTIAL)).toEqual([]);
  });

  it.each<{ readonly name: string; readonly guards: readonly GuardConfig[] }>([
    { name: 'one guard of each metric', guards: [errors, latency, drift, score, limit] },
    { name: 'a guard of weight 0 among others', guards: [errors, { ...drift, weight: 0 }] },
    { name: 'limit and margin in one', guards: [{ ...errors, promote: errors.rollback }] },
    { name: 'a tolerance by ratio alone', guards: [{ ...errors, rollback: { ratio: 1.1, plus: 0 } }] },
    { name: 'a tolerance in milliseconds alone', guards: [{ ...latency, ratio: 1, ignoreBelowMs: 5 }] },
    { name: 'no tolerance of a score', guards: [{ ...score, tolerance: 0 }] },
    { name: 'two quantiles', guards: [latency, { ...latency, quantile: 0.999 }] },
    { name: 'a limit on latency', guards: [{ ...limit, of: 'latency', aboveMs: 200 }] },
  ])('accepts $name', ({ guards }) => {
    expect(problemsOfSequential({ ...DEFAULT_SEQUENTIAL, guards })).toEqual([]);
  });

  it.each<{ readonly name: string; readonly config: Partial<SequentialConfig>; readonly problem: string }>([
    { name: 'no guards', config: { guards: [] }, problem: 'a policy without guards would promote anything; name at least one' },
    {
      name: 'weights of 0 only',
      config: { guards: [{ ...errors, weight: 0 }] },
      problem: 'every guard has weight 0, so nothing could ever be rolled back',
    },
    {
      name: 'a guard that is there twice',
      config: { guards: [drift, errors, { ...drift, weight: 9 }] },
      problem: 'the guard drift is there twice',
    },
    {
      name: 'a looser strict risk',
      config: { promoteRisk: 0.1, strictPromoteRisk: 0.2 },
      problem: 'strictPromoteRisk 0.2 must not be above promoteRisk 0.1',
    },
    {
      name: 'errors that are weighed less often than the rest',
      config: { errorsEveryMs: 20_000 },
      problem: 'othersEvery must not be shorter than errorsEvery: 10000 ms and 20000 ms',
    },
    {
      name: 'a margin that is tighter than the limit',
      config: { guards: [{ ...errors, promote: { ratio: 1.5, plus: 0 } }] },
      problem: 'errors: the promote margin must not be below the rollback limit, or nothing could pass it',
    },
    {
      name: 'a limit without tolerance',
      config: { guards: [{ ...errors, rollback: { ratio: 1, plus: 0 } }] },
      problem: 'errors: a rollback limit without any tolerance blames chance',
    },
    {
      name: 'a margin of errors that allows everything',
      config: { guards: [{ ...errors, promote: { ratio: 1000, plus: 0.99 } }] },
      problem: 'errors: promote at 1000× + 0.99 allows everything',
    },
    {
      name: 'a margin of drift that is tighter than its tolerance',
      config: { guards: [{ ...drift, promote: 0.01 }] },
      problem: 'drift: promote 0.01 must not be below the tolerance 0.05, or nothing could pass it',
    },
    {
      name: 'a margin of drift that allows everything',
      config: { guards: [{ ...drift, promote: 0.999999 }] },
      problem: 'drift: promote at 1× + 0.999999 allows everything',
    },
    {
      name: 'a margin of a score that is tighter than its tolerance',
      config: { guards: [{ ...score, promote: 0.001 }] },
      problem: 'score.accuracy: promote 0.001 must not be below the tolerance 0.01, or nothing could pass it',
    },
    {
      name: 'a ratio of latency without tolerance',
      config: { guards: [{ ...latency, ratio: 1 }] },
      problem: 'latency.p50: at a ratio of 1 not even a challenger just as fast could be proven safe; allow a few percent',
    },
    {
      name: 'a limit on latency without milliseconds',
      config: { guards: [{ ...limit, of: 'latency' }] },
      problem: 'limit.latency: aboveMs is needed for latency, and only there',
    },
    {
      name: 'a limit on errors with milliseconds',
      config: { guards: [{ ...limit, aboveMs: 5 }] },
      problem: 'limit.errors: aboveMs is needed for latency, and only there',
    },
  ])('says what is wrong with $name', ({ config, problem }) => {
    expect(problemsOfSequential({ ...DEFAULT_SEQUENTIAL, ...config })).toEqual([problem]);
  });

  it('lets nothing through that would break in the middle of a rollout', () => {
    const share = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 1e-12, 0.99998, 0.99999, 1 - 1e-9, 1));
    const inner = share.filter((value) => value > 0 && value < 1);
    const margin = fc.record({ ratio: fc.constantFrom(1, 1.1, 20, 1000), plus: share });
    const weight = fc.constant(1);
    const guard: fc.Arbitrary<GuardConfig> = fc.oneof(
      fc.record({
        metric: fc.constant('errors'),
        of: fc.constantFrom('all', 'invalid', 'timeouts'),
        weight,
        rollback: margin,
        promote: margin,
      }),
      fc.record({
        metric: fc.constant('latency'),
        quantile: inner,
        weight,
        ratio: fc.constantFrom(1, 1.001, 2, 1000),
        ignoreBelowMs: fc.constantFrom(0, 1e-9, 1e12),
      }),
      fc.record({ metric: fc.constant('drift'), weight, tolerance: inner, promote: inner }),
      fc.record({
        metric: fc.constant('score'),
        name: fc.constant('accuracy'),
        better: fc.constantFrom('higher', 'lower'),
        weight,
        tolerance: share.filter((value) => value < 1),
        promote: inner,
      }),
      fc.record({ metric: fc.constant('limit'), of: fc.constantFrom('errors'), weight, share: inner }),
    );
    const blocks = trafficOf(1, {
      seconds: 11,
      rate: 30,
      champion: { accuracy: 0.9 },
      challenger: { errorRate: 0.5, accuracy: 0.5 },
    });
    fc.assert(
      fc.property(guard, (one) => {
        const config = { ...DEFAULT_SEQUENTIAL, guards: [one] };
        fc.pre(problemsOfSequential(config).length === 0);
        expect(play(blocks, config).verdicts).toHaveLength(11);
      }),
      { numRuns: 120 },
    );
  });
});

describe('the name of a guard', () => {
  it.each<{ readonly guard: GuardConfig; readonly name: string }>([
    { guard: errors, name: 'errors' },
    { guard: { ...errors, of: 'timeouts' }, name: 'errors.timeouts' },
    { guard: latency, name: 'latency.p50' },
    { guard: { ...latency, quantile: 0.99 }, name: 'latency.p99' },
    { guard: { ...latency, quantile: 0.999 }, name: 'latency.p99.9' },
    { guard: { ...latency, quantile: 0.29 }, name: 'latency.p29' },
    { guard: drift, name: 'drift' },
    { guard: score, name: 'score.accuracy' },
    { guard: limit, name: 'limit.errors' },
  ])('is $name', ({ guard, name }) => {
    expect(nameOfGuard(guard)).toBe(name);
  });
});
