/** Counts of closed blocks until there is enough of them to weigh, guard by guard, apart for each step and stratum. */
import { INTERVAL_MS } from '../evidence-pool.ts';
import { addGuardCounts, type GuardCounts, sizeOf } from './guard-counts.ts';

/** What one guard has not weighed yet of one step and stratum. */
export interface Pending {
  /** Place of the guard in its policy. */
  readonly guard: number;
  readonly step: number;
  readonly stratum: string;
  /** Begin of the oldest block in it. */
  readonly sinceMs: number;
  readonly counts: GuardCounts;
}

/** When counts are ripe. Looks at time and at the number of requests, never at what came of them: that keeps the bets fair. */
export interface Ripeness {
  readonly everyMs: number;
  /** Requests that each arm must have. */
  readonly minSize: number;
}

/** What is added up for longer than this no longer compares the same time on both arms. */
const LONGEST_MS = 300_000;

/** The pending counts with those of one more block. */
export function addPending(pending: readonly Pending[], added: Pending): readonly Pending[] {
  const index = pending.findIndex(
    ({ guard, step, stratum }) => guard === added.guard && step === added.step && stratum === added.stratum,
  );
  const present = pending[index];
  if (present === undefined) return [...pending, added];
  return pending.with(index, { ...present, counts: addGuardCounts(present.counts, added.counts) });
}

/** Whether counts may be weighed after the block that begins at `startMs`. */
export function isRipe({ sinceMs, counts }: Pending, { everyMs, minSize }: Ripeness, startMs: number): boolean {
  return startMs + INTERVAL_MS - sinceMs >= everyMs && sizeOf(counts) >= minSize;
}

/** Whether counts must not grow by a block that begins at `startMs`: they are weighed as they are, or never. */
export function isOverdue({ sinceMs }: Pending, startMs: number): boolean {
  return startMs - sinceMs >= LONGEST_MS;
}
