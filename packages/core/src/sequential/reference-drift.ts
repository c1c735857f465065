/** Drift of one version's predictions against a registered baseline. Alerts on data drift bet with it, and detectors where there is no champion. */
import {
  addToPastBins,
  assertBins,
  betOnFamilies,
  type BinSet,
  countIn,
  type DriftKind,
  type DriftWealth,
  familyLogFactors,
  GAPS,
  NO_BET,
  openFamilies,
  suspectsOf,
  totalOf,
} from './drift-families.ts';
import { HIGHEST_ALTERNATIVE, HIGHEST_RATE } from './log-odds.ts';
import { oneSampleLogFactor } from './one-sample-test.ts';

/** Evidence that predictions differ from the baseline by more than is tolerated. Weigh and restart it like drift of a share. Plain data. */
export interface ReferenceDriftState extends DriftWealth {
  /** Counts per bin of the blocks before the next one; old ones fade. */
  readonly past: readonly number[];
}

/** What the predictions should look like. The same for every block. */
export interface DriftReference {
  /** The share of any set of bins may be larger by this much, in [0, 1). */
  readonly tolerance: number;
  /** Counts per bin of the baseline, at least one prediction. */
  readonly baseline: readonly number[];
}

// The slack covers the distribution that the baseline was drawn from except with this probability.
const SLACK_RISK = 0.01;

/**
 * The state before any block.
 * @param bins at least 2, those of the baseline
 * @throws RangeError when there are fewer
 */
export function openReferenceDrift(bins: number, kind: DriftKind): ReferenceDriftState {
  return { ...openFamilies(bins, kind), past: Array.from<number>({ length: bins }).fill(0) };
}

/**
 * The state after one more block. Its hypothesis: in every block and every set of bins that `familiesOf` names, the share
 * is at most that of the distribution which the baseline was drawn from + tolerance.
 * @param block counts per bin
 * @throws RangeError when block or baseline have other bins, the baseline is empty, or the tolerance is out of its range
 */
export function betOnReferenceDrift(
  state: ReferenceDriftState,
  reference: DriftReference,
  block: readonly number[],
): ReferenceDriftState {
  return { ...betOnFamilies(state, referenceLogFactors(state, reference, block)), past: addToPastBins(state.past, block) };
}

/**
 * ln of the factors of {@link betOnReferenceDrift}, one list a family, for detectors. A set's share in the baseline is
 * raised by tolerance + {@link slackOf} · its inner edges: a share is a sum of differences of the distribution function
 * at these edges, each of which the slack covers.
 */
export function referenceLogFactors(
  { bins, kind, past }: Pick<ReferenceDriftState, 'bins' | 'kind' | 'past'>,
  { tolerance, baseline }: DriftReference,
  block: readonly number[],
): readonly (readonly number[])[] {
  assertBins(block, bins);
  assertBins(baseline, bins);
  const known = totalOf(baseline);
  if (!(known > 0 && tolerance >= 0 && tolerance < 1)) {
    throw new RangeError(`no drift from a baseline of ${known} predictions with a tolerance of ${tolerance}`);
  }
  const slack = slackOf(known);
  const count = totalOf(block);
  return familyLogFactors({ bins, kind }, suspectsOf(past, baseline), (set) => {
    const limit = countIn(baseline, set) / known + tolerance + slack * edgesOf(set, bins);
    if (limit >= HIGHEST_RATE) return NO_BET;
    const counts = { count, bad: countIn(block, set) };
    return GAPS.map((gap) => oneSampleLogFactor(limit, Math.min(HIGHEST_ALTERNATIVE, limit + gap), counts));
  });
}

/**
 * How far a sample's distribution function may be from the true one: √(ln(2/0.01) / (2 · count)), at all points at once
 * with a probability of 99 %. 0.051 for 1 000 predictions, 0.016 for 10 000.
 * @param count predictions of the sample, > 0
 * Source: P. Massart, Ann. Probab. 18 (1990), 1269–1283 (the Dvoretzky–Kiefer–Wolfowitz inequality).
 */
export function slackOf(count: number): number {
  return Math.sqrt(Math.log(2 / SLACK_RISK) / (2 * count));
}

/** Where a set begins or ends between two bins: 1 for a half-line, 2 for an interval in the middle. */
function edgesOf(set: BinSet, bins: number): number {
  let edges = 0;
  for (const [index, bin] of set.entries()) {
    if (bin > 0 && set[index - 1] !== bin - 1) edges += 1;
    if (bin < bins - 1 && set[index + 1] !== bin + 1) edges += 1;
  }
  return edges;
}
