import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BUCKET_RATIO,
  bucketOfLatency,
  countOf,
  HISTOGRAM_SIZE,
  type Histogram,
  latencyOfBucket,
  mergeHistograms,
  quantileOf,
} from './histogram.ts';

fc.configureGlobal({ seed: 1 });

function histogramOf(latencies: readonly number[]): Histogram {
  return latencies.reduce<Histogram>((sum, ms) => mergeHistograms(sum, [[bucketOfLatency(ms), 1]]), []);
}

/** Latencies within the range of the buckets; a tail index of 8 spreads them over many decades. */
const latency = fc
  .tuple(fc.double({ min: 1e-9, max: 1, noNaN: true }), fc.constantFrom(0.1, 1, 3, 8))
  .map(([uniform, tail]) => Math.min(5e6, 0.01 * uniform ** -tail));
const latencies = fc.array(latency, { minLength: 1, maxLength: 200 });

const histogram = fc
  .uniqueArray(fc.tuple(fc.nat(HISTOGRAM_SIZE - 1), fc.integer({ min: 1, max: 1000 })), { selector: ([bucket]) => bucket })
  .map((entries): Histogram => entries.toSorted(([a], [b]) => a - b));

describe('bucketOfLatency', () => {
  it.each([
    { name: 'nothing', ms: 0, bucket: 0 },
    { name: 'a negative latency', ms: -5, bucket: 0 },
    { name: 'no number', ms: Number.NaN, bucket: 0 },
    { name: 'the smallest number', ms: Number.MIN_VALUE, bucket: 0 },
    { name: 'just above 1 ms', ms: 1.000_001, bucket: 256 },
    { name: 'a day', ms: 86_400_000, bucket: 1023 },
    { name: 'infinity', ms: Infinity, bucket: 1023 },
  ])('puts $name into bucket $bucket', ({ ms, bucket }) => {
    expect(bucketOfLatency(ms)).toBe(bucket);
  });

  it('reaches from 5.6 µs to beyond an hour and a half', () => {
    expect(latencyOfBucket(0)).toBeCloseTo(0.0056, 3);
    expect(latencyOfBucket(HISTOGRAM_SIZE - 1)).toBeGreaterThan(1.5 * 3_600_000);
  });

  it('gives the middle of every bucket back to that bucket', () => {
    const buckets = Array.from({ length: HISTOGRAM_SIZE }, (_, bucket) => bucket);
    expect(buckets.map((bucket) => bucketOfLatency(latencyOfBucket(bucket)))).toEqual(buckets);
  });

  it('shifts by 9 buckets for a margin of 1.2×, away from the edges', () => {
    const inner = fc.tuple(fc.integer({ min: 10, max: 1000 }), fc.double({ min: 0.001, max: 0.999, noNaN: true }));
    fc.assert(
      fc.property(inner, ([bucket, within]) => {
        const ms = BUCKET_RATIO ** (bucket - 256 + within);
        expect(bucketOfLatency(ms)).toBe(bucket);
        expect(bucketOfLatency(ms * 1.2)).toBe(bucket + 9);
      }),
    );
  });
});

describe('mergeHistograms', () => {
  it('does not depend on order or grouping', () => {
    fc.assert(
      fc.property(histogram, histogram, histogram, (a, b, c) => {
        expect(mergeHistograms(a, b)).toEqual(mergeHistograms(b, a));
        expect(mergeHistograms(mergeHistograms(a, b), c)).toEqual(mergeHistograms(a, mergeHistograms(b, c)));
      }),
    );
  });

  it('adds nothing for an empty histogram', () => {
    fc.assert(
      fc.property(histogram, (a) => {
        expect(mergeHistograms(a, [])).toEqual(a);
      }),
    );
  });

  it('counts everything once and keeps buckets ascending', () => {
    fc.assert(
      fc.property(histogram, histogram, (a, b) => {
        const merged = mergeHistograms(a, b);
        expect(countOf(merged)).toBe(countOf(a) + countOf(b));
        const buckets = merged.map(([bucket]) => bucket);
        expect(buckets).toEqual([...new Set(buckets)].toSorted((x, y) => x - y));
      }),
    );
  });

  it('leaves what it merges as it was', () => {
    const left: Histogram = [[3, 1]];
    const right: Histogram = [[3, 2]];
    expect(mergeHistograms(left, right)).toEqual([[3, 3]]);
    expect([left, right]).toEqual([[[3, 1]], [[3, 2]]]);
  });
});

describe('quantileOf', () => {
  it('knows nothing of an empty histogram', () => {
    expect(quantileOf([], 0.5)).toBeUndefined();
  });

  it('is within 1.03 % of the exact quantile of the sample, heavy tails included', () => {
    fc.assert(
      fc.property(latencies, fc.constantFrom(0.01, 0.5, 0.9, 0.95, 0.99, 1), (sample, quantile) => {
        const exact = sample.toSorted((a, b) => a - b)[Math.max(1, Math.ceil(quantile * sample.length)) - 1] ?? Number.NaN;
        const estimate = quantileOf(histogramOf(sample), quantile) ?? Number.NaN;
        expect(Math.abs(estimate / exact - 1)).toBeLessThan(0.0103);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    { quantile: 0.5, bucket: 10 },
    { quantile: 0.51, bucket: 20 },
    { quantile: 0.95, bucket: 20 },
    { quantile: 0.96, bucket: 30 },
    { quantile: 1, bucket: 30 },
    { quantile: 0, bucket: 10 },
  ])('takes the nearest rank: of 50, 45 and 5 requests, the quantile $quantile is in bucket $bucket', ({ quantile, bucket }) => {
    const threeBuckets: Histogram = [
      [10, 50],
      [20, 45],
      [30, 5],
    ];
    expect(quantileOf(threeBuckets, quantile)).toBe(latencyOfBucket(bucket));
  });

  it('grows with the quantile', () => {
    const ascending = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }));
    fc.assert(
      fc.property(histogram, ascending, (counts, [a, b]) => {
        expect(quantileOf(counts, Math.min(a, b)) ?? 0).toBeLessThanOrEqual(quantileOf(counts, Math.max(a, b)) ?? 0);
      }),
    );
  });
});
