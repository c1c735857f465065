import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Slice } from './flag.ts';
import { rampSlices } from './slices.ts';

fc.configureGlobal({ seed: 1 });

const VARIANTS = ['a', 'b', 'c', 'd'];

/** The variant of each bucket. */
function bucketsOf(slices: readonly Slice[]): readonly string[] {
  return slices.flatMap(({ variant, weight }) => Array.from({ length: weight }, () => variant));
}

function weightsOf(buckets: readonly string[]): Record<string, number> {
  return Object.fromEntries(VARIANTS.map((name) => [name, buckets.filter((variant) => variant === name).length]));
}

const slices = fc.array(fc.record({ variant: fc.constantFrom(...VARIANTS), weight: fc.nat(40) }), {
  minLength: 1,
  maxLength: 12,
});

/** Slices, and the weights of another assignment of as many buckets. */
const ramps = slices.chain((before) => {
  const size = bucketsOf(before).length;
  const after = fc.array(fc.constantFrom(...VARIANTS), { minLength: size, maxLength: size });
  return fc.tuple(fc.constant(before), after.map(weightsOf));
});

describe('rampSlices', () => {
  it.each<{ name: string; before: Slice[]; weights: Record<string, number>; after: Slice[] }>([
    {
      name: 'moves the border when the growing variant comes first',
      before: [
        { variant: 'v2', weight: 10 },
        { variant: 'v1', weight: 90 },
      ],
      weights: { v2: 20, v1: 80 },
      after: [
        { variant: 'v2', weight: 20 },
        { variant: 'v1', weight: 80 },
      ],
    },
    {
      name: 'moves it back when the first variant shrinks',
      before: [
        { variant: 'v2', weight: 20 },
        { variant: 'v1', weight: 80 },
      ],
      weights: { v2: 10, v1: 90 },
      after: [
        { variant: 'v2', weight: 10 },
        { variant: 'v1', weight: 90 },
      ],
    },
    {
      name: 'leaves a third variant where it is',
      before: [
        { variant: 'v2', weight: 10 },
        { variant: 'v3', weight: 10 },
        { variant: 'v1', weight: 80 },
      ],
      weights: { v2: 20, v3: 10, v1: 70 },
      after: [
        { variant: 'v2', weight: 10 },
        { variant: 'v3', weight: 10 },
        { variant: 'v1', weight: 70 },
        { variant: 'v2', weight: 10 },
      ],
    },
    {
      name: 'gives a new variant a slice of the shrinking one',
      before: [{ variant: 'v1', weight: 100 }],
      weights: { v1: 75, v2: 25 },
      after: [
        { variant: 'v1', weight: 75 },
        { variant: 'v2', weight: 25 },
      ],
    },
    {
      name: 'drops a variant that is left out',
      before: [
        { variant: 'v2', weight: 30 },
        { variant: 'v1', weight: 70 },
      ],
      weights: { v1: 100 },
      after: [{ variant: 'v1', weight: 100 }],
    },
  ])('$name', ({ before, weights, after }) => {
    expect(rampSlices(before, weights)).toEqual(after);
  });

  it('reaches the weights and moves exactly as many buckets as the growing variants gain', () => {
    fc.assert(
      fc.property(ramps, ([before, weights]) => {
        const [from, to] = [bucketsOf(before), bucketsOf(rampSlices(before, weights))];
        expect(weightsOf(to)).toEqual(weights);
        const old = weightsOf(from);
        const gained = VARIANTS.reduce((sum, name) => sum + Math.max(0, (weights[name] ?? 0) - (old[name] ?? 0)), 0);
        expect(from.filter((variant, bucket) => variant !== to[bucket]).length).toBe(gained);
      }),
    );
  });

  it.each([
    { weights: { a: 5 }, problem: 'the new weights add up to 5, the slices to 10' },
    { weights: { a: 11, b: -1 }, problem: 'a weight is a whole number from 0 on, not -1' },
    { weights: { a: 9.5, b: 0.5 }, problem: 'a weight is a whole number from 0 on, not 9.5' },
  ])('refuses $weights', ({ weights, problem }) => {
    expect(() => rampSlices([{ variant: 'a', weight: 10 }], weights)).toThrow(problem);
  });
});
