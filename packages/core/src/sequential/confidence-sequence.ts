/**
 * Intervals for people that stay valid however often one looks. Decisions never rest on them.
 *
 * With a probability of at least 1 − α an interval covers the true value at every moment at once, provided that requests
 * are independent and that the value has not changed since counting began. Where it did change, the interval is one for
 * the average over the whole period, and the promise holds only roughly.
 */
import type { Moments } from '../evidence.ts';
import { countOf, type Histogram, latencyOfBucket } from '../histogram.ts';
import { boundaryOf } from './bisection.ts';
import { assertUnitMoments, boundedLogFactor, centred, STAKES } from './bounded-mean-test.ts';
import { logSumExp } from './e-process.ts';
import type { RateCounts } from './margin.ts';
import { assertCounts } from './one-sample-test.ts';

type Interval = readonly [low: number, high: number];

/**
 * Always-valid interval of a rate: all p at which the beta-binomial mixture over p with Jeffreys' prior,
 * B(bad + ½, count − bad + ½) / B(½, ½) / (p^bad · (1 − p)^(count − bad)), is below 1/α.
 * @param alpha in (0, 1)
 * @returns both ends in [0, 1]; all of it when nothing was counted
 * @throws RangeError when an argument is out of its range
 * Source: H. Robbins, Ann. Math. Statist. 41 (1970), 1397–1409.
 */
export function rateInterval(counts: RateCounts, alpha: number): Interval {
  assertCounts(counts);
  const limit = logLimitOf(alpha);
  const rate = counts.count === 0 ? 0.5 : counts.bad / counts.count;
  const isPlausible = (p: number) => logMixture(counts, p) < limit;
  return [boundaryOf(isPlausible, rate, 0), boundaryOf(isPlausible, rate, 1)];
}

/**
 * Always-valid interval of a quantile of latency: all buckets in which it can lie without the share of latencies up to
 * there being evidence of 1/α, by the mixture of {@link rateInterval}, that it lies elsewhere.
 * @param quantile in (0, 1); one interval a quantile, α each
 * @param alpha in (0, 1)
 * @returns milliseconds, the outer edges of the buckets; undefined until there are enough latencies to bound it on both
 *   sides: 7 for a median, 680 for a 99th percentile at α = 5 %
 * @throws RangeError when an argument is out of its range
 * Source: S. R. Howard, A. Ramdas, Bernoulli 28 (2022), 1704–1728.
 */
export function quantileInterval(histogram: Histogram, quantile: number, alpha: number): Interval | undefined {
  if (!(quantile > 0 && quantile < 1)) throw new RangeError(`quantile ${quantile} is not in (0, 1)`);
  const limit = logLimitOf(alpha);
  const count = countOf(histogram);
  const isFar = (below: number) => logMixture({ count, bad: below }, quantile) >= limit;
  if (!isFar(0) || !isFar(count)) return undefined;
  let seen = 0;
  let low: number | undefined;
  for (const [bucket, added] of histogram) {
    seen += added;
    const far = isFar(seen);
    if (far && seen < quantile * count) continue;
    low ??= latencyOfBucket(bucket - 0.5);
    if (far) return [low, latencyOfBucket(bucket + 0.5)];
  }
  return undefined;
}

/**
 * Always-valid interval of the mean of values in [0, 1]: all m at which neither "the mean is at most m" nor "at least m"
 * has evidence of 2/α, an equal mixture of bets of {@link boundedLogFactor} on the values less m.
 * @param alpha in (0, 1)
 * @returns both ends in [0, 1]; all of it when there are no values
 * @throws RangeError when alpha is out of its range or the values are not in [0, 1]
 * Source: I. Waudby-Smith, A. Ramdas, J. R. Stat. Soc. B 86 (2024), 1–27.
 */
export function meanInterval(moments: Moments, alpha: number): Interval {
  assertUnitMoments(moments);
  const limit = logLimitOf(alpha / 2);
  const { count, sum, sumSquares } = moments;
  const mirrored = { count, sum: count - sum, sumSquares: count - 2 * sum + sumSquares };
  return [lowestMean(moments, limit), 1 - lowestMean(mirrored, limit)];
}

/**
 * The lowest mean that is plausible. Values less the mean are bet on as they are, not scaled by the most they can lose:
 * together with stakes up to a half that makes the evidence fall as the mean rises, so that what is plausible is an interval.
 */
function lowestMean(moments: Moments, limit: number): number {
  if (moments.count === 0) return 0;
  const isPlausible = (mean: number) => {
    const sums = centred(moments, mean);
    const logBets = STAKES.map((stake) => boundedLogFactor(Math.min(stake, 0.5), sums));
    return logSumExp(logBets) - Math.log(STAKES.length) < limit;
  };
  return boundaryOf(isPlausible, Math.min(1, moments.sum / moments.count), 0);
}

function logLimitOf(alpha: number): number {
  if (!(alpha > 0 && alpha < 1)) throw new RangeError(`alpha ${alpha} is not in (0, 1)`);
  return -Math.log(alpha);
}

function logMixture({ count, bad }: RateCounts, rate: number): number {
  const good = count - bad;
  // B(½, ½) = π.
  const logPrior = logGamma(bad + 0.5) + logGamma(good + 0.5) - logGamma(count + 1) - Math.log(Math.PI);
  return logPrior - bad * Math.log(rate) - good * Math.log1p(-rate);
}

/**
 * ln Γ(x) for x > 0 by Stirling's series, to some 1e-12, after Γ(x + 1) = x · Γ(x) has made x large enough.
 * Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 6.1.15 and 6.1.41.
 */
function logGamma(x: number): number {
  let product = 1;
  let large = x;
  for (; large < 10; large += 1) product *= large;
  const inverse = 1 / large;
  const square = inverse * inverse;
  const series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)));
  return (large - 0.5) * Math.log(large) - large + 0.5 * Math.log(2 * Math.PI) + series - Math.log(product);
}
