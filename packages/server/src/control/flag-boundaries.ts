/** The moments at which flags change by themselves: schedules that begin or end, rules that compare the time. The flag feed wakes up at them. */
import type { Condition } from '@understudy/core/flags/condition';
import type { FlagDocuments } from '@understudy/core/flags/evaluator';
import type { Clock } from '../clock.ts';

/** What waiting needs. */
export interface BoundaryPorts {
  readonly clock: Clock;
  /** Runs something once, not before so many milliseconds have gone by. The function returned prevents it. */
  readonly timers: { after(ms: number, run: () => void): () => void };
}

export interface BoundaryAlarm {
  /** Waits for the next moment at which one of these changes, and for all that follow. Those set before are forgotten. */
  set(documents: FlagDocuments): void;
  close(): void;
}

// Timers hold at most 24 days; a clock that was set is noticed by then.
const LONGEST_WAIT_MS = 86_400_000;

/** Calls back at every boundary. */
export function openBoundaryAlarm({ clock, timers }: BoundaryPorts, onBoundary: () => void): BoundaryAlarm {
  let stopWaiting = (): void => {};
  let isClosed = false;
  const set = (documents: FlagDocuments): void => {
    stopWaiting();
    const nowMs = clock.nowMs();
    const dueMs = nextBoundary(documents, nowMs);
    if (dueMs === undefined || isClosed) return;
    stopWaiting = timers.after(Math.min(Math.ceil(dueMs - nowMs), LONGEST_WAIT_MS), () => {
      const isDue = clock.nowMs() >= dueMs;
      set(documents);
      if (isDue) onBoundary();
    });
  };
  return {
    set,
    close() {
      isClosed = true;
      stopWaiting();
    },
  };
}

/** The first of these moments after another one; undefined when there is none. */
function nextBoundary({ flags, segments }: FlagDocuments, afterMs: number): number | undefined {
  let next = Infinity;
  const add = (atMs: number | undefined): void => {
    if (atMs !== undefined && atMs > afterMs) next = Math.min(next, atMs);
  };
  const visit = (conditions: readonly Condition[]): void => {
    for (const condition of conditions) {
      // Both comparisons are strict: a millisecond later each of them has its new answer.
      if (condition.type === 'time') add(condition.atMs + 1);
      else if ('of' in condition) visit(condition.of);
    }
  };
  for (const { schedule, rules } of flags) {
    add(schedule?.fromMs);
    add(schedule?.untilMs);
    for (const rule of rules) visit(rule.all);
  }
  for (const { rules } of segments) for (const rule of rules) visit(rule.all);
  return next === Infinity ? undefined : next;
}
