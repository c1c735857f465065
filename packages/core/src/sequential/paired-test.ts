/**
 * The exact test of two versions on the same requests, on four integers. Shadow steps bet with it: what both versions find
 * hard about a request is on both sides and cancels, so it takes a fraction of the requests of a split.
 */
import { LIMIT_ALTERNATIVES } from './one-sample-test.ts';
import type { Margin } from './margin.ts';
import { SAFETY_ALTERNATIVES } from './two-arm-test.ts';

/** Requests that both versions got, by whom something bad happened to. */
export interface PairCounts {
  readonly count: number;
  /** Bad on both. */
  readonly both: number;
  /** Bad on the challenger alone. */
  readonly challenger: number;
  /** Bad on the champion alone. */
  readonly champion: number;
}

/** No pairs; the neutral element of {@link addPairCounts}. */
export const NO_PAIRS: PairCounts = { count: 0, both: 0, challenger: 0, champion: 0 };

// Shares of the largest fair stake: small ones find small differences, large ones a challenger that always fails.
const HARM_STAKES: readonly number[] = [0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.9];
const SAFETY_STAKES: readonly number[] = [0.1, 0.3, 0.6, 0.95];

/**
 * ln of one factor of a fair bet against "on average over the pairs, challenger − ratio · champion ≤ plus", where each is 1
 * for bad and 0 for good. With ratio 1 that is P(10) − P(01) ≤ plus.
 *
 * A pair multiplies the wealth by 1 + λ · (Y₁ − ratio · Y₀ − plus), λ = stake / (ratio + plus), the most that one pair can
 * lose being ratio + plus. Given the past, the product over a block is expected to be at most
 * exp(λ · Σ (E[Y₁] − ratio · E[Y₀] − plus)) ≤ 1: single requests may have any rates, and Y₀ and Y₁ may depend on each other in any way.
 * @param stake in (0, 1)
 * @returns nats
 * Source: statistics of paired binary data as in Q. McNemar, Psychometrika 12 (1947), 153–157; bets as in I. Waudby-Smith,
 * A. Ramdas, J. R. Stat. Soc. B 86 (2024), 1–27.
 */
export function pairedHarmLogFactor(stake: number, { ratio, plus }: Margin, counts: PairCounts): number {
  return logProduct(stake / (ratio + plus), { ratio, plus }, counts);
}

/**
 * ln of one factor of a fair bet against "on average over the pairs, challenger − ratio · champion ≥ plus": the mirror of
 * {@link pairedHarmLogFactor}, with λ = −stake / (1 − plus), as a pair can lose 1 − plus at most.
 * @param stake in (0, 1)
 * @param margin with `plus` in [0, 1)
 * @returns nats
 */
export function pairedSafetyLogFactor(stake: number, { ratio, plus }: Margin, counts: PairCounts): number {
  return logProduct(-stake / (1 - plus), { ratio, plus }, counts);
}

/**
 * ln of the factors of as many bets on harm as the two-arm test makes, so that one process can make both kinds: of
 * blocks of pairs in a shadow step, of blocks of two arms afterwards. Both are fair under the same hypothesis.
 * @throws RangeError when the counts are none, or the margin allows everything
 */
export function pairedHarmLogFactors(margin: Margin, counts: PairCounts): readonly number[] {
  assertPairs(margin, counts);
  return HARM_STAKES.map((stake) => pairedHarmLogFactor(stake, margin, counts));
}

/** The same on safety. @throws RangeError when the counts are none, or the margin allows everything */
export function pairedSafetyLogFactors(margin: Margin, counts: PairCounts): readonly number[] {
  assertPairs(margin, counts);
  return SAFETY_STAKES.map((stake) => pairedSafetyLogFactor(stake, margin, counts));
}

/** The pairs of both. */
export function addPairCounts(left: PairCounts, right: PairCounts): PairCounts {
  return {
    count: left.count + right.count,
    both: left.both + right.both,
    challenger: left.challenger + right.challenger,
    champion: left.champion + right.champion,
  };
}

function logProduct(lambda: number, { ratio, plus }: Margin, { count, both, challenger, champion }: PairCounts): number {
  const neither = count - both - challenger - champion;
  return (
    termOf(both, lambda * (1 - ratio - plus)) +
    termOf(challenger, lambda * (1 - plus)) +
    termOf(champion, -lambda * (ratio + plus)) +
    termOf(neither, -lambda * plus)
  );
}

/** Without a pair there is no factor, even where one would lose everything. */
function termOf(count: number, gain: number): number {
  return count === 0 ? 0 : count * Math.log1p(gain);
}

function assertPairs({ ratio, plus }: Margin, { count, both, challenger, champion }: PairCounts): void {
  const isCounted = [count, both, challenger, champion].every((one) => one >= 0 && one < Infinity);
  if (!isCounted || both + challenger + champion > count) {
    throw new RangeError(`bad pairs: ${challenger} + ${champion} + ${both} of ${count}`);
  }
  // A pair that is bad on both must not gain more on safety than one that is good on both could.
  if (!(ratio > 0 && plus >= 0 && plus < 1)) throw new RangeError(`no margin for pairs: ${ratio}× + ${plus}`);
}

if (HARM_STAKES.length !== LIMIT_ALTERNATIVES || SAFETY_STAKES.length !== SAFETY_ALTERNATIVES) {
  throw new Error('paired tests and two-arm tests must bet on as many alternatives');
}
