/** What two versions answered to the same requests, as mergeable counts. Gateways and services make it; paired tests and people read it. */
import type { Moments } from './evidence.ts';
import { BUCKET_RATIO, bucketOfLatency, type Histogram, HISTOGRAM_SIZE, latencyOfBucket, mergeHistograms } from './histogram.ts';
import { mergeNamed } from './named.ts';

/** Of pairs in which something bad happened: on the shadow alone, on the champion alone, on both. */
export interface Discordance {
  readonly shadow: number;
  readonly champion: number;
  readonly both: number;
}

/** Joint counts of what the champion predicted and what the shadow did: `[champion, shadow, count]`, by the first two. */
export type Flips = readonly (readonly [champion: string, shadow: string, count: number])[];

/** The same for the bins of `core/prediction-bins.ts`. */
export type Moves = readonly (readonly [champion: number, shadow: number, count: number])[];

/** Latencies of pairs that were answered by two warm instances. */
export interface PairLatency {
  readonly champion: Histogram;
  readonly shadow: Histogram;
  /** By {@link ratioBucketOf}: how many times as long as the champion the shadow took. */
  readonly ratios: Histogram;
  /**
   * By the name of a {@link PairLine}: buckets of the smaller of the champion's latency and the shadow's, the latter brought
   * back by the line. Together with the histograms of both it says for any threshold how often both were beyond it.
   */
  readonly common: Readonly<Record<string, Histogram>>;
}

/** What is known of a part of the pairs, such as those of one region. */
export interface SegmentTally {
  readonly count: number;
  readonly failed: Discordance;
  readonly compared: number;
  readonly agreed: number;
  readonly difference: Moments;
}

/** One pair, kept to look at. */
export interface PairExample {
  readonly requestId: string;
  readonly atMs: number;
  readonly champion: PairSide;
  readonly shadow: PairSide;
  /** Shadow − champion of numbers; 1 for another class or a failure of one of them. */
  readonly difference: number;
  /** How far apart they are, for choosing the worst: bigger is worse. */
  readonly distance: number;
  /** Uniform in [0, 1): the smallest ones are a fair sample. */
  readonly lot: number;
  /** The request as JSON text, when the operator asked for it; redacted and cut. */
  readonly request?: string;
}

/** What one version made of the request of an example. */
export interface PairSide {
  readonly version: string;
  /** What it predicted, in the first row; absent when it failed or predicts nothing that can be compared. */
  readonly prediction?: number | string;
  readonly ms: number;
  readonly failure?: 'failed' | 'timeout' | 'invalid';
}

/**
 * Why a request that should have been copied was not. `busy`, `bytes`: the shadow has all that it may have. `sick`: its last
 * copies came to nothing, so few are sent until one does. `too-large`: the request streams past. `protocol`: the shadow does not
 * speak it.
 */
export const DROP_REASONS = ['busy', 'bytes', 'sick', 'too-large', 'protocol'] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** Counts over some pairs; adding two is the tally of both. */
export interface PairTally {
  /** Pairs of which it is known how both ended. What the caller did wrong is no pair. */
  readonly count: number;
  readonly failed: Discordance;
  /** Of the failed. */
  readonly timeouts: Discordance;
  /** Of the failed. */
  readonly invalid: Discordance;
  /** Pairs with a prediction on both sides, … */
  readonly compared: number;
  /** … and those of them that are the same, within the model's tolerance. A batch counts by its first row. */
  readonly agreed: number;
  /** Of shadow − champion, for numbers. */
  readonly difference: Moments;
  /** The same by {@link differenceBucketOf}. */
  readonly differences: Histogram;
  /** For classes: at most {@link MAX_FLIP_CLASSES} names a gateway, the rest as `other`. */
  readonly flips: Flips;
  /** For numbers: by the name of the bins. */
  readonly moves: Readonly<Record<string, Moves>>;
  readonly latency: PairLatency;
  /** By the value of the field that the model names; at most {@link MAX_SEGMENTS}, the rest as `other`. */
  readonly segments: Readonly<Record<string, SegmentTally>>;
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  /** The pairs that are farthest apart, worst first; at most {@link MAX_WORST}. */
  readonly worst: readonly PairExample[];
  /** A fair sample; at most {@link MAX_SAMPLE}. */
  readonly sample: readonly PairExample[];
}

export const MAX_FLIP_CLASSES = 16;
export const MAX_SEGMENTS = 8;
export const MAX_WORST = 3;
export const MAX_SAMPLE = 2;

/** Cells of {@link PairTally.flips} at most; what several gateways tell apart beyond that is `other`. */
export const MAX_FLIPS = 1024;

/** What is beyond the names that are told apart. */
export const OTHER = 'other';

const NO_DISCORDANCE: Discordance = { shadow: 0, champion: 0, both: 0 };
const NO_MOMENTS: Moments = { count: 0, sum: 0, sumSquares: 0 };

/** The neutral element of {@link mergePairs}. */
export const EMPTY_PAIRS: PairTally = {
  count: 0,
  failed: NO_DISCORDANCE,
  timeouts: NO_DISCORDANCE,
  invalid: NO_DISCORDANCE,
  compared: 0,
  agreed: 0,
  difference: NO_MOMENTS,
  differences: [],
  flips: [],
  moves: {},
  latency: { champion: [], shadow: [], ratios: [], common: {} },
  segments: {},
  dropped: {},
  worst: [],
  sample: [],
};

/** The tally of the pairs of both. */
export function mergePairs(left: PairTally, right: PairTally): PairTally {
  return {
    count: left.count + right.count,
    failed: addDiscordances(left.failed, right.failed),
    timeouts: addDiscordances(left.timeouts, right.timeouts),
    invalid: addDiscordances(left.invalid, right.invalid),
    compared: left.compared + right.compared,
    agreed: left.agreed + right.agreed,
    difference: addMoments(left.difference, right.difference),
    differences: mergeHistograms(left.differences, right.differences),
    flips: mergeFlips(left.flips, right.flips),
    moves: mergeNamed(left.moves, right.moves, mergeMoves),
    latency: mergeLatency(left.latency, right.latency),
    segments: mergeSegments(left.segments, right.segments),
    dropped: mergeNamed(left.dropped, right.dropped, (a, b) => a + b),
    worst: left.worst.length + right.worst.length === 0 ? [] : worstOf([...left.worst, ...right.worst]),
    sample: left.sample.length + right.sample.length === 0 ? [] : sampleOf([...left.sample, ...right.sample]),
  };
}

/** The worst few, worst first. */
export function worstOf(examples: readonly PairExample[]): readonly PairExample[] {
  return examples.toSorted((a, b) => b.distance - a.distance || byLot(a, b)).slice(0, MAX_WORST);
}

/** The few with the smallest lots: whatever is merged in whatever order, each pair has the same chance to stay. */
export function sampleOf(examples: readonly PairExample[]): readonly PairExample[] {
  return examples.toSorted(byLot).slice(0, MAX_SAMPLE);
}

/** Where a latency of the shadow counts as slow, when one of the champion does from `x` on: from max(ratio · x, x + plus) on. */
export interface PairLine {
  /** ≥ 1. */
  readonly ratio: number;
  /** Milliseconds, ≥ 0. */
  readonly plusMs: number;
}

/** The name under which the gateway counts a line, and a test finds it. */
export function nameOfLine({ ratio, plusMs }: PairLine): string {
  return plusMs === 0 ? `x${ratio}` : `x${ratio}+${plusMs}`;
}

// A ratio of exactly 1.2 or 1.5 is a whole number of buckets but for rounding errors of the logarithm.
const ROUNDING = 0.05;

/** How many buckets a ratio of latencies is, at most half a bucket more than asked for. */
export function shiftOfRatio(ratio: number): number {
  return Math.ceil(Math.log(ratio) / Math.log(BUCKET_RATIO) - ROUNDING);
}

/** The first bucket in which the shadow is slow when the champion is slow from `bucket` on. Rises with the bucket. */
export function stretchedBucket(bucket: number, { ratio, plusMs }: PairLine): number {
  const shifted = bucket + shiftOfRatio(ratio);
  if (plusMs === 0) return shifted;
  return Math.max(shifted, bucketOfLatency(latencyOfBucket(bucket - 0.5) + plusMs) + 1);
}

/**
 * The highest bucket of the champion's that a shadow's latency is beyond by the line: the inverse of {@link stretchedBucket}.
 * @returns −1 when it is beyond none
 */
export function shrunkBucket(bucket: number, line: PairLine): number {
  let [low, high] = [-1, HISTOGRAM_SIZE - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (stretchedBucket(middle, line) <= bucket) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Ratios of latencies have as many buckets as latencies below 1 and above it. */
export const RATIO_BUCKETS: number = 2 * HISTOGRAM_SIZE;

/** The bucket of a ratio: that of the shadow's latency less that of the champion's, moved to be positive. */
export function ratioBucketOf(championBucket: number, shadowBucket: number): number {
  return shadowBucket - championBucket + HISTOGRAM_SIZE;
}

/** The ratio that stands for a bucket of {@link ratioBucketOf}. */
export function ratioOfBucket(bucket: number): number {
  return BUCKET_RATIO ** (bucket - HISTOGRAM_SIZE);
}

/** Four buckets for each doubling, from 1e-9 to some 1e9 on either side of the 0 in the middle. */
const DIFFERENCE_SIDE = 240;
const SMALLEST_DIFFERENCE = 1e-9;
const STEPS_PER_DOUBLING = 4;

/** Buckets of {@link differenceBucketOf}. */
export const DIFFERENCE_BUCKETS: number = 2 * DIFFERENCE_SIDE + 1;

/** The bucket of a signed difference: logarithmic on both sides, so that counts can be added up. */
export function differenceBucketOf(difference: number): number {
  const size = Math.abs(difference);
  if (!(size >= SMALLEST_DIFFERENCE)) return DIFFERENCE_SIDE;
  const step = Math.floor(Math.log2(size / SMALLEST_DIFFERENCE) * STEPS_PER_DOUBLING) + 1;
  return DIFFERENCE_SIDE + Math.sign(difference) * Math.min(DIFFERENCE_SIDE, step);
}

/** The difference that stands for a bucket: the geometric middle of its edges. */
export function differenceOfBucket(bucket: number): number {
  const step = Math.abs(bucket - DIFFERENCE_SIDE);
  if (step === 0) return 0;
  return Math.sign(bucket - DIFFERENCE_SIDE) * SMALLEST_DIFFERENCE * 2 ** ((step - 0.5) / STEPS_PER_DOUBLING);
}

function byLot(left: PairExample, right: PairExample): number {
  return left.lot - right.lot || (left.requestId < right.requestId ? -1 : 1);
}

function addDiscordances(left: Discordance, right: Discordance): Discordance {
  return { shadow: left.shadow + right.shadow, champion: left.champion + right.champion, both: left.both + right.both };
}

function addMoments(left: Moments, right: Moments): Moments {
  return { count: left.count + right.count, sum: left.sum + right.sum, sumSquares: left.sumSquares + right.sumSquares };
}

function mergeFlips(left: Flips, right: Flips): Flips {
  const merged = mergeCells(left, right);
  if (merged.length <= MAX_FLIPS) return merged;
  const rest = merged.slice(MAX_FLIPS - 1).reduce((sum, [, , count]) => sum + count, 0);
  return mergeCells(merged.slice(0, MAX_FLIPS - 1), [[OTHER, OTHER, rest]]);
}

/** Joint counts of bins of both. */
export function mergeMoves(left: Moves, right: Moves): Moves {
  return mergeCells(left, right);
}

function mergeCells<Key extends string | number>(
  left: readonly (readonly [Key, Key, number])[],
  right: readonly (readonly [Key, Key, number])[],
): readonly (readonly [Key, Key, number])[] {
  if (right.length === 0) return left;
  const cells = new Map<Key, Map<Key, number>>();
  for (const [champion, shadow, count] of [...left, ...right]) {
    const row = cells.get(champion) ?? new Map<Key, number>();
    cells.set(champion, row.set(shadow, (row.get(shadow) ?? 0) + count));
  }
  const flat = [...cells].flatMap(([champion, row]) =>
    [...row].map(([shadow, count]): readonly [Key, Key, number] => [champion, shadow, count]),
  );
  return flat.toSorted((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]));
}

function compare(left: string | number, right: string | number): number {
  return left === right ? 0 : left < right ? -1 : 1;
}

function mergeLatency(left: PairLatency, right: PairLatency): PairLatency {
  return {
    champion: mergeHistograms(left.champion, right.champion),
    shadow: mergeHistograms(left.shadow, right.shadow),
    ratios: mergeHistograms(left.ratios, right.ratios),
    common: mergeNamed(left.common, right.common, mergeHistograms),
  };
}

function mergeSegments(left: PairTally['segments'], right: PairTally['segments']): PairTally['segments'] {
  const merged = Object.entries(mergeNamed(left, right, addSegments));
  if (merged.length <= MAX_SEGMENTS + 1) return Object.fromEntries(merged);
  const named = merged.filter(([name]) => name !== OTHER).toSorted(([, a], [, b]) => b.count - a.count);
  const rest = [...named.slice(MAX_SEGMENTS), ...merged.filter(([name]) => name === OTHER)].map(([, segment]) => segment);
  return Object.fromEntries([...named.slice(0, MAX_SEGMENTS), [OTHER, rest.reduce(addSegments)]]);
}

function addSegments(left: SegmentTally, right: SegmentTally): SegmentTally {
  return {
    count: left.count + right.count,
    failed: addDiscordances(left.failed, right.failed),
    compared: left.compared + right.compared,
    agreed: left.agreed + right.agreed,
    difference: addMoments(left.difference, right.difference),
  };
}
