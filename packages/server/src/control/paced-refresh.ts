/** Refreshes soon after each change, and rests in between, so that a thousand changes in a row are a few refreshes. The feeds depend on it. */
import type { Clock } from '../clock.ts';

export interface PacedRefresh {
  /** Something has changed. The first change is taken in at once, those that follow closely are taken in together. */
  soon(): void;
  close(): void;
}

export interface PacedRefreshPorts {
  /** Never rejects. */
  readonly refresh: () => Promise<unknown>;
  readonly clock: Clock;
  readonly timers: { after(ms: number, run: () => void): () => void };
}

// Refreshing takes at most a quarter of the process, and nobody waits for news for longer than this.
const REST_FACTOR = 3;
const LONGEST_REST_MS = 200;

export function openPacedRefresh({ refresh, clock, timers }: PacedRefreshPorts): PacedRefresh {
  let restUntilMs = -Infinity;
  let isRunning = false;
  let isWanted = false;
  let cancel: (() => void) | undefined;

  async function run(): Promise<void> {
    cancel = undefined;
    isRunning = true;
    isWanted = false;
    const beganMs = clock.nowMs();
    await refresh();
    const endMs = clock.nowMs();
    restUntilMs = endMs + Math.min(LONGEST_REST_MS, Math.max(0, endMs - beganMs) * REST_FACTOR);
    isRunning = false;
    if (isWanted) soon();
  }

  function soon(): void {
    isWanted = true;
    if (isRunning || cancel !== undefined) return;
    const restMs = Math.min(LONGEST_REST_MS, restUntilMs - clock.nowMs());
    if (restMs <= 0) void run();
    else cancel = timers.after(restMs, () => void run());
  }

  return {
    soon,
    close() {
      isWanted = false;
      cancel?.();
    },
  };
}
