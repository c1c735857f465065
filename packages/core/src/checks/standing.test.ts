import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CheckConfig } from './config.ts';
import type { Measurement } from './measurement.ts';
import { type CheckStanding, standingOf } from './standing.ts';
import { absorbMeasurement, type CheckState, KEPT, NEVER_ASKED } from './state.ts';
import { answered, EVERY_MS, queryCheck } from './test-checks.ts';

fc.configureGlobal({ seed: 1 });

type Absorb = typeof absorbMeasurement;

function fold(config: CheckConfig, measurements: readonly Measurement[], absorb: Absorb = absorbMeasurement): CheckState {
  return measurements.reduce((state, measurement) => absorb(config, state, measurement), NEVER_ASKED);
}

/** Asked right when the newest answer was due; the step is held since the first one. */
function standing(
  letters: string,
  config = queryCheck(),
  question: Partial<Parameters<typeof standingOf>[2]> = {},
): CheckStanding {
  const atMs = Math.max(0, letters.length - 1) * EVERY_MS;
  return standingOf(config, fold(config, answered(letters)), { atMs, sinceMs: 0, isLast: false, ...question });
}

describe('answers in the order they came', () => {
  it.each([
    { letters: '', verdict: 'no-data', isHolding: true, words: 'no answer yet' },
    { letters: 'P', verdict: 'healthy', isHolding: false, words: 'passed' },
    { letters: 'W', verdict: 'undecided', isHolding: true, words: 'warns' },
    { letters: 'PF', verdict: 'undecided', isHolding: true, words: 'failed 1 of 3 times in a row' },
    { letters: 'PFF', verdict: 'undecided', isHolding: true, words: 'failed 2 of 3 times in a row' },
    { letters: 'PFFF', verdict: 'harmful', isHolding: true, words: 'failed 3 times in a row' },
    { letters: 'FFP', verdict: 'healthy', isHolding: false, words: 'passed' },
    { letters: 'FFPFF', verdict: 'undecided', isHolding: true, words: 'failed 2 of 3 times in a row' },
    { letters: 'FFWF', verdict: 'undecided', isHolding: true, words: 'failed 1 of 3 times in a row' },
    { letters: 'FEFNF', verdict: 'harmful', isHolding: true, words: 'failed 3 times in a row' },
    { letters: 'FF     F', verdict: 'undecided', isHolding: true, words: 'failed 1 of 3 times in a row' },
    { letters: 'N', verdict: 'no-data', isHolding: true, words: 'no data' },
    { letters: 'PN', verdict: 'no-data', isHolding: true, words: 'no data' },
    { letters: 'E', verdict: 'no-data', isHolding: true, words: 'no answer yet, then a provider error' },
    { letters: 'PE', verdict: 'healthy', isHolding: false, words: 'passed, then a provider error' },
    { letters: 'PEE', verdict: 'healthy', isHolding: false, words: 'passed, then 2 provider errors' },
    {
      letters: 'PEEE',
      verdict: 'no-data',
      isHolding: true,
      words: 'provider error since 1m ago, 3 times in a row; the rollout holds',
    },
    { letters: 'EEEEEEEE', verdict: 'no-data', isHolding: true, words: 'provider error since 3m 30s ago, 8 times in a row' },
    { letters: 'EEEP', verdict: 'healthy', isHolding: false, words: 'passed' },
    { letters: 'P     ', verdict: 'no-data', isHolding: true, words: 'not asked for 2m 30s; the rollout holds' },
    { letters: 'F     ', verdict: 'no-data', isHolding: true, words: 'not asked for 2m 30s' },
  ] as const)('"$letters" is $verdict: $words', ({ letters, verdict, isHolding, words }) => {
    const found = standing(letters);
    expect({ verdict: found.reading.verdict, isHolding: found.isHolding }).toEqual({ verdict, isHolding });
    expect(found.reading.reason).toContain(words);
  });

  it('are shown with their age, the newest first, and the numbers in fields of their own', () => {
    const { reading, brief } = standing('PFEF');
    expect(reading).toMatchObject({ guard: 'check slo', challenger: 2, limit: 1, unit: 'number', samples: 4 });
    expect(reading.reason).toBe(
      'failed 2 of 3 times in a row (fails above 1); 2, 0ms ago; error (HTTP 502), 30s ago; 2, 1m ago; 0.1, 1m 30s ago',
    );
    expect(brief).toBe('check slo: failed 2 of 3 times in a row (fails above 1); 2, 0ms ago');
  });

  it('are kept in a state of fixed size', () => {
    const state = fold(queryCheck(), answered('PFWEN'.repeat(100)));
    expect(state.recent).toHaveLength(KEPT);
    expect(state.count).toBe(500);
    expect(JSON.parse(JSON.stringify(state))).toEqual(state);
  });
});

describe('what a plan says about a check', () => {
  it.each([
    {
      name: 'failures hold instead of rolling back',
      letters: 'FFF',
      check: { onFailure: 'hold' },
      verdict: 'undecided',
      isHolding: true,
    },
    { name: 'one failure is enough', letters: 'F', check: { failures: 1 }, verdict: 'harmful', isHolding: true },
    { name: 'errors are ignored', letters: 'EEE', check: { onError: 'ignore' }, verdict: 'no-data', isHolding: false },
    {
      name: 'errors are ignored once there are enough',
      letters: 'EE',
      check: { onError: 'ignore' },
      verdict: 'no-data',
      isHolding: true,
    },
    { name: 'missing data is ignored', letters: 'N', check: { onNoData: 'ignore' }, verdict: 'no-data', isHolding: false },
    {
      name: 'no proof is needed before the promotion',
      letters: 'W',
      check: { needed: 'promotion' },
      verdict: 'undecided',
      isHolding: false,
    },
    { name: 'no proof is ever needed', letters: 'EEE', check: { needed: 'never' }, verdict: 'no-data', isHolding: false },
    {
      name: 'a failure holds although no proof is needed',
      letters: 'F',
      check: { needed: 'never' },
      verdict: 'undecided',
      isHolding: true,
    },
    {
      name: 'a pass within the time that queries look back is no proof',
      letters: 'PP',
      check: { afterMs: 60_000 },
      verdict: 'undecided',
      isHolding: true,
    },
    { name: 'a pass after it is', letters: 'PPP', check: { afterMs: 60_000 }, verdict: 'healthy', isHolding: false },
  ] as const)('$name', ({ letters, check, verdict, isHolding }) => {
    const found = standing(letters, queryCheck(check));
    expect({ verdict: found.reading.verdict, isHolding: found.isHolding }).toEqual({ verdict, isHolding });
  });

  it('asks for proof at the promotion when it said so', () => {
    expect(standing('W', queryCheck({ needed: 'promotion' }), { isLast: true }).isHolding).toBe(true);
  });

  it('counts failures of the steps before, and no proof of theirs', () => {
    expect(standing('FFF', queryCheck(), { sinceMs: 2 * EVERY_MS }).reading.verdict).toBe('harmful');
    expect(standing('PP', queryCheck(), { sinceMs: EVERY_MS + 1, atMs: EVERY_MS + 2 })).toMatchObject({
      isHolding: true,
      reading: { verdict: 'undecided', reason: expect.stringContaining('waits for an answer of this step') },
    });
  });
});

describe('an error of the provider', () => {
  const letters = (from: string): fc.Arbitrary<string> => fc.string({ unit: fc.constantFrom(...from.split('')), maxLength: 40 });

  /** Sequences without a single failure that still end as harmful. */
  function falseHarm(absorb: Absorb): number {
    const config = queryCheck({ failures: 2 });
    return fc
      .sample(letters('PWNE '), { numRuns: 300, seed: 7 })
      .map((sequence) => standingOf(config, fold(config, answered(sequence), absorb), { atMs: 0, sinceMs: 0, isLast: false }))
      .filter(({ reading }) => reading.verdict === 'harmful').length;
  }

  it('is never a failure of the metric', () => {
    expect(falseHarm(absorbMeasurement)).toBe(0);
  });

  it('would be noticed here if it were counted as one', () => {
    const planted: Absorb = (config, state, { answer, ...asked }) =>
      absorbMeasurement(config, state, {
        ...asked,
        answer: answer.outcome === 'error' ? { outcome: 'value', value: '+Inf' } : answer,
      });
    expect(falseHarm(planted)).toBeGreaterThan(10);
  });

  it('in the place of any answer makes no harm out of none', () => {
    fc.assert(
      fc.property(letters('PWFNE '), fc.nat(40), (sequence, place) => {
        const blinded = sequence
          .split('')
          .map((letter, index) => (index === place && letter !== 'P' && letter !== 'W' ? 'E' : letter));
        const failuresOf = (text: string): number => fold(queryCheck(), answered(text)).failures;
        expect(failuresOf(blinded.join(''))).toBeLessThanOrEqual(failuresOf(sequence));
      }),
    );
  });
});
