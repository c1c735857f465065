/** Pairs as numbers for people, with intervals that stay valid however often one looks. Views depend on it; decisions never do. */
import { meanOf, standardDeviationOf } from './evidence.ts';
import { countOf, type Histogram, latencyOfBucket } from './histogram.ts';
import { differenceOfBucket, type Flips, type PairTally, ratioOfBucket, type SegmentTally } from './pairs.ts';
import type { Interval } from './policy.ts';
import { quantileInterval, rateInterval } from './sequential/confidence-sequence.ts';
import { pairedDifference } from './sequential/paired-estimate.ts';

/** A value and where the truth lies, at 95 %. */
export interface Measured {
  readonly value: number;
  readonly interval: Interval;
}

/** How two versions compare on the same requests. What cannot be told yet is absent. */
export interface PairReading {
  readonly count: number;
  /** Share of the pairs in which each failed, and how much more often the shadow did. */
  readonly failures?: { readonly champion: number; readonly shadow: number; readonly difference: Measured };
  /** Invalid outputs, on either side, whatever the other did. */
  readonly invalid: { readonly champion: number; readonly shadow: number };
  /** Pairs with a prediction on both sides. */
  readonly compared: number;
  /** Share of them that are the same within the tolerance. */
  readonly agreement?: Measured;
  /** Of shadow − champion, for numbers. */
  readonly difference?: {
    readonly mean: number;
    readonly standardDeviation?: number;
    /** By the name of the quantile, such as `p50`; within a tenth of the value. */
    readonly quantiles: Readonly<Record<QuantileName, number>>;
  };
  /** What the champion predicted and what the shadow did instead, most frequent first. */
  readonly flips: Flips;
  /** How many times as long as the champion the shadow took. */
  readonly slowdown?: { readonly p50: number; readonly p95: number; readonly interval?: Interval };
  readonly segments: readonly SegmentReading[];
}

/** The same of one segment, as far as it is counted. */
export interface SegmentReading extends Pick<PairReading, 'count' | 'compared' | 'failures' | 'agreement'> {
  readonly name: string;
  /** Mean of shadow − champion. */
  readonly meanDifference?: number;
}

const QUANTILES = { p1: 0.01, p5: 0.05, p25: 0.25, p50: 0.5, p75: 0.75, p95: 0.95, p99: 0.99 } as const;
type QuantileName = keyof typeof QUANTILES;

const ALPHA = 0.05;
const MOST_FLIPS = 50;
const MEDIAN = 0.5;

/** Reads pairs. */
export function readPairs(pairs: PairTally): PairReading {
  const { count, compared, invalid, latency, segments } = pairs;
  return {
    count,
    ...rates(pairs),
    invalid: { champion: invalid.champion + invalid.both, shadow: invalid.shadow + invalid.both },
    compared,
    ...differenceOf(pairs),
    flips: pairs.flips
      .filter(([champion, shadow]) => champion !== shadow)
      .toSorted((a, b) => b[2] - a[2])
      .slice(0, MOST_FLIPS),
    ...slowdownOf(latency.ratios),
    segments: Object.entries(segments)
      .map(([name, segment]): SegmentReading => {
        const meanDifference = meanOf(segment.difference);
        const mean = meanDifference === undefined ? {} : { meanDifference };
        return { name, count: segment.count, compared: segment.compared, ...rates(segment), ...mean };
      })
      .toSorted((a, b) => b.count - a.count),
  };
}

function rates({ count, failed, compared, agreed }: SegmentTally): Pick<PairReading, 'failures' | 'agreement'> {
  const agreement = { count: compared, bad: agreed };
  return {
    ...(count === 0
      ? {}
      : {
          failures: {
            champion: (failed.champion + failed.both) / count,
            shadow: (failed.shadow + failed.both) / count,
            difference: pairedDifference(
              { count, both: failed.both, challenger: failed.shadow, champion: failed.champion },
              ALPHA,
            ),
          },
        }),
    ...(compared === 0 ? {} : { agreement: { value: agreed / compared, interval: rateInterval(agreement, ALPHA) } }),
  };
}

function differenceOf({ difference, differences }: PairTally): Pick<PairReading, 'difference'> {
  const mean = meanOf(difference);
  if (mean === undefined) return {};
  const deviation = standardDeviationOf(difference);
  const at = (quantile: number): number => differenceOfBucket(bucketAt(differences, quantile));
  return {
    difference: {
      mean,
      ...(deviation === undefined ? {} : { standardDeviation: deviation }),
      quantiles: {
        p1: at(QUANTILES.p1),
        p5: at(QUANTILES.p5),
        p25: at(QUANTILES.p25),
        p50: at(QUANTILES.p50),
        p75: at(QUANTILES.p75),
        p95: at(QUANTILES.p95),
        p99: at(QUANTILES.p99),
      },
    },
  };
}

function slowdownOf(ratios: Histogram): Pick<PairReading, 'slowdown'> {
  if (countOf(ratios) === 0) return {};
  const bounds = quantileInterval(ratios, MEDIAN, ALPHA);
  // The interval speaks of latencies, whose first bucket stands elsewhere; both scales have the same steps.
  const scale = ratioOfBucket(0) / latencyOfBucket(0);
  return {
    slowdown: {
      p50: ratioOfBucket(bucketAt(ratios, MEDIAN)),
      p95: ratioOfBucket(bucketAt(ratios, QUANTILES.p95)),
      ...(bounds === undefined ? {} : { interval: [bounds[0] * scale, bounds[1] * scale] }),
    },
  };
}

/** The bucket of a quantile (nearest rank) of a histogram that is not empty. */
function bucketAt(histogram: Histogram, quantile: number): number {
  const rank = Math.max(1, Math.ceil(quantile * countOf(histogram)));
  let seen = 0;
  for (const [bucket, count] of histogram) {
    seen += count;
    if (seen >= rank) return bucket;
  }
  throw new RangeError('an empty histogram has no quantile');
}
