/** A promotion that late truth may still undo: labels of the rollout's last requests are not due yet. */
import { COHORT_MS } from './feedback.ts';
import type { Rollout } from './rollout.ts';

// A cohort is judged in the minute after it became due, and its evidence takes a moment to be weighed.
const JUDGING_MS = 3 * COHORT_MS;

/**
 * Until when a promotion is provisional; undefined for a rollout that is not promoted, and for one without a guard on
 * feedback that could roll back.
 * @param labelsDueMs how long after a request its labels are due
 */
export function provisionalUntil(
  { state, plan: { policy } }: Pick<Rollout, 'state' | 'plan'>,
  labelsDueMs: number,
): number | undefined {
  if (state.phase !== 'promoted' || policy.kind !== 'sequential') return undefined;
  const waits = policy.guards.some(({ metric, weight }) => metric === 'feedback' && weight > 0);
  return waits ? state.atMs + labelsDueMs + JUDGING_MS : undefined;
}
