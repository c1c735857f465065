import { describe, expect, it } from 'vitest';
import { bet, logEvidence, openEProcess, WHOLE_FUND } from './e-process.ts';
import { alternativesAbove, LIMIT_ALTERNATIVES, limitLogFactors, oneSampleLogFactor } from './one-sample-test.ts';

describe('oneSampleLogFactor', () => {
  it('is the logarithm of the likelihood ratio', () => {
    const ratio = (0.2 / 0.1) ** 3 * (0.8 / 0.9) ** 7;
    expect(oneSampleLogFactor(0.1, 0.2, { count: 10, bad: 3 })).toBeCloseTo(Math.log(ratio), 12);
  });
});

describe('limitLogFactors', () => {
  it.each([
    { name: 'within the limit proves nothing', bad: 40, isProven: false },
    { name: 'right on the limit proves nothing', bad: 50, isProven: false },
    { name: 'far above the limit is proven', bad: 80, isProven: true },
  ])('$name', ({ bad, isProven }) => {
    const process = bet(openEProcess(LIMIT_ALTERNATIVES, WHOLE_FUND), limitLogFactors(0.05, { count: 1000, bad }));
    expect(logEvidence(process) >= Math.log(20)).toBe(isProven);
  });

  it.each([0, 1, 1e-6, -0.1, Number.NaN])('refuses a limit of %s', (limit) => {
    expect(() => limitLogFactors(limit, { count: 1, bad: 0 })).toThrow(RangeError);
  });

  it('refuses counts that are none', () => {
    expect(() => limitLogFactors(0.05, { count: 1, bad: 2 })).toThrow(RangeError);
  });
});

it('has its alternatives above the limit', () => {
  const alternatives = alternativesAbove(0.05);
  expect(alternatives).toHaveLength(LIMIT_ALTERNATIVES);
  expect(alternatives.map((alternative) => Number(alternative.toFixed(3)))).toEqual([
    0.058, 0.066, 0.088, 0.125, 0.207, 0.391, 0.742,
  ]);
});
