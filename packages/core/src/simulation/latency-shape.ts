/** How long answers take, as shapes that can be drawn from. Everything is in logarithms of milliseconds: slower by a factor is then a sum. */
import { BUCKET_RATIO, bucketOfLatency, countOf, type Histogram, HISTOGRAM_SIZE, latencyOfBucket } from '../histogram.ts';
import type { Random } from './random.ts';

/** A lognormal hump; `share` is relative to the other humps. */
export interface LatencyMode {
  readonly share: number;
  readonly medianMs: number;
  /** Standard deviation of the logarithm: 0.5 is ordinary, 1 is a heavy tail. */
  readonly sigma: number;
}

/** A distribution of latencies. */
export type LatencyShape =
  | { readonly kind: 'lognormal'; readonly medianMs: number; readonly sigma: number }
  /** The share of answers slower than t falls as t^-exponent: with 2.2 the variance barely exists. */
  | { readonly kind: 'pareto'; readonly fastestMs: number; readonly exponent: number }
  | { readonly kind: 'modes'; readonly modes: readonly LatencyMode[] }
  | { readonly kind: 'normal'; readonly meanMs: number; readonly standardDeviationMs: number }
  /** As counted by a gateway. */
  | { readonly kind: 'empirical'; readonly histogram: Histogram };

// A normal distribution has answers before the question; no real one is faster than a bucket can hold.
const FASTEST_MS = 0.001;
const LOG_RATIO = Math.log(BUCKET_RATIO);
const ORIGIN = bucketOfLatency(1);
const HALVINGS = 60;

/** Draws the logarithms of latencies in milliseconds. */
export function latencyDrawer(shape: LatencyShape): (random: Random) => number {
  switch (shape.kind) {
    case 'lognormal': {
      const centre = Math.log(shape.medianMs);
      return (random) => centre + shape.sigma * random.normal();
    }
    case 'pareto': {
      const fastest = Math.log(shape.fastestMs);
      return (random) => fastest + random.exponential() / shape.exponent;
    }
    case 'modes': {
      const pick = pickerOf(shape.modes.map(({ share }) => share));
      const centres = shape.modes.map(({ medianMs }) => Math.log(medianMs));
      return (random) => {
        const mode = pick(random.uniform());
        return (centres[mode] ?? 0) + (shape.modes[mode]?.sigma ?? 0) * random.normal();
      };
    }
    case 'normal':
      return (random) => Math.log(Math.max(FASTEST_MS, shape.meanMs + shape.standardDeviationMs * random.normal()));
    case 'empirical': {
      const pick = pickerOf(shape.histogram.map(([, count]) => count));
      return (random) => {
        const [bucket] = shape.histogram[pick(random.uniform())] ?? [ORIGIN];
        return (bucket - ORIGIN + random.uniform()) * LOG_RATIO;
      };
    }
  }
}

/** The bucket of a latency's logarithm; the same as {@link bucketOfLatency} gives but for rounding at an edge. */
export function bucketOfLogLatency(logMs: number): number {
  const bucket = Math.floor(logMs / LOG_RATIO) + ORIGIN;
  return bucket < 0 ? 0 : bucket >= HISTOGRAM_SIZE ? HISTOGRAM_SIZE - 1 : bucket;
}

/**
 * The logarithm of the latency below which a share of answers lies.
 * @param quantile in (0, 1)
 */
export function logQuantileOf(shape: LatencyShape, quantile: number): number {
  let low = Math.log(latencyOfBucket(0));
  let high = Math.log(latencyOfBucket(HISTOGRAM_SIZE - 1));
  for (let halving = 0; halving < HALVINGS; halving += 1) {
    const middle = (low + high) / 2;
    if (shareBelow(shape, middle) < quantile) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * Chooses an index by its weight.
 * @param weights at least one positive
 * @returns a function of a uniform number; ones in (0, 1) never give an index of weight 0
 */
export function pickerOf(weights: readonly number[]): (uniform: number) => number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  const upTo = Float64Array.from(weights, (weight) => (sum += weight) / total);
  return (uniform) => {
    let low = 0;
    let high = upTo.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (uniform < (upTo[middle] ?? 1)) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

/**
 * The share of a standard normal distribution below a value, within 8e-8.
 * Source: M. Abramowitz, I. Stegun, Handbook of Mathematical Functions (1964), 26.2.17.
 */
export function normalShareBelow(value: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(value));
  const density = Math.exp((-value * value) / 2) / Math.sqrt(2 * Math.PI);
  const series = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return value < 0 ? density * series : 1 - density * series;
}

function shareBelow(shape: LatencyShape, logMs: number): number {
  switch (shape.kind) {
    case 'lognormal':
      return normalShareBelow((logMs - Math.log(shape.medianMs)) / shape.sigma);
    case 'pareto':
      return 1 - Math.exp(-shape.exponent * Math.max(0, logMs - Math.log(shape.fastestMs)));
    case 'modes': {
      const total = shape.modes.reduce((sum, { share }) => sum + share, 0);
      return shape.modes.reduce(
        (sum, { share, medianMs, sigma }) => sum + (share / total) * normalShareBelow((logMs - Math.log(medianMs)) / sigma),
        0,
      );
    }
    case 'normal':
      return normalShareBelow((Math.exp(logMs) - shape.meanMs) / shape.standardDeviationMs);
    case 'empirical': {
      const place = logMs / LOG_RATIO + ORIGIN;
      let below = 0;
      for (const [bucket, count] of shape.histogram) below += count * Math.min(1, Math.max(0, place - bucket));
      return below / countOf(shape.histogram);
    }
  }
}
