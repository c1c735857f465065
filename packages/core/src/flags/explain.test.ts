import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PROFILES } from './bucketing-profile.ts';
import type { Context } from './context.ts';
import { explainFlag } from './explain.ts';
import type { Flag, Rule } from './flag.ts';

fc.configureGlobal({ seed: 1 });

const PORTS = { compileRegex: () => undefined, circumstances: { atMs: 1000, random: () => 0.5 } };

function flagOf(more: Partial<Flag> = {}): Flag {
  return {
    key: 'f',
    type: 'string',
    on: true,
    variants: ['a', 'b', 'c'].map((name) => ({ name, value: name })),
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: { variant: 'a' },
    bucketing: { profile: 'unleash', salt: 's' },
    ...more,
  };
}

function explain(flag: Flag, context: Context = {}) {
  return explainFlag({ flags: [flag], segments: [] }, flag.key, { ...PORTS, context });
}

function last(flag: Flag, context?: Context): string | undefined {
  return explain(flag, context).why.at(-1)?.sentence;
}

/** Says something else each time it is asked. */
function chanceOf(): () => number {
  let asked = 0;
  return () => (asked++ % 7) / 7;
}

const rule = (all: Rule['all']): Partial<Flag> => ({ rules: [{ all, serve: { variant: 'b' } }] });

describe('explainFlag', () => {
  it.each([
    {
      name: 'the kill switch',
      flag: flagOf({ on: false }),
      says: "The flag is switched off: everybody gets the caller's default.",
    },
    {
      name: 'a schedule that is over',
      flag: flagOf({ schedule: { untilMs: 5 }, offVariant: 'c' }),
      says: 'The schedule is over: everybody gets the off variant "c".',
    },
    { name: 'a rule without conditions', flag: flagOf(rule([])), says: 'Rule 1 has no conditions: "b".' },
    { name: 'a fixed fallthrough', flag: flagOf(), says: 'Fallthrough: "a".' },
    {
      name: 'a document that is broken where the context led',
      flag: flagOf({ fallthrough: { split: { slices: [] } } }),
      says: 'The evaluation failed: a split has no slices.',
    },
    {
      name: 'a subject without a key',
      flag: flagOf({ fallthrough: { split: { slices: [{ variant: 'c', weight: 100_000 }] } } }),
      says: 'Fallthrough: the subject\'s bucket is 0 of 100000 (at 0 %, hash "unleash" with salt "s"); the context of "f" has no key, so it is the first bucket, in the slice from 0 % to 100 %, which is "c".',
    },
    {
      name: 'a hash that gives no bucket',
      flag: flagOf({
        bucketing: { profile: 'flagsmith', salt: 's', whenMissing: 'none' },
        fallthrough: { split: { slices: [{ variant: 'c', weight: 100_000 }] } },
      }),
      says: 'Fallthrough: the context lacks what subjects are told apart by, so the last slice counts, in the slice from 0 % to 100 %, which is "c".',
    },
  ])('says $name', ({ flag, says }) => {
    expect(last(flag)).toBe(says);
  });

  it.each([
    {
      name: 'an attribute',
      all: [{ type: 'attribute', attribute: 'age', operator: 'in', values: [1, 2, 3, 4, 5, 6], not: true } as const],
      says: '"age" is 3, asked for is not "in 1, 2, 3, 4, 5, …"',
    },
    {
      name: 'an attribute that is not there',
      all: [{ type: 'attribute', attribute: 'mail', operator: 'present', values: [] } as const],
      says: 'the context has no "mail"',
    },
    {
      name: 'a segment',
      all: [{ type: 'segment', segments: ['x', 'y'] } as const],
      says: 'the subject is in none of the segments "x", "y"',
    },
    { name: 'a time', all: [{ type: 'time', is: 'after', atMs: 2000 } as const], says: 'it is not after the moment' },
    { name: 'a group', all: [{ type: 'any', of: [] } as const], says: 'none of a group of conditions hold' },
    {
      name: 'a share',
      all: [{ type: 'share', weight: 0, bucketing: { profile: 'unleash', salt: 's' } } as const],
      says: 'the subject is not in the share of 0 %',
    },
  ])('names the first condition that does not hold: $name', ({ all, says }) => {
    const { why } = explain(flagOf(rule([{ type: 'all', of: [] }, ...all])), { user: { key: 'u', age: 3 } });
    expect(why[1]?.sentence).toContain(`Rule 1 does not hold: ${says}`);
  });

  it('names the slice that the evaluator gives, for every hash, with chance or without', () => {
    const key = fc.option(fc.oneof(fc.string(), fc.nat(99_999).map(String)), { nil: undefined });
    const cuts = fc.tuple(fc.nat(100_000), fc.nat(100_000)).map(([x, y]) => [Math.min(x, y), Math.max(x, y)] as const);
    const missing = fc.constantFrom('first' as const, 'none' as const, 'random' as const);
    fc.assert(
      fc.property(
        fc.tuple(fc.constantFrom(...PROFILES), missing),
        key,
        cuts,
        ([profile, whenMissing], subject, [first, second]) => {
          const slices = [first, second - first, 100_000 - second].map((weight, index) => ({
            variant: 'abc'.charAt(index),
            weight,
          }));
          const bucketing = { profile, salt: 's', whenMissing };
          const { evaluation, why } = explainFlag(
            { flags: [flagOf({ bucketing, fallthrough: { split: { slices } } })], segments: [] },
            'f',
            {
              compileRegex: PORTS.compileRegex,
              circumstances: { atMs: 0, random: chanceOf() },
              context: { user: { key: subject } },
            },
          );
          expect(why.at(-1)?.sentence).toContain(`which is "${evaluation.variant}".`);
        },
      ),
    );
  });
});
