/** What the gateways saw, as mergeable counts per version, arm and time block. Policies judge it; the gateway's recorder makes it. */
import type { Measurement } from './checks/measurement.ts';
import { type Histogram, mergeHistograms } from './histogram.ts';
import { mergeNamed } from './named.ts';
import { mergePairs, type PairTally } from './pairs.ts';

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
  /** Milliseconds from calling the version to its answer, failed calls included, once its instance was warm. */
  readonly latency: Histogram;
  /** The same for the first requests of a new instance ({@link COLD_REQUESTS}); they are in `requests`, not in `latency`. */
  readonly coldLatency: Histogram;
  /** Of every row that was predicted. */
  readonly predictions: Moments;
  /** Requests per predicted class, for classifiers; at most 64 classes, the rest under `other`. A batch counts by its first row. */
  readonly classes: Readonly<Record<string, number>>;
  /**
   * Requests per bin of the predicted number, by the name of the bins (`core/prediction-bins.ts`). A batch counts by its
   * first row: rows of one request are alike, and tests count on independent ones.
   */
  readonly bins: Readonly<Record<string, readonly number[]>>;
  /** Values in [0, 1] that were reported for requests, by the name of the score. */
  readonly scores: Readonly<Record<string, Moments>>;
  /**
   * The truth that was told later of requests of the past, by its name; absent where none was. Its block says on which arm
   * and step those requests were, and its `startMs` is when their cohort was judged (`core/feedback.ts`).
   */
  readonly labels?: Readonly<Record<string, Moments>>;
  /** Only of a shadow: how its answers compare with the champion's to the same requests. */
  readonly pairs?: PairTally;
}

/** A new instance of a version is cold for so many requests, or for {@link COLD_MS} from its first one: whichever ends first. */
export const COLD_REQUESTS = 100;

/** See {@link COLD_REQUESTS}. */
export const COLD_MS = 60_000;

/** One version's tally on one arm in one interval of one gateway. */
export interface EvidenceBlock {
  readonly model: string;
  readonly version: string;
  readonly arm: Arm;
  /** Rollout and step under which the requests were routed; absent outside a rollout. */
  readonly rollout?: string;
  readonly step?: number;
  /** Gateways whose users differ are told apart by this name; the default is no name. Strata are never added up. */
  readonly stratum?: string;
  /** Whose report brought it, as the control plane saw it. Absent from services, and from what older releases stored. */
  readonly gateway?: string;
  /** Begin of the interval: a whole second on the gateway's clock. */
  readonly startMs: number;
  readonly tally: Tally;
  /** What a check of the rollout's plan was answered; its tally is empty. Only the control plane makes such blocks. */
  readonly measurement?: Measurement;
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
  coldLatency: [],
  predictions: { count: 0, sum: 0, sumSquares: 0 },
  classes: {},
  bins: {},
  scores: {},
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
    coldLatency: mergeHistograms(left.coldLatency, right.coldLatency),
    predictions: mergeMoments(left.predictions, right.predictions),
    classes: mergeNamed(left.classes, right.classes, (a, b) => a + b),
    bins: mergeNamed(left.bins, right.bins, addCounts),
    scores: mergeNamed(left.scores, right.scores, mergeMoments),
    ...withLabels(mergeLabels(left.labels, right.labels)),
    ...mergedPairs(left.pairs, right.pairs),
  };
}

/** The labels of both; undefined when neither has any. */
export function mergeLabels(left: Tally['labels'], right: Tally['labels']): Tally['labels'] {
  return left === undefined || right === undefined ? (left ?? right) : mergeNamed(left, right, mergeMoments);
}

function withLabels(labels: Tally['labels']): Pick<Tally, 'labels'> {
  return labels === undefined ? {} : { labels };
}

function mergedPairs(left: PairTally | undefined, right: PairTally | undefined): Pick<Tally, 'pairs'> {
  const pairs = left === undefined || right === undefined ? (left ?? right) : mergePairs(left, right);
  return pairs === undefined ? {} : { pairs };
}

/** Every latency of a tally, those of cold instances included. */
export function latencyOf({ latency, coldLatency }: Pick<Tally, 'latency' | 'coldLatency'>): Histogram {
  return mergeHistograms(latency, coldLatency);
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

/** Adds counts place by place; the shorter list is continued with zeros. */
export function addCounts(left: readonly number[], right: readonly number[]): readonly number[] {
  const [long, short] = left.length >= right.length ? [left, right] : [right, left];
  return long.map((count, index) => count + (short[index] ?? 0));
}
