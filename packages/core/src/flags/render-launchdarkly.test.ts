import { describe, expect, it } from 'vitest';
import type { Bucketing } from './bucketing-profile.ts';
import { compileFlags, type FlagDocuments } from './evaluator.ts';
import type { Flag, Serve } from './flag.ts';
import { importLaunchDarkly } from './import-launchdarkly.ts';
import { renderLaunchDarkly } from './render-launchdarkly.ts';
import type { Segment } from './segment.ts';

const SPLIT: Serve = {
  split: {
    slices: [
      { variant: 'v2', weight: 30_000 },
      { variant: 'v1', weight: 70_000 },
    ],
  },
};

function flagWith(bucketing: Bucketing, more: Partial<Flag> = {}): Flag {
  return {
    key: 'f',
    type: 'string',
    on: true,
    offVariant: 'v1',
    variants: ['v1', 'v2'].map((name) => ({ name, value: name })),
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: SPLIT,
    bucketing,
    ...more,
  };
}

const by = (salt: string, more: Partial<Bucketing> = {}): Bucketing => ({ profile: 'launchdarkly', salt, ...more });
const splitBy = (bucketing: Bucketing): Serve => ('split' in SPLIT ? { split: { ...SPLIT.split, bucketing } } : SPLIT);

/** How many of 2000 users an SDK would give another variant than we do. */
function movedUsers(documents: FlagDocuments): { readonly moved: number; readonly losses: number } {
  const { data, losses } = renderLaunchDarkly(documents, { atMs: 0, revision: 1 });
  const [here, there] = [documents, importLaunchDarkly(data)].map((one) => compileFlags(one, { compileRegex: () => undefined }));
  const at = { atMs: 0, random: () => 0.5 };
  const moved = Array.from({ length: 2000 }, (_, id) => ({
    user: { key: `user-${id}`, plan: id % 2 === 0 ? 'pro' : 'free' },
  })).filter((context) => here?.evaluate('f', context, at).value !== there?.evaluate('f', context, at).value);
  return { moved: moved.length, losses: losses.length };
}

const proRule = (bucketing: Bucketing): Flag['rules'][number] => ({
  all: [{ type: 'attribute', attribute: 'plan', operator: 'in', values: ['pro'] }],
  serve: splitBy(bucketing),
});

describe('what a split is hashed with', () => {
  it.each([
    { name: "the flag's key and a salt", flag: flagWith(by('f.s1')) },
    { name: "the flag's key and an empty salt", flag: flagWith(by('f.')) },
    { name: 'a seed', flag: flagWith(by('61')) },
    { name: 'a salt of the split alone', flag: flagWith(by('other'), { fallthrough: splitBy(by('f.s2')) }) },
    { name: 'a salt of a rule alone', flag: flagWith(by('7'), { rules: [proRule(by('f.s3'))] }) },
  ])('is carried over: $name', ({ flag }) => {
    expect(movedUsers({ flags: [flag], segments: [] })).toEqual({ moved: 0, losses: 0 });
  });

  it.each([
    { name: 'a salt of its own form', flag: flagWith(by('checkout')), of: '"checkout"' },
    { name: 'an empty salt', flag: flagWith(by('')), of: '""' },
    { name: 'a number that begins with zero', flag: flagWith(by('061')), of: '"061"' },
    { name: 'a seed of more than 15 digits', flag: flagWith(by('9'.repeat(16))), of: '"9999999999999999"' },
    { name: 'the key of another flag', flag: flagWith(by('g.s1')), of: '"g.s1"' },
    { name: 'a prefix', flag: flagWith(by('f.s1', { prefix: 'ENV_' })), of: '"f.s1"' },
    { name: 'two salts', flag: flagWith(by('f.s1'), { rules: [proRule(by('f.s2'))] }), of: '"f.s2"' },
  ])('is reported where it has no place: $name', ({ flag, of }) => {
    const { losses } = renderLaunchDarkly({ flags: [flag], segments: [] }, { atMs: 0, revision: 1 });
    expect(losses).toEqual([{ about: 'f', sentence: expect.stringContaining(of) }]);
    expect(movedUsers({ flags: [flag], segments: [] }).moved).toBeGreaterThan(100);
  });
});

describe('the percentage of a segment', () => {
  const segmentWith = (...bucketings: readonly Bucketing[]): Segment => ({
    key: 's',
    included: [],
    excluded: [],
    rules: bucketings.map((bucketing) => ({ all: [{ type: 'share', weight: 30_000, bucketing }] })),
  });
  const asks = flagWith(by('f.s1'), {
    rules: [{ all: [{ type: 'segment', segments: ['s'] }], serve: { variant: 'v2' } }],
    fallthrough: { variant: 'v1' },
  });

  it.each([
    { name: 'its key and a salt', bucketings: [by('s.a')], losses: 0 },
    { name: 'the same salt twice', bucketings: [by('s.a'), by('s.a')], losses: 0 },
    { name: 'a seed, which segments do not have', bucketings: [by('61')], losses: 1 },
    { name: 'a salt of its own form', bucketings: [by('mine')], losses: 1 },
    { name: 'two salts', bucketings: [by('s.a'), by('s.b')], losses: 1 },
    { name: 'a prefix', bucketings: [by('s.a', { prefix: 'ENV_' })], losses: 1 },
  ])('is hashed with $name', ({ bucketings, losses }) => {
    const found = movedUsers({ flags: [asks], segments: [segmentWith(...bucketings)] });
    expect(found.losses).toBe(losses);
    expect(found.moved > 0).toBe(losses > 0);
  });
});
