/** What the gateways saw, as mergeable counts per version, arm and time block. Policies judge it; the gateway's recorder makes it. */
import { type Histogram, mergeHistograms } from './histogram.ts';

/** Which side of a comparison a request was answered by. */
export type Arm = 'champion' | 'challenger' | 'shadow';

/** Sums that give a mean and a variance. Of predictions: regression outputs, or numeric class labels. */
export interface Moments {
  readonly count: number;
  readonly sum: number;
  readonly sumSquares: number;
}

/** Counts over some requests; adding two tallies is the tally of both. */
export interface Tally {
  /** Requests that count as evidence: everything but forced ones and the caller's own mistakes. */
  readonly requests: number;
  /** Failures charged to the version: exceptions, 5xx, timeouts, invalid outputs. Each request at most once. */
  readonly errors: number;
  /** Of the errors: no answer within the deadline. */
  readonly timeouts: number;
  /** Of the errors: an answer that is not a valid prediction (not finite, wrong shape, broken JSON). */
  readonly invalid: number;
  /** Of the errors: answered by the champion instead, so that the user did not notice. */
  readonly rescued: number;
  /** Requests that the version refused as the caller's mistake (4xx of an upstream); not errors. */
  readonly rejected: number;
  /** Milliseconds from calling the version to its answer, failed calls included. */
  readonly latency: Histogram;
  readonly predictions: Moments;
  /** Predictions per class, for classifiers; at most 64 classes, the rest under `other`. */
  readonly classes: Readonly<Record<string, number>>;
}

/** One version's tally on one arm in one interval of one gateway. */
export interface EvidenceBlock {
  readonly model: string;
  readonly version: string;
  readonly arm: Arm;
  /** Rollout and step under which the requests were routed; absent outside a rollout. */
  readonly rollout?: string;
  readonly step?: number;
  /** Begin of the interval, on the control plane's clock as far as the gateway knows it. */
  readonly startMs: number;
  readonly tally: Tally;
}

/** A tally of nothing; the neutral element of {@link mergeTallies}. */
export const EMPTY_TALLY: Tally = {
  requests: 0,
  errors: 0,
  timeouts: 0,
  invalid: 0,
  rescued: 0,
  rejected: 0,
  latency: [],
  predictions: { count: 0, sum: 0, sumSquares: 0 },
  classes: {},
};

/** The tally of all requests in both. */
export function mergeTallies(left: Tally, right: Tally): Tally {
  return {
    requests: left.requests + right.requests,
    errors: left.errors + right.errors,
    timeouts: left.timeouts + right.timeouts,
    invalid: left.invalid + right.invalid,
    rescued: left.rescued + right.rescued,
    rejected: left.rejected + right.rejected,
    latency: mergeHistograms(left.latency, right.latency),
    predictions: mergeMoments(left.predictions, right.predictions),
    classes: mergeClasses(left.classes, right.classes),
  };
}

/** The moments of both samples together. */
export function mergeMoments(left: Moments, right: Moments): Moments {
  return {
    count: left.count + right.count,
    sum: left.sum + right.sum,
    sumSquares: left.sumSquares + right.sumSquares,
  };
}

/** Arithmetic mean; undefined without a sample. */
export function meanOf(moments: Moments): number | undefined {
  return moments.count === 0 ? undefined : moments.sum / moments.count;
}

/**
 * Standard deviation of the sample (n − 1 in the denominator).
 * @returns undefined with fewer than two values, or when the sums are beyond what a number can hold; never negative,
 *   rounding errors are cut at 0
 */
export function standardDeviationOf(moments: Moments): number | undefined {
  if (moments.count < 2) return undefined;
  const centred = moments.sumSquares - (moments.sum * moments.sum) / moments.count;
  return Number.isFinite(centred) ? Math.sqrt(Math.max(0, centred) / (moments.count - 1)) : undefined;
}

/** Moments of a list of numbers. */
export function momentsOf(values: readonly number[]): Moments {
  let sum = 0;
  let sumSquares = 0;
  for (const value of values) {
    sum += value;
    sumSquares += value * value;
  }
  return { count: values.length, sum, sumSquares };
}

function mergeClasses(left: Tally['classes'], right: Tally['classes']): Tally['classes'] {
  // A map, as classes are named by the user: `constructor` and `__proto__` must count like any other.
  const merged = new Map(Object.entries(left));
  for (const [name, count] of Object.entries(right)) merged.set(name, (merged.get(name) ?? 0) + count);
  return Object.fromEntries(merged);
}
