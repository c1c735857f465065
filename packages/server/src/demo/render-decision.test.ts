import type { DecisionView } from '@understudy/contract/views';
import type { GuardReading } from '@understudy/core/policy';
import { describe, expect, it } from 'vitest';
import { paletteOf } from './palette.ts';
import { decisionLines } from './render-decision.ts';

const base = { verdict: 'healthy', samples: 812, reason: '' } as const;
const ERRORS: GuardReading = {
  ...base,
  guard: 'errors',
  champion: 0.0102,
  challenger: 0.0099,
  unit: 'share',
  progress: { harm: 0, safety: 1 },
};
const SLOW: GuardReading = {
  ...base,
  guard: 'latency.p50',
  champion: 0.02,
  challenger: 56.91,
  unit: 'ms',
  progress: { harm: 0.978, safety: 0 },
};
const SCORE: GuardReading = {
  ...base,
  guard: 'score.accuracy',
  champion: 0.912,
  challenger: 0.934,
  unit: 'score',
  progress: { harm: 0, safety: 1 },
};

function linesOf(decision: Pick<DecisionView['decision'], 'action' | 'reason' | 'guards'>): readonly string[] {
  const next = { phase: 'stepping', step: 1, sinceMs: 0 } as const;
  const view = {
    rollout: 'digits-1',
    window: 9,
    revision: 31,
    atMs: 6200,
    decision: { verdict: 'healthy', ...decision, next },
  } as const;
  return decisionLines({ view, startedAtMs: 0, columns: 80 }, paletteOf(false));
}

describe('a decision on weighed evidence', () => {
  it('to go on shows how far each guard is proven safe', () => {
    expect(linesOf({ action: 'advance', reason: 'every guard is proven safe', guards: [ERRORS, SCORE] })).toEqual([
      '    6.2 s ▲  advance: every guard is proven safe',
      '             errors 0.99 vs 1.02 %, safety 100 % ·',
      '             score.accuracy 0.93 vs 0.91, safety 100 %',
    ]);
  });

  it('to go back shows how much of the evidence each guard has', () => {
    expect(linesOf({ action: 'roll-back', reason: 'p50 latency', guards: [ERRORS, SLOW] })).toEqual([
      '    6.2 s ▼  roll-back: p50 latency',
      '             errors 0.99 vs 1.02 %, harm 0 % · p50 56.9 vs 0.02 ms, harm 97 %',
    ]);
  });
});
