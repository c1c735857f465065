import fc from 'fast-check';
import { expect, it } from 'vitest';
import { withRangesForSplits } from './bucket-attribute.ts';
import { compileFlags } from './evaluator.ts';
import type { Flag, Serve } from './flag.ts';

fc.configureGlobal({ seed: 1 });

const VARIANTS = ['a', 'b', 'c'];

it('a split over a bucket attribute and the ranges that stand for it give everybody the same', () => {
  const weights = fc.array(fc.oneof(fc.constant(0), fc.nat(50_000)), { minLength: 2, maxLength: 4 });
  const buckets = fc.option(fc.oneof(fc.nat(99_999), fc.constantFrom(-1, 100_000)), { nil: undefined });
  const whenMissing = fc.constantFrom('first', 'none');
  fc.assert(
    fc.property(
      weights,
      fc.tuple(fc.string(), whenMissing),
      fc.array(buckets, { minLength: 20, maxLength: 20 }),
      (parts, [salt, missing], asked) => {
        const sum = parts.slice(1).reduce((before, weight) => before + weight, 0);
        const slices = parts.slice(1).map((weight, index) => ({ variant: VARIANTS[index % 3] ?? 'a', weight }));
        const serve: Serve = { split: { slices, total: Math.max(1, sum) } };
        const before: Flag = {
          key: 'f',
          type: 'string',
          on: true,
          variants: VARIANTS.map((name) => ({ name, value: name })),
          prerequisites: [],
          pins: [],
          rules: [{ all: [{ type: 'attribute', attribute: 'region', operator: 'in', values: ['eu'] }], serve }],
          fallthrough: serve,
          bucketing: { profile: 'attribute', salt, by: [{ attribute: 'mlBucket' }], whenMissing: missing },
        };
        const after = withRangesForSplits(before);
        expect(JSON.stringify(after.rules)).not.toContain('split');
        const [one, other] = [before, after].map((flag) =>
          compileFlags({ flags: [flag], segments: [] }, { compileRegex: () => undefined }),
        );
        for (const mlBucket of asked) {
          for (const region of ['eu', 'us']) {
            const context = { user: { key: 'u', region, ...(mlBucket === undefined ? {} : { mlBucket }) } };
            const at = { atMs: 0, random: () => 0 };
            expect(other?.evaluate('f', context, at).variant).toBe(one?.evaluate('f', context, at).variant);
          }
        }
      },
    ),
  );
});

it.each([
  { total: 3, salt: '' },
  { total: 7, salt: 'a' },
  { total: 997, salt: 'b' },
  { total: 100_000, salt: 'c' },
])('a border of a split of $total falls between the same two of the 100,000 buckets', ({ total, salt }) => {
  const slices = [1, 1, total - 2].map((weight, index) => ({ variant: VARIANTS[index] ?? '', weight }));
  const before: Flag = {
    key: 'f',
    type: 'string',
    on: true,
    variants: VARIANTS.map((name) => ({ name, value: name })),
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: { split: { slices, total } },
    bucketing: { profile: 'attribute', salt, by: [{ attribute: 'mlBucket' }] },
  };
  const [one, other] = [before, withRangesForSplits(before)].map((flag) =>
    compileFlags({ flags: [flag], segments: [] }, { compileRegex: () => undefined }),
  );
  const different: number[] = [];
  for (let mlBucket = 0; mlBucket < 100_000; mlBucket += 1) {
    const [a, b] = [one, other].map(
      (evaluator) => evaluator?.evaluate('f', { user: { mlBucket } }, { atMs: 0, random: () => 0 }).variant,
    );
    if (a !== b) different.push(mlBucket);
  }
  expect(different).toEqual([]);
});
