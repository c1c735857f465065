/** The guard on the distribution of predictions, in the bins that the rollout fixed at its start. */
import type { Tally } from '../evidence.ts';
import { binCountOf, countsInBins, type PredictionBins } from '../prediction-bins.ts';
import type { DriftGuard } from './config.ts';
import type { ArmPair } from './margin.ts';
import { betOnDrift, betOnDriftSafety, type DriftSafety, type DriftState, openDrift, openDriftSafety } from './share-drift.ts';

/** Without bins nothing is weighed, so nothing is ever proven. */
export interface DriftGuardState {
  readonly metric: 'drift';
  readonly tests?: { readonly harm: DriftState; readonly safety: DriftSafety };
}

/** Begins with the champion's predictions before the rollout as its past. */
export function openDriftGuard(bins: PredictionBins | undefined, champion: Tally): DriftGuardState {
  // Of a single bin every distribution is the same.
  if (bins === undefined || binCountOf(bins) < 2) return { metric: 'drift' };
  const opened = openDrift(binCountOf(bins), bins.kind);
  const harm = { ...opened, past: { ...opened.past, champion: countsInBins(bins, champion) } };
  return { metric: 'drift', tests: { harm, safety: openDriftSafety(binCountOf(bins), bins.kind) } };
}

/** Requests per bin; undefined without bins. */
export function countShares(
  bins: PredictionBins | undefined,
  { champion, challenger }: ArmPair<Tally>,
): ArmPair<readonly number[]> | undefined {
  if (bins === undefined) return undefined;
  return { champion: countsInBins(bins, champion), challenger: countsInBins(bins, challenger) };
}

export function weighShares(guard: DriftGuard, state: DriftGuardState, counts: ArmPair<readonly number[]>): DriftGuardState {
  const { tests } = state;
  if (tests === undefined) return state;
  const past = tests.harm.past.champion;
  return {
    ...state,
    tests: {
      harm: betOnDrift(tests.harm, guard.tolerance, counts),
      safety: betOnDriftSafety(tests.safety, { margin: guard.promote, past }, counts),
    },
  };
}

/** Safety begins anew with every step. */
export function renewShares(state: DriftGuardState): DriftGuardState {
  const { tests } = state;
  if (tests === undefined) return state;
  return { ...state, tests: { ...tests, safety: openDriftSafety(tests.safety.bins, tests.safety.kind) } };
}
