import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY, meanOf, mergeMoments, mergeTallies, momentsOf, standardDeviationOf, type Tally } from './evidence.ts';

fc.configureGlobal({ seed: 1 });

const count = fc.nat(10_000);
const className = fc.oneof(
  fc.constantFrom('cat', 'dog', '0', '10', 'other', '__proto__', 'constructor', 'toString', 'hasOwnProperty', ''),
  fc.string({ maxLength: 3 }),
);

/** Sums of integers, so that adding them is exact in any order. */
const tally: fc.Arbitrary<Tally> = fc.record({
  requests: count,
  errors: count,
  timeouts: count,
  invalid: count,
  rescued: count,
  rejected: count,
  latency: fc
    .uniqueArray(fc.tuple(fc.nat(1023), fc.integer({ min: 1, max: 99 })), { selector: ([bucket]) => bucket, maxLength: 20 })
    .map((entries) => entries.toSorted(([a], [b]) => a - b)),
  predictions: fc.array(fc.integer({ min: -1000, max: 1000 }), { maxLength: 20 }).map(momentsOf),
  classes: fc
    .array(fc.tuple(className, fc.integer({ min: 1, max: 99 })), { maxLength: 8 })
    .map((entries) => Object.fromEntries(entries)),
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

  it('counts every class of both, whatever it is called', () => {
    fc.assert(
      fc.property(tally, tally, (a, b) => {
        const total = new Map<string, number>();
        for (const [name, seen] of [...Object.entries(a.classes), ...Object.entries(b.classes)]) {
          total.set(name, (total.get(name) ?? 0) + seen);
        }
        expect(new Map(Object.entries(mergeTallies(a, b).classes))).toEqual(total);
      }),
    );
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('counts a class called %s like any other', (name) => {
    const one: Tally = { ...EMPTY_TALLY, classes: Object.fromEntries([[name, 2]]) };
    const merged = mergeTallies(mergeTallies(EMPTY_TALLY, one), one);
    expect(Object.entries(merged.classes)).toEqual([[name, 4]]);
    expect(JSON.stringify(merged.classes)).toBe(`{"${name}":4}`);
  });

  it('survives JSON unchanged', () => {
    fc.assert(
      fc.property(tally, tally, (a, b) => {
        expect(JSON.parse(JSON.stringify(mergeTallies(a, b)))).toEqual(mergeTallies(a, b));
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
