/** Bets against "at most this share of the requests is bad". Two-arm tests, absolute limits, drift and detectors are made of them. */
import { clampRate, logistic, logit } from './log-odds.ts';
import type { RateCounts } from './margin.ts';

// Log-odds above the limit: 0.15 finds a limit that is barely broken after long, 4 a catastrophe after a handful of requests.
const STEPS: readonly number[] = [0.15, 0.3, 0.6, 1, 1.6, 2.5, 4];

/** How many alternatives {@link alternativesAbove} has. */
export const LIMIT_ALTERNATIVES: number = STEPS.length;

/**
 * ln of the likelihood ratio of an alternative to a limit: bad · ln(a/p) + (count − bad) · ln((1 − a)/(1 − p)).
 * A fair bet against "the rate is at most the limit" when the alternative lies above it, against "at least" when below.
 * Rates of single requests may differ: only their average over the counts must keep to the limit.
 * @param limit p, in (0, 1)
 * @param alternative a, in (0, 1)
 * @returns nats
 * Source: A. Wald, Ann. Math. Statist. 16 (1945), 117–186.
 */
export function oneSampleLogFactor(limit: number, alternative: number, { count, bad }: RateCounts): number {
  return bad * Math.log(alternative / limit) + (count - bad) * Math.log((1 - alternative) / (1 - limit));
}

/** Rates above a limit: logistic(logit(limit) + d), d from 0.15 to 4. The limit is taken to be in [1e-5, 1 − 1e-5]. */
export function alternativesAbove(limit: number): readonly number[] {
  const logOdds = logit(clampRate(limit));
  return STEPS.map((step) => logistic(logOdds + step));
}

/**
 * ln of the factors of {@link LIMIT_ALTERNATIVES} bets against "at most `limit` of the requests is bad", for an e-process
 * or a detector.
 * @param limit in [1e-5, 1 − 1e-5]
 * @throws RangeError when the limit is out of its range, or the counts are none
 */
export function limitLogFactors(limit: number, counts: RateCounts): readonly number[] {
  if (limit !== clampRate(limit)) throw new RangeError(`no limit to test against: ${limit}`);
  assertCounts(counts);
  return alternativesAbove(limit).map((alternative) => oneSampleLogFactor(limit, alternative, counts));
}

/** @throws RangeError unless 0 ≤ bad ≤ count */
export function assertCounts({ count, bad }: RateCounts): void {
  if (!(bad >= 0 && bad <= count && count < Infinity)) throw new RangeError(`bad counts: ${bad} of ${count}`);
}
