import { describe, expect, it } from 'vitest';
import { bucketOfLatency, latencyOfBucket } from '../histogram.ts';
import {
  bucketOfLogLatency,
  latencyDrawer,
  type LatencyShape,
  logQuantileOf,
  normalShareBelow,
  pickerOf,
} from './latency-shape.ts';
import { randomOf } from './random.ts';

const DRAWS = 50_000;

const SHAPES: readonly {
  readonly name: string;
  readonly shape: LatencyShape;
  readonly medianMs: number;
  readonly p97Ms: number;
}[] = [
  { name: 'lognormal', shape: { kind: 'lognormal', medianMs: 100, sigma: 0.5 }, medianMs: 100, p97Ms: 256.1 },
  { name: 'Pareto', shape: { kind: 'pareto', fastestMs: 36, exponent: 2.2 }, medianMs: 49.33, p97Ms: 177.2 },
  { name: 'normal', shape: { kind: 'normal', meanMs: 100, standardDeviationMs: 15 }, medianMs: 100, p97Ms: 128.2 },
  {
    name: 'bimodal',
    shape: {
      kind: 'modes',
      modes: [
        { share: 7, medianMs: 50, sigma: 0.25 },
        { share: 3, medianMs: 200, sigma: 0.25 },
      ],
    },
    medianMs: 57.57,
    p97Ms: 275.5,
  },
  {
    name: 'recorded',
    shape: {
      kind: 'empirical',
      histogram: [
        [bucketOfLatency(10), 90],
        [bucketOfLatency(80), 10],
      ],
    },
    medianMs: 10,
    p97Ms: 80,
  },
];

describe.each(SHAPES)('$name latency', ({ shape, medianMs, p97Ms }) => {
  it('has the quantiles of its formula', () => {
    // Within a bucket, as a recorded shape knows no more.
    expect(Math.exp(logQuantileOf(shape, 0.5)) / medianMs).toBeCloseTo(1, 1);
    expect(Math.exp(logQuantileOf(shape, 0.97)) / p97Ms).toBeCloseTo(1, 1);
  });

  it('is drawn below each quantile as often as the quantile says', () => {
    const random = randomOf(1, 'test');
    const draw = latencyDrawer(shape);
    const drawn = Float64Array.from({ length: DRAWS }, () => draw(random));
    for (const quantile of [0.25, 0.5, 0.97]) {
      const limit = logQuantileOf(shape, quantile);
      const below = drawn.filter((logMs) => logMs <= limit).length / DRAWS;
      expect(Math.abs(below - quantile)).toBeLessThan(5 * Math.sqrt((quantile * (1 - quantile)) / DRAWS));
    }
  });
});

it.each([0, 1, 200, 256, 400, 1023])('puts a latency from bucket %i into that bucket', (bucket) => {
  expect(bucketOfLogLatency(Math.log(latencyOfBucket(bucket)))).toBe(bucket);
});

it('puts latencies beyond all buckets into the last ones', () => {
  expect(bucketOfLogLatency(-100)).toBe(0);
  expect(bucketOfLogLatency(100)).toBe(1023);
});

it.each([
  { value: 0, share: 0.5 },
  { value: 1.959964, share: 0.975 },
  { value: -2.326348, share: 0.01 },
])('finds $share of a normal distribution below $value', ({ value, share }) => {
  expect(normalShareBelow(value)).toBeCloseTo(share, 6);
});

it('picks by weight, and never what has none', () => {
  const pick = pickerOf([0, 1, 0, 3, 0]);
  expect([1e-10, 0.2499, 0.25, 0.999_999].map(pick)).toEqual([1, 1, 3, 3]);
});
