import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  blocksOfCohort,
  COHORT_MS,
  cohortOf,
  type FeedbackSum,
  lagClassOf,
  lagQuantileOf,
  longestLagOf,
  newestDueCohort,
} from './feedback.ts';

const sum = (extra: Partial<FeedbackSum> = {}): FeedbackSum => ({
  cohort: 5,
  version: 'v1',
  arm: 'champion',
  name: 'accuracy',
  lag: 3,
  moments: { count: 2, sum: 1, sumSquares: 1 },
  ...extra,
});

describe('newestDueCohort', () => {
  it('is due when the last of its requests has waited long enough, and not before', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: 0, max: 1e9 }), (atMs, dueMs) => {
        const newest = newestDueCohort(atMs, dueMs);
        const lastRequestMs = (cohort: number) => (cohort + 1) * COHORT_MS;
        expect(lastRequestMs(newest)).toBeLessThanOrEqual(atMs - dueMs);
        expect(lastRequestMs(newest + 1)).toBeGreaterThan(atMs - dueMs);
        expect(cohortOf(lastRequestMs(newest) - 1)).toBe(newest);
      }),
    );
  });
});

describe('lag classes', () => {
  it.each([
    [-5, 0],
    [0, 0],
    [999, 0],
    [1000, 1],
    [2999, 1],
    [3000, 2],
    [3_600_000, 11],
    [90 * 86_400_000, 22],
  ])('%d ms is of class %d', (lagMs, expected) => {
    expect(lagClassOf(lagMs)).toBe(expected);
    expect(lagMs).toBeLessThan(longestLagOf(expected));
  });

  it('give the lag within which a share of the labels came', () => {
    const sums = [1, 4, 2].map((lag) => sum({ lag, moments: { count: lag, sum: 0, sumSquares: 0 } }));
    expect(lagQuantileOf(sums, 0.4)).toBe(longestLagOf(2));
    expect(lagQuantileOf(sums, 0.9)).toBe(longestLagOf(4));
    expect(lagQuantileOf([], 0.5)).toBeUndefined();
  });
});

describe('blocksOfCohort', () => {
  it('makes one block of each place, with its labels by name, at the second in which it is judged', () => {
    const trial = { version: 'v2', arm: 'challenger', rollout: 'fraud-1', step: 2 } as const;
    const blocks = blocksOfCohort('fraud', [sum(), sum({ lag: 7 }), sum({ name: 'rating' }), sum(trial)], 12_345.6);
    expect(blocks.map(({ tally, ...place }) => ({ ...place, labels: tally.labels, requests: tally.requests }))).toEqual([
      {
        model: 'fraud',
        version: 'v1',
        arm: 'champion',
        startMs: 12_000,
        requests: 0,
        labels: { accuracy: { count: 4, sum: 2, sumSquares: 2 }, rating: { count: 2, sum: 1, sumSquares: 1 } },
      },
      { model: 'fraud', ...trial, startMs: 12_000, requests: 0, labels: { accuracy: { count: 2, sum: 1, sumSquares: 1 } } },
    ]);
  });
});
