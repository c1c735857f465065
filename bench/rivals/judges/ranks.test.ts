import { describe, expect, it } from 'vitest';
import { articleQuantile, newestSamplesOf } from './newest-samples.ts';
import { growingSampleOf, mannWhitneyZ, shiftOf } from './ranks.ts';

const floats = (...values: number[]) => Float64Array.from(values);

describe('mannWhitneyZ', () => {
  it.each([
    // U = 25 of 25 around 12.5, standard deviation √(25 · 11 / 12).
    { name: 'separated samples', first: floats(6, 7, 8, 9, 10), second: floats(1, 2, 3, 4, 5), z: 2.6112 },
    { name: 'the same the other way round', first: floats(1, 2, 3, 4, 5), second: floats(6, 7, 8, 9, 10), z: -2.6112 },
    // U = 1 + 1½ + 3 = 5½ around 4½, standard deviation √(9 / 12 · (7 − 6 / 30)).
    { name: 'ties', first: floats(1, 2, 4), second: floats(0, 2, 3), z: 0.4428 },
    { name: 'equal samples', first: floats(1, 2, 3), second: floats(1, 2, 3), z: 0 },
    { name: 'values that are all the same', first: floats(1, 1), second: floats(1, 1, 1), z: 0 },
    { name: 'an empty sample', first: floats(), second: floats(1, 2), z: 0 },
  ])('knows $name', ({ first, second, z }) => {
    expect(mannWhitneyZ(first, second)).toBeCloseTo(z, 3);
  });
});

describe('shiftOf', () => {
  it('takes the middle of all differences, and the outermost ones as the interval of two fives', () => {
    expect(shiftOf([11, 12, 13, 14, 15], [1, 2, 3, 4, 5])).toEqual({ estimate: 10, low: 6, high: 14 });
  });

  it('finds a shift that was made', () => {
    const base = Array.from({ length: 15 }, (_, index) => index * index);
    const shift = shiftOf(
      base.map((value) => value + 1000),
      base,
    );
    expect(shift?.estimate).toBe(1000);
    expect(shift?.low).toBeLessThan(1000);
    expect(shift?.high).toBe(2000 - (shift?.low ?? 0));
  });

  it('says nothing on fewer values than an interval of 98 % needs', () => {
    expect(shiftOf([1, 2, 3, 4], [11, 12, 13, 14])).toBeUndefined();
    expect(shiftOf([], [1, 2, 3, 4, 5])).toBeUndefined();
  });
});

it('sorts what has grown', () => {
  const sample = growingSampleOf();
  for (let value = 3000; value > 1000; value -= 1) sample.add(value);
  expect([...sample.sorted().slice(0, 2), sample.sorted().length]).toEqual([1001, 1002, 2000]);
  sample.add(5);
  sample.add(2500);
  expect([...sample.sorted().slice(0, 2), sample.sorted().length]).toEqual([5, 1001, 2002]);
  expect(sample.sorted().filter((value) => value === 2500)).toHaveLength(2);
});

it('keeps the newest values', () => {
  const samples = newestSamplesOf(3);
  expect(samples.count).toBe(0);
  for (const value of [9, 1, 2, 3]) samples.add(value);
  expect({ count: samples.count, mean: samples.mean(), sorted: [...samples.sorted()] }).toEqual({
    count: 3,
    mean: 2,
    sorted: [1, 2, 3],
  });
});

it.each([
  { count: 100, share: 0.99, value: 99 },
  { count: 20, share: 0.95, value: 19 },
  { count: 1, share: 0.99, value: 0 },
])('takes place $value of $count for $share', ({ count, share, value }) => {
  expect(
    articleQuantile(
      Float64Array.from({ length: count }, (_, index) => index),
      share,
    ),
  ).toBe(value);
});
