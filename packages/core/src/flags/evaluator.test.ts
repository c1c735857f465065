import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Condition } from './condition.ts';
import type { Context, JsonValue } from './context.ts';
import { compileFlags, type FlagDocuments } from './evaluator.ts';
import type { Flag } from './flag.ts';
import type { Segment } from './segment.ts';
import type { CompileRegex } from './value-test.ts';

fc.configureGlobal({ seed: 1 });

// The engine's own expressions serve here: whether a pattern runs in linear time is the port's affair.
const compileRegex: CompileRegex = (pattern, flags) => {
  try {
    const regex = new RegExp(pattern, flags);
    return (text) => regex.test(text);
  } catch {
    return undefined;
  }
};

const ON = { name: 'on', value: true };
const OFF = { name: 'off', value: false };

function flagOf(fields: Partial<Flag> = {}): Flag {
  return {
    key: 'f',
    type: 'boolean',
    on: true,
    offVariant: 'off',
    variants: [ON, OFF],
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: { variant: 'off' },
    bucketing: { profile: 'unleash', salt: 'f' },
    ...fields,
  };
}

function ask(documents: Partial<FlagDocuments>, context: Context = { user: { key: 'u' } }, atMs = 0) {
  return compileFlags({ flags: [], segments: [], ...documents }, { compileRegex }).evaluate('f', context, {
    atMs,
    random: () => 0,
  });
}

/** Whether a user with these attributes meets a condition. */
function meets(
  condition: Condition,
  attributes: Readonly<Record<string, JsonValue>>,
  segments: readonly Segment[] = [],
): unknown {
  const flags = [flagOf({ rules: [{ all: [condition], serve: { variant: 'on' } }] })];
  return ask({ flags, segments }, { user: { key: 'u', ...attributes } }, 1000).value;
}

describe('the order of evaluation', () => {
  const pins = [{ variant: 'on', keys: ['u'] }];
  const rules = [{ id: 'r', all: [], serve: { variant: 'on' } }];
  const parent = flagOf({ key: 'p', fallthrough: { variant: 'on' } });
  const prerequisites = [{ flag: 'p', variants: ['on'] }];

  it.each<{ name: string; flag: Partial<Flag>; others?: Flag[]; expected: unknown }>([
    { name: 'static', flag: {}, expected: { reason: 'STATIC', detail: { kind: 'fallthrough' }, value: false } },
    {
      name: 'kill switch before pins',
      flag: { on: false, pins },
      expected: { reason: 'DISABLED', detail: { kind: 'off' }, value: false },
    },
    {
      name: 'schedule before pins',
      flag: { schedule: { fromMs: 1 }, pins },
      expected: { reason: 'DISABLED', detail: { kind: 'unscheduled' }, variant: 'off' },
    },
    {
      name: 'prerequisite before pins',
      flag: { prerequisites, pins },
      others: [flagOf({ key: 'p' })],
      expected: { reason: 'DISABLED', detail: { kind: 'prerequisite', flag: 'p' }, variant: 'off' },
    },
    {
      name: 'a flag that is off meets no prerequisite, whatever it serves',
      flag: { prerequisites, pins },
      others: [{ ...parent, on: false, offVariant: 'on' }],
      expected: { detail: { kind: 'prerequisite', flag: 'p' } },
    },
    {
      name: 'pins before rules',
      flag: { prerequisites, pins, rules: [{ all: [], serve: { variant: 'off' } }] },
      others: [parent],
      expected: { reason: 'TARGETING_MATCH', detail: { kind: 'pin' }, variant: 'on' },
    },
    {
      name: 'rules before the fallthrough',
      flag: { rules },
      expected: { reason: 'TARGETING_MATCH', detail: { kind: 'rule', index: 0, id: 'r' }, isEnabled: true },
    },
  ])('$name', ({ flag, others = [], expected }) => {
    expect(ask({ flags: [flagOf(flag), ...others] })).toMatchObject(expected as object);
  });

  it('leaves the value to the caller when it is off and has no off variant', () => {
    const { offVariant: _offVariant, ...flag } = flagOf({ on: false });
    expect(ask({ flags: [flag] })).toMatchObject({ value: undefined, variant: undefined, reason: 'DISABLED' });
  });
});

describe('errors', () => {
  const cycle: readonly Segment[] = ['a', 'b'].map((key, index, keys) => ({
    key,
    included: [],
    excluded: [],
    rules: [{ all: [{ type: 'segment', segments: [keys[1 - index] ?? ''] }] }],
  }));

  it.each<{ name: string; flag: Partial<Flag>; segments?: readonly Segment[]; message: string }>([
    {
      name: 'a prerequisite of itself',
      flag: { prerequisites: [{ flag: 'f', variants: ['on'] }] },
      message: 'the flag "f" is its own prerequisite through others',
    },
    {
      name: 'segments in a circle',
      flag: { rules: [{ all: [{ type: 'segment', segments: ['a'] }], serve: { variant: 'on' } }] },
      segments: cycle,
      message: 'the segment "a" refers to itself through other segments',
    },
    {
      name: 'an unknown variant',
      flag: { fallthrough: { variant: 'x' } },
      message: 'it gives the variant "x", which it does not have',
    },
    { name: 'a split of nothing', flag: { fallthrough: { split: { slices: [] } } }, message: 'a split has no slices' },
    {
      name: 'a malformed attribute',
      flag: {
        rules: [{ all: [{ type: 'attribute', attribute: '/a~', operator: 'in', values: [] }], serve: { variant: 'on' } }],
      },
      message: 'the attribute "/a~" is not a reference',
    },
  ])('answers $name with an error, every time', ({ flag, segments = [], message }) => {
    const evaluator = compileFlags({ flags: [flagOf(flag)], segments }, { compileRegex });
    for (let round = 0; round < 2; round += 1) {
      const evaluation = evaluator.evaluate('f', { user: { key: 'u' } }, { atMs: 0, random: () => 0 });
      expect(evaluation).toMatchObject({ value: undefined, reason: 'ERROR', detail: { code: 'PARSE_ERROR', message } });
    }
  });

  it('answers an unknown flag and a port that throws with an error', () => {
    expect(ask({})).toMatchObject({ reason: 'ERROR', detail: { code: 'FLAG_NOT_FOUND' } });
    const split = {
      slices: [{ variant: 'on', weight: 1 }],
      bucketing: { profile: 'unleash', salt: '', by: [], whenMissing: 'random' },
    } as const;
    const evaluator = compileFlags({ flags: [flagOf({ fallthrough: { split } })], segments: [] }, { compileRegex });
    const random = () => {
      throw new Error('no chance');
    };
    const evaluation = evaluator.evaluate('f', {}, { atMs: 0, random });
    expect(evaluation.detail).toEqual({ kind: 'error', code: 'GENERAL', message: 'no chance' });
  });

  it('reports what will not do what it says, by document', () => {
    const bad: Condition = { type: 'attribute', attribute: 'a', operator: 'matches', values: ['('] };
    const network: Condition = { type: 'attribute', attribute: 'a', operator: 'in-network', values: ['10.0.0.0/33'] };
    const flags = [flagOf({ rules: [{ all: [bad], serve: { variant: 'on' } }] })];
    const segments: Segment[] = [{ key: 's', included: [], excluded: [], rules: [{ all: [network] }] }];
    expect(compileFlags({ flags, segments }, { compileRegex }).problems).toEqual([
      { where: 'segment "s"', problem: '"10.0.0.0/33" is not an IP address or network and contains nobody' },
      { where: 'flag "f"', problem: 'the pattern "(" is not a regular expression of RE2 and never matches' },
    ]);
    expect(meets(bad, { a: '(' })).toBe(false);
  });
});

describe('conditions', () => {
  const attribute = { type: 'attribute', attribute: 'a' } as const;

  it.each<{ condition: Condition; value: JsonValue; expected: boolean }>([
    { condition: { ...attribute, operator: 'in', values: ['x', 1] }, value: 1, expected: true },
    { condition: { ...attribute, operator: 'in', values: ['1'] }, value: 1, expected: false },
    { condition: { ...attribute, operator: 'in', values: ['1'], compare: 'text' }, value: 1, expected: true },
    { condition: { ...attribute, operator: 'in', values: ['b'], not: true }, value: null, expected: false },
    { condition: { ...attribute, operator: 'in', values: ['b'], not: true, ifMissing: true }, value: null, expected: true },
    { condition: { ...attribute, operator: 'contains', values: ['B'], ignoreCase: true }, value: 'abc', expected: true },
    { condition: { ...attribute, operator: 'contains', values: ['b'] }, value: ['x', 'abc'], expected: true },
    { condition: { ...attribute, operator: 'matches', values: ['^A'], ignoreCase: true }, value: 'abc', expected: true },
    {
      condition: { ...attribute, operator: 'before', values: ['2024-02-29T00:00:00Z'] },
      value: '2024-02-29T00:30:00+01:00',
      expected: true,
    },
    {
      condition: { ...attribute, operator: 'after', values: ['2023-02-29T00:00:00Z'] },
      value: '2026-01-01T00:00:00Z',
      expected: false,
    },
    { condition: { ...attribute, operator: 'semver-greater-than', values: ['1.2'] }, value: '1.10', expected: true },
    { condition: { ...attribute, operator: 'semver-less-than', values: ['1.0.0-rc.2'] }, value: '1.0.0-rc.10', expected: false },
    { condition: { ...attribute, operator: 'in-network', values: ['10.1.0.0/15'] }, value: '10.0.255.255', expected: true },
    { condition: { ...attribute, operator: 'in-network', values: ['10.2.0.0/15'] }, value: '10.4.0.0', expected: false },
    { condition: { ...attribute, operator: 'in-network', values: ['2001:db8::/33'] }, value: '2001:db8:7fff::1', expected: true },
    { condition: { ...attribute, operator: 'in-network', values: ['::ffff:0:0/96'] }, value: '::ffff:10.0.0.1', expected: true },
    { condition: { ...attribute, operator: 'modulo', values: ['3|1'], compare: 'cast' }, value: '7', expected: true },
    { condition: { ...attribute, operator: 'present', values: [] }, value: false, expected: true },
    { condition: { ...attribute, operator: 'present', values: [], not: true, ifMissing: true }, value: null, expected: true },
    { condition: { ...attribute, operator: 'equals', values: ['false'], compare: 'cast' }, value: false, expected: true },
    { condition: { ...attribute, operator: 'less-than', values: ['10'], compare: 'cast' }, value: '9', expected: false },
    { condition: { type: 'time', is: 'after', atMs: 999 }, value: null, expected: true },
    { condition: { type: 'time', is: 'before', atMs: 1000, not: true }, value: null, expected: true },
    { condition: { type: 'all', of: [] }, value: null, expected: true },
    { condition: { type: 'any', of: [] }, value: null, expected: false },
    { condition: { type: 'none', of: [{ type: 'all', of: [] }] }, value: null, expected: false },
    { condition: { type: 'segment', segments: ['nowhere'], not: true }, value: null, expected: true },
  ])('$condition of $value is $expected', ({ condition, value, expected }) => {
    expect(meets(condition, { a: value })).toBe(expected);
  });

  it.each(['constructor', '__proto__', 'toString'])('finds no attribute "%s" that the context does not have', (name) => {
    expect(meets({ type: 'attribute', attribute: name, operator: 'present', values: [] }, {})).toBe(false);
  });

  it('lists the kinds of the context under the attribute `kind`', () => {
    const kinds: Condition = { type: 'attribute', attribute: 'kind', operator: 'in', values: ['device'] };
    const flags = [flagOf({ rules: [{ all: [kinds], serve: { variant: 'on' } }] })];
    expect(ask({ flags }, { device: { key: 'd' } }).value).toBe(true);
    expect(ask({ flags }, { user: { key: 'd' } }).value).toBe(false);
  });

  it('counts an included key before an excluded one before the rules', () => {
    const included = [{ kind: 'user', keys: ['u'] }];
    const rules = [{ all: [] }];
    const segments = (included: Segment['included'], excluded: Segment['excluded']) => [{ key: 's', included, excluded, rules }];
    const condition: Condition = { type: 'segment', segments: ['s'] };
    expect(meets(condition, {}, segments(included, included))).toBe(true);
    expect(meets(condition, {}, segments([], included))).toBe(false);
    expect(meets(condition, {}, segments([], []))).toBe(true);
  });
});

describe('splits', () => {
  it('never moves a subject when a share grows in front, in any profile', () => {
    const profiles = fc.constantFrom('unleash', 'launchdarkly', 'flagsmith', 'flagd');
    const weights = fc.tuple(fc.nat(100_000), fc.nat(100_000));
    fc.assert(
      fc.property(profiles, fc.string({ minLength: 1 }), weights, (profile, key, [a, b]) => {
        const variantAt = (weight: number) => {
          const slices = [
            { variant: 'on', weight },
            { variant: 'off', weight: 100_000 - weight },
          ];
          const fallthrough = { split: { slices, bucketing: { profile, salt: 's' } } } as const;
          return ask({ flags: [flagOf({ fallthrough })] }, { user: { key } }).variant;
        };
        if (variantAt(Math.min(a, b)) === 'on') expect(variantAt(Math.max(a, b))).toBe('on');
      }),
    );
  });

  it('gives the last slice what the weights leave over', () => {
    const split = {
      slices: [
        { variant: 'off', weight: 0 },
        { variant: 'on', weight: 0 },
      ],
    };
    expect(ask({ flags: [flagOf({ fallthrough: { split } })] })).toMatchObject({ variant: 'on', reason: 'SPLIT' });
  });
});
