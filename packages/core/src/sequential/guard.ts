/** A guard at work: what it counts in a block, how it weighs it, and what its evidence comes to. One switch over the metrics. */
import type { Tally } from '../evidence.ts';
import type { Histogram } from '../histogram.ts';
import type { Opening } from '../policy.ts';
import type { PredictionBins } from '../prediction-bins.ts';
import type { GuardConfig } from './config.ts';
import { countShares, type DriftGuardState, openDriftGuard, renewShares, weighShares } from './drift-guard.ts';
import { logEvidence, restart } from './e-process.ts';
import type { GuardCounts } from './guard-counts.ts';
import type { ArmPair } from './margin.ts';
import {
  countErrors,
  countOverLimit,
  countSlow,
  type ErrorsState,
  type LatencyState,
  type LimitState,
  moveThreshold,
  openErrors,
  openLatency,
  openLimit,
  safetyProcess,
  weighErrors,
  weighLatency,
  weighLimit,
} from './rate-guards.ts';
import {
  countScores,
  type FeedbackState,
  meanSafetyProcess,
  openFeedback,
  openScore,
  type ScoreState,
  weighScores,
} from './score-guard.ts';
import { type AgreementState, countPaired, isWeighedIn, openAgreement, type PairedCounts, weighPaired } from './paired-guard.ts';
import { logDriftEvidence, logDriftSafetyEvidence, restartDrift } from './share-drift.ts';

/** Plain data; the guard's configuration is kept beside it, at the same place of a list. */
export type GuardState = ErrorsState | LatencyState | DriftGuardState | ScoreState | FeedbackState | LimitState | AgreementState;

/** What every guard looks at. */
export interface GuardSight {
  readonly arms: ArmPair<Tally>;
  /** The shadow's tally where the step is one of shadow: its pairs count then, and not the arms. */
  readonly shadow?: Tally;
  readonly bins: PredictionBins | undefined;
}

/** A guard before the first block of the rollout. */
export function openGuard(config: GuardConfig, { champion, bins }: Opening): GuardState {
  switch (config.metric) {
    case 'errors':
      return openErrors(config, champion);
    case 'latency':
      return openLatency(config, champion.latency);
    case 'drift':
      return openDriftGuard(bins, champion);
    case 'score':
      return openScore(config, champion);
    case 'feedback':
      return openFeedback(config, champion);
    case 'limit':
      return openLimit(config, champion);
    case 'agreement':
      return openAgreement();
  }
}

/** What the guard counts in a block; undefined when it cannot see anything yet. */
export function countGuard(config: GuardConfig, state: GuardState, { arms, shadow, bins }: GuardSight): GuardCounts | undefined {
  if (!isWeighedIn(config, shadow !== undefined)) return undefined;
  if (shadow !== undefined) return countPaired(config, state, { pairs: shadow.pairs, bins });
  switch (config.metric) {
    case 'agreement':
      return undefined;
    case 'errors':
      return { kind: 'rate', arms: countErrors(config, arms) };
    case 'limit':
      return { kind: 'rate', arms: countOverLimit(config, arms) };
    case 'score':
      return { kind: 'score', arms: countScores(config, arms) };
    case 'feedback':
      // Counted apart, as it is of requests of the past: `labels.ts`.
      return undefined;
    case 'latency': {
      const slow = state.metric === 'latency' ? countSlow(state, arms) : undefined;
      return slow === undefined ? undefined : { kind: 'slow', ...slow };
    }
    case 'drift': {
      const shares = countShares(bins, arms);
      return shares === undefined ? undefined : { kind: 'bins', arms: shares };
    }
  }
}

/** The guard after betting on a block. */
export function weighGuard(config: GuardConfig, state: GuardState, counts: GuardCounts): GuardState {
  if (isPaired(counts)) return weighPaired(config, state, counts);
  if (config.metric === 'errors' && state.metric === 'errors' && counts.kind === 'rate') {
    return weighErrors(config, state, counts.arms);
  }
  if (config.metric === 'latency' && state.metric === 'latency' && counts.kind === 'slow') return weighLatency(state, counts);
  if (config.metric === 'drift' && state.metric === 'drift' && counts.kind === 'bins') {
    return weighShares(config, state, counts.arms);
  }
  if (config.metric === 'score' && state.metric === 'score' && counts.kind === 'score') {
    return weighScores(config, state, counts.arms);
  }
  if (config.metric === 'feedback' && state.metric === 'feedback' && counts.kind === 'score') {
    return weighScores(config, state, counts.arms);
  }
  if (config.metric === 'limit' && state.metric === 'limit' && counts.kind === 'rate') {
    return weighLimit(config, state, counts.arms);
  }
  throw new Error(`a guard on ${config.metric} cannot weigh ${counts.kind} in a state of ${state.metric}`);
}

/**
 * Fresh money for all bets, so that neither a late regression has to win back what a quiet beginning lost, nor proof of
 * safety what an incident on both arms did; and for latency the threshold that the champion's past gives now.
 */
export function restartGuard(config: GuardConfig, state: GuardState, pastLatency: Histogram): GuardState {
  switch (state.metric) {
    case 'errors':
    case 'score':
    case 'feedback':
    case 'agreement':
      return { ...state, harm: restart(state.harm), safety: restart(state.safety) };
    case 'latency': {
      const restarted = { ...state, harm: restart(state.harm), safety: restart(state.safety) };
      return config.metric === 'latency' ? moveThreshold(config, restarted, pastLatency) : restarted;
    }
    case 'limit':
      return { ...state, over: restart(state.over), worse: restart(state.worse), safety: restart(state.safety) };
    case 'drift':
      return state.tests === undefined ? state : { ...state, tests: { ...state.tests, harm: restartDrift(state.tests.harm) } };
  }
}

/** A new step proves safety anew: evidence from a small share says nothing about a large one. */
export function renewSafety(state: GuardState): GuardState {
  switch (state.metric) {
    case 'errors':
    case 'latency':
    case 'limit':
    case 'agreement':
      return { ...state, safety: safetyProcess() };
    case 'score':
      return { ...state, safety: meanSafetyProcess() };
    case 'feedback':
      // Labels of one step come while another is held: what they prove, they prove of the rollout.
      return state;
    case 'drift':
      return renewShares(state);
  }
}

/** ln of the evidence that the challenger is beyond the rollback limit. */
export function logHarmOfGuard(state: GuardState): number {
  switch (state.metric) {
    case 'errors':
    case 'latency':
    case 'score':
    case 'feedback':
    case 'agreement':
      return logEvidence(state.harm);
    case 'limit':
      // The smaller of two pieces of evidence speaks against either hypothesis: within the limit, or no worse than the champion.
      return Math.min(logEvidence(state.over), logEvidence(state.worse));
    case 'drift':
      return state.tests === undefined ? 0 : logDriftEvidence(state.tests.harm);
  }
}

/** ln of the evidence, in the present step, that the challenger is within the promote margin. */
export function logSafetyOfGuard(state: GuardState): number {
  const before = knownSafety.get(state);
  if (before !== undefined) return before;
  const computed = computeSafety(state);
  knownSafety.set(state, computed);
  return computed;
}

// States are never changed in place, and most blocks change only some: what was computed of one stays true.
const knownSafety = new WeakMap<GuardState, number>();

function computeSafety(state: GuardState): number {
  switch (state.metric) {
    case 'errors':
    case 'latency':
    case 'score':
    case 'feedback':
    case 'limit':
    case 'agreement':
      return logEvidence(state.safety);
    case 'drift':
      return state.tests === undefined ? 0 : logDriftSafetyEvidence(state.tests.safety);
  }
}

function isPaired(counts: GuardCounts): counts is PairedCounts {
  return counts.kind === 'pairs' || counts.kind === 'slow-pairs' || counts.kind === 'moves' || counts.kind === 'agreement';
}
