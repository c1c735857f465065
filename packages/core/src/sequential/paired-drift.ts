/** Drift of the predictions between two versions on the same requests, as joint counts of their bins. Drift guards bet with it in shadow steps. */
import type { Moves } from '../pairs.ts';
import { addToPastBins, betOnFamilies, type BinSet, familyLogFactors, GAPS, suspectsOf } from './drift-families.ts';
import { grow } from './e-process.ts';
import { NO_PAIRS, type PairCounts, pairedHarmLogFactor, pairedSafetyLogFactor } from './paired-test.ts';
import { type DriftSafety, type DriftState, SAFETY_STEPS, safetySetsOf } from './share-drift.ts';

// As many as the two-arm test has alternatives: a little drift, a clear one, and a collapse.
const HARM_STAKES: readonly number[] = [0.1, 0.4, 0.9];
const SAFETY_STAKES: readonly number[] = [0.4, 0.9];

/**
 * The state after one more block of pairs. Its hypothesis is that of `betOnDrift`: in every set of bins the challenger's
 * share is at most the champion's + tolerance. On the same requests that is P(10) − P(01) ≤ tolerance, where "bad" is being in
 * the set; so requests on which both agree prove by themselves that nothing has drifted.
 * @param tolerance a share of the predictions in [0, 1)
 * @param moves joint counts of bins, each in [0, bins)
 * @throws RangeError when a bin is out of its range
 */
export function betOnPairedDrift(state: DriftState, tolerance: number, moves: Moves): DriftState {
  assertMoves(moves, state.bins);
  if (moves.length === 0) return state;
  const margin = { ratio: 1, plus: tolerance };
  const suspects = suspectsOf(state.past.challenger, state.past.champion);
  const factors = familyLogFactors(state, suspects, (set) => {
    const counts = pairsIn(moves, set);
    return HARM_STAKES.map((stake) => pairedHarmLogFactor(stake, margin, counts));
  });
  const marginals = marginalsOf(moves, state.bins);
  const past = {
    champion: addToPastBins(state.past.champion, marginals.champion),
    challenger: addToPastBins(state.past.challenger, marginals.challenger),
  };
  return { ...betOnFamilies(state, factors), past };
}

/** The mirror of {@link betOnPairedDrift}, set by set as `betOnDriftSafety`. */
export function betOnPairedDriftSafety(state: DriftSafety, promote: number, moves: Moves): DriftSafety {
  assertMoves(moves, state.bins);
  const margin = { ratio: 1, plus: promote };
  const factors = safetySetsOf(state).flatMap((set) => {
    const counts = pairsIn(moves, set);
    return SAFETY_STAKES.map((stake) => pairedSafetyLogFactor(stake, margin, counts));
  });
  return { ...state, logWealth: state.logWealth.map((wealth, index) => grow(wealth, factors[index] ?? 0)) };
}

/** What each version predicted by itself. */
function marginalsOf(moves: Moves, bins: number): { readonly champion: number[]; readonly challenger: number[] } {
  const champion = Array.from<number>({ length: bins }).fill(0);
  const challenger = Array.from<number>({ length: bins }).fill(0);
  for (const [from, to, count] of moves) {
    champion[from] = (champion[from] ?? 0) + count;
    challenger[to] = (challenger[to] ?? 0) + count;
  }
  return { champion, challenger };
}

/** Pairs by whose prediction lies in a set. */
export function pairsIn(moves: Moves, set: BinSet): PairCounts {
  const inSet = new Set(set);
  let { count, both, challenger, champion } = NO_PAIRS;
  for (const [from, to, seen] of moves) {
    count += seen;
    const [isFrom, isTo] = [inSet.has(from), inSet.has(to)];
    if (isFrom && isTo) both += seen;
    else if (isTo) challenger += seen;
    else if (isFrom) champion += seen;
  }
  return { count, both, challenger, champion };
}

function assertMoves(moves: Moves, bins: number): void {
  const isBin = (bin: number): boolean => Number.isInteger(bin) && bin >= 0 && bin < bins;
  const wrong = moves.find(([from, to, count]) => !isBin(from) || !isBin(to) || !(count >= 0 && count < Infinity));
  if (wrong !== undefined) throw new RangeError(`expected pairs of ${bins} bins, got ${wrong.join(' ')}`);
}

if (HARM_STAKES.length !== GAPS.length || SAFETY_STAKES.length !== SAFETY_STEPS.length) {
  throw new Error('paired drift and two-arm drift must bet on as many alternatives');
}
