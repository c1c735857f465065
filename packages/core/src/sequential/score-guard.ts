/** The guards on values in [0, 1] of requests: scores that are reported at once, and feedback that is told later. */
import { mergeMoments, type Moments, type Tally } from '../evidence.ts';
import { betOnMeanHarm, betOnMeanSafety, MEAN_ALTERNATIVES } from './bounded-mean-test.ts';
import type { FeedbackGuard, ScoreGuard } from './config.ts';
import { type EProcess, openEProcess, RESTARTABLE_FUND } from './e-process.ts';
import type { ArmPair } from './margin.ts';
import { betOnSampleRatio, openSampleRatio, type PlannedSplit } from './sample-ratio.ts';

/** A guard on the mean of values in [0, 1]. */
export type MeanGuard = ScoreGuard | FeedbackGuard;

/** Tests of the means; `past` is that of both arms, with higher values better. */
export interface ScoreState {
  readonly metric: 'score';
  readonly harm: EProcess;
  readonly safety: EProcess;
  readonly past: Moments;
}

/** The same for feedback, and whether as large a part of it is of the challenger's requests as should be. */
export interface FeedbackState extends Omit<ScoreState, 'metric'> {
  readonly metric: 'feedback';
  readonly split: EProcess;
}

const NOTHING: Moments = { count: 0, sum: 0, sumSquares: 0 };

export function openScore(guard: ScoreGuard, champion: Tally): ScoreState {
  return { metric: 'score', ...openMeans(guard, champion) };
}

export function openFeedback(guard: FeedbackGuard, champion: Tally): FeedbackState {
  return { metric: 'feedback', ...openMeans(guard, champion), split: openSampleRatio() };
}

function openMeans(guard: MeanGuard, champion: Tally): Omit<ScoreState, 'metric'> {
  return {
    harm: openEProcess(MEAN_ALTERNATIVES, RESTARTABLE_FUND),
    safety: meanSafetyProcess(),
    past: scoreOf(guard, champion),
  };
}

/** Sums of the score with higher values better, whichever way it was reported. */
export function countScores(guard: MeanGuard, { champion, challenger }: ArmPair<Tally>): ArmPair<Moments> {
  return { champion: scoreOf(guard, champion), challenger: scoreOf(guard, challenger) };
}

export function weighScores<State extends ScoreState | FeedbackState>(
  guard: MeanGuard,
  state: State,
  sums: ArmPair<Moments>,
): State {
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

/**
 * Bets that labels do not come for both arms alike. Where they do not, labels and what they say may have one cause, and
 * the guard's evidence is worth nothing.
 */
export function weighLabelSplit(
  state: FeedbackState,
  planned: PlannedSplit,
  { champion, challenger }: ArmPair<Moments>,
): FeedbackState {
  const counts = { champion: champion.count, challenger: challenger.count };
  return { ...state, split: betOnSampleRatio(state.split, planned, counts) };
}

/** A fresh process of a safety test, which lives for one step. */
export function meanSafetyProcess(): EProcess {
  return openEProcess(MEAN_ALTERNATIVES, RESTARTABLE_FUND);
}

function scoreOf(guard: MeanGuard, tally: Tally): Moments {
  const values = guard.metric === 'score' ? tally.scores : tally.labels;
  const seen = values?.[guard.name] ?? NOTHING;
  if (guard.better === 'higher') return seen;
  const { count, sum, sumSquares } = seen;
  // Where all values are nearly 1, rounding errors would make the sum of squares negative.
  return { count, sum: count - sum, sumSquares: Math.max(0, count - 2 * sum + sumSquares) };
}
