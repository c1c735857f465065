import { describe, expect, it } from 'vitest';
import { FlagSchema, SegmentSchema } from './flag-documents.ts';
import { describeProblems } from './problems.ts';

const FLAG = {
  key: 'fraud-version',
  type: 'string',
  on: true,
  offVariant: 'v1',
  variants: [
    { name: 'v1', value: 'v1' },
    { name: 'v2', value: 'v2' },
  ],
  prerequisites: [{ flag: 'other', enabled: true }],
  pins: [{ variant: 'v2', keys: ['ann'] }],
  rules: [
    {
      id: 'staff',
      all: [{ type: 'any', of: [{ type: 'attribute', attribute: '/mail/domain', operator: 'in', values: ['example.com'] }] }],
      serve: { variant: 'v2' },
    },
  ],
  fallthrough: {
    split: {
      slices: [
        { variant: 'v2', weight: 10_000 },
        { variant: 'v1', weight: 90_000 },
      ],
    },
  },
  bucketing: { profile: 'unleash', salt: 'fraud-1' },
};

function problemsOf(document: unknown): string {
  const { error } = FlagSchema.safeParse(document);
  return error === undefined ? '' : describeProblems(error);
}

describe('FlagSchema', () => {
  it('accepts a flag with everything', () => {
    expect(FlagSchema.parse(FLAG)).toEqual(FLAG);
  });

  it.each([
    { name: 'an unknown field', change: { colour: 'red' }, problem: 'unknown field "colour"' },
    {
      name: 'a missing variant',
      change: { offVariant: 'v3' },
      problem: 'offVariant: there is no variant "v3"; the flag has "v1", "v2"',
    },
    {
      name: 'weights that do not add up',
      change: { fallthrough: { split: { slices: [{ variant: 'v1', weight: 90 }] } } },
      problem: 'the weights add up to 90, not to 100000; 1 % is 1000',
    },
    {
      name: 'a serve of nothing',
      change: { fallthrough: {} },
      problem: 'fallthrough: write {"variant": name} or {"split": {"slices": […]}}',
    },
    {
      name: 'a value of another type',
      change: { type: 'number' },
      problem: "variants.[1].value: the flag's values are of type number",
    },
    {
      name: 'two variants of one name',
      change: { variants: [...FLAG.variants, { name: 'v1', value: 'x' }] },
      problem: 'variants.[3].name: there are two variants called "v1"',
    },
    {
      name: 'a malformed path',
      change: {
        rules: [{ all: [{ type: 'attribute', attribute: '/a//b', operator: 'in', values: [] }], serve: { variant: 'v1' } }],
      },
      problem: 'write the name of an attribute, or a path such as "/address/city"',
    },
    {
      name: 'an operator that nobody has',
      change: { rules: [{ all: [{ type: 'attribute', attribute: 'a', operator: 'is', values: [] }], serve: { variant: 'v1' } }] },
      problem: 'rules.[1].all.[1].operator',
    },
    {
      name: 'itself as a prerequisite',
      change: { prerequisites: [{ flag: 'fraud-version', variants: ['v1'] }] },
      problem: 'a flag cannot be its own prerequisite',
    },
    { name: 'a schedule backwards', change: { schedule: { fromMs: 2, untilMs: 1 } }, problem: 'a schedule ends after it begins' },
  ])('refuses $name and says why', ({ change, problem }) => {
    expect(problemsOf({ ...FLAG, ...change })).toContain(problem);
  });
});

describe('SegmentSchema', () => {
  it('accepts members, and refuses unknown fields', () => {
    const segment = {
      key: 'staff',
      included: [{ keys: ['ann'] }],
      excluded: [{ kind: 'device', keys: ['d1'] }],
      rules: [{ all: [] }],
    };
    expect(SegmentSchema.parse(segment)).toEqual(segment);
    expect(SegmentSchema.safeParse({ ...segment, members: [] }).success).toBe(false);
  });
});
