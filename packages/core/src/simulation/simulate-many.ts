/** Plays a rollout many times and says how it ends how often. Benchmarks and people who try a plan read it. */
import { type Moment, type SimulatedRollout, simulateRollout, type Trial } from './simulate-rollout.ts';

/** The end of one rollout, as it counts in a summary. */
export interface RolloutEnd extends Moment {
  readonly end: SimulatedRollout['end'];
}

/** Middle and upper end of some values. */
export interface Spread {
  readonly count: number;
  readonly median: number;
  readonly p95: number;
  readonly mean: number;
}

/** How often rollouts ended how, and what they took. */
export interface Summary {
  readonly rollouts: number;
  readonly promoted: number;
  readonly rolledBack: number;
  readonly held: number;
  /** Challenger requests from its onset to the rollback; absent when none was rolled back. */
  readonly requestsToRollback?: Spread;
  /** Absent when none was promoted. */
  readonly minutesToPromotion?: Spread;
}

const MINUTE_MS = 60_000;

/**
 * Plays rollouts with the seeds `firstSeed`, `firstSeed` + 1 and so on; any split of the seeds gives the same rollouts.
 * @param rollouts how many, ≥ 1
 */
export function simulateMany(trial: Trial, rollouts: number, firstSeed: number): readonly SimulatedRollout[] {
  return Array.from({ length: rollouts }, (_, index) => simulateRollout(trial, firstSeed + index));
}

/**
 * The same rollout as it would have ended under one of the risks that the trial asked about.
 * @param index of the risk in the trial's `alphas`
 */
export function endUnder(rollout: SimulatedRollout, index: number): RolloutEnd {
  const crossing = rollout.crossings[index];
  return crossing === undefined ? rollout : { ...crossing, end: 'rolled-back' };
}

/** Counts and spreads of some ends. */
export function summaryOf(ends: readonly RolloutEnd[]): Summary {
  const [promoted, rolledBack] = [ends.filter(({ end }) => end === 'promoted'), ends.filter(({ end }) => end === 'rolled-back')];
  const requestsToRollback = spreadOf(rolledBack.map(({ requestsSinceOnset }) => requestsSinceOnset));
  const minutesToPromotion = spreadOf(promoted.map(({ atMs }) => atMs / MINUTE_MS));
  return {
    rollouts: ends.length,
    promoted: promoted.length,
    rolledBack: rolledBack.length,
    held: ends.length - promoted.length - rolledBack.length,
    ...(requestsToRollback === undefined ? {} : { requestsToRollback }),
    ...(minutesToPromotion === undefined ? {} : { minutesToPromotion }),
  };
}

/**
 * Nearest-rank quantiles and the mean.
 * @returns undefined without values
 */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = (quantile: number): number => sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)] ?? 0;
  if (sorted.length === 0) return undefined;
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  return { count: sorted.length, median: rank(0.5), p95: rank(0.95), mean };
}
