import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addCounts,
  EMPTY_TALLY,
  latencyOf,
  meanOf,
  mergeMoments,
  mergeTallies,
  momentsOf,
  standardDeviationOf,
  type Tally,
} from './evidence.ts';
import { countOf, type Histogram } from './histogram.ts';

fc.configureGlobal({ seed: 1 });

const count = fc.nat(10_000);
const named = fc.oneof(
  fc.constantFrom('cat', 'dog', '0', '10', 'other', '__proto__', 'constructor', 'toString', 'hasOwnProperty', ''),
  fc.string({ maxLength: 3 }),
);

const histogram: fc.Arbitrary<Histogram> = fc
  .uniqueArray(fc.tuple(fc.nat(1023), fc.integer({ min: 1, max: 99 })), { selector: ([bucket]) => bucket, maxLength: 20 })
  .map((entries) => entries.toSorted(([a], [b]) => a - b));

/** Sums of integers, so that adding them is exact in any order. */
const moments = fc.array(fc.integer({ min: -1000, max: 1000 }), { maxLength: 20 }).map(momentsOf);
const counts = fc.array(fc.nat(99), { maxLength: 20 });

function recordOf<T>(value: fc.Arbitrary<T>): fc.Arbitrary<Readonly<Record<string, T>>> {
  return fc.array(fc.tuple(named, value), { maxLength: 8 }).map((entries) => Object.fromEntries(entries));
}

const tally: fc.Arbitrary<Tally> = fc.record({
  requests: count,
  errors: count,
  timeouts: count,
  invalid: count,
  rescued: count,
  rejected: count,
  latency: histogram,
  coldLatency: histogram,
  predictions: moments,
  classes: recordOf(fc.integer({ min: 1, max: 99 })),
  bins: recordOf(counts),
  scores: recordOf(moments),
});

describe('mergeTallies', () => {
  it('does not depend on the order', () => {
    fc.assert(
      fc.property(tally, tally, (a, b) => {
        expect(mergeTallies(a, b)).toEqual(mergeTallies(b, a));
      }),
    );
  });

  it('does not depend on the grouping', () => {
    fc.assert(
      fc.property(tally, tally, tally, (a, b, c) => {
        expect(mergeTallies(mergeTallies(a, b), c)).toEqual(mergeTallies(a, mergeTallies(b, c)));
      }),
    );
  });

  it('has the empty tally as its neutral element', () => {
    fc.assert(
      fc.property(tally, (a) => {
        expect(mergeTallies(a, EMPTY_TALLY)).toEqual(a);
        expect(mergeTallies(EMPTY_TALLY, a)).toEqual(a);
      }),
    );
  });

  it('counts every name of both, whatever it is called', () => {
    const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
    const totals = (one: Tally): readonly (readonly [string, number])[] => [
      ...Object.entries(one.classes).map(([name, seen]) => [`class ${name}`, seen] as const),
      ...Object.entries(one.bins).map(([name, seen]) => [`bins ${name}`, sumOf(seen)] as const),
      ...Object.entries(one.scores).map(([name, seen]) => [`score ${name}`, seen.count] as const),
    ];
    fc.assert(
      fc.property(tally, tally, (a, b) => {
        const expected = new Map<string, number>();
        for (const [name, seen] of [...totals(a), ...totals(b)]) expected.set(name, (expected.get(name) ?? 0) + seen);
        expect(new Map(totals(mergeTallies(a, b)))).toEqual(expected);
      }),
    );
  });

  it('keeps cold latencies apart', () => {
    fc.assert(
      fc.property(tally, tally, (a, b) => {
        const merged = mergeTallies(a, b);
        expect(countOf(merged.coldLatency)).toBe(countOf(a.coldLatency) + countOf(b.coldLatency));
        expect(countOf(merged.latency)).toBe(countOf(a.latency) + countOf(b.latency));
        expect(countOf(latencyOf(merged))).toBe(countOf(merged.latency) + countOf(merged.coldLatency));
      }),
    );
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('counts what is called %s like any other', (name) => {
    const called = <T>(value: T): Readonly<Record<string, T>> => Object.fromEntries([[name, value]]);
    const one: Tally = { ...EMPTY_TALLY, classes: called(2), bins: called([1, 0]), scores: called(momentsOf([1])) };
    const merged = mergeTallies(mergeTallies(EMPTY_TALLY, one), one);
    expect(JSON.stringify([merged.classes, merged.bins, merged.scores])).toBe(
      `[{"${name}":4},{"${name}":[2,0]},{"${name}":{"count":2,"sum":2,"sumSquares":2}}]`,
    );
  });

  it('leaves what it merges as it was', () => {
    const left: Tally = { ...EMPTY_TALLY, classes: { a: 1 }, bins: { x: [1] }, scores: { s: momentsOf([1]) } };
    const before = structuredClone(left);
    mergeTallies(left, left);
    expect(left).toEqual(before);
  });

  it('survives JSON unchanged', () => {
    fc.assert(
      fc.property(tally, tally, (a, b) => {
        expect(JSON.parse(JSON.stringify(mergeTallies(a, b)))).toEqual(mergeTallies(a, b));
      }),
    );
  });
});

describe('addCounts', () => {
  it.each<{ name: string; left: number[]; right: number[]; sum: number[] }>([
    { name: 'place by place', left: [1, 2], right: [10, 20], sum: [11, 22] },
    { name: 'a shorter list as if it went on with zeros', left: [1], right: [10, 20], sum: [11, 20] },
    { name: 'nothing', left: [3, 4], right: [], sum: [3, 4] },
  ])('adds $name, in either order', ({ left, right, sum }) => {
    expect(addCounts(left, right)).toEqual(sum);
    expect(addCounts(right, left)).toEqual(sum);
  });

  it('depends on neither order nor grouping', () => {
    fc.assert(
      fc.property(counts, counts, counts, (a, b, c) => {
        expect(addCounts(a, b)).toEqual(addCounts(b, a));
        expect(addCounts(addCounts(a, b), c)).toEqual(addCounts(a, addCounts(b, c)));
      }),
    );
  });
});

describe('moments', () => {
  const sample = fc.array(fc.double({ min: -1000, max: 1000, noNaN: true }), { minLength: 2, maxLength: 100 });

  it('give the mean and the standard deviation of the sample', () => {
    fc.assert(
      fc.property(sample, (values) => {
        const moments = momentsOf(values);
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
        expect(meanOf(moments)).toBeCloseTo(mean, 9);
        expect(standardDeviationOf(moments)).toBeCloseTo(Math.sqrt(variance), 3);
      }),
    );
  });

  it('of two samples are merged into those of both', () => {
    fc.assert(
      fc.property(sample, sample, (a, b) => {
        const merged = mergeMoments(momentsOf(a), momentsOf(b));
        const both = momentsOf([...a, ...b]);
        expect(merged.count).toBe(both.count);
        expect(merged.sum).toBeCloseTo(both.sum, 6);
        expect(merged.sumSquares).toBeCloseTo(both.sumSquares, 3);
      }),
    );
  });

  it.each([
    { name: 'nothing', values: [], mean: undefined, deviation: undefined },
    { name: 'one value', values: [3], mean: 3, deviation: undefined },
    { name: 'equal values', values: [2, 2, 2], mean: 2, deviation: 0 },
    { name: 'two values', values: [1, 3], mean: 2, deviation: Math.SQRT2 },
    { name: 'values whose squares no number can hold', values: [1e200, -1e200], mean: 0, deviation: undefined },
  ])('of $name have mean $mean and standard deviation $deviation', ({ values, mean, deviation }) => {
    const moments = momentsOf(values);
    expect(meanOf(moments)).toBe(mean);
    expect(standardDeviationOf(moments)).toBe(deviation);
  });

  it('never give a negative or undefined spread for equal values, whatever rounding does', () => {
    fc.assert(
      fc.property(fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.integer({ min: 2, max: 300 }), (value, length) => {
        const deviation = standardDeviationOf(momentsOf(Array.from({ length }, () => value))) ?? Number.NaN;
        expect(deviation).toBeGreaterThanOrEqual(0);
        // Squares of numbers below 1e-154 are not normal any more, hence the second term.
        expect(deviation).toBeLessThanOrEqual(Math.abs(value) * 1e-6 + 1e-150);
      }),
    );
  });
});
