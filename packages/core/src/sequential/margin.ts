/** How much worse than the champion the challenger may be, and counts of both arms. Every test of this folder depends on it. */

/**
 * A line: the challenger's rate of bad requests may be `ratio` · the champion's + `plus`. The ratio tolerates what matters
 * in proportion, the absolute part keeps a champion without errors from making every challenger look infinitely worse.
 */
export interface Margin {
  /** Positive; 1.1 tolerates a tenth more. */
  readonly ratio: number;
  /** Share of requests in [0, 1); 0.001 is a tenth of a percentage point. */
  readonly plus: number;
}

/** Requests, and how many of them were bad: failed, too slow, in a certain set of predictions. */
export interface RateCounts {
  readonly count: number;
  /** In [0, count]. */
  readonly bad: number;
}

/** The same thing of both arms. */
export interface ArmPair<T> {
  readonly champion: T;
  readonly challenger: T;
}

/**
 * The line at a champion's rate: the highest rate that the challenger may have, ratio · rate + plus.
 * @returns a share of requests; beyond 1 when the line allows everything
 */
export function limitOf(margin: Margin, rate: number): number {
  return margin.ratio * rate + margin.plus;
}
