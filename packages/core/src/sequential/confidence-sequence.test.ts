import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { latencyOfBucket } from '../histogram.ts';
import { meanInterval, quantileInterval, rateInterval } from './confidence-sequence.ts';

fc.configureGlobal({ seed: 1 });

const ALPHA = 0.05;

/** The exact chance that an interval misses at one of the first `most` looks, for requests that are bad with the given rate. */
function missesEver(rate: number, most: number, covers: (count: number, bad: number) => boolean): number {
  let alive: readonly number[] = [1];
  let missed = 0;
  for (let count = 1; count <= most; count += 1) {
    const before = alive;
    const chances = Array.from(
      { length: count + 1 },
      (_, bad) => (before[bad] ?? 0) * (1 - rate) + (before[bad - 1] ?? 0) * rate,
    );
    alive = chances.map((chance, bad) => {
      if (chance === 0 || covers(count, bad)) return chance;
      missed += chance;
      return 0;
    });
  }
  return missed;
}

describe('rateInterval', () => {
  it.each([0.01, 0.2, 0.5, 0.97])('misses a rate of %s with a chance of at most 5 %, looking after every request', (rate) => {
    const covers = (count: number, bad: number) => {
      const [low, high] = rateInterval({ count, bad }, ALPHA);
      return low <= rate && rate <= high;
    };
    expect(missesEver(rate, 80, covers)).toBeLessThanOrEqual(ALPHA);
  });

  it.each([
    { name: 'nothing', counts: { count: 0, bad: 0 }, interval: [0, 1] },
    { name: 'no bad request', counts: { count: 100, bad: 0 }, interval: [0, 0.057] },
    { name: 'only bad requests', counts: { count: 100, bad: 100 }, interval: [0.943, 1] },
    { name: 'one in a hundred', counts: { count: 10_000, bad: 100 }, interval: [0.00656, 0.0145] },
    { name: 'one in a thousand of very many', counts: { count: 1e9, bad: 1e6 }, interval: [0.000995, 0.00101] },
  ])('of $name is $interval', ({ counts, interval }) => {
    const found = rateInterval(counts, ALPHA);
    expect(found.map((end) => Number(end.toPrecision(3)))).toEqual(interval);
  });

  it('holds the rate that was seen, and more of it at a smaller alpha', () => {
    const counts = fc.integer({ min: 1, max: 1e6 }).chain((count) => fc.nat(count).map((bad) => ({ count, bad })));
    fc.assert(
      fc.property(counts, ({ count, bad }) => {
        const [low, high] = rateInterval({ count, bad }, 0.05);
        const [lower, higher] = rateInterval({ count, bad }, 0.01);
        expect([lower, low, bad / count, high, higher]).toEqual(
          [lower, low, bad / count, high, higher].toSorted((a, b) => a - b),
        );
      }),
    );
  });

  it.each([0, 1, Number.NaN])('refuses an alpha of %s', (alpha) => {
    expect(() => rateInterval({ count: 1, bad: 0 }, alpha)).toThrow(RangeError);
  });
});

describe('quantileInterval', () => {
  it.each([0.3, 0.5, 0.9])(
    'misses the bucket of the quantile %s with a chance of at most 5 %, looking after every request',
    (quantile) => {
      const covers = (count: number, below: number) => {
        const histogram = [[100, below] as const, [200, count - below] as const].filter(([, seen]) => seen > 0);
        const [low, high] = quantileInterval(histogram, quantile, ALPHA) ?? [0, Infinity];
        return low <= latencyOfBucket(100.5) && latencyOfBucket(100.5) <= high;
      };
      expect(missesEver(quantile, 80, covers)).toBeLessThanOrEqual(ALPHA);
    },
  );

  it.each([
    { quantile: 0.5, count: 7 },
    { quantile: 0.95, count: 116 },
    { quantile: 0.99, count: 680 },
  ])('of the quantile $quantile exists from $count latencies on', ({ quantile, count }) => {
    expect(quantileInterval([[100, count - 1]], quantile, ALPHA)).toBeUndefined();
    expect(quantileInterval([[100, count]], quantile, ALPHA)).toEqual([latencyOfBucket(99.5), latencyOfBucket(100.5)]);
  });

  it('narrows with the number of latencies', () => {
    const uniform = (each: number) => Array.from({ length: 100 }, (_, bucket) => [bucket + 200, each] as const);
    const bucketsOf = (each: number) => {
      const [low, high] = quantileInterval(uniform(each), 0.5, ALPHA) ?? [Number.NaN, Number.NaN];
      return [220, 230, 240, 248, 250, 252, 260, 270, 280].filter(
        (bucket) => latencyOfBucket(bucket) >= low && latencyOfBucket(bucket) <= high,
      );
    };
    expect(bucketsOf(1)).toEqual([240, 248, 250, 252, 260]);
    expect(bucketsOf(100)).toEqual([248, 250]);
  });

  it('knows nothing of an empty histogram', () => {
    expect(quantileInterval([], 0.5, ALPHA)).toBeUndefined();
  });

  it.each([0, 1])('refuses the quantile %s', (quantile) => {
    expect(() => quantileInterval([[100, 10]], quantile, ALPHA)).toThrow(RangeError);
  });
});

describe('meanInterval', () => {
  it.each([0.02, 0.5, 0.9])('misses a mean of %s with a chance of at most 5 %, looking after every value', (mean) => {
    const covers = (count: number, ones: number) => {
      const [low, high] = meanInterval({ count, sum: ones, sumSquares: ones }, ALPHA);
      return low <= mean && mean <= high;
    };
    expect(missesEver(mean, 40, covers)).toBeLessThanOrEqual(ALPHA);
  });

  it.each([
    { name: 'no values', moments: { count: 0, sum: 0, sumSquares: 0 }, interval: [0, 1] },
    { name: 'zeros and ones', moments: { count: 1000, sum: 700, sumSquares: 700 }, interval: [0.646, 0.754] },
    { name: 'values that hardly differ', moments: { count: 1000, sum: 700, sumSquares: 490.1 }, interval: [0.689, 0.711] },
  ])('of $name is $interval', ({ moments, interval }) => {
    expect(meanInterval(moments, ALPHA)).toEqual(interval.map((end) => expect.closeTo(end, 3)));
  });

  it('refuses values beyond 1', () => {
    expect(() => meanInterval({ count: 1, sum: 2, sumSquares: 4 }, ALPHA)).toThrow(RangeError);
  });
});
