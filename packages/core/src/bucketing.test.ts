import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUCKET_COUNT, boundaryOf, bucketOf } from './bucketing.ts';

fc.configureGlobal({ seed: 1 });

interface Vectors {
  readonly specVersion: string;
  readonly cases: readonly { readonly salt: string; readonly subject: string; readonly bucket: number }[];
}

// Read and not imported: the lone surrogates in it are fine for JSON.parse but not for a bundler.
const vectors = JSON.parse(readFileSync(new URL('../../../test/vectors/bucketing.json', import.meta.url), 'utf8')) as Vectors;
const text = fc.string({ unit: 'binary' });

/** Subjects as they come: numbered users. */
const subjects = Array.from({ length: 100_000 }, (_, index) => `user-${index}`);

describe('bucketOf', () => {
  it('puts every subject of the published vectors into its bucket', () => {
    expect(vectors.specVersion).toBe('1.0.0');
    expect(vectors.cases.length).toBeGreaterThanOrEqual(200);
    const computed = vectors.cases.map(({ salt, subject }) => ({ salt, subject, bucket: bucketOf(salt, subject) }));
    expect(computed).toEqual(vectors.cases);
  });

  it('gives an integer below the number of buckets, always the same', () => {
    fc.assert(
      fc.property(text, text, (salt, subject) => {
        const bucket = bucketOf(salt, subject);
        expect(Number.isInteger(bucket) && bucket >= 0 && bucket < BUCKET_COUNT).toBe(true);
        expect(bucketOf(salt, subject)).toBe(bucket);
      }),
    );
  });

  it('never takes a subject off the challenger when the share grows', () => {
    const percent = fc.double({ min: 0, max: 100, noNaN: true });
    fc.assert(
      fc.property(text, text, fc.tuple(percent, percent), (salt, subject, [a, b]) => {
        const bucket = bucketOf(salt, subject);
        if (bucket < boundaryOf(Math.min(a, b))) expect(bucket).toBeLessThan(boundaryOf(Math.max(a, b)));
      }),
    );
  });

  it.each(['fraud-1', 'fraud-2', '', '🎭'])('spreads 100 000 subjects evenly under the salt "%s"', (salt) => {
    const cells = Array.from({ length: 100 }, () => 0);
    for (const subject of subjects) {
      const cell = Math.floor(bucketOf(salt, subject) / 1000);
      cells[cell] = (cells[cell] ?? 0) + 1;
    }
    const chiSquare = cells.reduce((sum, seen) => sum + (seen - 1000) ** 2 / 1000, 0);
    // 99 degrees of freedom: above 161 once in 10 000 salts, below 51 as rarely.
    expect(chiSquare).toBeGreaterThan(51);
    expect(chiSquare).toBeLessThan(161);
  });

  it.each([
    { percent: 0.1, salt: 'tiny' },
    { percent: 1, salt: 'small' },
    { percent: 10, salt: 'fraud-1' },
    { percent: 10, salt: 'fraud-2' },
    { percent: 50, salt: 'half' },
  ])('realises a share of $percent % within four standard errors (salt $salt)', ({ percent, salt }) => {
    const boundary = boundaryOf(percent);
    const seen = subjects.filter((subject) => bucketOf(salt, subject) < boundary).length;
    const share = percent / 100;
    const standardError = Math.sqrt(subjects.length * share * (1 - share));
    expect(Math.abs(seen - subjects.length * share)).toBeLessThan(4 * standardError);
  });

  it('draws independent subjects under different salts', () => {
    const boundary = boundaryOf(10);
    const inBoth = subjects.filter((subject) => bucketOf('one', subject) < boundary && bucketOf('two', subject) < boundary);
    // 1 % of 100 000, standard error 31.5.
    expect(Math.abs(inBoth.length - 1000)).toBeLessThan(126);
  });
});

describe('boundaryOf', () => {
  it.each([
    { percent: 0, boundary: 0 },
    { percent: 0.001, boundary: 1 },
    { percent: 0.0004, boundary: 0 },
    { percent: 0.29, boundary: 290 },
    { percent: 5, boundary: 5000 },
    { percent: 33.333, boundary: 33_333 },
    { percent: 57.3, boundary: 57_300 },
    { percent: 99.9996, boundary: 100_000 },
    { percent: 100, boundary: 100_000 },
  ])('turns $percent % into $boundary buckets', ({ percent, boundary }) => {
    expect(boundaryOf(percent)).toBe(boundary);
  });

  it('is exact for every share of whole thousandths of a percent', () => {
    for (let boundary = 0; boundary <= BUCKET_COUNT; boundary += 1) {
      if (boundaryOf(boundary / 1000) !== boundary) expect(boundaryOf(boundary / 1000)).toBe(boundary);
    }
  });
});
