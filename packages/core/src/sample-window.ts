/** The newest whole blocks of one arm that together hold enough requests: a sliding window made of mergeable counts. Policies depend on it. */
import { EMPTY_TALLY, type EvidenceBlock, mergeTallies, type Tally } from './evidence.ts';

interface WindowBlock {
  readonly startMs: number;
  readonly tally: Tally;
}

/** Newest blocks, oldest first. Never more blocks than the capacity it is kept at, as empty blocks are not stored. */
export type SampleWindow = readonly WindowBlock[];

/** A window without a sample. */
export const EMPTY_WINDOW: SampleWindow = [];

/**
 * Adds a block and drops the oldest blocks that are not needed to hold `capacity` requests. Whole blocks are kept, so a
 * window may hold more than its capacity, never less while more was seen.
 * @param capacity number of requests, ≥ 1
 */
export function addToWindow(window: SampleWindow, block: EvidenceBlock, capacity: number): SampleWindow {
  if (block.tally.requests === 0) return window;
  const grown = [...window, { startMs: block.startMs, tally: block.tally }];
  if (window.length > 0 && block.startMs < (window.at(-1)?.startMs ?? 0)) grown.sort((a, b) => a.startMs - b.startMs);
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
