/** The exact test of challenger against champion on counts of bad requests, with a margin. Rate, latency and drift guards bet with it. */
import { bet, type EProcess } from './e-process.ts';
import { between, clampRate, HIGHEST_RATE } from './log-odds.ts';
import { type ArmPair, limitOf, type Margin, type RateCounts } from './margin.ts';
import { alternativesAbove, assertCounts, LIMIT_ALTERNATIVES } from './one-sample-test.ts';

// How far from the margin towards what is expected, on the log-odds scale: half way finds a challenger that is a little
// worse than expected, 1.4 one that is better.
const SAFETY_STEPS: readonly number[] = [0.5, 0.75, 1, 1.4];

// Enough for bisection alone to reach the last digit.
const MOST_ROUNDS = 100;

// A few units in the last place of a double.
const ROUNDING = 1e-15;

/** Alternatives of a harm process. */
export const HARM_ALTERNATIVES: number = LIMIT_ALTERNATIVES;

/** Alternatives of a safety process. */
export const SAFETY_ALTERNATIVES: number = SAFETY_STEPS.length;

/** A bet on "worse than the margin allows". Fixed before the block that it is made on. */
export interface HarmBet {
  readonly margin: Margin;
  /** The champion's rate, guessed from its past. A bad guess costs time, never validity. */
  readonly guess: number;
}

/** A bet on "better than the margin demands". */
export interface SafetyBet extends HarmBet {
  /** The challenger's rate if it is as good as the champion; for errors the guess itself. */
  readonly expected: number;
}

/**
 * The process after betting that the challenger is harmful. Its hypothesis: in every block, the challenger's average rate
 * is at most ratio · the champion's average rate + plus. Rates may differ from block to block and from request to request.
 * A block without requests on one of the arms changes nothing.
 * @param process of {@link HARM_ALTERNATIVES}
 * @throws RangeError when counts, guess or margin are out of their range
 */
export function betOnHarm(process: EProcess, { margin, guess }: HarmBet, counts: ArmPair<RateCounts>): EProcess {
  const champion = guessWithin(margin, guess);
  const alternatives = harmAlternatives(margin, champion);
  return bet(
    process,
    alternatives.map((challenger) => logFactor(margin, { champion, challenger }, counts)),
  );
}

/**
 * The process after betting that the challenger is safe. Its hypothesis: in every block, the challenger's average rate is
 * at least ratio · the champion's + plus. When not even the expected rate keeps to the margin, nothing is ever proven.
 * @param process of {@link SAFETY_ALTERNATIVES}
 * @throws RangeError when counts, guess or margin are out of their range
 */
export function betOnSafety(process: EProcess, { margin, guess, expected }: SafetyBet, counts: ArmPair<RateCounts>): EProcess {
  const champion = guessWithin(margin, guess);
  const alternatives = safetyAlternatives(margin, champion, expected);
  return bet(
    process,
    alternatives.map((challenger) => logFactor(margin, { champion, challenger }, counts)),
  );
}

/** The challenger's rates that {@link betOnHarm} bets on: above the line at the champion's rate `guess`, see {@link alternativesAbove}. */
export function harmAlternatives(margin: Margin, guess: number): readonly number[] {
  return alternativesAbove(limitOf(margin, guessWithin(margin, guess)));
}

/**
 * The challenger's rates that {@link betOnSafety} bets on: logit(L) + f · (logit(expected) − logit(L)) with the line L at
 * the champion's rate `guess` and f in {0.5, 0.75, 1, 1.4}. All on the line when the expected rate is not below it.
 */
export function safetyAlternatives(margin: Margin, guess: number, expected: number): readonly number[] {
  const limit = limitOf(margin, guessWithin(margin, guess));
  const target = Math.min(limit, clampRate(expected));
  return SAFETY_STEPS.map((step) => between(limit, target, step));
}

/**
 * ln of the growth-rate-optimal factor for an alternative (a₀, a₁): each request multiplies wealth by 1 + c · (Y − q), Y = 1
 * when it is bad, with (q₀, q₁) the nearest point of the line, {@link nullOf}, and c = (a − q) / (q · (1 − q)) on either arm.
 * That is the likelihood ratio of the counts under the alternative to those under (q₀, q₁). An alternative above the line
 * bets on harm, one below on safety, one on the line bets nothing.
 *
 * Why its expectation is at most 1: the stakes balance, n₁ · ratio · c₁ = −n₀ · c₀, so by ln(1 + x) ≤ x the expected product
 * is at most exp(n₁ · c₁ · (p̄₁ − ratio · p̄₀ − plus)), whatever the rates of single requests with averages p̄ are.
 * @param alternative rates in (0, 1)
 * @param counts of a block, up to 1e8 requests
 * @returns nats; 0 when an arm has no requests
 * @throws RangeError when counts are out of their range
 * Source: Grünwald, de Heide, Koolen, Safe Testing, J. R. Stat. Soc. B 86 (2024); Turner, Ly, Grünwald, arXiv 2106.02693.
 */
export function logFactor(margin: Margin, alternative: ArmPair<number>, { champion, challenger }: ArmPair<RateCounts>): number {
  assertCounts(champion);
  assertCounts(challenger);
  if (champion.count === 0 || challenger.count === 0) return 0;
  const weight = challenger.count * margin.ratio;
  const line = nullOf(margin, challenger.count / (challenger.count + champion.count), alternative);
  // One arm's stake follows from the other's, so that they balance to the last digit even where q is not as exact. The arm
  // with fewer requests lies further from the line and is known better.
  const stake =
    challenger.count < champion.count
      ? weight * stakeOn(line.challenger, alternative.challenger)
      : -champion.count * stakeOn(line.champion, alternative.champion);
  return logWin(stake / weight, line.challenger, challenger) + logWin(-stake / champion.count, line.champion, champion);
}

/**
 * The point of the line nearest to an alternative (a₁, a₀): q₁ = ratio · q₀ + plus that minimizes
 * w · KL(a₁ ‖ q₁) + (1 − w) · KL(a₀ ‖ q₀). With ratio 1 and plus 0 it is the pooled rate.
 *
 * Found by Newton's method, safeguarded by bisection, as the root of
 * w · ratio · (q₁ − a₁) · q₀(1 − q₀) + (1 − w) · (q₀ − a₀) · q₁(1 − q₁), the derivative times its denominators.
 * @param w the challenger's share of the requests, in (0, 1)
 * @param alternative rates in (0, 1)
 * @returns rates in (0, 1)
 */
export function nullOf({ ratio, plus }: Margin, w: number, { champion, challenger }: ArmPair<number>): ArmPair<number> {
  // The champion's rate at which the line meets the challenger's; the answer lies between it and the champion's own.
  const meeting = (challenger - plus) / ratio;
  let low = Math.max(0, Math.min(champion, meeting));
  let high = Math.min(1, (1 - plus) / ratio, Math.max(champion, meeting));
  let q0 = Math.min(high, Math.max(low, w * meeting + (1 - w) * champion));
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const q1 = ratio * q0 + plus;
    const variance0 = q0 * (1 - q0);
    const variance1 = q1 * (1 - q1);
    const value = w * ratio * (q1 - challenger) * variance0 + (1 - w) * (q0 - champion) * variance1;
    if (value === 0) break;
    if (value > 0) high = q0;
    else low = q0;
    const slope =
      w * ratio * (ratio * variance0 + (q1 - challenger) * (1 - 2 * q0)) +
      (1 - w) * (variance1 + (q0 - champion) * ratio * (1 - 2 * q1));
    const newton = q0 - value / slope;
    const next = newton > low && newton < high ? newton : (low + high) / 2;
    const isFound = Math.abs(next - q0) <= ROUNDING * next;
    q0 = next;
    if (isFound) break;
  }
  return { champion: q0, challenger: ratio * q0 + plus };
}

/**
 * The rate nearest to a guess at which champion and line are both in [1e-5, 1 − 1e-5], so that there is room for
 * alternatives on either side.
 * @throws RangeError when the guess is no number, or the margin allows everything or is none
 */
export function guessWithin(margin: Margin, guess: number): number {
  const highest = (HIGHEST_RATE - margin.plus) / margin.ratio;
  const within = Math.min(highest, clampRate(guess));
  if (!(within === clampRate(within) && margin.ratio > 0 && margin.plus >= 0)) {
    throw new RangeError(`cannot compare with a champion at ${guess}: margin ${margin.ratio}× + ${margin.plus}`);
  }
  return within;
}

function stakeOn(limit: number, alternative: number): number {
  return (alternative - limit) / (limit * (1 - limit));
}

function logWin(stake: number, limit: number, { count, bad }: RateCounts): number {
  return bad * Math.log1p(stake * (1 - limit)) + (count - bad) * Math.log1p(-stake * limit);
}
