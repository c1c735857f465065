// Whatever documents say, evaluating them ends, never throws, and answers what docs/flags.md says. With the real regular expressions.
import { OPERATORS, type Condition } from '@understudy/core/flags/condition';
import { PROFILES, type Bucketing } from '@understudy/core/flags/bucketing-profile';
import type { JsonValue } from '@understudy/core/flags/context';
import type { Evaluation } from '@understudy/core/flags/evaluation';
import { compileFlags, type Evaluator, type FlagDocuments } from '@understudy/core/flags/evaluator';
import { explainFlag } from '@understudy/core/flags/explain';
import { type Flag, isScheduled } from '@understudy/core/flags/flag';
import { referenceProblems } from '@understudy/core/flags/references';
import type { Segment } from '@understudy/core/flags/segment';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRegex } from '../../packages/server/src/regex.ts';

const FLAGS = ['a', 'b', 'c'];
const SEGMENTS = ['s', 't'];
const VARIANTS = ['v1', 'v2'];
/** Patterns that take forever, or more memory than there is, where they are matched by backtracking or written out. */
const BOMBS = [
  '(a+)+$',
  '(a|aa)*b$',
  '^(([a-z])+.)+[A-Z]([a-z])+$',
  '(.*a){20}',
  '((a{1000}){1000}){1000}',
  '(((((',
  '[z-a]',
  '\\1',
  '',
];
const LONG = `${'a'.repeat(2000)}!`;

// Most references lead somewhere; some lead nowhere.
const flagKey = fc.constantFrom(...FLAGS, 'nowhere');
const segmentKey = fc.constantFrom(...SEGMENTS, 'nowhere');
const variant = fc.constantFrom(...VARIANTS, ...VARIANTS, 'v9');
const attribute = fc.constantFrom('key', 'plan', '/deep/name', '/', '', '/~2', '__proto__', 'kind');
const maybeKind = fc.constantFrom({}, { kind: 'device' });
const json = fc.oneof(
  fc.constantFrom<JsonValue>(
    null,
    true,
    0,
    -1,
    1.5,
    '',
    'a',
    LONG,
    '1.2.3',
    '10|3',
    '0|0',
    '10.0.0.0/8',
    '2026-01-31T12:00:00Z',
    [],
    {},
  ),
  fc.constantFrom(...BOMBS),
  fc.jsonValue({ maxDepth: 2 }).map((value): JsonValue => JSON.parse(JSON.stringify(value))),
);
const weight = fc.oneof(fc.constantFrom(0, 1, 50_000, 100_000), fc.double({ min: -10, max: 2e5, noNaN: true }));

const bucketing: fc.Arbitrary<Bucketing> = fc.record(
  {
    profile: fc.constantFrom(...PROFILES),
    salt: fc.constantFrom('', 'x', '61', 'a.s'),
    by: fc.array(
      fc.tuple(maybeKind, attribute).map(([kind, name]) => ({ ...kind, attribute: name })),
      { maxLength: 2 },
    ),
    prefix: fc.constantFrom('', 'ENV_'),
    whenMissing: fc.constantFrom('first', 'none', 'random'),
  },
  { requiredKeys: ['profile', 'salt'] },
);

const { condition } = fc.letrec<{ condition: Condition; leaf: Condition }>((tie) => ({
  leaf: fc.oneof(
    fc
      .tuple(
        maybeKind,
        fc.record(
          {
            type: fc.constant('attribute' as const),
            attribute,
            operator: fc.constantFrom(...OPERATORS),
            values: fc.array(json, { maxLength: 3 }),
            not: fc.boolean(),
            ifMissing: fc.boolean(),
            ignoreCase: fc.boolean(),
            compare: fc.constantFrom('typed', 'text', 'cast'),
          },
          { requiredKeys: ['type', 'attribute', 'operator', 'values'] },
        ),
      )
      .map(([kind, rest]) => ({ ...rest, ...kind })),
    fc.record({ type: fc.constant('segment' as const), segments: fc.array(segmentKey, { maxLength: 2 }), not: fc.boolean() }),
    fc.record({ type: fc.constant('share' as const), weight, bucketing, inclusive: fc.boolean() }),
    fc.record({
      type: fc.constant('time' as const),
      is: fc.constantFrom('before', 'after'),
      atMs: fc.nat(200),
      not: fc.boolean(),
    }),
  ),
  condition: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    fc.record({ type: fc.constantFrom('all', 'any', 'none'), of: fc.array(tie('condition'), { maxLength: 3 }) }),
  ),
}));

const all = fc.array(condition, { maxLength: 3 });
const slice = fc.record({ variant, weight });
const split = fc.record(
  { slices: fc.array(slice, { maxLength: 3 }), total: fc.constantFrom(100, 1000), bucketing, experiment: fc.boolean() },
  { requiredKeys: ['slices'] },
);
const serve = fc.oneof(fc.record({ variant }), fc.record({ split }));
const prerequisite = fc.oneof(
  fc.record({ flag: flagKey, variants: fc.array(variant, { maxLength: 2 }) }),
  fc.record({ flag: flagKey, enabled: fc.boolean() }),
);

const flagOf = (key: string): fc.Arbitrary<Flag> =>
  fc.record(
    {
      key: fc.constant(key),
      type: fc.constantFrom('boolean', 'string', 'number', 'json'),
      on: fc.boolean(),
      offVariant: variant,
      variants: fc.constant(VARIANTS.map((name) => ({ name, value: name }))),
      schedule: fc.record({ fromMs: fc.nat(200), untilMs: fc.nat(200) }, { requiredKeys: [] }),
      prerequisites: fc.array(prerequisite, { maxLength: 2 }),
      pins: fc
        .array(fc.tuple(maybeKind, fc.record({ variant, keys: fc.constantFrom([], ['a'], ['a', 'b']) })), { maxLength: 2 })
        .map((pins) => pins.map(([kind, pin]) => ({ ...kind, ...pin }))),
      rules: fc.array(fc.record({ all, serve }), { maxLength: 2 }),
      fallthrough: serve,
      bucketing,
    },
    { requiredKeys: ['key', 'type', 'on', 'variants', 'prerequisites', 'pins', 'rules', 'fallthrough', 'bucketing'] },
  );
const segmentOf = (key: string): fc.Arbitrary<Segment> => {
  const lists = fc
    .array(fc.tuple(maybeKind, fc.constantFrom(['a'], ['b'])), { maxLength: 1 })
    .map((found) => found.map(([kind, keys]) => ({ ...kind, keys })));
  return fc.record({
    key: fc.constant(key),
    included: lists,
    excluded: lists,
    rules: fc.array(fc.record({ all }), { maxLength: 2 }),
  });
};
const documents: fc.Arbitrary<FlagDocuments> = fc.record({
  flags: fc.tuple(...FLAGS.map(flagOf)),
  segments: fc.tuple(...SEGMENTS.map(segmentOf)),
});
const attributes = fc
  .tuple(
    fc.dictionary(fc.constantFrom('key', 'plan', 'deep', '__proto__', 'name'), json, { maxKeys: 4 }),
    fc.constantFrom({}, { key: 'a' }),
  )
  .map(([some, key]) => ({ ...some, ...key }));
const contexts = fc.record({ user: attributes, device: attributes }, { requiredKeys: [] });
const AT = { atMs: 100, random: () => 0.5 };

function compile(broken: FlagDocuments): Evaluator {
  return compileFlags(broken, { compileRegex });
}

/** What must be true of every answer, whatever was asked. */
function expectSound(evaluation: Evaluation, flag: Flag): void {
  const { value, variant: name, reason, detail, isEnabled } = evaluation;
  expect(reason === 'ERROR').toBe(detail.kind === 'error');
  expect(value).toBe(flag.variants.find((candidate) => candidate.name === name)?.value);
  if (detail.kind === 'error') {
    // Nothing that a document says is a failure of ours.
    expect(detail.code).toBe('PARSE_ERROR');
    expect(detail.message).not.toBe('');
    expect([value, name, isEnabled]).toEqual([undefined, undefined, false]);
  }
  const isOff = !flag.on || !isScheduled(flag.schedule, AT.atMs);
  if (detail.kind === 'off' || detail.kind === 'unscheduled') expect([isOff, name]).toEqual([true, flag.offVariant]);
  if (isOff && detail.kind === 'error') expect(flag.variants.some((candidate) => candidate.name === flag.offVariant)).toBe(false);
}

it('evaluates, explains and checks any documents without an exception, and always the same', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(documents, fc.array(contexts, { minLength: 2, maxLength: 4 }), (broken, asked) => {
      const evaluator = compile(broken);
      referenceProblems(broken);
      for (const context of asked) {
        for (const flag of broken.flags) {
          const evaluation = evaluator.evaluate(flag.key, context, AT);
          expectSound(evaluation, flag);
          expect(evaluator.evaluate(flag.key, context, AT)).toEqual(evaluation);
          const { kind } = evaluation.detail;
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
        }
        for (const key of [...SEGMENTS, 'nowhere']) evaluator.isInSegment(key, context, AT);
        expect(evaluator.isInSegment('nowhere', context, AT)).toBe(false);
        expect(evaluator.evaluate('nowhere', context, AT).detail).toMatchObject({ kind: 'error', code: 'FLAG_NOT_FOUND' });
      }
      const { evaluation, why } = explainFlag(broken, 'a', { context: asked[0] ?? {}, circumstances: AT, compileRegex });
      expect(evaluation).toEqual(evaluator.evaluate('a', asked[0] ?? {}, AT));
      expect(why.length).toBeGreaterThan(0);
    }),
    { numRuns: 1000, seed: 1 },
  );
  // Or else the test would be about nothing.
  for (const kind of ['off', 'unscheduled', 'prerequisite', 'pin', 'rule', 'fallthrough', 'error']) {
    expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(30);
  }
});

describe('a reference that leads nowhere', () => {
  const plain: Flag = {
    key: 'a',
    type: 'string',
    on: true,
    offVariant: 'v1',
    variants: VARIANTS.map((name) => ({ name, value: name })),
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: { variant: 'v2' },
    bucketing: { profile: 'unleash', salt: 'a' },
  };
  const inSegments = (not: boolean): Flag['rules'] => [
    { all: [{ type: 'segment', segments: ['nowhere'], not }], serve: { variant: 'v1' } },
  ];
  const needs = (flag: string): Flag['prerequisites'] => [{ flag, variants: ['v2'] }];
  const circle: Segment = { key: 's', included: [], excluded: [], rules: [{ all: [{ type: 'segment', segments: ['s'] }] }] };

  it.each<{ name: string; flags: readonly Flag[]; expected: object }>([
    {
      name: 'no such prerequisite: off',
      flags: [{ ...plain, prerequisites: needs('nowhere') }],
      expected: { variant: 'v1', reason: 'DISABLED' },
    },
    {
      name: 'a circle of prerequisites: an error',
      flags: [
        { ...plain, prerequisites: needs('b') },
        { ...plain, key: 'b', prerequisites: needs('a') },
      ],
      expected: {
        variant: undefined,
        detail: { kind: 'error', code: 'PARSE_ERROR', message: expect.stringContaining('own prerequisite') },
      },
    },
    { name: 'no such segment: nobody is in it', flags: [{ ...plain, rules: inSegments(false) }], expected: { variant: 'v2' } },
    {
      name: 'no such segment, turned around: everybody',
      flags: [{ ...plain, rules: inSegments(true) }],
      expected: { variant: 'v1' },
    },
    {
      name: 'a segment that is made of itself: an error',
      flags: [{ ...plain, rules: [{ all: [{ type: 'segment', segments: ['s'] }], serve: { variant: 'v1' } }] }],
      expected: { detail: { kind: 'error', code: 'PARSE_ERROR', message: expect.stringContaining('refers to itself') } },
    },
    {
      name: 'no such variant: an error',
      flags: [{ ...plain, fallthrough: { variant: 'v9' } }],
      expected: { value: undefined, detail: { kind: 'error', code: 'PARSE_ERROR', message: expect.stringContaining('"v9"') } },
    },
    {
      name: 'a prerequisite that ends in an error: the same error',
      flags: [
        { ...plain, prerequisites: needs('b') },
        { ...plain, key: 'b', fallthrough: { variant: 'v9' } },
      ],
      expected: { detail: { kind: 'error', code: 'PARSE_ERROR', message: expect.stringContaining('"v9"') } },
    },
  ])('$name', ({ flags, expected }) => {
    expect(compile({ flags, segments: [circle] }).evaluate('a', { user: { key: 'u' } }, AT)).toMatchObject(expected);
  });

  it.each(BOMBS)('the pattern %j ends on a long text', (pattern) => {
    const rules: Flag['rules'] = [
      { all: [{ type: 'attribute', attribute: 'plan', operator: 'matches', values: [pattern] }], serve: { variant: 'v1' } },
    ];
    const evaluator = compile({ flags: [{ ...plain, rules }], segments: [] });
    const { reason, variant: given } = evaluator.evaluate('a', { user: { key: 'u', plan: LONG } }, AT);
    expect(reason).not.toBe('ERROR');
    if (evaluator.problems.length > 0) expect(given).toBe('v2');
  });
});
