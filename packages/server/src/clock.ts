/** The process's clock. Everything that needs time is given one; tests give a fixed one. */

/** Milliseconds since the epoch. */
export interface Clock {
  nowMs(): number;
}

/** Wall-clock time at start plus monotonic time since: a jump of the system clock never shortens or lengthens a hold. */
export const systemClock: Clock = { nowMs: () => performance.timeOrigin + performance.now() };
