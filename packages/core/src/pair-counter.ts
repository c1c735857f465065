/** Counts pairs of answers as they come, in fixed memory. Gateways and the intake of observations make evidence with it. */
import { bucketOfLatency, type Histogram } from './histogram.ts';
import type { Comparison } from './model.ts';
import {
  type Discordance,
  differenceBucketOf,
  type DropReason,
  MAX_FLIP_CLASSES,
  MAX_SAMPLE,
  MAX_SEGMENTS,
  MAX_WORST,
  nameOfLine,
  OTHER,
  type PairExample,
  type PairLine,
  type PairTally,
  ratioBucketOf,
  sampleOf,
  type SegmentTally,
  shrunkBucket,
  worstOf,
} from './pairs.ts';
import { binOf, nameOfEdges } from './prediction-bins.ts';

/** How one version ended a request. */
export interface PairEnd {
  readonly failure: 'failed' | 'timeout' | 'invalid' | undefined;
  readonly ms: number;
  /** Whether its instance was new, so that its time says nothing yet. */
  readonly isCold: boolean;
  /** Of the first row; undefined when there is none that could be compared. */
  readonly prediction: number | string | undefined;
  /** Whether a number is the label of a class. */
  readonly isClass: boolean;
}

/** One request and what both versions made of it. */
export interface Pair {
  readonly champion: PairEnd;
  readonly shadow: PairEnd;
  /** Value of the field that the model names. */
  readonly segment: string | undefined;
  /** Uniform in [0, 1). */
  readonly lot: number;
  /** Asked for only when the pair is kept as an example. */
  example(): Pick<PairExample, 'requestId' | 'atMs' | 'request'> & { readonly versions: readonly [string, string] };
}

/** What pairs are counted by. */
export interface Pairing {
  readonly lines: readonly PairLine[];
  readonly comparison: Pick<Comparison, 'absolute' | 'relative'>;
  /** Predicted numbers are counted between these. */
  readonly binEdges: readonly number[] | undefined;
}

export interface PairCounter {
  add(pair: Pair): void;
  drop(reason: DropReason): void;
  /** The counts, and back to nothing; undefined when there are none. Examples stay unless they are asked for. */
  take(withExamples: boolean): PairTally | undefined;
}

const MAX_NAME = 200;
// Beyond this the square overflows, and one value would make the sums useless.
const LARGEST = 1e150;

/** Opens a counter. What it holds is bounded by classes, bins, segments and buckets, never by the number of pairs. */
export function openPairCounter(pairing: Pairing): PairCounter {
  let counts = newCounts();
  const examples = openExamples();
  let isEmpty = true;
  return {
    add(pair) {
      isEmpty = false;
      const { champion, shadow } = pair;
      counts.count += 1;
      countFailures(counts, champion.failure, shadow.failure);
      const compared = compare(pairing, champion, shadow);
      if (compared !== undefined) countPredictions(counts, pairing, { champion, shadow, compared });
      if (!champion.isCold && !shadow.isCold) countLatency(counts, pairing.lines, { champion, shadow });
      if (pair.segment !== undefined) countSegment(counts, pair, compared);
      examples.offer(pair, compared);
    },
    drop(reason) {
      isEmpty = false;
      counts.dropped.set(reason, (counts.dropped.get(reason) ?? 0) + 1);
    },
    take(withExamples) {
      if (isEmpty) return undefined;
      const taken = tallyOf(counts, pairing);
      counts = newCounts();
      isEmpty = true;
      return { ...taken, ...(withExamples ? examples.take() : { worst: [], sample: [] }) };
    },
  };
}

/** What both predicted, seen together. */
interface Compared {
  readonly isSame: boolean;
  /** Shadow − champion of numbers. */
  readonly difference: number | undefined;
  /** How far apart, for choosing the worst. */
  readonly distance: number;
}

/** Undefined unless both predicted something of one kind. */
function compare({ comparison }: Pairing, champion: PairEnd, shadow: PairEnd): Compared | undefined {
  const [theirs, ours] = [champion.prediction, shadow.prediction];
  if (theirs === undefined || ours === undefined) return undefined;
  const isNumber = typeof theirs === 'number' && typeof ours === 'number' && !champion.isClass && !shadow.isClass;
  if (!isNumber) {
    const isSame = String(theirs) === String(ours);
    return { isSame, difference: undefined, distance: isSame ? 0 : 1 };
  }
  const difference = ours - theirs;
  if (!(Math.abs(difference) < LARGEST)) return undefined;
  const distance = Math.abs(difference);
  return { isSame: distance <= comparison.absolute + comparison.relative * Math.abs(theirs), difference, distance };
}

interface Counts {
  count: number;
  readonly failed: Sides;
  readonly timeouts: Sides;
  readonly invalid: Sides;
  compared: number;
  agreed: number;
  readonly difference: Sums;
  readonly differences: Map<number, number>;
  readonly classes: Set<string>;
  readonly flips: Map<string, Map<string, number>>;
  readonly moves: Map<number, number>;
  readonly latency: Record<'champion' | 'shadow' | 'ratios', Map<number, number>>;
  readonly common: Map<string, Map<number, number>>;
  readonly segments: Map<string, SegmentCounts>;
  readonly dropped: Map<DropReason, number>;
}

interface Sides {
  shadow: number;
  champion: number;
  both: number;
}

interface Sums {
  count: number;
  sum: number;
  sumSquares: number;
}

interface SegmentCounts {
  count: number;
  readonly failed: Sides;
  compared: number;
  agreed: number;
  readonly difference: Sums;
}

function newCounts(): Counts {
  return {
    count: 0,
    failed: newSides(),
    timeouts: newSides(),
    invalid: newSides(),
    compared: 0,
    agreed: 0,
    difference: newSums(),
    differences: new Map(),
    classes: new Set(),
    flips: new Map(),
    moves: new Map(),
    latency: { champion: new Map(), shadow: new Map(), ratios: new Map() },
    common: new Map(),
    segments: new Map(),
    dropped: new Map(),
  };
}

function newSides(): Sides {
  return { shadow: 0, champion: 0, both: 0 };
}

function newSums(): Sums {
  return { count: 0, sum: 0, sumSquares: 0 };
}

function countFailures({ failed, timeouts, invalid }: Counts, champion: PairEnd['failure'], shadow: PairEnd['failure']): void {
  countSides(failed, champion !== undefined, shadow !== undefined);
  countSides(timeouts, champion === 'timeout', shadow === 'timeout');
  countSides(invalid, champion === 'invalid', shadow === 'invalid');
}

function countSides(sides: Sides, isChampion: boolean, isShadow: boolean): void {
  if (isChampion && isShadow) sides.both += 1;
  else if (isShadow) sides.shadow += 1;
  else if (isChampion) sides.champion += 1;
}

interface Predicted {
  readonly champion: PairEnd;
  readonly shadow: PairEnd;
  readonly compared: Compared;
}

function countPredictions(counts: Counts, { binEdges }: Pairing, { champion, shadow, compared }: Predicted): void {
  counts.compared += 1;
  if (compared.isSame) counts.agreed += 1;
  if (compared.difference === undefined) {
    countFlip(counts, String(champion.prediction), String(shadow.prediction));
    return;
  }
  addTo(counts.differences, differenceBucketOf(compared.difference));
  addSum(counts.difference, compared.difference);
  if (binEdges === undefined) return;
  const [from, to] = [binOf(binEdges, Number(champion.prediction)), binOf(binEdges, Number(shadow.prediction))];
  addTo(counts.moves, from * (binEdges.length + 1) + to);
}

function countFlip({ classes, flips }: Counts, champion: string, shadow: string): void {
  const known = (name: string): string => {
    const cut = name.slice(0, MAX_NAME);
    if (classes.size < MAX_FLIP_CLASSES) classes.add(cut);
    return classes.has(cut) ? cut : OTHER;
  };
  const from = known(champion);
  const row = flips.get(from) ?? new Map<string, number>();
  flips.set(from, row);
  const to = known(shadow);
  row.set(to, (row.get(to) ?? 0) + 1);
}

/** A failed request took time as well: leaving it out would make a version that hangs look fast. */
function countLatency(counts: Counts, lines: readonly PairLine[], ends: Pick<Pair, 'champion' | 'shadow'>): void {
  const [theirs, ours] = [bucketOfLatency(ends.champion.ms), bucketOfLatency(ends.shadow.ms)];
  addTo(counts.latency.champion, theirs);
  addTo(counts.latency.shadow, ours);
  addTo(counts.latency.ratios, ratioBucketOf(theirs, ours));
  for (const line of lines) {
    const name = nameOfLine(line);
    const common = counts.common.get(name) ?? new Map<number, number>();
    counts.common.set(name, common);
    addTo(common, Math.max(0, Math.min(theirs, shrunkBucket(ours, line))));
  }
}

function countSegment({ segments }: Counts, { segment = OTHER, champion, shadow }: Pair, compared: Compared | undefined): void {
  const cut = segment.slice(0, MAX_NAME);
  const name = segments.has(cut) || segments.size < MAX_SEGMENTS ? cut : OTHER;
  const counts = segments.get(name) ?? { count: 0, failed: newSides(), compared: 0, agreed: 0, difference: newSums() };
  segments.set(name, counts);
  counts.count += 1;
  countSides(counts.failed, champion.failure !== undefined, shadow.failure !== undefined);
  if (compared === undefined) return;
  counts.compared += 1;
  if (compared.isSame) counts.agreed += 1;
  if (compared.difference !== undefined) addSum(counts.difference, compared.difference);
}

function addSum(sums: Sums, value: number): void {
  sums.count += 1;
  sums.sum += value;
  sums.sumSquares += value * value;
}

function addTo(counts: Map<number, number>, key: number): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function tallyOf(counts: Counts, { binEdges }: Pairing): Omit<PairTally, 'worst' | 'sample'> {
  const { latency, common, segments, dropped, flips, moves } = counts;
  const bins = (binEdges?.length ?? 0) + 1;
  const cells = histogramOf(moves).map(([cell, count]) => [Math.floor(cell / bins), cell % bins, count] as const);
  return {
    count: counts.count,
    failed: counts.failed satisfies Discordance,
    timeouts: counts.timeouts,
    invalid: counts.invalid,
    compared: counts.compared,
    agreed: counts.agreed,
    difference: counts.difference,
    differences: histogramOf(counts.differences),
    flips: [...flips].flatMap(([from, row]) => [...row].map(([to, count]) => [from, to, count] as const)),
    moves: binEdges === undefined || cells.length === 0 ? {} : { [nameOfEdges(binEdges)]: cells },
    latency: {
      champion: histogramOf(latency.champion),
      shadow: histogramOf(latency.shadow),
      ratios: histogramOf(latency.ratios),
      common: Object.fromEntries([...common].map(([name, buckets]) => [name, histogramOf(buckets)])),
    },
    segments: Object.fromEntries([...segments].map(([name, segment]): [string, SegmentTally] => [name, segment])),
    dropped: Object.fromEntries(dropped),
  };
}

function histogramOf(counts: ReadonlyMap<number, number>): Histogram {
  return [...counts].toSorted(([a], [b]) => a - b);
}

interface Examples {
  offer(pair: Pair, compared: Compared | undefined): void;
  take(): Pick<PairTally, 'worst' | 'sample'>;
}

/** The few pairs worth a look; each costs nothing until it is one of them. */
function openExamples(): Examples {
  let worst: readonly PairExample[] = [];
  let sample: readonly PairExample[] = [];
  return {
    offer(pair, compared) {
      const distance = compared?.distance ?? 0;
      const isWorst = distance > 0 && (worst.length < MAX_WORST || distance > (worst.at(-1)?.distance ?? 0));
      const isSampled = sample.length < MAX_SAMPLE || pair.lot < (sample.at(-1)?.lot ?? 1);
      if (!isWorst && !isSampled) return;
      const example = exampleOf(pair, compared);
      if (isWorst) worst = worstOf([...worst, example]);
      if (isSampled) sample = sampleOf([...sample, example]);
    },
    take() {
      const taken = { worst, sample };
      worst = [];
      sample = [];
      return taken;
    },
  };
}

function exampleOf(pair: Pair, compared: Compared | undefined): PairExample {
  const { versions, ...about } = pair.example();
  const isOneSided = (pair.champion.failure === undefined) !== (pair.shadow.failure === undefined);
  return {
    ...about,
    champion: sideOf(versions[0], pair.champion),
    shadow: sideOf(versions[1], pair.shadow),
    difference: compared?.difference ?? compared?.distance ?? (isOneSided ? 1 : 0),
    distance: compared?.distance ?? 0,
    lot: pair.lot,
  };
}

function sideOf(version: string, { prediction, ms, failure }: PairEnd): PairExample['champion'] {
  const known = typeof prediction === 'string' ? prediction.slice(0, MAX_NAME) : prediction;
  return {
    version,
    ...(known === undefined ? {} : { prediction: known }),
    ms,
    ...(failure === undefined ? {} : { failure }),
  };
}
