/** Observations as blocks of evidence, the same that gateways make: one for each version, arm, step and second. */
import { MAX_NAMES } from '@understudy/contract/report';
import { AppError } from '@understudy/core/errors';
import { type EvidenceBlock, mergeMoments, type Moments, type Tally } from '@understudy/core/evidence';
import { INTERVAL_MS } from '@understudy/core/evidence-pool';
import { bucketOfLatency } from '@understudy/core/histogram';
import { openPairCounter, type Pair, type PairCounter } from '@understudy/core/pair-counter';
import { binOf, MAX_CLASSES, nameOfEdges } from '@understudy/core/prediction-bins';
import type { PairPlace, Place } from './rollout-history.ts';

/** What some requests came to. */
export interface Counts extends Pick<Tally, 'requests' | 'errors' | 'timeouts' | 'invalid' | 'rejected' | 'scores'> {
  /** Milliseconds and how often. */
  readonly latencies: readonly (readonly [ms: number, count: number])[];
  /** Predicted numbers and how often. */
  readonly predictions: readonly (readonly [value: number, count: number])[];
  readonly classes: Readonly<Record<string, number>>;
}

/** A pair, and what the shadow's side of it is by itself. */
export interface MadePair {
  readonly pair: Pair;
  readonly counts: Counts;
}

type Placed = Extract<Place, { outcome: 'placed' }>;

export interface BlockMaker {
  add(place: Placed, atMs: number, counts: Counts): void;
  /** Counts the shadow's side of a pair, and the pair. */
  addPair(place: Extract<PairPlace, { outcome: 'placed' }>, atMs: number, made: MadePair): void;
  blocks(): readonly EvidenceBlock[];
}

// Beyond this the square overflows, and one value would make the sums useless.
const LARGEST_PREDICTION = 1e150;
const OTHER_CLASS = 'other';

export function openBlockMaker(stratum: string | undefined): BlockMaker {
  const open = new Map<string, OpenBlock>();
  const blockOf = ({ model, version, arm, trial, binEdges }: Placed, atMs: number): OpenBlock => {
    const startMs = Math.floor(atMs / INTERVAL_MS) * INTERVAL_MS;
    const block = { model, version, arm, ...trial, ...(stratum === undefined ? {} : { stratum }), startMs };
    const key = JSON.stringify(block);
    const known = open.get(key) ?? { block, tally: openTallyMaker(binEdges), pairs: undefined };
    open.set(key, known);
    return known;
  };
  return {
    add(place, atMs, counts) {
      blockOf(place, atMs).tally.add(counts);
    },
    addPair(place, atMs, { pair, counts }) {
      const block = blockOf(place, atMs);
      block.tally.add(counts);
      block.pairs ??= openPairCounter(place.pairing);
      block.pairs.add(pair);
    },
    blocks: () =>
      [...open.values()].map(({ block, tally, pairs }) => {
        const taken = pairs?.take(true);
        return { ...block, tally: { ...tally.tally(), ...(taken === undefined ? {} : { pairs: taken }) } };
      }),
  };
}

interface OpenBlock {
  readonly block: Omit<EvidenceBlock, 'tally'>;
  readonly tally: TallyMaker;
  pairs: PairCounter | undefined;
}

interface TallyMaker {
  add(counts: Counts): void;
  tally(): Tally;
}

function openTallyMaker(binEdges: readonly number[] | undefined): TallyMaker {
  const sums = { requests: 0, errors: 0, timeouts: 0, invalid: 0, rejected: 0 };
  const latency = new Map<number, number>();
  const classes = new Map<string, number>();
  const scores = new Map<string, Moments>();
  let predictions: Moments = { count: 0, sum: 0, sumSquares: 0 };
  const bins = binEdges === undefined ? [] : Array.from<number>({ length: binEdges.length + 1 }).fill(0);

  function addPrediction(value: number, count: number): void {
    if (!(Math.abs(value) < LARGEST_PREDICTION)) return;
    predictions = mergeMoments(predictions, { count, sum: count * value, sumSquares: count * value * value });
    if (binEdges === undefined) return;
    const bin = binOf(binEdges, value);
    bins[bin] = (bins[bin] ?? 0) + count;
  }

  return {
    add(counts) {
      sums.requests += counts.requests;
      sums.errors += counts.errors;
      sums.timeouts += counts.timeouts;
      sums.invalid += counts.invalid;
      sums.rejected += counts.rejected;
      for (const [ms, count] of counts.latencies) addTo(latency, bucketOfLatency(ms), count);
      for (const [value, count] of counts.predictions) addPrediction(value, count);
      for (const [name, count] of Object.entries(counts.classes)) {
        const isKnown = classes.has(name) || classes.size < MAX_CLASSES;
        addTo(classes, isKnown ? name : OTHER_CLASS, count);
      }
      for (const [name, moments] of Object.entries(counts.scores)) addScore(scores, name, moments);
    },
    tally: () => ({
      ...sums,
      rescued: 0,
      latency: [...latency].filter(([, count]) => count > 0).toSorted(([a], [b]) => a - b),
      // Only who loads a version knows when it is cold.
      coldLatency: [],
      predictions,
      classes: Object.fromEntries([...classes].filter(([, count]) => count > 0)),
      bins: binEdges === undefined || bins.every((count) => count === 0) ? {} : { [nameOfEdges(binEdges)]: bins },
      scores: Object.fromEntries(scores),
    }),
  };
}

function addTo<Key>(counts: Map<Key, number>, key: Key, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}

function addScore(scores: Map<string, Moments>, name: string, moments: Moments): void {
  const known = scores.get(name);
  if (known === undefined && scores.size >= MAX_NAMES.scores) {
    throw new AppError(
      'request.invalid',
      `cannot count the score "${name}": a version has at most ${MAX_NAMES.scores} scores, here ${[...scores.keys()].join(', ')}`,
    );
  }
  scores.set(name, known === undefined ? moments : mergeMoments(known, moments));
}
