/** The counts of one version on one arm since the last report, in fixed memory. The recorder makes blocks of evidence of them. */
import type { Arm, EvidenceBlock, Moments, Tally } from '@understudy/core/evidence';
import { bucketOfLatency, HISTOGRAM_SIZE } from '@understudy/core/histogram';

/** Under what requests are counted together. */
export interface CellKey {
  readonly model: string;
  readonly version: string;
  readonly arm: Arm;
  /** Absent outside a rollout. */
  readonly rollout?: string;
  readonly step?: number;
}

/** Why a call counts as an error. */
export type Failure = 'failed' | 'timeout' | 'invalid';

/** One value of a version's prediction output. */
export type Prediction = number | bigint | string;

/** Counts of one key. Every method is O(1) and, once the cell has seen its first request, allocates nothing. */
export interface EvidenceCell {
  readonly key: CellKey;
  /** A valid answer. */
  addAnswer(latencyMs: number): void;
  /** A failure charged to the version; rescued when the champion answered instead. */
  addFailure(latencyMs: number, failure: Failure, isRescued: boolean): void;
  /** The version refused the request as the caller's mistake. */
  addRejection(latencyMs: number): void;
  /** One row's prediction; numbers that are class labels count as both. */
  addPrediction(value: Prediction, isClass: boolean): void;
  /** The counts as a block, and back to nothing; undefined when nothing happened. */
  take(startMs: number): EvidenceBlock | undefined;
}

// The evidence of a classifier with more classes goes under `other` (core/evidence.ts).
const MAX_CLASSES = 64;
const MAX_CLASS_LENGTH = 200;
const OTHER_CLASS = 'other';

/** Opens a cell. `onFirst` is called when the first request since the last `take` is counted. */
export function openEvidenceCell(key: CellKey, onFirst: () => void): EvidenceCell {
  // Made by the first request: most cells of an idle model never see one.
  let latency: Uint32Array | undefined;
  const classes = openClassCounts();
  let [requests, errors, timeouts, invalid, rescued, rejected] = [0, 0, 0, 0, 0, 0];
  const moments = openMoments();

  const addRequest = (latencyMs: number): void => {
    if (requests++ === 0) onFirst();
    const bucket = bucketOfLatency(latencyMs);
    latency ??= new Uint32Array(HISTOGRAM_SIZE);
    latency[bucket] = (latency[bucket] ?? 0) + 1;
  };
  const tally = (): Tally => ({
    requests,
    errors,
    timeouts,
    invalid,
    rescued,
    rejected,
    latency: sparseOf(latency),
    predictions: moments.take(),
    classes: classes.take(),
  });

  return {
    key,
    addAnswer: addRequest,
    addFailure(latencyMs, failure, isRescued) {
      addRequest(latencyMs);
      errors++;
      if (failure === 'timeout') timeouts++;
      else if (failure === 'invalid') invalid++;
      if (isRescued) rescued++;
    },
    addRejection(latencyMs) {
      addRequest(latencyMs);
      rejected++;
    },
    addPrediction(value, isClass) {
      if (typeof value === 'string') {
        classes.add(value);
        return;
      }
      const number = Number(value);
      if (isClass) classes.add(number);
      moments.add(number);
    },
    take(startMs) {
      if (requests === 0) return undefined;
      const block: EvidenceBlock = { ...key, startMs, tally: tally() };
      latency?.fill(0);
      requests = errors = timeouts = invalid = rescued = rejected = 0;
      return block;
    },
  };
}

interface MomentCounts {
  add(value: number): void;
  take(): Moments;
}

function openMoments(): MomentCounts {
  let [count, sum, sumSquares] = [0, 0, 0];
  return {
    add(value) {
      // Beyond this the square overflows, and one value would make the sums useless.
      if (!(Math.abs(value) < 1e150)) return;
      count++;
      sum += value;
      sumSquares += value * value;
    },
    take() {
      const taken = { count, sum, sumSquares };
      count = sum = sumSquares = 0;
      return taken;
    },
  };
}

interface ClassCounts {
  add(value: string | number): void;
  take(): Tally['classes'];
}

/** The names stay from one interval to the next, so that a steady classifier allocates nothing. */
function openClassCounts(): ClassCounts {
  const slots = new Map<string | number, number>();
  const counts = new Uint32Array(MAX_CLASSES + 1);
  return {
    add(value) {
      let slot = slots.get(value);
      if (slot === undefined) {
        slot = slots.size < MAX_CLASSES ? slots.size : MAX_CLASSES;
        if (slot < MAX_CLASSES) slots.set(value, slot);
      }
      counts[slot] = (counts[slot] ?? 0) + 1;
    },
    take() {
      const taken = new Map<string, number>();
      const addTo = (name: string, slot: number): void => {
        const seen = counts[slot] ?? 0;
        if (seen > 0) taken.set(name, (taken.get(name) ?? 0) + seen);
      };
      for (const [value, slot] of slots) addTo(String(value).slice(0, MAX_CLASS_LENGTH), slot);
      addTo(OTHER_CLASS, MAX_CLASSES);
      counts.fill(0);
      // Unlike an assignment, this makes `__proto__` a key like any other.
      return Object.fromEntries(taken);
    },
  };
}

function sparseOf(buckets: Uint32Array | undefined): Tally['latency'] {
  const sparse: (readonly [number, number])[] = [];
  buckets?.forEach((seen, bucket) => {
    if (seen > 0) sparse.push([bucket, seen]);
  });
  return sparse;
}
