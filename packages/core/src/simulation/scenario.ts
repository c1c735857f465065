/** A scenario as plain data: traffic, a champion, and what the challenger does differently from when on. The simulator plays it. */
import { standardDeviationOf, meanOf, type Tally } from '../evidence.ts';
import { countsInBins, type PredictionBins } from '../prediction-bins.ts';
import type { LatencyShape } from './latency-shape.ts';
import type { PredictionDrift, PredictionShape } from './prediction-shape.ts';

/** Something that hits both arms alike, such as a slow database; it is nobody's fault. */
export interface Incident {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly errorRatio: number;
  readonly latencyRatio: number;
}

/** Requests arrive independently of each other; times are since the start of the rollout. */
export interface Traffic {
  readonly requestsPerSecond: number;
  /** A sine wave that begins rising at the start: rate and latency swing by these shares around their average. */
  readonly wave?: { readonly periodMs: number; readonly ofRate: number; readonly ofLatency: number };
  readonly incidents?: readonly Incident[];
}

/** What a version does with requests. */
export interface Behaviour {
  /** Share of requests that fail. */
  readonly errorRate: number;
  /** Of failed requests too. */
  readonly latency: LatencyShape;
  /** Of answered requests; absent for a model whose answers nobody can count. */
  readonly predictions?: PredictionShape;
}

/** From when on a challenger differs. */
export type Onset =
  | { readonly kind: 'at-start' }
  | { readonly kind: 'after'; readonly ms: number }
  | { readonly kind: 'at-share'; readonly trafficPercent: number };

/** What a challenger does differently from its champion; whatever is absent is the same. */
export interface Deviation {
  readonly onset: Onset;
  readonly errorRate?: number;
  /** Answers slower than this quantile of the champion's take so many times as long; 0 means all of them. */
  readonly latency?: { readonly ratio: number; readonly aboveQuantile: number };
  readonly predictions?: PredictionDrift;
  /** The first requests of the challenger take so many times as long, whatever the onset. */
  readonly coldStart?: { readonly requests: number; readonly ratio: number };
}

/** `harmless`: within every tolerance. `boundary`: exactly or nearly on one, so both ends are right. `harmful`: beyond one. */
export type Truth = 'harmless' | 'boundary' | 'harmful';

/** Challenger requests until the rollback, counted from the onset, over many rollouts. */
export interface Detection {
  readonly median: number;
  readonly p95: number;
}

/** One story with a known right end. */
export interface Scenario {
  /** What people type. */
  readonly name: string;
  /** One line for people. */
  readonly title: string;
  readonly truth: Truth;
  readonly traffic: Traffic;
  readonly champion: Behaviour;
  readonly challenger: Deviation;
  /** A rollout that has not ended by then counts as held. */
  readonly limitMs: number;
  /** Figures of an earlier study of the method at risks of 5 % and 1 %: what ours is measured against. */
  readonly reference?: { readonly atFivePercent: Detection; readonly atOnePercent: Detection };
}

/** A challenger that does nothing differently. */
export const NO_DEVIATION: Deviation = { onset: { kind: 'at-start' } };

/**
 * What a champion does, from what gateways counted of it: so that a plan can be tried on one's own traffic.
 * @param bins those in which predictions were counted; without them a normal distribution of the same mean and spread
 * @returns undefined when no latency was counted
 */
export function behaviourOfTally(tally: Tally, bins: PredictionBins | undefined): Behaviour | undefined {
  if (tally.latency.length === 0) return undefined;
  const predictions = predictionsOfTally(tally, bins);
  return {
    errorRate: tally.errors / tally.requests,
    latency: { kind: 'empirical', histogram: tally.latency },
    ...(predictions === undefined ? {} : { predictions }),
  };
}

function predictionsOfTally(tally: Tally, bins: PredictionBins | undefined): PredictionShape | undefined {
  if (Object.keys(tally.classes).length > 0) return { kind: 'classes', shares: tally.classes };
  if (bins?.kind === 'ordered') {
    const counts = countsInBins(bins, tally);
    if (counts.some((count) => count > 0)) return { kind: 'empirical', bins, counts };
  }
  const [mean, standardDeviation] = [meanOf(tally.predictions), standardDeviationOf(tally.predictions)];
  return mean === undefined || standardDeviation === undefined ? undefined : { kind: 'normal', mean, standardDeviation };
}
