/** Where slow begins: a quantile of the champion's past, and the same point stretched by the tolerated ratio for the challenger. */
import { BUCKET_RATIO, bucketOfLatency, countOf, type Histogram, quantileOf } from '../histogram.ts';
import { shiftOfRatio, stretchedBucket } from '../pairs.ts';
import type { LatencyGuard } from './config.ts';

/** Where a latency counts as slow on either arm. Buckets are those of `core/histogram.ts`. */
export interface LatencyLine {
  /** A champion's latency in this bucket or above counts as slow. */
  readonly champion: number;
  /** The same for the challenger: the champion's edge stretched by the ratio, or by the milliseconds that are ignored. */
  readonly challenger: number;
  /** Share of the champion's past that was slow. */
  readonly guess: number;
  /** Share of the champion's past that would be slow for a challenger: what an equal challenger will show. */
  readonly expected: number;
}

/** Fixed before the blocks that it is used on. */
export interface LatencyThreshold {
  /** Right above the bucket of the quantile: a little less than 1 − quantile of the champion's past is slow. */
  readonly harm: LatencyLine;
  /**
   * The same, unless hardly anything is slower than the bucket of the quantile: then that bucket is slow as well. A
   * champion that is never slow could not be told from a challenger that is never slow.
   */
  readonly safety: LatencyLine;
}

/** Below this many latencies a tail quantile is noise, and a threshold made of it only loses time. */
export const MIN_PAST = 50;

/**
 * The threshold that the champion's past gives; undefined while there is too little of it.
 *
 * The hypothesis that is tested with a line is P(challenger > m·x) ≤ P(champion > x) at the one latency x where it lies.
 * As bucket edges are powers of one ratio, m·x is a whole shift of buckets, so the test is exact for the effective ratio
 * {@link effectiveRatioOf}.
 */
export function thresholdOf(guard: LatencyGuard, past: Histogram): LatencyThreshold | undefined {
  const quantile = quantileOf(past, guard.quantile);
  if (countOf(past) < MIN_PAST || quantile === undefined) return undefined;
  const bucket = bucketOfLatency(quantile);
  const harm = lineAt(guard, past, bucket + 1);
  const isEnough = harm.guess >= (1 - guard.quantile) / 2;
  return { harm, safety: isEnough ? harm : lineAt(guard, past, bucket) };
}

function lineAt(guard: LatencyGuard, past: Histogram, champion: number): LatencyLine {
  const total = countOf(past);
  const challenger = stretchedBucket(champion, { ratio: guard.ratio, plusMs: guard.ignoreBelowMs });
  return { champion, challenger, guess: countFrom(past, champion) / total, expected: countFrom(past, challenger) / total };
}

/** The ratio that is really tested: whole buckets, at most half a bucket off the one asked for and never below it by more than 0.1 %. */
export function effectiveRatioOf(ratio: number): number {
  return BUCKET_RATIO ** shiftOfRatio(ratio);
}

/** How many latencies lie in a bucket or above it. */
export function countFrom(histogram: Histogram, bucket: number): number {
  let count = 0;
  for (const [index, seen] of histogram) if (index >= bucket) count += seen;
  return count;
}
