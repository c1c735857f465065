import { describe, expect, it } from 'vitest';
import { betOnMeanHarm, betOnMeanSafety, MEAN_ALTERNATIVES } from './bounded-mean-test.ts';
import { logEvidence, openEProcess, WHOLE_FUND } from './e-process.ts';

const opened = openEProcess(MEAN_ALTERNATIVES, WHOLE_FUND);

/** Sums of values that are 0 or 1. */
function sumsOf(count: number, mean: number) {
  return { count, sum: count * mean, sumSquares: count * mean };
}

describe('betting on means', () => {
  it.each([
    { name: 'equal means', challenger: 0.8, harm: false, safety: true },
    { name: 'a better challenger', challenger: 0.9, harm: false, safety: true },
    { name: 'a challenger right on the limit', challenger: 0.75, harm: false, safety: false },
    { name: 'a worse challenger', challenger: 0.65, harm: true, safety: false },
  ])('on $name: harm is proven: $harm, safety: $safety', ({ challenger, harm, safety }) => {
    const sums = { champion: sumsOf(9000, 0.8), challenger: sumsOf(1000, challenger) };
    const bet = { drop: 0.05, guess: 0.79 };
    expect(logEvidence(betOnMeanHarm(opened, bet, sums)) >= Math.log(20)).toBe(harm);
    expect(logEvidence(betOnMeanSafety(opened, bet, sums)) >= Math.log(20)).toBe(safety);
  });

  it('finds stars that fall from 4.5 to 4.4 within the requests of the reference', () => {
    // 10 % of the five-star ratings become three stars: the mean falls by 0.025 of the scale; 2 056 requests at a share of 10 %.
    const ratings = (count: number, fives: number) => ({
      count,
      sum: count * (0.5 + fives / 2),
      sumSquares: count * (0.25 + 0.75 * fives),
    });
    const sums = { champion: ratings(18_000, 0.8), challenger: ratings(2000, 0.75) };
    expect(logEvidence(betOnMeanHarm(opened, { drop: 0, guess: 0.9 }, sums))).toBeGreaterThan(Math.log(20));
  });

  it('changes nothing without values on an arm', () => {
    const sums = { champion: sumsOf(10, 0.5), challenger: sumsOf(0, 0) };
    expect(betOnMeanHarm(opened, { drop: 0, guess: 0.5 }, sums)).toEqual(opened);
  });

  it.each([
    { drop: 0, guess: 0 },
    { drop: 0, guess: 1 },
    { drop: 0.9, guess: 0 },
    { drop: 0.9, guess: 1 },
  ])('is finite at a drop of $drop and a guess of $guess', (bet) => {
    const sums = { champion: sumsOf(1000, 0.3), challenger: sumsOf(10, 0.6) };
    expect(Number.isFinite(logEvidence(betOnMeanHarm(opened, bet, sums)))).toBe(true);
    expect(Number.isFinite(logEvidence(betOnMeanSafety(opened, bet, sums)))).toBe(true);
  });

  it.each([
    { name: 'values above 1', bet: { drop: 0, guess: 0.5 }, sums: { count: 1, sum: 2, sumSquares: 4 } },
    { name: 'negative values', bet: { drop: 0, guess: 0.5 }, sums: { count: 1, sum: -1, sumSquares: 1 } },
    { name: 'a sum that is no number', bet: { drop: 0, guess: 0.5 }, sums: { count: 1, sum: Number.NaN, sumSquares: 1 } },
    { name: 'a drop of the whole scale', bet: { drop: 1, guess: 0.5 }, sums: sumsOf(1, 1) },
    { name: 'a guess off the scale', bet: { drop: 0, guess: 1.5 }, sums: sumsOf(1, 1) },
  ])('refuses $name', ({ bet, sums }) => {
    expect(() => betOnMeanHarm(opened, bet, { champion: sumsOf(1, 1), challenger: sums })).toThrow(RangeError);
  });
});
