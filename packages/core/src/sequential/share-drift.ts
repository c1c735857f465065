/** Drift of the predictions against the champion's at the same time, as counts per bin of both arms. Drift guards bet with it. */
import {
  addToPastBins,
  assertBinCount,
  assertBins,
  betOnFamilies,
  type BinSet,
  countIn,
  type DriftKind,
  type DriftWealth,
  FAMILY_WEIGHTS,
  familyLogFactors,
  GAPS,
  halfLinesOf,
  openFamilies,
  suspectsOf,
  totalOf,
} from './drift-families.ts';
import { grow, logEvidence, logSumExp, restart } from './e-process.ts';
import { between, HIGHEST_ALTERNATIVE } from './log-odds.ts';
import { type ArmPair, limitOf, type RateCounts } from './margin.ts';
import { guessWithin, logFactor } from './two-arm-test.ts';

/** Evidence that the challenger's predictions differ from the champion's by more than is tolerated. Plain data. */
export interface DriftState extends DriftWealth {
  /** Counts per bin of the blocks before the next one; old ones fade. */
  readonly past: ArmPair<readonly number[]>;
}

/** Evidence that they differ by less than a margin. Plain data. */
export interface DriftSafety {
  readonly kind: DriftKind;
  readonly bins: number;
  /** ln of the wealth on both alternatives of each set: those of the first set, those of the second … */
  readonly logWealth: readonly number[];
}

/** What {@link betOnDriftSafety} knows before the block. */
export interface DriftSafetyBet {
  /** The challenger's share of any set may be larger by this much, in (0, 1). */
  readonly margin: number;
  /** The champion's counts per bin before the block: `past.champion` of the drift state that has not seen it yet. */
  readonly past: readonly number[];
}

// A challenger without drift, and one half way to the margin on the log-odds scale.
export const SAFETY_STEPS: readonly number[] = [1, 0.5];

/**
 * The state before any block.
 * @param bins at least 2; `ordered` bins are best 20, each a twentieth of the champion's predictions
 * @throws RangeError when there are fewer
 */
export function openDrift(bins: number, kind: DriftKind): DriftState {
  const nothing = Array.from<number>({ length: bins }).fill(0);
  return { ...openFamilies(bins, kind), past: { champion: nothing, challenger: nothing } };
}

/**
 * The state after one more block. Its hypothesis: in every block and every set of bins that `familiesOf` names, the
 * challenger's share is at most the champion's + tolerance. Tested set by set as {@link logFactor} with ratio 1; the
 * alternatives lie {@link GAPS} beyond the tolerance. The first block is only learned from: without a past there is
 * nothing to guess the champion's shares from.
 * @param tolerance a share of the predictions in [0, 1): 0.02 for the same model in a new place, 0.05 for one trained anew
 * @param block counts per bin
 * @throws RangeError when the tolerance is out of its range or the block has other bins
 */
export function betOnDrift(state: DriftState, tolerance: number, block: ArmPair<readonly number[]>): DriftState {
  assertBins(block.champion, state.bins);
  assertBins(block.challenger, state.bins);
  const past = {
    champion: addToPastBins(state.past.champion, block.champion),
    challenger: addToPastBins(state.past.challenger, block.challenger),
  };
  const margin = { ratio: 1, plus: tolerance };
  const totals = totalsOf(block);
  const pastTotal = totalOf(state.past.champion);
  if (totals.champion === 0 || totals.challenger === 0 || pastTotal === 0) return { ...state, past };
  const suspects = suspectsOf(state.past.challenger, state.past.champion);
  const factors = familyLogFactors(state, suspects, (set) => {
    const champion = guessWithin(margin, shareOf(state.past.champion, set, pastTotal));
    const limit = limitOf(margin, champion);
    const counts = countsIn(block, set, totals);
    return GAPS.map((gap) => logFactor(margin, { champion, challenger: Math.min(HIGHEST_ALTERNATIVE, limit + gap) }, counts));
  });
  return { ...betOnFamilies(state, factors), past };
}

/** ln of the evidence of drift: the mean over the families with {@link FAMILY_WEIGHTS}. Compare it with ln(1/α). */
export function logDriftEvidence({ kind, families }: DriftWealth): number {
  const weights = FAMILY_WEIGHTS[kind];
  return logSumExp(families.map((process, index) => logEvidence(process) + Math.log(weights[index] ?? 0)));
}

/** The state with fresh money in every family; see {@link restart}. */
export function restartDrift<State extends DriftWealth>(state: State): State {
  return { ...state, families: state.families.map(restart) };
}

/**
 * The state before any block.
 * @param bins at least 2
 * @throws RangeError when there are fewer
 */
export function openDriftSafety(bins: number, kind: DriftKind): DriftSafety {
  assertBinCount(bins);
  const { length } = safetySetsOf({ bins, kind });
  return { kind, bins, logWealth: Array.from<number>({ length: length * SAFETY_STEPS.length }).fill(0) };
}

/**
 * The state after one more block. Its hypothesis: for at least one of the sets (half-lines of ordered bins; each class, and
 * all but it), the challenger's share is at least the champion's + margin, in every block.
 * @param block counts per bin
 * @throws RangeError when the margin is out of its range or the block has other bins
 */
export function betOnDriftSafety(
  state: DriftSafety,
  { margin, past }: DriftSafetyBet,
  block: ArmPair<readonly number[]>,
): DriftSafety {
  assertBins(block.champion, state.bins);
  assertBins(block.challenger, state.bins);
  const line = { ratio: 1, plus: margin };
  const totals = totalsOf(block);
  const pastTotal = totalOf(past);
  if (totals.champion === 0 || totals.challenger === 0 || pastTotal === 0) return state;
  const factors = safetySetsOf(state).flatMap((set) => {
    const champion = guessWithin(line, shareOf(past, set, pastTotal));
    const limit = limitOf(line, champion);
    const counts = countsIn(block, set, totals);
    return SAFETY_STEPS.map((step) => logFactor(line, { champion, challenger: between(limit, champion, step) }, counts));
  });
  return { ...state, logWealth: state.logWealth.map((wealth, index) => grow(wealth, factors[index] ?? 0)) };
}

/**
 * ln of the evidence that the challenger is within the margin in every set: that of the set with the least of it. No
 * correction for many sets is due, as a challenger beyond the margin in one of them has to pass that one.
 * Source: R. L. Berger, Technometrics 24 (1982), 295–300 (intersection-union tests).
 */
export function logDriftSafetyEvidence({ logWealth }: DriftSafety): number {
  let least = Infinity;
  for (let first = 0; first < logWealth.length; first += SAFETY_STEPS.length) {
    least = Math.min(least, logSumExp(logWealth.slice(first, first + SAFETY_STEPS.length)));
  }
  return least - Math.log(SAFETY_STEPS.length);
}

/** The sets that have to be proven, each by itself. */
export function safetySetsOf({ bins, kind }: Pick<DriftSafety, 'bins' | 'kind'>): readonly BinSet[] {
  if (kind === 'ordered') return halfLinesOf(bins);
  const all = Array.from({ length: bins }, (_, bin) => bin);
  return all.flatMap((single) => [[single], all.filter((bin) => bin !== single)]);
}

/** Half a prediction more in every bin, so that a bin that was never hit is not taken to be impossible. */
function shareOf(past: readonly number[], set: BinSet, total: number): number {
  return (countIn(past, set) + set.length / 2) / (total + past.length / 2);
}

function totalsOf({ champion, challenger }: ArmPair<readonly number[]>): ArmPair<number> {
  return { champion: totalOf(champion), challenger: totalOf(challenger) };
}

function countsIn(block: ArmPair<readonly number[]>, set: BinSet, totals: ArmPair<number>): ArmPair<RateCounts> {
  return {
    champion: { count: totals.champion, bad: countIn(block.champion, set) },
    challenger: { count: totals.challenger, bad: countIn(block.challenger, set) },
  };
}
