/** The one number that rolls back: the evidence of all guards against the challenger, weighted. */
import type { SequentialConfig } from './config.ts';
import { logSumExp } from './e-process.ts';
import { type GuardState, logHarmOfGuard } from './guard.ts';

/**
 * ln Σ w · E over the guards, the weights adding up to 1. The average of fair bets is a fair bet however they depend on
 * each other, so it reaches 1/α with a chance of at most α over the whole rollout.
 */
export function logHarmOf(config: SequentialConfig, guards: readonly GuardState[]): number {
  return logSumExp(guards.map((guard, index) => logShareOf(config, index) + logHarm(guard)));
}

/** ln of a guard's part of {@link logHarmOf}. */
export function logHarmPartOf(config: SequentialConfig, guards: readonly GuardState[], index: number): number {
  const guard = guards[index];
  return guard === undefined ? -Infinity : logShareOf(config, index) + logHarm(guard);
}

/** ln of a guard's weight among all; −∞ for a weight of 0. */
export function logShareOf({ guards }: SequentialConfig, index: number): number {
  const total = guards.reduce((sum, { weight }) => sum + weight, 0);
  return Math.log((guards[index]?.weight ?? 0) / total);
}

// States are never changed in place, and most blocks change only some: what was computed of one stays true.
const known = new WeakMap<GuardState, number>();

function logHarm(guard: GuardState): number {
  const before = known.get(guard);
  if (before !== undefined) return before;
  const computed = logHarmOfGuard(guard);
  known.set(guard, computed);
  return computed;
}
