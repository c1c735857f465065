/** Latencies as counts in logarithmic buckets: fixed size, mergeable in any order. Evidence and policies depend on it. */

/**
 * Ratio between two neighbouring bucket edges: 1.2^(1/9), so that a latency margin of 1.2× is exactly 9 buckets and 1.5×
 * is 20 buckets. Relative error of a quantile: 1 %.
 */
export const BUCKET_RATIO: number = 1.2 ** (1 / 9);

/** 1 024 buckets reach from 5.6 µs to beyond an hour and a half. */
export const HISTOGRAM_SIZE = 1024;

// Bucket 0 begins at ratio^-256 ms = 5.6 µs.
const ORIGIN = 256;
const INVERSE_LOG_RATIO = 1 / Math.log(BUCKET_RATIO);

/** Counts of non-empty buckets, ascending by bucket: `[bucket, count]` with count ≥ 1. */
export type Histogram = readonly (readonly [bucket: number, count: number])[];

/**
 * The bucket of a latency. True logarithm, not a bit trick: only then is a margin an integer shift of buckets.
 * @param ms latency in milliseconds; values outside the range fall into the first or last bucket
 * @returns integer in [0, {@link HISTOGRAM_SIZE})
 */
export function bucketOfLatency(ms: number): number {
  if (!(ms > 0)) return 0;
  const bucket = Math.floor(Math.log(ms) * INVERSE_LOG_RATIO) + ORIGIN;
  return bucket < 0 ? 0 : bucket >= HISTOGRAM_SIZE ? HISTOGRAM_SIZE - 1 : bucket;
}

/** The latency in milliseconds that stands for a bucket: the geometric middle of its edges. */
export function latencyOfBucket(bucket: number): number {
  return BUCKET_RATIO ** (bucket - ORIGIN + 0.5);
}

/** The number of latencies counted in a histogram. */
export function countOf(histogram: Histogram): number {
  let total = 0;
  for (const [, count] of histogram) total += count;
  return total;
}

/** The sum of two histograms; order and grouping do not matter. */
export function mergeHistograms(left: Histogram, right: Histogram): Histogram {
  if (left.length === 0) return right;
  if (right.length === 0) return left;
  const merged: (readonly [number, number])[] = [];
  let [l, r] = [0, 0];
  for (;;) {
    const [mine, theirs] = [left[l], right[r]];
    if (mine === undefined) return [...merged, ...right.slice(r)];
    if (theirs === undefined) return [...merged, ...left.slice(l)];
    if (mine[0] === theirs[0]) merged.push([mine[0], mine[1] + theirs[1]]);
    else merged.push(mine[0] < theirs[0] ? mine : theirs);
    if (mine[0] <= theirs[0]) l += 1;
    if (theirs[0] <= mine[0]) r += 1;
  }
}

/**
 * The latency below which a share of all requests lies (nearest rank).
 * @param quantile in (0, 1]
 * @returns milliseconds, within 1 % of the true sample quantile; undefined when nothing was counted
 */
export function quantileOf(histogram: Histogram, quantile: number): number | undefined {
  const total = countOf(histogram);
  if (total === 0) return undefined;
  const rank = Math.max(1, Math.ceil(quantile * total));
  let seen = 0;
  for (const [bucket, count] of histogram) {
    seen += count;
    if (seen >= rank) return latencyOfBucket(bucket);
  }
  return undefined;
}
