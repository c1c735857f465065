import { describe, expect, it } from 'vitest';
import { growthPerChallengerRequest, normalQuantile, requestsToDetect, requestsToPass, smallestDetectable } from './power.ts';

const TOLERANCE = { ratio: 1.1, plus: 0.001 };
const PROMOTE = { ratio: 1.5, plus: 0.003 };

function detection(rates: { champion: number; challenger: number }, w: number, alpha: number): readonly number[] {
  const growth = growthPerChallengerRequest(TOLERANCE, rates, w);
  return [0.5, 0.95].map((probability) => requestsToDetect({ growth, alpha, weight: 0.4, probability }));
}

/** The largest relative difference. */
function errorOf(found: readonly number[], expected: readonly number[]): number {
  return Math.max(...expected.map((value, index) => Math.abs((found[index] ?? Number.NaN) / value - 1)));
}

// Tables of the reference, section 6.2; its numbers of requests are rounded up.
describe('requestsToDetect', () => {
  it.each([
    { from: 0.001, to: 0.005, w: 0.1, alpha: 0.05, requests: [3953, 10_524] },
    { from: 0.001, to: 0.005, w: 0.5, alpha: 0.01, requests: [9325, 22_114] },
    { from: 0.01, to: 0.015, w: 0.1, alpha: 0.05, requests: [16_617, 44_244] },
    { from: 0.01, to: 0.015, w: 0.5, alpha: 0.05, requests: [31_066, 82_717] },
    { from: 0.01, to: 0.02, w: 0.1, alpha: 0.05, requests: [2631, 7004] },
    { from: 0.01, to: 0.02, w: 0.1, alpha: 0.01, requests: [3443, 8165] },
    { from: 0.01, to: 0.02, w: 0.5, alpha: 0.05, requests: [5149, 13_710] },
    { from: 0.01, to: 0.05, w: 0.1, alpha: 0.05, requests: [184, 489] },
    { from: 0.01, to: 0.05, w: 0.1, alpha: 0.01, requests: [240, 569] },
    { from: 0.01, to: 0.05, w: 0.5, alpha: 0.01, requests: [548, 1298] },
  ])('of errors $from → $to at w = $w and alpha = $alpha are $requests', ({ from, to, w, alpha, requests }) => {
    expect(errorOf(detection({ champion: from, challenger: to }, w, alpha), requests)).toBeLessThan(0.02);
  });

  it.each([
    { to: 0.23, w: 0.1, requests: [4906, 13_063] },
    { to: 0.25, w: 0.5, requests: [2268, 6037] },
    { to: 0.3, w: 0.1, requests: [261, 695] },
  ])('of an accuracy that falls until $to are wrong at w = $w are $requests', ({ to, w, requests }) => {
    const growth = growthPerChallengerRequest({ ratio: 1, plus: 0.01 }, { champion: 0.2, challenger: to }, w);
    const found = [0.5, 0.95].map((probability) => requestsToDetect({ growth, alpha: 0.05, weight: 0.4, probability }));
    expect(errorOf(found, requests)).toBeLessThan(0.02);
  });

  it('never end where nothing grows', () => {
    expect(requestsToDetect({ growth: 0, alpha: 0.05, weight: 1, probability: 0.5 })).toBe(Infinity);
  });

  it.each([Number.NaN, -1])('refuse a growth of %s', (growth) => {
    expect(() => requestsToDetect({ growth, alpha: 0.05, weight: 1, probability: 0.5 })).toThrow(RangeError);
    expect(() => requestsToPass({ growth, beta: 0.2 })).toThrow(RangeError);
  });

  it.each([
    { alpha: 0, weight: 0.4, probability: 0.5 },
    { alpha: 0.05, weight: 0, probability: 0.5 },
    { alpha: 0.05, weight: 1.1, probability: 0.5 },
    { alpha: 0.05, weight: 0.4, probability: 1 },
  ])('refuse $alpha, $weight, $probability', (options) => {
    expect(() => requestsToDetect({ growth: 1, ...options })).toThrow(RangeError);
  });
});

describe('growthPerChallengerRequest', () => {
  it.each([
    { to: 0.02, bound: 1512 },
    { to: 0.05, bound: 105 },
  ])('gives Wald’s bound of $bound requests for errors 1 % → $to', ({ to, bound }) => {
    const growth = growthPerChallengerRequest(TOLERANCE, { champion: 0.01, challenger: to }, 0.1);
    expect(errorOf([Math.log(20) / growth], [bound])).toBeLessThan(0.005);
  });

  it.each([
    { name: 'errors 1 %', margin: PROMOTE, rate: 0.01, w: 0.1, bounds: [834, 1552] },
    { name: 'errors 1 %', margin: PROMOTE, rate: 0.01, w: 0.25, bounds: [1004, 1869] },
    { name: 'errors 1 %', margin: PROMOTE, rate: 0.01, w: 0.5, bounds: [1498, 2789] },
    { name: 'errors 1 %', margin: PROMOTE, rate: 0.01, w: 0.75, bounds: [2930, 5455] },
    { name: 'errors 0.1 %', margin: PROMOTE, rate: 0.001, w: 0.1, bounds: [833, 1550] },
    { name: 'errors 0.1 %', margin: PROMOTE, rate: 0.001, w: 0.75, bounds: [1172, 2181] },
    { name: 'accuracy 80 %', margin: { ratio: 1, plus: 0.02 }, rate: 0.2, w: 0.1, bounds: [1487, 2767] },
    { name: 'a half-line', margin: { ratio: 1, plus: 0.1 }, rate: 0.5, w: 0.5, bounds: [160, 298] },
  ])('bounds the proof of safety of $name at w = $w by $bounds requests', ({ margin, rate, w, bounds }) => {
    const growth = growthPerChallengerRequest(margin, { champion: rate, challenger: rate }, w);
    expect(errorOf([Math.log(5) / growth, Math.log(20) / growth], bounds)).toBeLessThan(0.005);
    const factor = requestsToPass({ growth, beta: 0.2 }) / (bounds[0] ?? Number.NaN);
    expect(factor).toBeCloseTo(1.4, 1);
  });

  it.each([0, 1])('refuses a share of %s', (w) => {
    expect(() => growthPerChallengerRequest(TOLERANCE, { champion: 0.01, challenger: 0.02 }, w)).toThrow(RangeError);
  });

  it.each([
    { name: 'on the line', champion: 0.01, challenger: 0.012, isZero: true },
    { name: 'of a champion without errors', champion: 0, challenger: 0.01, isZero: false },
    { name: 'of a challenger that always fails', champion: 0.01, challenger: 1, isZero: false },
    { name: 'where the line allows everything', champion: 1, challenger: 1, isZero: false },
  ])('is finite $name', ({ champion, challenger, isZero }) => {
    const growth = growthPerChallengerRequest(TOLERANCE, { champion, challenger }, 0.1);
    expect(growth).toBeGreaterThanOrEqual(0);
    expect(Number.isFinite(growth)).toBe(true);
    expect(Math.abs(growth) < 1e-12).toBe(isZero);
  });
});

describe('smallestDetectable', () => {
  it.each([
    { requests: 100, rates: [0.053, 0.0918, 0.1746, 0.1866] },
    { requests: 1000, rates: [0.0114, 0.0305, 0.0418, 0.0913] },
    { requests: 30_000, rates: [0.0033, 0.0149, 0.016, 0.062] },
  ])('after $requests requests is $rates', ({ requests, rates }) => {
    const traffic = [
      { champion: 0.001, w: 0.1 },
      { champion: 0.01, w: 0.1 },
      { champion: 0.01, w: 0.5 },
      { champion: 0.05, w: 0.1 },
    ];
    const found = traffic.map(
      (of) => smallestDetectable(TOLERANCE, { ...of, requests }, { alpha: 0.05, weight: 0.4, probability: 0.8 }) ?? Number.NaN,
    );
    expect(errorOf(found, rates)).toBeLessThan(0.02);
  });

  it.each([
    { name: 'before the first request', traffic: { champion: 0.01, w: 0.1, requests: 0 } },
    { name: 'where the champion always fails', traffic: { champion: 1, w: 0.1, requests: 1e6 } },
  ])('is nothing $name', ({ traffic }) => {
    expect(smallestDetectable(TOLERANCE, traffic, { alpha: 0.05, weight: 0.4, probability: 0.8 })).toBeUndefined();
  });
});

describe('normalQuantile', () => {
  it.each([
    { probability: 0.5, quantile: 0 },
    { probability: 0.8, quantile: 0.841_621_233_6 },
    { probability: 0.925, quantile: 1.439_531_470_9 },
    { probability: 0.975, quantile: 1.959_963_984_5 },
    { probability: 0.001, quantile: -3.090_232_306_2 },
    { probability: 1e-6, quantile: -4.753_424_308_8 },
    { probability: 1e-12, quantile: -7.034_483_825_4 },
  ])('of $probability is $quantile', ({ probability, quantile }) => {
    expect(Math.abs(normalQuantile(probability) - quantile)).toBeLessThan(1e-6);
  });
});
