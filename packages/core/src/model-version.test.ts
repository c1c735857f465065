import { describe, expect, it } from 'vitest';
import { momentsOf } from './evidence.ts';
import { baselineOf } from './model-version.ts';

describe('baselineOf', () => {
  it('is the mean and the spread of the predictions', () => {
    const baseline = { count: 3, mean: 2, standardDeviation: 1, source: 'validation', setAtMs: 7 };
    expect(baselineOf(momentsOf([1, 2, 3]), 'validation', 7)).toEqual(baseline);
  });

  it('may have no spread', () => {
    expect(baselineOf(momentsOf([2, 2]), 'live', 0)).toMatchObject({ mean: 2, standardDeviation: 0 });
  });

  it.each([
    { name: 'no prediction', moments: momentsOf([]) },
    { name: 'one prediction', moments: momentsOf([1]) },
    { name: 'predictions whose squares no number can hold', moments: momentsOf([1e200, 2e200]) },
    { name: 'predictions whose sum no number can hold', moments: momentsOf([1e308, 1e308]) },
    { name: 'predictions that are no numbers', moments: momentsOf([1, Number.NaN]) },
  ])('does not exist for $name', ({ moments }) => {
    expect(baselineOf(moments, 'validation', 0)).toBeUndefined();
  });
});
