import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY, mergeTallies, type Tally } from './evidence.ts';
import {
  binCountOf,
  binOf,
  binsOfNormal,
  binsOfSample,
  countsInBins,
  type Distribution,
  distributionOfClasses,
  distributionOfSample,
  MAX_BINS,
  MAX_CLASSES,
  nameOfEdges,
  type PredictionBins,
} from './prediction-bins.ts';

fc.configureGlobal({ seed: 1 });

// As large as predictions may be whose squares can be added up. JSON has no negative zero.
const real = fc.double({ min: -1e150, max: 1e150, noNaN: true }).map((value) => value + 0);
/** Samples with and without ties: measures, small integers, a constant, nearly a constant. */
const sample = fc.oneof(
  fc.array(real, { minLength: 1, maxLength: 200 }),
  fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 200 }),
  fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 200 }),
  fc.tuple(real, fc.integer({ min: 1, max: 50 })).map(([value, length]) => Array.from({ length }, () => value)),
  fc.tuple(real, real, fc.integer({ min: 1, max: 50 })).map(([a, b, length]) => [b, ...Array.from({ length }, () => a)]),
);
const edges = fc.uniqueArray(real, { minLength: 1, maxLength: MAX_BINS - 1 }).map((values) => values.toSorted((a, b) => a - b));

function isRising(values: readonly number[]): boolean {
  return values.every((value, index) => index === 0 || value > (values[index - 1] ?? Infinity));
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

describe('binsOfSample', () => {
  it.each<{ name: string; values: readonly number[]; expected: readonly number[] | undefined }>([
    { name: 'nothing has no bins', values: [], expected: undefined },
    { name: 'two values are cut half way', values: [5, 1], expected: [3] },
    {
      name: 'a value that hardly ever comes has no edge',
      values: [...Array.from({ length: 39 }, () => 1), 9],
      expected: [1 - 1e-6, 1 + 1e-6],
    },
    { name: 'a constant is alone in its bin', values: [2, 2, 2], expected: [2 - 2e-6, 2 + 2e-6] },
    { name: 'a constant of zero too', values: [0, 0], expected: [-1e-9, 1e-9] },
    { name: 'a constant below zero too', values: [-4], expected: [-4 - 4e-6, -4 + 4e-6] },
    { name: 'zeros of both signs are one value', values: [0, -0, 0], expected: [-1e-9, 1e-9] },
    {
      name: 'twenty values are cut between each two',
      values: Array.from({ length: 20 }, (_, index) => index),
      expected: Array.from({ length: 19 }, (_, index) => index + 0.5),
    },
  ])('$name', ({ values, expected }) => {
    expect(binsOfSample(values)?.edges).toEqual(expected);
  });

  it('has rising, finite edges, one to nineteen of them', () => {
    fc.assert(
      fc.property(sample, (values) => {
        const found = binsOfSample(values)?.edges ?? [];
        expect(found.length).toBeGreaterThan(0);
        expect(found.length).toBeLessThan(MAX_BINS);
        expect(isRising(found)).toBe(true);
        expect(found.every(Number.isFinite)).toBe(true);
      }),
    );
  });

  it('does not depend on the order of the sample, and leaves it as it was', () => {
    fc.assert(
      fc.property(sample, (values) => {
        const before = [...values];
        expect(binsOfSample(values.toReversed())).toEqual(binsOfSample(values));
        expect(values).toEqual(before);
      }),
    );
  });

  it('puts a twentieth of a sample without ties into each bin, give or take one', () => {
    fc.assert(
      fc.property(fc.uniqueArray(real, { minLength: MAX_BINS, maxLength: 300 }), (values) => {
        const { counts = [] } = distributionOfSample(values) ?? {};
        expect(counts).toHaveLength(MAX_BINS);
        for (const count of counts) expect(Math.abs(count - values.length / MAX_BINS)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('puts a value of single precision into the bin of its double', () => {
    const values = Array.from({ length: 100 }, (_, index) => Math.round(index / 10) / 10);
    const { edges: found = [] } = binsOfSample(values) ?? {};
    expect(values.map((value) => binOf(found, Math.fround(value)))).toEqual(values.map((value) => binOf(found, value)));
  });

  it('tells a constant from anything below and anything clearly above', () => {
    fc.assert(
      fc.property(real, fc.integer({ min: 1, max: 5 }), (value, length) => {
        const found = binsOfSample(Array.from({ length }, () => value))?.edges ?? [];
        const step = Math.max(Math.abs(value) * 2e-6, 1e-6);
        expect([value - step, value, value + step].map((one) => binOf(found, one))).toEqual([0, 1, 2]);
      }),
    );
  });
});

describe('binsOfNormal', () => {
  it('has nineteen rising edges, the mean in the middle', () => {
    const { edges: found = [] } = binsOfNormal(0, 2) ?? {};
    expect(found).toHaveLength(MAX_BINS - 1);
    expect(isRising(found)).toBe(true);
    expect(found.map((edge) => 0 - edge).toReversed()).toEqual(found);
    expect(binsOfNormal(10, 2)?.edges).toEqual(found.map((edge) => edge + 10));
  });

  it('puts a twentieth of a normal sample into each bin', () => {
    const { edges: found = [] } = binsOfNormal(0, 1) ?? {};
    const density = (z: number): number => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
    const step = 1e-3;
    const shares = Array.from({ length: MAX_BINS }, () => 0);
    for (let z = -8; z < 8; z += step) shares[binOf(found, z)] = (shares[binOf(found, z)] ?? 0) + density(z) * step;
    for (const share of shares) expect(share).toBeCloseTo(0.05, 3);
  });

  it.each([
    { name: 'without spread', mean: 1, deviation: 0 },
    { name: 'with a spread that is none', mean: 1, deviation: Number.NaN },
    { name: 'with a negative spread', mean: 1, deviation: -1 },
    { name: 'beyond all numbers', mean: 1e308, deviation: 1e308 },
    { name: 'whose mean is no number', mean: Number.NaN, deviation: 1 },
    { name: 'whose spread is lost beside its mean', mean: 1e20, deviation: 1 },
  ])('does not exist $name', ({ mean, deviation }) => {
    expect(binsOfNormal(mean, deviation)).toBeUndefined();
  });

  it('has rising, finite edges wherever it has any', () => {
    fc.assert(
      fc.property(real, fc.double({ min: 0, max: 1e150, noNaN: true }), (mean, deviation) => {
        const found = binsOfNormal(mean, deviation)?.edges ?? [0, 1];
        expect(isRising(found) && found.length > 1 && found.length < MAX_BINS && found.every(Number.isFinite)).toBe(true);
      }),
    );
  });
});

describe('binOf', () => {
  it.each([
    { name: 'below the first edge', value: 0.9, bin: 0 },
    { name: 'at an edge, above it', value: 1, bin: 1 },
    { name: 'between two edges', value: 1.5, bin: 1 },
    { name: 'at the last edge', value: 3, bin: 3 },
    { name: 'above all', value: 99, bin: 3 },
    { name: 'at minus infinity', value: -Infinity, bin: 0 },
    { name: 'at infinity', value: Infinity, bin: 3 },
    { name: 'nowhere', value: Number.NaN, bin: 3 },
  ])('is $bin for a value $name', ({ value, bin }) => {
    expect(binOf([1, 2, 3], value)).toBe(bin);
  });

  it('is what counting the edges one by one gives', () => {
    fc.assert(
      fc.property(edges, real, fc.nat(), (some, value, choice) => {
        // Also exactly at an edge, which chance would never find.
        for (const one of [value, some[choice % some.length] ?? value]) {
          expect(binOf(some, one)).toBe(some.filter((edge) => edge <= one).length);
        }
      }),
    );
  });
});

describe('nameOfEdges', () => {
  // Gateways and control planes of different releases meet under these names.
  it.each([
    { some: [0], name: 'd271c07f' },
    { some: [1, 2, 3], name: 'f831fca9' },
    { some: [-1.5, 0.1, 1e21], name: '28ed91d7' },
  ])('of $some is $name for ever', ({ some, name }) => {
    expect(nameOfEdges(some)).toBe(name);
  });

  it('is eight hexadecimal digits, survives JSON, and differs for other edges', () => {
    fc.assert(
      fc.property(edges, edges, (a, b) => {
        expect(nameOfEdges(a)).toMatch(/^[0-9a-f]{8}$/);
        expect(nameOfEdges(JSON.parse(JSON.stringify(a)))).toBe(nameOfEdges(a));
        expect(nameOfEdges(a) === nameOfEdges(b)).toBe(a.join() === b.join());
      }),
    );
  });
});

describe('countsInBins', () => {
  const ordered: PredictionBins = { kind: 'ordered', edges: [1, 2] };
  const classes: PredictionBins = { kind: 'classes', classes: ['cat', '__proto__'] };
  const protoClass = Object.fromEntries([
    ['__proto__', 4],
    ['cat', 1],
  ]);

  it.each<{ name: string; bins: PredictionBins; tally: Pick<Tally, 'bins' | 'classes'>; expected: readonly number[] }>([
    {
      name: 'takes the counts in the same edges',
      bins: ordered,
      tally: { bins: { [nameOfEdges([1, 2])]: [3, 4, 5] }, classes: {} },
      expected: [3, 4, 5],
    },
    {
      name: 'takes nothing that was counted in other edges',
      bins: ordered,
      tally: { bins: { [nameOfEdges([1, 3])]: [3, 4, 5] }, classes: { 1: 7 } },
      expected: [0, 0, 0],
    },
    { name: 'is all zero for nothing', bins: ordered, tally: EMPTY_TALLY, expected: [0, 0, 0] },
    {
      name: 'puts classes that are not listed together, last',
      bins: classes,
      tally: { bins: {}, classes: { dog: 2, cat: 3, other: 5, constructor: 1 } },
      expected: [3, 0, 8],
    },
    { name: 'finds a class whatever it is called', bins: classes, tally: { bins: {}, classes: protoClass }, expected: [1, 4, 0] },
  ])('$name', ({ bins, tally, expected }) => {
    expect(countsInBins(bins, tally)).toEqual(expected);
    expect(binCountOf(bins)).toBe(expected.length);
  });

  it('of two tallies together is the sum of both', () => {
    const tally = fc
      .record({ seen: fc.array(fc.nat(50), { minLength: 3, maxLength: 3 }), cat: fc.nat(9), dog: fc.nat(9) })
      .map(({ seen, cat, dog }): Tally => ({ ...EMPTY_TALLY, bins: { [nameOfEdges([1, 2])]: seen }, classes: { cat, dog } }));
    fc.assert(
      fc.property(tally, tally, fc.constantFrom(ordered, classes), (a, b, bins) => {
        const [left, right] = [countsInBins(bins, a), countsInBins(bins, b)];
        expect(countsInBins(bins, mergeTallies(a, b))).toEqual(left.map((count, bin) => count + (right[bin] ?? 0)));
      }),
    );
  });
});

describe('a distribution', () => {
  const isWhole = ({ bins, counts }: Distribution): boolean => counts.length === binCountOf(bins);

  it('of nothing does not exist', () => {
    expect(distributionOfSample([])).toBeUndefined();
  });

  it('of a sample counts every value once, in its bin', () => {
    fc.assert(
      fc.property(sample, (values) => {
        const found = distributionOfSample(values);
        if (found?.bins.kind !== 'ordered') throw new Error('a sample of numbers has ordered bins');
        expect(isWhole(found)).toBe(true);
        expect(sumOf(found.counts)).toBe(values.length);
        const { edges: some } = found.bins;
        expect(found.counts).toEqual(found.counts.map((_, bin) => values.filter((value) => binOf(some, value) === bin).length));
      }),
    );
  });

  it.each<{ name: string; seen: Record<string, number>; expected: Distribution }>([
    {
      name: 'lists classes by how often they come, then by name',
      seen: { b: 2, a: 2, c: 9 },
      expected: { bins: { kind: 'classes', classes: ['c', 'a', 'b'] }, counts: [9, 2, 2, 0] },
    },
    {
      name: 'has what gateways do not tell apart in its last bin',
      seen: { other: 7, cat: 1 },
      expected: { bins: { kind: 'classes', classes: ['cat'] }, counts: [1, 7] },
    },
    {
      name: 'knows a class whatever it is called',
      seen: Object.fromEntries([['__proto__', 3]]),
      expected: { bins: { kind: 'classes', classes: ['__proto__'] }, counts: [3, 0] },
    },
    { name: 'may have seen nothing', seen: {}, expected: { bins: { kind: 'classes', classes: [] }, counts: [0] } },
  ])('of classes $name', ({ seen, expected }) => {
    expect(distributionOfClasses(seen)).toEqual(expected);
  });

  it('of classes counts every request once, at most 64 classes apart, the most frequent ones', () => {
    const dictionaryOf = (minKeys: number, maxKeys: number) =>
      fc.dictionary(fc.string({ maxLength: 4 }), fc.integer({ min: 1, max: 1000 }), { minKeys, maxKeys });
    const seen = fc.oneof(dictionaryOf(0, 10), dictionaryOf(60, 80));
    fc.assert(
      fc.property(seen, (counted) => {
        const found = distributionOfClasses(counted);
        expect(isWhole(found)).toBe(true);
        expect(sumOf(found.counts)).toBe(sumOf(Object.values(counted)));
        const named = found.counts.slice(0, -1);
        expect(named.length).toBeLessThanOrEqual(MAX_CLASSES);
        expect(named).toEqual(named.toSorted((a, b) => b - a));
        const left = Object.entries(counted).filter(
          ([name]) => name !== 'other' && found.bins.kind === 'classes' && !found.bins.classes.includes(name),
        );
        for (const [, count] of left) expect(count).toBeLessThanOrEqual(named.at(-1) ?? 0);
      }),
    );
  });
});
