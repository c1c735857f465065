/** Counts an arm's simulated requests as a gateway would: one tally a second, and the sum since it was last emptied. */
import type { Moments, Tally } from '../evidence.ts';
import { type Histogram, HISTOGRAM_SIZE } from '../histogram.ts';
import { binCountOf, binOf, nameOfEdges, type OrderedBins } from '../prediction-bins.ts';
import type { ArmSecond } from './arm-source.ts';
import { bucketOfLogLatency } from './latency-shape.ts';

/** What the predictions of a scenario are counted in. */
export interface PredictionCounting {
  readonly kind: 'none' | 'numbers' | 'classes';
  /** For numbers. */
  readonly bins?: OrderedBins;
  /** For classes. */
  readonly classes: readonly string[];
}

/** Counts of one arm. */
export interface TallyCounter {
  /** Adds a second, and gives its tally. */
  add(second: ArmSecond): Tally;
  /** Everything added since the last {@link TallyCounter.clear}; a view that holds until the next change. */
  sum(): Tally;
  clear(): void;
}

/** Counts in fixed memory. */
export function tallyCounterOf(counting: PredictionCounting): TallyCounter {
  const ofSecond = countsOf(counting);
  const ofAll = countsOf(counting);
  const sum = viewOf(ofAll, counting);
  return {
    add(second) {
      clearCounts(ofSecond);
      addSecond([ofSecond, ofAll], counting, second);
      return tallyOf(ofSecond, counting);
    },
    sum: () => sum,
    clear: () => clearCounts(ofAll),
  };
}

interface Counts {
  requests: number;
  errors: number;
  readonly latency: BucketCounts;
  readonly coldLatency: BucketCounts;
  /** Of predicted numbers. */
  count: number;
  sum: number;
  sumSquares: number;
  /** Per bin of a number, or per class. */
  readonly inBins: Uint32Array;
  /** The name of the bins; empty for classes. */
  readonly binsName: string;
}

/** Remembers between which buckets anything is, as a second touches few of them. */
interface BucketCounts {
  readonly counts: Uint32Array;
  first: number;
  last: number;
}

const NOTHING = {};
/** What simulated requests never do. */
const NEVER_COUNTED = { timeouts: 0, invalid: 0, rescued: 0, rejected: 0, scores: NOTHING };

function countsOf({ bins, classes }: PredictionCounting): Counts {
  return {
    requests: 0,
    errors: 0,
    latency: { counts: new Uint32Array(HISTOGRAM_SIZE), first: HISTOGRAM_SIZE, last: -1 },
    coldLatency: { counts: new Uint32Array(HISTOGRAM_SIZE), first: HISTOGRAM_SIZE, last: -1 },
    count: 0,
    sum: 0,
    sumSquares: 0,
    inBins: new Uint32Array(bins === undefined ? classes.length : binCountOf(bins)),
    binsName: bins === undefined ? '' : nameOfEdges(bins.edges),
  };
}

/** Adds to both at once, as finding the bucket and the bin takes longer than counting. */
function addSecond(both: readonly [Counts, Counts], counting: PredictionCounting, second: ArmSecond): void {
  const [ofSecond, ofAll] = both;
  for (const counts of both) counts.requests += second.count;
  for (let index = 0; index < second.count; index += 1) {
    const bucket = bucketOfLogLatency(second.logMs[index] ?? 0);
    const isCold = index < second.cold;
    addBucket(isCold ? ofSecond.coldLatency : ofSecond.latency, bucket);
    addBucket(isCold ? ofAll.coldLatency : ofAll.latency, bucket);
    if (second.failed[index] === 1) {
      ofSecond.errors += 1;
      ofAll.errors += 1;
    } else if (counting.kind !== 'none') {
      const value = second.predictions[index] ?? 0;
      const bin = counting.bins === undefined ? value : binOf(counting.bins.edges, value);
      addPrediction(ofSecond, bin, value);
      addPrediction(ofAll, bin, value);
    }
  }
}

/** A class is its own bin, and no number. */
function addPrediction(counts: Counts, bin: number, value: number): void {
  counts.inBins[bin] = (counts.inBins[bin] ?? 0) + 1;
  if (counts.binsName === '') return;
  counts.count += 1;
  counts.sum += value;
  counts.sumSquares += value * value;
}

function addBucket(buckets: BucketCounts, bucket: number): void {
  buckets.counts[bucket] = (buckets.counts[bucket] ?? 0) + 1;
  if (bucket < buckets.first) buckets.first = bucket;
  if (bucket > buckets.last) buckets.last = bucket;
}

function tallyOf(counts: Counts, counting: PredictionCounting): Tally {
  return {
    ...NEVER_COUNTED,
    requests: counts.requests,
    errors: counts.errors,
    latency: histogramOf(counts.latency),
    coldLatency: histogramOf(counts.coldLatency),
    predictions: momentsOf(counts),
    classes: classCountsOf(counts, counting),
    bins: binCountsOf(counts),
  };
}

/** Made of the counts as they are when it is read: most of it never is. */
function viewOf(counts: Counts, counting: PredictionCounting): Tally {
  return {
    ...NEVER_COUNTED,
    get requests() {
      return counts.requests;
    },
    get errors() {
      return counts.errors;
    },
    get latency() {
      return histogramOf(counts.latency);
    },
    get coldLatency() {
      return histogramOf(counts.coldLatency);
    },
    get predictions() {
      return momentsOf(counts);
    },
    get classes() {
      return classCountsOf(counts, counting);
    },
    get bins() {
      return binCountsOf(counts);
    },
  };
}

function momentsOf({ count, sum, sumSquares }: Counts): Moments {
  return { count, sum, sumSquares };
}

function histogramOf({ counts, first, last }: BucketCounts): Histogram {
  const sparse: (readonly [bucket: number, count: number])[] = [];
  for (let bucket = first; bucket <= last; bucket += 1) {
    const seen = counts[bucket] ?? 0;
    if (seen > 0) sparse.push([bucket, seen]);
  }
  return sparse;
}

function classCountsOf({ inBins }: Counts, { kind, classes }: PredictionCounting): Tally['classes'] {
  if (kind !== 'classes') return NOTHING;
  return Object.fromEntries(classes.map((name, place) => [name, inBins[place] ?? 0] as const).filter(([, count]) => count > 0));
}

function binCountsOf({ inBins, binsName }: Counts): Tally['bins'] {
  if (binsName === '') return NOTHING;
  const counts: number[] = [];
  for (let bin = 0; bin < inBins.length; bin += 1) counts.push(inBins[bin] ?? 0);
  return { [binsName]: counts };
}

function clearCounts(counts: Counts): void {
  counts.requests = counts.errors = counts.count = counts.sum = counts.sumSquares = 0;
  counts.inBins.fill(0);
  for (const buckets of [counts.latency, counts.coldLatency]) {
    if (buckets.last >= 0) buckets.counts.fill(0, buckets.first, buckets.last + 1);
    buckets.first = HISTOGRAM_SIZE;
    buckets.last = -1;
  }
}
