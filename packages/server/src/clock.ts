/** The process's clocks. Everything that needs time is given one; tests give a fixed one. */
import { performance } from 'node:perf_hooks';

// Both are looked up once: the global `performance` and its `timeOrigin` are getters, and requests ask for the time often.
const START_MS = performance.timeOrigin;
const BOOT_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds since the epoch. */
export interface Clock {
  nowMs(): number;
}

/** Wall-clock time at start plus monotonic time since: a jump of the system clock never shortens or lengthens a hold. */
export const systemClock: Clock = { nowMs: () => START_MS + performance.now() };

/** Milliseconds since some moment that is the same for all processes until the machine boots again (CLOCK_MONOTONIC on Linux). */
export const machineClock: Clock = { nowMs: () => BOOT_MS + performance.now() };
