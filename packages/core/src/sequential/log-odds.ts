/** Rates on the log-odds scale, where a step means as much near 0.1 % as near 50 %. Tests place their alternatives on it. */

// Wide enough for every rate that traffic can tell from 0 or 1, narrow enough that every logarithm is a moderate number.
const LOWEST_RATE = 1e-5;

/** The highest rate that a hypothesis may have: alternatives to it need room above. */
export const HIGHEST_RATE: number = 1 - LOWEST_RATE;

/** The highest alternative: one that is certain would lose everything to a single exception. */
export const HIGHEST_ALTERNATIVE: number = 1 - 1e-6;

/** Log-odds ln(rate / (1 − rate)) of a rate in (0, 1). */
export function logit(rate: number): number {
  return Math.log(rate / (1 - rate));
}

/** The rate 1 / (1 + e^−x) in (0, 1) of log-odds x; the inverse of {@link logit}. */
export function logistic(logOdds: number): number {
  return 1 / (1 + Math.exp(-logOdds));
}

/** The rate a part of the way between two rates on the log-odds scale: 0 is `from`, 1 is `to`, and more lies beyond it. */
export function between(from: number, to: number, part: number): number {
  const start = logit(from);
  return logistic(start + part * (logit(to) - start));
}

/** The nearest rate that is far enough from 0 and 1 to bet with: in [1e-5, 1 − 1e-5]. */
export function clampRate(rate: number): number {
  return Math.min(HIGHEST_RATE, Math.max(LOWEST_RATE, rate));
}
