/** The guard on a reported score: a value in [0, 1] for a request, such as whether a prediction was right. */
import { mergeMoments, type Moments, type Tally } from '../evidence.ts';
import { betOnMeanHarm, betOnMeanSafety, MEAN_ALTERNATIVES } from './bounded-mean-test.ts';
import type { ScoreGuard } from './config.ts';
import { type EProcess, openEProcess, RESTARTABLE_FUND } from './e-process.ts';
import type { ArmPair } from './margin.ts';

/** Tests of the means; `past` is that of both arms, with higher values better. */
export interface ScoreState {
  readonly metric: 'score';
  readonly harm: EProcess;
  readonly safety: EProcess;
  readonly past: Moments;
}

const NOTHING: Moments = { count: 0, sum: 0, sumSquares: 0 };

export function openScore(guard: ScoreGuard, champion: Tally): ScoreState {
  return {
    metric: 'score',
    harm: openEProcess(MEAN_ALTERNATIVES, RESTARTABLE_FUND),
    safety: meanSafetyProcess(),
    past: scoreOf(guard, champion),
  };
}

/** Sums of the score with higher values better, whichever way it was reported. */
export function countScores(guard: ScoreGuard, { champion, challenger }: ArmPair<Tally>): ArmPair<Moments> {
  return { champion: scoreOf(guard, champion), challenger: scoreOf(guard, challenger) };
}

export function weighScores(guard: ScoreGuard, state: ScoreState, sums: ArmPair<Moments>): ScoreState {
  const { count, sum } = state.past;
  // Half a value of 0.5 at first, so that an empty past is no special case.
  const guess = Math.min(1, Math.max(0, (sum + 0.25) / (count + 0.5)));
  return {
    ...state,
    harm: betOnMeanHarm(state.harm, { drop: guard.tolerance, guess }, sums),
    safety: betOnMeanSafety(state.safety, { drop: guard.promote, guess }, sums),
    past: mergeMoments(state.past, mergeMoments(sums.champion, sums.challenger)),
  };
}

/** A fresh process of a safety test, which lives for one step. */
export function meanSafetyProcess(): EProcess {
  return openEProcess(MEAN_ALTERNATIVES, RESTARTABLE_FUND);
}

function scoreOf(guard: ScoreGuard, tally: Tally): Moments {
  const seen = tally.scores[guard.name] ?? NOTHING;
  if (guard.better === 'higher') return seen;
  const { count, sum, sumSquares } = seen;
  // Where all values are nearly 1, rounding errors would make the sum of squares negative.
  return { count, sum: count - sum, sumSquares: Math.max(0, count - 2 * sum + sumSquares) };
}
