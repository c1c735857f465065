import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Profile, PROFILES } from './bucketing-profile.ts';
import type { Flag, Serve, Slice } from './flag.ts';
import { rampServe } from './ramp.ts';

fc.configureGlobal({ seed: 1 });

const NAMES = ['a', 'b', 'c'];

function flagOf(profile: Profile = 'unleash', names: readonly string[] = NAMES): Flag {
  return {
    key: 'f',
    type: 'string',
    on: true,
    variants: names.map((name) => ({ name, value: name })),
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: { variant: 'a' },
    bucketing: { profile, salt: 's' },
  };
}

/** Slices after a ramp; the problem when there is none. */
function ramped(flag: Flag, serve: Serve, wish: Parameters<typeof rampServe>[2]): readonly Slice[] | string {
  const ramp = rampServe(flag, serve, wish);
  if (ramp.outcome === 'impossible') return ramp.problem;
  return 'split' in ramp.serve ? ramp.serve.split.slices : [];
}

function sliced(weights: readonly number[], total?: number): Serve {
  const slices = weights.map((weight, index) => ({ variant: NAMES[index] ?? '', weight }));
  return { split: { slices, ...(total === undefined ? {} : { total }) } };
}

describe('rampServe', () => {
  it.each([
    {
      name: 'cuts a slice out of a fixed variant',
      serve: { variant: 'a' },
      wish: { variant: 'b', percent: 10 },
      slices: [
        { variant: 'a', weight: 90_000 },
        { variant: 'b', weight: 10_000 },
      ],
    },
    {
      name: 'takes from the others in proportion',
      serve: sliced([60_000, 30_000, 10_000]),
      wish: { variant: 'c', percent: 40 },
      slices: [
        { variant: 'a', weight: 40_000 },
        { variant: 'c', weight: 20_000 },
        { variant: 'b', weight: 20_000 },
        { variant: 'c', weight: 20_000 },
      ],
    },
    {
      name: 'takes from one only when told to',
      serve: sliced([60_000, 30_000, 10_000]),
      wish: { variant: 'c', percent: 40, against: 'b' },
      slices: [
        { variant: 'a', weight: 60_000 },
        { variant: 'c', weight: 40_000 },
      ],
    },
  ])('$name', ({ serve, wish, slices }) => {
    expect(ramped(flagOf(), serve, wish)).toEqual(slices);
  });

  it.each([
    { name: 'who takes the rest', serve: { variant: 'a' }, wish: { variant: 'a', percent: 50 }, says: 'against one of b, c' },
    {
      name: 'that there is not enough',
      serve: sliced([60_000, 30_000, 10_000]),
      wish: { variant: 'c', percent: 60, against: 'b' },
      says: '"b" has not enough to give: it has 30 %',
    },
    {
      name: "the steps of another system's total",
      serve: sliced([50, 50, 0], 100),
      wish: { variant: 'a', percent: 33.3 },
      says: 'in steps of 1 %',
    },
    {
      name: 'that weights are not whole',
      serve: sliced([33.3, 66.7, 0], 100),
      wish: { variant: 'a', percent: 50 },
      says: 'not whole numbers',
    },
  ])('says $name', ({ serve, wish, says }) => {
    expect(ramped(flagOf(), serve, wish)).toContain(says);
  });

  it('gives the rest to the only other variant', () => {
    expect(ramped(flagOf('unleash', ['a', 'b']), { variant: 'a' }, { variant: 'a', percent: 0 })).toEqual([
      { variant: 'b', weight: 100_000 },
    ]);
  });

  it.each(PROFILES.filter((profile) => !profile.startsWith('unleash')))('divides fractions of %s', (profile) => {
    expect(ramped(flagOf(profile), sliced([33.3, 66.7, 0], 100), { variant: 'a', percent: 50 })).toEqual([
      { variant: 'a', weight: 50_000 },
      { variant: 'b', weight: 50_000 },
    ]);
  });

  it('gives exactly what is asked for, and moves no more than that', () => {
    const cuts = fc.tuple(fc.nat(100_000), fc.nat(100_000)).map(([x, y]) => [Math.min(x, y), Math.max(x, y)] as const);
    fc.assert(
      fc.property(cuts, fc.constantFrom('a', 'b'), fc.nat(100_000), ([first, second], variant, weight) => {
        const before = [first, second - first, 100_000 - second];
        fc.pre(before.some((has, index) => has > 0 && NAMES[index] !== variant));
        const ramp = rampServe(flagOf(), sliced(before), { variant, percent: weight / 1000 });
        expect(ramp.outcome).toBe('ramped');
        if (ramp.outcome === 'impossible' || !('split' in ramp.serve)) return;
        const after = ramp.serve.split.slices.filter((slice) => slice.variant === variant);
        expect(after.reduce((sum, slice) => sum + slice.weight, 0)).toBe(weight);
        const had = before[NAMES.indexOf(variant)] ?? 0;
        expect(ramp.movedPercent).toBeCloseTo(Math.abs(weight - had) / 1000, 9);
      }),
    );
  });
});
