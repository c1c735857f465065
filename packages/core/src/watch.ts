/** The watch over a champion: the same health checks as in a rollout, on its own sliding window, with a cooldown. The engine depends on it. */
import { formatDuration } from './duration.ts';
import type { EvidenceBlock } from './evidence.ts';
import { readHealth } from './health.ts';
import type { Model } from './model.ts';
import type { ModelVersion } from './model-version.ts';
import type { GuardReading } from './policy.ts';
import { addToWindow, EMPTY_WINDOW, newestOf, type SampleWindow } from './sample-window.ts';

/** The window of one term as champion; another champion begins with a clean one. */
export interface WatchState {
  readonly version: string;
  readonly fromMs: number;
  readonly window: SampleWindow;
}

/** What the watch sees and wants. */
export interface WatchFinding {
  readonly state: 'healthy' | 'waiting' | 'cooling-down' | 'violated';
  readonly reason: string;
  readonly guards: readonly GuardReading[];
}

/** What is judged, and when. */
export interface WatchQuestion {
  readonly state: WatchState;
  readonly atMs: number;
}

/** A watch that has seen nothing of the present champion's term; undefined without a champion. */
export function openWatch(model: Model): WatchState | undefined {
  const term = model.terms.at(-1);
  return term === undefined ? undefined : { version: term.version, fromMs: term.fromMs, window: EMPTY_WINDOW };
}

/** The watch after one more block; blocks of other models, of other versions and of earlier terms change nothing. */
export function absorbWatch(model: Model, state: WatchState, block: EvidenceBlock): WatchState {
  if (block.model !== model.name || block.version !== state.version) return state;
  if (block.arm !== 'champion' || block.startMs < state.fromMs) return state;
  return { ...state, window: addToWindow(state.window, block, model.watch.limits.window) };
}

/** Whether the champion breaks a limit, and whether an automatic rollback may follow. */
export function judgeWatch(model: Model, version: ModelVersion, { state, atMs }: WatchQuestion): WatchFinding {
  const guards = readHealth(model.watch.limits, newestOf(state.window, model.watch.limits.window), version.baseline);
  const violations = guards.filter((guard) => guard.verdict === 'harmful');
  if (violations.length === 0) {
    const known = guards.filter((guard) => guard.verdict === 'healthy');
    if (known.length === 0) return { state: 'waiting', reason: guards[0]?.reason ?? 'not enough data', guards };
    return { state: 'healthy', reason: known.map((guard) => guard.reason).join('; '), guards };
  }
  const reason = violations.map((guard) => guard.reason).join('; ');
  const leftMs = (model.lastRollback?.atMs ?? -Infinity) + model.watch.cooldownMs - atMs;
  if (leftMs <= 0) return { state: 'violated', reason, guards };
  return {
    state: 'cooling-down',
    reason: `${reason}; no automatic rollback for ${formatDuration(leftMs)} more (cooldown)`,
    guards,
  };
}
