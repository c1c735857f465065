/** How predictions are counted for drift: in bins between quantiles of a sample, or per class. Baselines, rollouts and gateways share them. */
import { addCounts, type Tally } from './evidence.ts';
import { murmur3 } from './murmur3.ts';

/** Ordered bins: bin 0 lies below the first edge, bin i in [edges[i−1], edges[i]), the last one from the last edge on. */
export interface OrderedBins {
  readonly kind: 'ordered';
  /** Strictly ascending, at most {@link MAX_BINS} − 1 of them, at least one. */
  readonly edges: readonly number[];
}

/** One bin per class, and a last one for every class that is not listed. */
export interface ClassBins {
  readonly kind: 'classes';
  readonly classes: readonly string[];
}

/** Fixed when a rollout starts, so that both arms are counted alike and no outcome chooses its own bins. */
export type PredictionBins = OrderedBins | ClassBins;

/** Bins, and how a sample of predictions fell into them. */
export interface Distribution {
  readonly bins: PredictionBins;
  /** One count per bin; see {@link binCountOf}. */
  readonly counts: readonly number[];
}

/** Twenty bins of a twentieth each. */
export const MAX_BINS = 20;

/** Classes that are told apart; gateways count as many and the rest together. */
export const MAX_CLASSES = 64;

/** Standard normal quantiles of 1/20 … 19/20, for baselines of which only mean and spread are known. */
const NORMAL_EDGES: readonly number[] = [
  -1.6448536269514722, -1.2815515655446004, -1.0364333894937898, -0.8416212335729143, -0.6744897501960817, -0.5244005127080407,
  -0.38532046640756773, -0.2533471031357997, -0.12566134685507402, 0, 0.12566134685507402, 0.2533471031357997,
  0.38532046640756773, 0.5244005127080407, 0.6744897501960817, 0.8416212335729143, 1.0364333894937898, 1.2815515655446004,
  1.6448536269514722,
];

/**
 * Bins between the sample's own quantiles, so that each bin holds about a twentieth of it. Values that repeat share a bin,
 * so a sample of few different values has fewer bins. Edges lie half way between neighbours: a gateway that computes in
 * single precision puts a value into the same bin.
 * @param sample at least one finite number, in any order
 * @returns undefined for an empty sample
 */
export function binsOfSample(sample: readonly number[]): OrderedBins | undefined {
  const sorted = sample.toSorted((a, b) => a - b);
  const [first] = sorted;
  if (first === undefined) return undefined;
  const edges = new Set<number>();
  for (let bin = 1; bin < MAX_BINS; bin += 1) {
    const value = sorted[Math.floor((bin * sorted.length) / MAX_BINS)] ?? first;
    const below = sorted.findLast((other) => other < value);
    if (below !== undefined) edges.add(between(below, value));
  }
  if (edges.size > 0) return { kind: 'ordered', edges: [...edges] };
  // Nearly all of it is one value: what is smaller, equal and larger is told apart.
  const room = Math.max(Math.abs(first) * 1e-6, 1e-9);
  return { kind: 'ordered', edges: [first - room, first + room] };
}

/** Half way, above the lower one even where there is no number in between. */
function between(low: number, high: number): number {
  const middle = low + (high - low) / 2;
  return middle > low && middle < Infinity ? middle : high;
}

/**
 * Bins at the quantiles of a normal distribution: a guess where only mean and spread are known. A test on them stays
 * valid whatever the true shape is; it only needs longer when the guess is bad.
 * @param standardDeviation must be positive
 * @returns undefined when the edges cannot be told apart
 */
export function binsOfNormal(mean: number, standardDeviation: number): OrderedBins | undefined {
  const edges = [...new Set(NORMAL_EDGES.map((z) => mean + z * standardDeviation))];
  return standardDeviation > 0 && edges.every(Number.isFinite) && edges.length > 1 ? { kind: 'ordered', edges } : undefined;
}

/** The bin of a value by binary search; NaN belongs to none and counts as the last. */
export function binOf(edges: readonly number[], value: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value < (edges[middle] ?? Infinity)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The name under which gateways count in these edges. Other edges have another name, so their counts are never added up. */
export function nameOfEdges(edges: readonly number[]): string {
  const known = names.get(edges);
  if (known !== undefined) return known;
  const name = murmur3(edges.join(','), 0).toString(16).padStart(8, '0');
  names.set(edges, name);
  return name;
}

// Asked for the same list with every block of a rollout.
const names = new WeakMap<readonly number[], string>();

/** How many counts the bins make. */
export function binCountOf(bins: PredictionBins): number {
  return bins.kind === 'ordered' ? bins.edges.length + 1 : bins.classes.length + 1;
}

/** How the requests of a tally fall into the bins; all zero when they were counted in other bins. */
export function countsInBins(bins: PredictionBins, tally: Pick<Tally, 'bins' | 'classes'>): readonly number[] {
  const seen = bins.kind === 'ordered' ? (tally.bins[nameOfEdges(bins.edges)] ?? []) : [];
  const length = binCountOf(bins);
  if (seen.length === length) return seen;
  const counts = Array.from<number>({ length }).fill(0);
  // What a gateway counted beyond the last bin belongs to none.
  if (bins.kind === 'ordered') return addCounts(counts, seen.slice(0, length));
  for (const [name, count] of Object.entries(tally.classes)) {
    const index = bins.classes.indexOf(name);
    const bin = index < 0 ? bins.classes.length : index;
    counts[bin] = (counts[bin] ?? 0) + count;
  }
  return counts;
}

/** A sample of numbers in bins made of its own quantiles; undefined for an empty sample. */
export function distributionOfSample(sample: readonly number[]): Distribution | undefined {
  const bins = binsOfSample(sample);
  if (bins === undefined) return undefined;
  const counts = Array.from<number>({ length: binCountOf(bins) }).fill(0);
  for (const value of sample) {
    const bin = binOf(bins.edges, value);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return { bins, counts };
}

/** Class counts with the most frequent classes first, as many as gateways tell apart. */
export function distributionOfClasses(seen: Readonly<Record<string, number>>): Distribution {
  const named = Object.entries(seen).filter(([name]) => name !== 'other');
  const kept = named.toSorted(([a, many], [b, few]) => few - many || (a < b ? -1 : 1)).slice(0, MAX_CLASSES);
  const bins: ClassBins = { kind: 'classes', classes: kept.map(([name]) => name) };
  return { bins, counts: countsInBins(bins, { bins: {}, classes: seen }) };
}
