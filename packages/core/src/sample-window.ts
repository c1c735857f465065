/** The newest whole blocks of one arm that together hold enough requests: a sliding window made of mergeable counts. Policies depend on it. */
import { EMPTY_TALLY, mergeTallies, type Tally } from './evidence.ts';

/** What an arm did in one interval. */
export interface WindowBlock {
  readonly startMs: number;
  readonly tally: Tally;
}

/**
 * Newest blocks, oldest first, one for each begin of an interval. Never more blocks than the capacity it is kept at, as
 * empty blocks are not stored.
 */
export type SampleWindow = readonly WindowBlock[];

/** A window without a sample. */
export const EMPTY_WINDOW: SampleWindow = [];

/**
 * Adds a block and drops the oldest blocks that are not needed to hold `capacity` requests. Whole blocks are kept, so a
 * window may hold more than its capacity, never less while more was seen. Blocks that begin at the same time, from several
 * gateways, are kept or dropped together, so that the order in which blocks arrive does not matter.
 * @param capacity number of requests, ≥ 1
 */
export function addToWindow(window: SampleWindow, block: WindowBlock, capacity: number): SampleWindow {
  const { startMs, tally } = block;
  if (tally.requests === 0) return window;
  // Late blocks are late by little, so their place is near the end.
  const before = window.findLastIndex((held) => held.startMs <= startMs);
  const same = window[before]?.startMs === startMs ? window[before] : undefined;
  const grown =
    same === undefined
      ? window.toSpliced(before + 1, 0, { startMs, tally })
      : window.with(before, { startMs, tally: mergeTallies(same.tally, tally) });
  return grown.slice(firstNeeded(grown, capacity));
}

/**
 * The tally of the newest blocks that hold at least `capacity` requests, or of all when there are fewer.
 * @param capacity number of requests, ≥ 1
 */
export function newestOf(window: SampleWindow, capacity: number): Tally {
  return window.slice(firstNeeded(window, capacity)).reduce((sum, block) => mergeTallies(sum, block.tally), EMPTY_TALLY);
}

function firstNeeded(window: SampleWindow, capacity: number): number {
  let held = 0;
  for (let index = window.length - 1; index >= 0; index -= 1) {
    held += window[index]?.tally.requests ?? 0;
    if (held >= capacity) return index;
  }
  return 0;
}
