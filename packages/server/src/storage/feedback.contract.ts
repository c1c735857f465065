/** The contract of feedback: what was said last of a request counts, once, whatever the order it comes in. */
import { COHORT_MS, type FeedbackMark } from '@understudy/core/feedback';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ENVIRONMENT, type OpenStore } from './samples.contract.ts';
import type { Store } from './store.ts';

const COHORT = 28_333_333;

const mark = (extra: Partial<FeedbackMark> = {}): FeedbackMark => ({
  model: 'fraud',
  version: 'v1',
  arm: 'champion',
  request: 'r1',
  requestAtMs: COHORT * COHORT_MS + 500,
  name: 'accuracy',
  value: 1,
  givenAtMs: COHORT * COHORT_MS + 10_500,
  ...extra,
});

export function testFeedback(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(async () => {
    await store.close();
  });
  const read = (model = 'fraud', fromCohort = 0, toCohort = 1e9) => store.feedback(ENVIRONMENT, { model, fromCohort, toCohort });
  const sum = { cohort: COHORT, version: 'v1', arm: 'champion', name: 'accuracy', lag: 3 } as const;

  it('adds up by cohort, place, name and lag', async () => {
    const trial = { version: 'v2', arm: 'challenger', rollout: 'fraud-1', step: 2 } as const;
    await store.saveFeedback(ENVIRONMENT, [
      mark(),
      mark({ request: 'r2', value: 0 }),
      mark({ request: 'r3', value: 0.5, givenAtMs: COHORT * COHORT_MS + 500 }),
      mark({ request: 'r1', name: 'rating', value: 0.25 }),
      mark({ request: 'r4', ...trial }),
      mark({ request: 'r5', requestAtMs: (COHORT + 1) * COHORT_MS, givenAtMs: (COHORT + 1) * COHORT_MS }),
      mark({ request: 'r6', model: 'churn' }),
    ]);
    await store.saveFeedback('staging', [mark({ request: 'r7' })]);
    const one = (value: number) => ({ count: 1, sum: value, sumSquares: value * value });
    const expected = [
      { ...sum, ...trial, moments: one(1) },
      { ...sum, lag: 0, moments: one(0.5) },
      { ...sum, moments: { count: 2, sum: 1, sumSquares: 1 } },
      { ...sum, name: 'rating', moments: one(0.25) },
      { ...sum, cohort: COHORT + 1, lag: 0, moments: one(1) },
    ];
    const sums = await read();
    expect(sums).toHaveLength(expected.length);
    expect(sums).toEqual(expect.arrayContaining(expected));
    expect(sums.map(({ cohort }) => cohort)).toEqual(sums.map(({ cohort }) => cohort).toSorted((a, b) => a - b));
    expect(await read('fraud', COHORT + 1)).toEqual([expected[4]]);
    expect(await read('fraud', 0, COHORT - 1)).toEqual([]);
    expect(await read('churn')).toHaveLength(1);
  });

  it('keeps what was given last, in whatever order it comes', async () => {
    const later = mark({ value: 0, givenAtMs: COHORT * COHORT_MS + 90_000 });
    await store.saveFeedback(ENVIRONMENT, [later]);
    await store.saveFeedback(ENVIRONMENT, [mark()]);
    await store.saveFeedback(ENVIRONMENT, [later, later]);
    expect(await read()).toEqual([{ ...sum, lag: 6, moments: { count: 1, sum: 0, sumSquares: 0 } }]);
    await store.saveFeedback(ENVIRONMENT, [{ ...later, value: 0.5 }]);
    expect(await read()).toMatchObject([{ moments: { count: 1, sum: 0.5 } }]);
  });

  it('takes nothing, and forgets what is older than asked', async () => {
    await store.saveFeedback(ENVIRONMENT, []);
    expect(await read()).toEqual([]);
    await store.saveFeedback(ENVIRONMENT, [mark(), mark({ request: 'r2', requestAtMs: (COHORT + 1) * COHORT_MS })]);
    await store.prune(ENVIRONMENT, { evidenceMs: 1e14, feedbackMs: (COHORT + 1) * COHORT_MS, idempotencyMs: 0 });
    expect((await read()).map(({ cohort }) => cohort)).toEqual([COHORT + 1]);
  });
}
