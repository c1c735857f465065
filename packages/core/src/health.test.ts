import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY, momentsOf, type Tally } from './evidence.ts';
import { DEFAULT_HEALTH_LIMITS, meanDriftOf, percent, readHealth } from './health.ts';
import { bucketOfLatency, latencyOfBucket } from './histogram.ts';
import type { Baseline } from './model-version.ts';

fc.configureGlobal({ seed: 1 });

const baseline: Baseline = { count: 100, mean: 0.5, standardDeviation: 0.1, source: 'validation', setAtMs: 0 };
const flat: Baseline = { ...baseline, standardDeviation: 0 };

interface Seen {
  /** Milliseconds and how many requests took them. */
  readonly latencies?: readonly (readonly [ms: number, count: number])[];
  readonly errors?: number;
  readonly predictions?: readonly number[];
}

function tallyOf({ latencies = [[10, 100]], errors = 0, predictions = [] }: Seen): Tally {
  const requests = latencies.reduce((sum, [, count]) => sum + count, 0);
  const latency = latencies.map(([ms, count]) => [bucketOfLatency(ms), count] as const);
  return { ...EMPTY_TALLY, requests, errors, latency, predictions: momentsOf(predictions) };
}

function read(seen: Seen, against: Baseline | undefined = baseline) {
  const [latency, errors, drift] = readHealth(DEFAULT_HEALTH_LIMITS, tallyOf(seen), against);
  return { latency, errors, drift };
}

const repeat = (value: number, count: number) => Array.from({ length: count }, () => value);

describe('readHealth', () => {
  it('has the usual limits unless told otherwise', () => {
    expect(DEFAULT_HEALTH_LIMITS).toEqual({ window: 200, minSamples: 20, p95LatencyMs: 500, errorRate: 0.05, meanDrift: 2 });
  });

  it.each([
    { name: 'fast answers', latencies: [[10, 100]], verdict: 'healthy' },
    { name: 'answers just below the limit', latencies: [[490, 100]], verdict: 'healthy' },
    { name: 'answers just above the limit', latencies: [[511, 100]], verdict: 'harmful' },
    {
      name: 'exactly 5 % of slow answers',
      latencies: [
        [10, 95],
        [2000, 5],
      ],
      verdict: 'healthy',
    },
    {
      name: 'a little more than 5 % of slow answers',
      latencies: [
        [10, 94],
        [2000, 6],
      ],
      verdict: 'harmful',
    },
    { name: '19 slow answers', latencies: [[2000, 19]], verdict: 'no-data' },
    { name: '20 slow answers', latencies: [[2000, 20]], verdict: 'harmful' },
    { name: 'no answer', latencies: [], verdict: 'no-data' },
  ] as const)('judges the 95th percentile of $name as $verdict', ({ latencies, verdict }) => {
    expect(read({ latencies }).latency).toMatchObject({ guard: 'health.p95-latency', verdict, limit: 500, unit: 'ms' });
  });

  it('finds a 95th percentile of exactly the limit healthy', () => {
    const tally = tallyOf({ latencies: [[10, 100]] });
    const p95LatencyMs = latencyOfBucket(bucketOfLatency(10));
    expect(readHealth({ ...DEFAULT_HEALTH_LIMITS, p95LatencyMs }, tally, undefined)[0]?.verdict).toBe('healthy');
  });

  it.each([
    { errors: 0, requests: 100, verdict: 'healthy' },
    { errors: 1, requests: 20, verdict: 'healthy' },
    { errors: 5, requests: 100, verdict: 'healthy' },
    { errors: 10, requests: 200, verdict: 'healthy' },
    { errors: 6, requests: 100, verdict: 'harmful' },
    { errors: 11, requests: 200, verdict: 'harmful' },
    { errors: 2, requests: 20, verdict: 'harmful' },
    { errors: 19, requests: 19, verdict: 'no-data' },
    { errors: 20, requests: 20, verdict: 'harmful' },
    { errors: 0, requests: 0, verdict: 'no-data' },
  ])('judges $errors errors of $requests requests as $verdict', ({ errors, requests, verdict }) => {
    const { errors: reading } = read({ latencies: [[10, requests]], errors });
    expect(reading).toMatchObject({ guard: 'health.errors', verdict, limit: 0.05, samples: requests });
  });

  it('finds no error rate of exactly 5 % harmful, whatever the number of requests', () => {
    for (let requests = 20; requests <= 10_000; requests += 20) {
      expect(read({ latencies: [[10, requests]], errors: requests / 20 }).errors?.verdict).toBe('healthy');
      expect(read({ latencies: [[10, requests]], errors: requests / 20 + 1 }).errors?.verdict).toBe('harmful');
    }
  });

  it.each([
    { name: 'predictions on the mean', predictions: repeat(0.5, 10), verdict: 'healthy' },
    { name: 'predictions 1.9 deviations above', predictions: repeat(0.69, 10), verdict: 'healthy' },
    { name: 'predictions 2.1 deviations above', predictions: repeat(0.71, 10), verdict: 'harmful' },
    { name: 'predictions 2.1 deviations below', predictions: repeat(0.29, 10), verdict: 'harmful' },
    { name: 'nine predictions far away', predictions: repeat(99, 9), verdict: 'no-data' },
    { name: 'ten predictions far away', predictions: repeat(99, 10), verdict: 'harmful' },
    { name: 'no prediction', predictions: [], verdict: 'no-data' },
    { name: 'predictions too large to add up', predictions: repeat(1e308, 10), verdict: 'harmful' },
    { name: 'predictions too large both ways', predictions: [...repeat(1e308, 5), ...repeat(-1e308, 9)], verdict: 'harmful' },
  ])('judges the drift of $name as $verdict', ({ predictions, verdict }) => {
    const { drift } = read({ predictions });
    expect(drift).toMatchObject({ guard: 'health.mean-drift', verdict, limit: 2, samples: predictions.length });
  });

  it('judges drift of exactly two deviations as healthy', () => {
    const exact = { ...baseline, mean: 4, standardDeviation: 2 };
    expect(read({ predictions: repeat(8, 10) }, exact).drift?.verdict).toBe('healthy');
    expect(read({ predictions: repeat(8.001, 10) }, exact).drift?.verdict).toBe('harmful');
  });

  it('says that drift is not judged without a baseline', () => {
    const [, , drift] = readHealth(DEFAULT_HEALTH_LIMITS, tallyOf({ predictions: repeat(99, 100) }), undefined);
    expect(drift).toMatchObject({ verdict: 'no-data', reason: 'no baseline is registered, so drift is not judged' });
  });

  it.each([
    { name: 'the same value', predictions: repeat(0.5, 30), verdict: 'healthy' },
    { name: 'another value', predictions: repeat(0.6, 30), verdict: 'harmful' },
    { name: 'nearly always the same value', predictions: [...repeat(0.5, 199), 0.6], verdict: 'harmful' },
  ])('judges $name against a baseline without spread as $verdict', ({ predictions, verdict }) => {
    expect(read({ predictions }, flat).drift?.verdict).toBe(verdict);
  });

  it('never takes a rounding error for drift when a model always predicts the same', () => {
    fc.assert(
      fc.property(fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.integer({ min: 10, max: 200 }), (mean, count) => {
        expect(read({ predictions: repeat(mean, count) }, { ...flat, mean }).drift?.verdict).toBe('healthy');
      }),
    );
  });

  it('gives readings that survive JSON unchanged, infinite drift included', () => {
    const readings = readHealth(DEFAULT_HEALTH_LIMITS, tallyOf({ predictions: repeat(0.6, 30) }), flat);
    expect(JSON.parse(JSON.stringify(readings))).toEqual(readings);
    expect(readings[2]?.reason).toBe('mean prediction 0.6 differs from 0.5, which is all that the baseline ever had');
  });

  it('says each violation with its numbers', () => {
    const { latency, errors, drift } = read({ latencies: [[2000, 100]], errors: 8, predictions: repeat(0.9, 20) });
    expect(latency?.reason).toMatch(/^p95 latency 20\d\d\.\d ms exceeds 500 ms$|^p95 latency 19\d\d\.\d ms exceeds 500 ms$/);
    expect(errors?.reason).toBe('error rate 8.00 % (8 of 100) exceeds 5.00 %');
    expect(drift?.reason).toBe('mean prediction is 4.00 baseline standard deviations from 0.5, beyond 2');
  });

  it('says how much is missing', () => {
    const { latency, drift } = read({ latencies: [[10, 7]], predictions: repeat(0.5, 3) });
    expect(latency?.reason).toBe('not enough data: 7 of 20 samples');
    expect(drift?.reason).toBe('not enough data: 3 of 10 samples');
  });
});

describe('meanDriftOf', () => {
  it.each([
    { name: 'no prediction', predictions: [], against: baseline, drift: undefined },
    { name: 'the same mean without spread', predictions: [0.5], against: flat, drift: 0 },
    { name: 'another mean without spread', predictions: [0.75], against: flat, drift: Infinity },
    { name: 'a mean of zero without spread', predictions: [0, 0], against: { ...flat, mean: 0 }, drift: 0 },
    { name: 'one deviation away', predictions: [3], against: { ...baseline, mean: 2, standardDeviation: 1 }, drift: 1 },
  ])('is $drift for $name', ({ predictions, against, drift }) => {
    expect(meanDriftOf(tallyOf({ predictions }), against)).toBe(drift);
  });
});

describe('percent', () => {
  it.each([
    { share: 0, text: '0.00 %' },
    { share: 0.0425, text: '4.25 %' },
    { share: 1, text: '100.00 %' },
  ])('writes $share as $text', ({ share, text }) => {
    expect(percent(share)).toBe(text);
  });
});
