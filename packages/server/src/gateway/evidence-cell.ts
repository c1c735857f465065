/** The counts of one version on one arm since the last report, in fixed memory. The recorder makes blocks of evidence of them. */
import type { Arm, EvidenceBlock, Tally } from '@understudy/core/evidence';
import type { PairTally } from '@understudy/core/pairs';
import { bucketOfLatency, type Histogram, HISTOGRAM_SIZE } from '@understudy/core/histogram';
import { openPairCounter, type PairCounter, type Pairing } from '@understudy/core/pair-counter';
import { openPredictionCounts, type PredictionCounts } from './prediction-counts.ts';

/** Under what requests are counted together. */
export interface CellKey {
  readonly model: string;
  readonly version: string;
  readonly arm: Arm;
  /** Absent outside a rollout. */
  readonly rollout?: string;
  readonly step?: number;
  /** Absent unless the gateway was given one. */
  readonly stratum?: string;
}

/** What a cell is opened for. */
export interface CellPlace {
  readonly key: CellKey;
  /** Predicted numbers are counted between these; absent when nobody knows what they look like. */
  readonly binEdges: readonly number[] | undefined;
  /** How pairs are counted; only of a shadow. */
  readonly pairing?: Pairing;
}

/** Why a call counts as an error. */
export type Failure = 'failed' | 'timeout' | 'invalid';

/** Counts of one key. Every method is O(1) and, once the cell has seen its first request, allocates nothing. */
export interface EvidenceCell {
  readonly key: CellKey;
  /** A call that ended, whatever came of it; everything else about it comes after. */
  addRequest(latencyMs: number, isCold: boolean): void;
  /** It is a failure charged to the version; rescued when the champion answered instead. */
  addError(failure: Failure, isRescued: boolean): void;
  /** The version refused it as the caller's mistake. */
  addRejection(): void;
  /** What it predicted. */
  readonly predictions: Pick<PredictionCounts, 'add' | 'addRow'>;
  /** What both versions made of the same requests; only of a shadow. */
  readonly pairs: Pick<PairCounter, 'add' | 'drop'> | undefined;
  /** The counts as a block, and back to nothing; undefined when nothing happened. */
  take(startMs: number): EvidenceBlock | undefined;
}

/** Opens a cell. `onFirst` is called when the first request since the last `take` is counted. */
export function openEvidenceCell({ key, binEdges, pairing }: CellPlace, onFirst: () => void): EvidenceCell {
  const [latency, coldLatency] = [openLatencyCounts(), openLatencyCounts()];
  const predictions = openPredictionCounts(binEdges);
  const pairs = pairing === undefined ? undefined : openPairs(pairing, onFirst);
  let [requests, errors, timeouts, invalid, rescued, rejected] = [0, 0, 0, 0, 0, 0];

  const tally = (): Tally => ({
    requests,
    errors,
    timeouts,
    invalid,
    rescued,
    rejected,
    latency: latency.take(),
    coldLatency: coldLatency.take(),
    ...predictions.take(),
    // Reported for requests that were answered long ago, and never by the hot path.
    scores: {},
  });

  return {
    key,
    predictions,
    pairs,
    addRequest(latencyMs, isCold) {
      if (requests++ === 0) onFirst();
      if (isCold) coldLatency.add(latencyMs);
      else latency.add(latencyMs);
    },
    addError(failure, isRescued) {
      errors++;
      if (failure === 'timeout') timeouts++;
      else if (failure === 'invalid') invalid++;
      if (isRescued) rescued++;
    },
    addRejection() {
      rejected++;
    },
    take(startMs) {
      const paired = pairs?.take(startMs);
      if (requests === 0 && paired === undefined) return undefined;
      const block = { ...key, startMs, tally: { ...tally(), ...(paired === undefined ? {} : { pairs: paired }) } };
      requests = errors = timeouts = invalid = rescued = rejected = 0;
      return block;
    },
  };
}

// Examples are for people, and each is as large as all other counts of a block: a handful in ten seconds is enough of them.
const EXAMPLES_EVERY_MS = 10_000;

interface TakenPairs extends Pick<PairCounter, 'add' | 'drop'> {
  take(startMs: number): PairTally | undefined;
}

function openPairs(pairing: Pairing, onFirst: () => void): TakenPairs {
  const counter = openPairCounter(pairing);
  let examplesDueMs = 0;
  let hasDropped = false;
  return {
    add: (pair) => counter.add(pair),
    drop(reason) {
      // A shadow that gets nothing but too much is still heard of.
      if (!hasDropped) onFirst();
      hasDropped = true;
      counter.drop(reason);
    },
    take(startMs) {
      const isDue = startMs >= examplesDueMs;
      const taken = counter.take(isDue);
      hasDropped = false;
      if (isDue && taken !== undefined) examplesDueMs = startMs + EXAMPLES_EVERY_MS;
      return taken;
    },
  };
}

interface LatencyCounts {
  add(latencyMs: number): void;
  take(): Histogram;
}

function openLatencyCounts(): LatencyCounts {
  // Made by the first request: most cells of an idle model never see one, and few ever see a cold one.
  let buckets: Uint32Array | undefined;
  return {
    add(latencyMs) {
      const bucket = bucketOfLatency(latencyMs);
      buckets ??= new Uint32Array(HISTOGRAM_SIZE);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    },
    take() {
      const sparse: (readonly [number, number])[] = [];
      buckets?.forEach((seen, bucket) => {
        if (seen > 0) sparse.push([bucket, seen]);
      });
      buckets?.fill(0);
      return sparse;
    },
  };
}
