/** Absolute health of one version over a sliding window: too slow, failing, or drifted from its baseline. Thresholds and the watch use it. */
import { latencyOf, meanOf, type Tally } from './evidence.ts';
import { quantileOf } from './histogram.ts';
import type { Baseline } from './model-version.ts';
import type { GuardReading } from './policy.ts';

/** Limits of the sliding-window health check. */
export interface HealthLimits {
  /** Requests that the window holds. */
  readonly window: number;
  /** Requests below which latency and errors are not judged. */
  readonly minSamples: number;
  readonly p95LatencyMs: number;
  /** Share of failed requests, in [0, 1]. */
  readonly errorRate: number;
  /** Distance of the mean prediction from the baseline's mean, in the baseline's standard deviations. */
  readonly meanDrift: number;
}

/** p95 ≤ 500 ms, errors ≤ 5 %, mean drift ≤ 2 standard deviations; 200 requests, judged from 20 on. */
export const DEFAULT_HEALTH_LIMITS: HealthLimits = {
  window: 200,
  minSamples: 20,
  p95LatencyMs: 500,
  errorRate: 0.05,
  meanDrift: 2,
};

// A mean of fewer predictions says nothing about drift; the window of latencies and errors has its own minimum.
const MIN_PREDICTIONS = 10;

// Sums of squares cannot resolve a spread below about 1e-8 of the mean, so a baseline without spread may have had that much.
const FLAT_TOLERANCE = 1e-7;

/**
 * Reads the three health guards on one version's window.
 * @returns one reading per guard; `harmful` above its limit, `no-data` below the minimum sample or without a baseline
 */
export function readHealth(limits: HealthLimits, tally: Tally, baseline: Baseline | undefined): readonly GuardReading[] {
  return [readLatency(limits, tally), readErrors(limits, tally), readDrift(limits, tally, baseline)];
}

/**
 * How far the mean prediction lies from the baseline's mean, in the baseline's standard deviations.
 * @returns undefined without predictions; Infinity when the baseline has no spread and the mean differs from it by more
 *   than a rounding error, and when the predictions are too large to add up
 */
export function meanDriftOf(tally: Tally, baseline: Baseline): number | undefined {
  const mean = meanOf(tally.predictions);
  if (mean === undefined) return undefined;
  if (!Number.isFinite(mean)) return Infinity;
  const distance = Math.abs(mean - baseline.mean);
  if (baseline.standardDeviation > 0) return distance / baseline.standardDeviation;
  return distance <= Math.abs(baseline.mean) * FLAT_TOLERANCE ? 0 : Infinity;
}

function readLatency(limits: HealthLimits, tally: Tally): GuardReading {
  const samples = tally.requests;
  const p95 = quantileOf(latencyOf(tally), 0.95);
  const base = { guard: 'health.p95-latency', unit: 'ms', limit: limits.p95LatencyMs, samples } as const;
  if (p95 === undefined || samples < limits.minSamples) return notEnough(base, samples, limits.minSamples);
  const isOver = p95 > limits.p95LatencyMs;
  const reason = `p95 latency ${p95.toFixed(1)} ms ${isOver ? 'exceeds' : 'is within'} ${limits.p95LatencyMs} ms`;
  return { ...base, challenger: p95, verdict: isOver ? 'harmful' : 'healthy', reason };
}

function readErrors(limits: HealthLimits, tally: Tally): GuardReading {
  const samples = tally.requests;
  const base = { guard: 'health.errors', unit: 'share', limit: limits.errorRate, samples } as const;
  if (samples < limits.minSamples) return notEnough(base, samples, limits.minSamples);
  const rate = tally.errors / samples;
  const isOver = rate > limits.errorRate;
  const reason = `error rate ${percent(rate)} (${tally.errors} of ${samples}) ${isOver ? 'exceeds' : 'is within'} ${percent(limits.errorRate)}`;
  return { ...base, challenger: rate, verdict: isOver ? 'harmful' : 'healthy', reason };
}

function readDrift(limits: HealthLimits, tally: Tally, baseline: Baseline | undefined): GuardReading {
  const samples = tally.predictions.count;
  const base = { guard: 'health.mean-drift', unit: 'standard deviations', limit: limits.meanDrift, samples } as const;
  if (baseline === undefined) return { ...base, verdict: 'no-data', reason: 'no baseline is registered, so drift is not judged' };
  const drift = meanDriftOf(tally, baseline);
  if (drift === undefined || samples < MIN_PREDICTIONS) return notEnough(base, samples, MIN_PREDICTIONS);
  // Infinity is not a number in JSON, where readings are kept; the sentence says it.
  if (!Number.isFinite(drift)) return { ...base, verdict: 'harmful', reason: infiniteDrift(tally, baseline) };
  const isOver = drift > limits.meanDrift;
  const reason = `mean prediction is ${drift.toFixed(2)} baseline standard deviations from ${short(baseline.mean)}, ${isOver ? 'beyond' : 'within'} ${limits.meanDrift}`;
  return { ...base, challenger: drift, verdict: isOver ? 'harmful' : 'healthy', reason };
}

function infiniteDrift(tally: Tally, baseline: Baseline): string {
  const mean = meanOf(tally.predictions);
  if (mean === undefined || !Number.isFinite(mean) || baseline.standardDeviation > 0) {
    return 'predictions are too large to measure how far they are from the baseline';
  }
  return `mean prediction ${short(mean)} differs from ${short(baseline.mean)}, which is all that the baseline ever had`;
}

function notEnough(base: Omit<GuardReading, 'verdict' | 'reason'>, samples: number, needed: number): GuardReading {
  return { ...base, verdict: 'no-data', reason: `not enough data: ${samples} of ${needed} samples` };
}

/** A share as people read it: `4.25 %`. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

function short(value: number): string {
  return Number(value.toPrecision(4)).toString();
}
