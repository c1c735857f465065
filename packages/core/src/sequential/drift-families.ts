/** The sets of bins in which a change of the predictions would show, in families. Both drift tests bet on them. */
import { MEMORY } from './champion-rate.ts';
import { bet, type EProcess, openEProcess, RESTARTABLE_FUND } from './e-process.ts';

/** `ordered`: neighbouring bins hold neighbouring predictions. `classes`: the order means nothing. */
export type DriftKind = 'ordered' | 'classes';

/** Indices of bins, ascending. */
export type BinSet = readonly number[];

/** What a drift test has won so far: one process a family, each with {@link GAPS} alternatives a set. Plain data. */
export interface DriftWealth {
  readonly kind: DriftKind;
  readonly bins: number;
  readonly families: readonly EProcess[];
}

/** How far beyond what is tolerated the alternatives of each set lie: a little, clearly, and a collapse. */
export const GAPS: readonly number[] = [0.03, 0.1, 0.28];

/** ln of the factors of no bet. */
export const NO_BET: readonly number[] = GAPS.map(() => 0);

/**
 * The weight of each family, in the order of {@link familiesOf}. No family dominates the others, so all of them share the
 * money. Either of the two of classes can be much the faster one, so they share equally: a class that takes over is a set
 * known before it happens, and a change spread over many classes is in no single one.
 */
export const FAMILY_WEIGHTS: Readonly<Record<DriftKind, readonly number[]>> = {
  ordered: [0.35, 0.15, 0.15, 0.35],
  classes: [0.5, 0.5],
};

const CENTRAL_SHARES: readonly number[] = [0.2, 0.5, 0.8, 0.9];

/**
 * Wealth before the first block, to be restarted now and then.
 * @param bins at least 2; ordered ones are best 20, each a twentieth of the champion's predictions. Two have no order.
 * @throws RangeError when there are fewer
 */
export function openFamilies(bins: number, kind: DriftKind): DriftWealth {
  assertBinCount(bins);
  const shape: Pick<DriftWealth, 'bins' | 'kind'> = { bins, kind: bins === 2 ? 'classes' : kind };
  const sizes = familiesOf(shape, []).map((sets) => sets.length * GAPS.length);
  return { ...shape, families: sizes.map((size) => openEProcess(size, RESTARTABLE_FUND)) };
}

/**
 * ln of the factors of one block, one list a family: for {@link betOnFamilies}, or for a detector a family.
 * @param suspects bins that the past makes suspicious; see {@link suspectsOf}
 * @param logFactorsOf ln of the factors of one set, one for each of {@link GAPS}
 */
export function familyLogFactors(
  wealth: Pick<DriftWealth, 'bins' | 'kind'>,
  suspects: BinSet,
  logFactorsOf: (set: BinSet) => readonly number[],
): readonly (readonly number[])[] {
  // Only suspects can be none or all of the bins; every distribution agrees about those.
  const factorsOf = (set: BinSet) => (set.length === 0 || set.length === wealth.bins ? NO_BET : logFactorsOf(set));
  return familiesOf(wealth, suspects).map((sets) => sets.flatMap(factorsOf));
}

/** The wealth after every family has bet. */
export function betOnFamilies<State extends DriftWealth>(state: State, logFactors: readonly (readonly number[])[]): State {
  return { ...state, families: state.families.map((process, index) => bet(process, logFactors[index] ?? [])) };
}

/**
 * The families of a kind, each a list of sets that are bet on with equal weights. Of ordered bins: half-lines, which find
 * shifts; central intervals and their outsides, which find a spread that changed around the same mean; single bins,
 * which find a stuck output; and the suspects, which find any shape. Of classes: single bins and the suspects.
 * @param suspects the one set that is learned from the past
 */
export function familiesOf({ bins, kind }: Pick<DriftWealth, 'bins' | 'kind'>, suspects: BinSet): readonly (readonly BinSet[])[] {
  const { singles, halfLines, centres } = setsOf(bins);
  return kind === 'classes' ? [singles, [suspects]] : [halfLines, centres, singles, [suspects]];
}

interface FixedSets {
  readonly singles: readonly BinSet[];
  readonly halfLines: readonly BinSet[];
  readonly centres: readonly BinSet[];
}

// The sets of so many bins never change, and every block of every rollout asks for them.
const fixedSets = new Map<number, FixedSets>();

function setsOf(bins: number): FixedSets {
  const known = fixedSets.get(bins);
  if (known !== undefined) return known;
  const singles = rangeOf(0, bins).map((bin) => [bin]);
  const made = { singles, halfLines: halfLinesOf(bins), centres: centresOf(bins) };
  fixedSets.set(bins, made);
  return made;
}

/** All bins below, and all from, each tenth of the bins: 18 sets of 20 bins. */
export function halfLinesOf(bins: number): readonly BinSet[] {
  const cuts = new Set(rangeOf(1, 10).map((tenth) => Math.round((bins * tenth) / 10)));
  return [...cuts].filter((cut) => cut > 0 && cut < bins).flatMap((cut) => [rangeOf(0, cut), rangeOf(cut, bins)]);
}

/**
 * Bins that hold a larger share of one sample than of another.
 * @param counts of the sample that may have changed
 * @param reference counts of the one that has not
 */
export function suspectsOf(counts: readonly number[], reference: readonly number[]): BinSet {
  const total = totalOf(counts);
  const expected = totalOf(reference);
  return rangeOf(0, counts.length).filter((bin) => (counts[bin] ?? 0) * expected > (reference[bin] ?? 0) * total);
}

/** How many of the counts lie in a set of bins. */
export function countIn(counts: readonly number[], set: BinSet): number {
  let count = 0;
  for (const bin of set) count += counts[bin] ?? 0;
  return count;
}

/** How many there are in all bins. */
export function totalOf(counts: readonly number[]): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}

/** Past counts with one more block; all are halved, and rounded down, beyond {@link MEMORY} predictions. */
export function addToPastBins(past: readonly number[], block: readonly number[]): readonly number[] {
  const sums = past.map((count, bin) => count + (block[bin] ?? 0));
  return totalOf(sums) > MEMORY ? sums.map((count) => Math.floor(count / 2)) : sums;
}

/** @throws RangeError unless there are at least 2 bins */
export function assertBinCount(bins: number): void {
  if (!(Number.isInteger(bins) && bins >= 2)) throw new RangeError(`drift needs at least 2 bins, got ${bins}`);
}

/** @throws RangeError unless there is one count, not negative, for each bin */
export function assertBins(counts: readonly number[], bins: number): void {
  if (counts.length !== bins || !counts.every((count) => count >= 0 && count < Infinity)) {
    throw new RangeError(`expected counts of ${bins} bins, got ${counts.join(' ')}`);
  }
}

/** The middle 20, 50, 80 and 90 % of the bins, and what lies outside of each: 8 sets of 20 bins. */
function centresOf(bins: number): readonly BinSet[] {
  const outsides = new Set(CENTRAL_SHARES.map((share) => Math.round((bins * (1 - share)) / 2)));
  return [...outsides]
    .filter((outside) => outside > 0 && outside < bins - outside)
    .flatMap((outside) => [rangeOf(outside, bins - outside), [...rangeOf(0, outside), ...rangeOf(bins - outside, bins)]]);
}

/** The integers in [from, to). */
function rangeOf(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
