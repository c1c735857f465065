// The fewest challenger requests that any test which is right at every look needs on average to find a higher error rate.

/** Two rates, and the line that the null hypothesis allows: ratio × the champion's rate + plus. */
export interface ErrorRegression {
  readonly champion: number;
  readonly challenger: number;
  readonly ratio: number;
  readonly plus: number;
  /** The challenger's share of requests, in (0, 1). */
  readonly share: number;
}

const NARROWINGS = 200;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/**
 * ln(1/alpha) over the growth of the evidence per challenger request that the best bet against the nearest innocent pair of
 * rates has. Source: A. Wald, Sequential Analysis (1947), A.3; for two streams R. Turner, A. Ly, P. Grünwald (arXiv 2106.02693).
 */
export function waldBound({ champion, challenger, ratio, plus, share }: ErrorRegression, alpha: number): number {
  const distance = (rate: number): number =>
    share * divergence(challenger, ratio * rate + plus) + (1 - share) * divergence(champion, rate);
  return (Math.log(1 / alpha) * share) / leastOf(distance, (1 - plus) / ratio);
}

/** The least value of a convex function in (0, end). */
function leastOf(distance: (at: number) => number, end: number): number {
  let [low, high] = [0, end];
  for (let step = 0; step < NARROWINGS; step += 1) {
    const [left, right] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
    if (distance(left) < distance(right)) high = right;
    else low = left;
  }
  return distance((low + high) / 2);
}

/** Kullback-Leibler divergence of two coins. */
function divergence(rate: number, from: number): number {
  const part = (share: number, of: number): number => (share === 0 ? 0 : share * Math.log(share / of));
  return part(rate, from) + part(1 - rate, 1 - from);
}
