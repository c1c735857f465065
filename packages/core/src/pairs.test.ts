import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketOfLatency, HISTOGRAM_SIZE } from './histogram.ts';
import {
  DIFFERENCE_BUCKETS,
  differenceBucketOf,
  differenceOfBucket,
  EMPTY_PAIRS,
  MAX_FLIPS,
  MAX_SEGMENTS,
  mergePairs,
  OTHER,
  type PairExample,
  type PairTally,
  ratioBucketOf,
  ratioOfBucket,
  shrunkBucket,
  stretchedBucket,
} from './pairs.ts';

fc.configureGlobal({ seed: 1 });

const count = fc.nat(50);
const discordance = fc.record({ shadow: count, champion: count, both: count });
const histogram = fc
  .uniqueArray(fc.nat(40), { maxLength: 6 })
  .map((buckets) => buckets.toSorted((a, b) => a - b).map((bucket) => [bucket, 1 + (bucket % 7)] as const));
const flips = fc
  .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', '__proto__'), fc.constantFrom('a', 'b', 'constructor')), {
    selector: ([left, right]) => `${left}/${right}`,
  })
  .map((cells) => cells.map(([left, right]) => [left, right, 2] as const));
const moments = fc.record({ count, sum: count, sumSquares: count });
const example = fc
  .record({ requestId: fc.uuid(), distance: fc.nat(9), lot: fc.integer({ min: 0, max: 999_999 }) })
  .map(({ requestId, distance, lot }): PairExample => {
    const side = { version: 'v1', ms: 1 };
    return { requestId, atMs: 0, champion: side, shadow: side, difference: distance, distance, lot: lot / 1e6 };
  });
const segment = fc.record({ count, failed: discordance, compared: count, agreed: count, difference: moments });
const tallies: fc.Arbitrary<PairTally> = fc
  .record({
    count,
    failed: discordance,
    timeouts: discordance,
    invalid: discordance,
    compared: count,
    agreed: count,
    difference: moments,
    differences: histogram,
    flips,
    moves: fc.constantFrom({}, { abcdef01: [[1, 2, 3] as const] }),
    latency: fc.record({
      champion: histogram,
      shadow: histogram,
      ratios: histogram,
      common: histogram.map((counts) => ({ 'x1.2': counts })),
    }),
    segments: fc.dictionary(fc.constantFrom('eu', 'us', '__proto__'), segment),
    dropped: fc.constantFrom({}, { busy: 3 }),
    examples: fc.array(example, { maxLength: 3 }),
  })
  .map(({ examples, ...tally }) =>
    mergePairs({ ...EMPTY_PAIRS, worst: examples, sample: examples }, { ...EMPTY_PAIRS, ...tally }),
  );

describe('mergePairs', () => {
  it('does not care about order and grouping', () => {
    fc.assert(
      fc.property(tallies, tallies, tallies, (a, b, c) => {
        const sorted = (tally: PairTally) => JSON.stringify(tally, (_key, value: unknown) => sortKeys(value));
        expect(sorted(mergePairs(a, b))).toBe(sorted(mergePairs(b, a)));
        expect(sorted(mergePairs(mergePairs(a, b), c))).toBe(sorted(mergePairs(a, mergePairs(b, c))));
      }),
    );
  });

  it('keeps what is there beside nothing', () => {
    fc.assert(
      fc.property(tallies, (tally) => {
        expect(mergePairs(tally, EMPTY_PAIRS)).toEqual(tally);
      }),
    );
  });

  it('never grows beyond its bounds, and loses no pair', () => {
    const cells = Array.from({ length: 900 }, (_, index) => [`a${index}`, 'x', 1] as const);
    const others = Array.from({ length: 900 }, (_, index) => [`b${index}`, 'x', 1] as const);
    const merged = mergePairs({ ...EMPTY_PAIRS, flips: cells }, { ...EMPTY_PAIRS, flips: others });
    expect(merged.flips.length).toBeLessThanOrEqual(MAX_FLIPS);
    expect(merged.flips.reduce((sum, [, , seen]) => sum + seen, 0)).toBe(1800);
    const named = (letter: string) =>
      Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`${letter}${index}`, { ...SEGMENT, count: index }]));
    const { segments } = mergePairs({ ...EMPTY_PAIRS, segments: named('a') }, { ...EMPTY_PAIRS, segments: named('b') });
    expect(Object.keys(segments)).toHaveLength(MAX_SEGMENTS + 1);
    expect(segments[OTHER]?.count).toBe(
      Object.values(named('a')).reduce((sum, one) => sum + 2 * one.count, 0) - keptOf(segments),
    );
  });
});

const { failed, difference } = EMPTY_PAIRS;
const SEGMENT = { failed, compared: 0, agreed: 0, difference };

function keptOf(segments: PairTally['segments']): number {
  return Object.entries(segments).reduce((sum, [name, one]) => (name === OTHER ? sum : sum + one.count), 0);
}

function sortKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

describe('lines of latency', () => {
  it('say of every pair and every threshold whether both are beyond it', () => {
    const latency = fc.double({ min: 0.01, max: 10_000, noNaN: true });
    const lines = fc.record({ ratio: fc.constantFrom(1, 1.2, 1.5, 1.07), plusMs: fc.constantFrom(0, 5, 20) });
    fc.assert(
      fc.property(latency, latency, lines, fc.integer({ min: 1, max: HISTOGRAM_SIZE - 60 }), (...drawn) => {
        const [champion, shadow, line, threshold] = drawn;
        const [ours, theirs] = [bucketOfLatency(shadow), bucketOfLatency(champion)];
        const common = Math.min(theirs, shrunkBucket(ours, line));
        expect(common >= threshold).toBe(theirs >= threshold && ours >= stretchedBucket(threshold, line));
      }),
      { numRuns: 2000 },
    );
  });

  it('are exactly 9 buckets at a ratio of 1.2 and 20 at 1.5', () => {
    expect(stretchedBucket(100, { ratio: 1.2, plusMs: 0 })).toBe(109);
    expect(stretchedBucket(100, { ratio: 1.5, plusMs: 0 })).toBe(120);
  });
});

describe('buckets', () => {
  it('of differences keep the sign, the order and the size to within a tenth', () => {
    fc.assert(
      fc.property(fc.double({ min: -1e8, max: 1e8, noNaN: true }), (difference) => {
        const bucket = differenceBucketOf(difference);
        expect(bucket).toBeGreaterThanOrEqual(0);
        expect(bucket).toBeLessThan(DIFFERENCE_BUCKETS);
        if (Math.abs(difference) < 1e-8) return;
        expect(differenceOfBucket(bucket) / difference).toBeGreaterThan(0.9);
        expect(differenceOfBucket(bucket) / difference).toBeLessThan(1.1);
      }),
    );
  });

  it.each([0, 1e-12, -1e-12, Number.NaN])('of differences have %s in the middle', (difference) => {
    expect(differenceOfBucket(differenceBucketOf(difference))).toBe(0);
  });

  it('of ratios tell twice as slow from as fast', () => {
    const ratio = ratioOfBucket(ratioBucketOf(bucketOfLatency(10), bucketOfLatency(20)));
    expect(ratio).toBeGreaterThan(1.95);
    expect(ratio).toBeLessThan(2.05);
    expect(ratioOfBucket(ratioBucketOf(300, 300))).toBe(1);
  });
});
