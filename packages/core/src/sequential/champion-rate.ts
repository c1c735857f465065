/** The champion's rate as guessed from its past: where two-arm tests look first. Guards keep one each. */
import type { RateCounts } from './margin.ts';

/** Requests after which the past is halved, so that the guess follows the champion through the day. */
export const MEMORY = 20_000;

/** The past with one more block; both numbers are halved, and rounded down, beyond {@link MEMORY} requests. */
export function addToPast(past: RateCounts, added: RateCounts): RateCounts {
  const count = past.count + added.count;
  const bad = past.bad + added.bad;
  return count > MEMORY ? { count: Math.floor(count / 2), bad: Math.floor(bad / 2) } : { count, bad };
}

/**
 * The rate (bad + 0.5) / (count + 50): without a past 1 %, which suits errors and little else, so begin with the champion's
 * traffic before the rollout. A stale past costs speed, never validity.
 * @returns in (0, 1)
 */
export function guessOf(past: RateCounts): number {
  return (past.bad + 0.5) / (past.count + 50);
}
