/** Adds up what one batch of events says about each variant of each flag. */
import { bucketOfLatency, latencyOfBucket } from '@understudy/core/histogram';
import type { FlagOutcome } from '../flag-world.ts';

export type Metric =
  | { readonly type: 'exposures'; readonly count: number }
  | { readonly type: 'request'; readonly isError: boolean; readonly ms?: number | undefined }
  | { readonly type: 'latency'; readonly ms: number }
  | { readonly type: 'score'; readonly name: string; readonly value: number };

export interface Tally {
  add(decision: Pick<FlagOutcome, 'flag' | 'variant'>, metric: Metric): void;
  /** One for each variant that anything was said about. */
  outcomes(stamp: Pick<FlagOutcome, 'batch' | 'atMs'>): readonly FlagOutcome[];
}

interface Sums {
  readonly flag: string;
  readonly variant: string;
  exposures: number;
  requests: number;
  errors: number;
  readonly latencies: Map<number, number>;
  readonly scores: Map<string, { count: number; sum: number; sumSquares: number }>;
}

// More distinct latencies than this are counted in buckets of 1 %.
const MOST_SINGLE_LATENCIES = 64;

export function openTally(): Tally {
  const all = new Map<string, Sums>();
  return {
    add({ flag, variant }, metric) {
      const id = JSON.stringify([flag, variant]);
      const sums = all.get(id) ?? {
        flag,
        variant,
        exposures: 0,
        requests: 0,
        errors: 0,
        latencies: new Map(),
        scores: new Map(),
      };
      all.set(id, sums);
      addTo(sums, metric);
    },
    outcomes: (stamp) =>
      [...all.values()].map(({ latencies, scores, ...rest }) => {
        return { ...rest, ...stamp, latencies: summarised(latencies), scores: Object.fromEntries(scores) };
      }),
  };
}

function addTo(sums: Sums, metric: Metric): void {
  switch (metric.type) {
    case 'exposures':
      sums.exposures += metric.count;
      return;
    case 'request':
      sums.requests += 1;
      sums.errors += metric.isError ? 1 : 0;
      if (metric.ms !== undefined) addLatency(sums, metric.ms);
      return;
    case 'latency':
      addLatency(sums, metric.ms);
      return;
    case 'score': {
      const score = sums.scores.get(metric.name) ?? { count: 0, sum: 0, sumSquares: 0 };
      score.count += 1;
      score.sum += metric.value;
      score.sumSquares += metric.value ** 2;
      sums.scores.set(metric.name, score);
    }
  }
}

function addLatency({ latencies }: Sums, ms: number): void {
  latencies.set(ms, (latencies.get(ms) ?? 0) + 1);
}

function summarised(latencies: ReadonlyMap<number, number>): FlagOutcome['latencies'] {
  if (latencies.size <= MOST_SINGLE_LATENCIES) return [...latencies];
  const counts = new Map<number, number>();
  for (const [ms, count] of latencies) counts.set(bucketOfLatency(ms), (counts.get(bucketOfLatency(ms)) ?? 0) + count);
  return [...counts].toSorted(([a], [b]) => a - b).map(([bucket, count]) => [latencyOfBucket(bucket), count]);
}
