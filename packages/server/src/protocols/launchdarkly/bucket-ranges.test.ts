import { compileFlags, type Evaluator, type FlagDocuments } from '@understudy/core/flags/evaluator';
import { describe, expect, it } from 'vitest';
import { splitFlag } from '../test-world.ts';
import { withBucketRanges } from './bucket-ranges.ts';

const NAMES = ['v1', 'v2', 'v3'];

/** A split for the pros, and the same one backwards for everybody else. */
function documentsOf(total: number, whenMissing: 'first' | 'none', salt: string): FlagDocuments {
  const slices = [1, 1, total - 2].map((weight, index) => ({ variant: NAMES[index] ?? '', weight }));
  const flag = splitFlag('f', 0, {
    variants: NAMES.map((name) => ({ name, value: name })),
    bucketing: { profile: 'attribute', salt, by: [{ attribute: 'bucket' }], whenMissing },
    rules: [
      {
        id: 'r',
        all: [{ type: 'attribute', attribute: 'pro', operator: 'in', values: [true] }],
        serve: { split: { slices, total } },
      },
    ],
    fallthrough: { split: { slices: slices.toReversed(), total } },
  });
  return { flags: [flag], segments: [] };
}

function compile(
  documents: FlagDocuments,
): (attributes: { readonly pro: boolean; readonly bucket?: number }) => string | undefined {
  const evaluator: Evaluator = compileFlags(documents, { compileRegex: () => undefined });
  return (attributes) => evaluator.evaluate('f', { user: { key: 'u', ...attributes } }, { atMs: 0, random: () => 0 }).variant;
}

describe('ranges of buckets', () => {
  it.each<{ total: number; whenMissing: 'first' | 'none'; salt: string }>([
    { total: 3, whenMissing: 'first', salt: '' },
    { total: 7, whenMissing: 'none', salt: 'a' },
    { total: 997, whenMissing: 'first', salt: 'b' },
    { total: 100_000, whenMissing: 'none', salt: 'c' },
  ])('answer as the split does in each of the 100,000, and without one: %o', ({ total, whenMissing, salt }) => {
    const documents = documentsOf(total, whenMissing, salt);
    const [before, after] = [compile(documents), compile(withBucketRanges(documents))];
    const different: unknown[] = [];
    for (const pro of [true, false]) {
      for (let bucket = 0; bucket < 100_000; bucket += 1) {
        if (before({ pro, bucket }) !== after({ pro, bucket })) different.push([pro, bucket]);
      }
      expect(after({ pro })).toBe(before({ pro }));
    }
    expect(different).toEqual([]);
  });

  it('leave flags of other profiles alone', () => {
    const documents = { flags: [splitFlag('f', 10)], segments: [] };
    expect(withBucketRanges(documents)).toEqual(documents);
  });
});
