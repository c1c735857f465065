/** The bake: the last step but one of a plan, on which some subjects are held back on the old champion while the rest have the challenger. */
import { heldBackOf, type PlanStep } from './plan.ts';
import type { Rollout } from './rollout.ts';

/** Enough to compare with for as long as a bake lasts, and few enough not to keep people from what is better. */
export const DEFAULT_HOLD_BACK_PERCENT = 5;

/** A bake as people ask for it. */
export interface BakeWish {
  readonly holdMs: number;
  /** Share of subjects who stay on the old champion, in (0, 50]. */
  readonly holdBackPercent: number;
  readonly minSamples: number;
}

/** Where a bake stands. */
export interface Bake {
  readonly heldBackPercent: number;
  /** When its hold is over; absent while the rollout is paused. */
  readonly untilMs?: number;
}

/**
 * The steps with a bake before the last one. A bake is a step like any other: both arms serve at the same time and every
 * guard goes on comparing them; only proof is not asked for again.
 */
export function withBake(steps: readonly PlanStep[], { holdMs, holdBackPercent, minSamples }: BakeWish): readonly PlanStep[] {
  const bake: PlanStep = { trafficPercent: 100 - holdBackPercent, holdMs, minSamples, isBake: true };
  return [...steps.slice(0, -1), bake, ...steps.slice(-1)];
}

/** The present bake of a rollout; undefined on every other step, before and after. */
export function bakeOf({ plan, state }: Pick<Rollout, 'plan' | 'state'>): Bake | undefined {
  if (state.phase !== 'stepping' && state.phase !== 'paused') return undefined;
  const step = plan.steps[state.step];
  if (step?.isBake !== true) return undefined;
  const heldBackPercent = heldBackOf(step);
  return state.phase === 'paused' ? { heldBackPercent } : { heldBackPercent, untilMs: state.sinceMs + step.holdMs };
}
