import { describe, expect, it } from 'vitest';
import { medianOf, slopeOf } from './statistics.ts';

describe('medianOf', () => {
  it.each([
    { name: 'takes the middle of an odd number of values, in any order', values: [9, 1, 5], expected: 5 },
    { name: 'takes the mean of the two middle values of an even number', values: [4, 1, 3, 2], expected: 2.5 },
    { name: 'takes the only value', values: [7], expected: 7 },
  ])('$name', ({ values, expected }) => {
    expect(medianOf(values)).toBe(expected);
  });

  it('refuses no values', () => {
    expect(() => medianOf([])).toThrow(RangeError);
  });
});

describe('slopeOf', () => {
  it.each([
    { name: 'is the growth per step of a straight line', values: [10, 12, 14, 16], expected: 2 },
    { name: 'is zero for a flat series', values: [5, 5, 5], expected: 0 },
    { name: 'is zero for noise around a level', values: [1, 3, 3, 1], expected: 0 },
    { name: 'is negative when values fall', values: [3, 2], expected: -1 },
  ])('$name', ({ values, expected }) => {
    expect(slopeOf(values)).toBe(expected);
  });

  it('refuses a single value', () => {
    expect(() => slopeOf([1])).toThrow(RangeError);
  });
});
