import { ObservationBatch } from '@understudy/contract/observation-endpoints';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LateScore, type Outcome, writeLateScore, writeOutcome } from './outcome.ts';

const RANK = { flag: 'rank-version', variant: 'v2' } as const;

function batchOf(kind: 'observations' | 'counts', text: string): unknown {
  return { reporter: 'r', boot: 'b', sequence: 0, [kind]: [JSON.parse(text)] };
}

describe('an outcome', () => {
  it.each<{ name: string; outcome: Outcome; written: object }>([
    { name: 'of a request that went well', outcome: RANK, written: RANK },
    { name: 'that failed', outcome: { ...RANK, failed: true }, written: { ...RANK, error: 'failed' } },
    { name: 'that did not', outcome: { ...RANK, failed: false }, written: RANK },
    { name: 'that timed out', outcome: { model: 'rank', version: 'v1', failed: 'timeout' }, written: { error: 'timeout' } },
    {
      name: 'with everything',
      outcome: { ...RANK, latencyMs: 3, prediction: 'cat', scores: { clicked: 1 }, subject: 'ana', reason: 'SPLIT', atMs: 5 },
      written: { latencyMs: 3, prediction: 'cat', scores: { clicked: 1 }, subject: 'ana', reason: 'SPLIT', atMs: 5 },
    },
    { name: 'of a subject that is too long to tell', outcome: { ...RANK, subject: 'x'.repeat(1001) }, written: RANK },
  ])('$name is written as the server takes it', ({ outcome, written }) => {
    const reading = writeOutcome(outcome, 1000);
    if (reading.outcome === 'invalid') throw new Error(reading.problem);
    expect(JSON.parse(reading.text)).toMatchObject({ atMs: 1000, ...written });
    expect(ObservationBatch.safeParse(batchOf('observations', reading.text)).error).toBeUndefined();
  });

  it('is never written in a way that the server refuses, which would cost the whole batch', () => {
    const anyNumber = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, -1, 0, 1, 86_400_001));
    const outcomes = fc.record(
      {
        flag: fc.string({ maxLength: 210 }),
        variant: fc.string({ maxLength: 210 }),
        latencyMs: anyNumber,
        failed: fc.constantFrom(true, false, 'timeout', 'other'),
        prediction: fc.oneof(anyNumber, fc.string({ maxLength: 210 })),
        scores: fc.dictionary(fc.string({ maxLength: 5 }), anyNumber, { maxKeys: 3 }),
        subject: fc.string(),
        reason: fc.string(),
        atMs: anyNumber,
      },
      { requiredKeys: ['flag', 'variant'] },
    );
    fc.assert(
      fc.property(outcomes, (outcome) => {
        const reading = writeOutcome(outcome as Outcome, 1000);
        if (reading.outcome === 'invalid') return;
        expect(ObservationBatch.safeParse(batchOf('observations', reading.text)).error).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });
});

describe('a score that comes later', () => {
  it('is written as a count of no requests', () => {
    const reading = writeLateScore({ ...RANK, name: 'clicked', value: 0.5 }, 7);
    if (reading.outcome === 'invalid') throw new Error(reading.problem);
    expect(JSON.parse(reading.text)).toEqual({
      ...RANK,
      atMs: 7,
      requests: 0,
      scores: { clicked: { count: 1, sum: 0.5, sumSquares: 0.25 } },
    });
    expect(ObservationBatch.safeParse(batchOf('counts', reading.text)).error).toBeUndefined();
  });

  it.each<{ name: string; score: LateScore; problem: string }>([
    { name: 'beyond 1', score: { ...RANK, name: 'clicked', value: 2 }, problem: 'not in [0, 1]' },
    { name: 'that is no number', score: { ...RANK, name: 'clicked', value: Number.NaN }, problem: 'not in [0, 1]' },
    { name: 'without a proper name', score: { ...RANK, name: 'a b', value: 1 }, problem: 'no name of a score' },
  ])('$name is refused', ({ score, problem }) => {
    expect(writeLateScore(score, 7)).toMatchObject({ outcome: 'invalid', problem: expect.stringContaining(problem) });
  });
});
