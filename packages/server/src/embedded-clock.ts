/**
 * Time of a store that is a file on this machine. There is no server to ask, so it goes on from one process to the next by what
 * the machine counts since it was booted: whoever sets the clock while nobody runs changes no hold.
 */
import type { Clock } from './clock.ts';

/** Keeps the time of one process for the next. */
export interface TimeNote {
  /** How far time was ahead of what the machine counts; undefined when it was booted since, or nobody kept it. */
  recall(): number | undefined;
  keep(offsetMs: number): void;
}

export interface EmbeddedClockPorts {
  readonly note: TimeNote;
  /** Counts on from process to process until the machine boots again. */
  readonly machine: Clock;
  /** Milliseconds since the epoch, as somebody has set it. */
  readonly wall: Clock;
  /** The newest moment that the store has heard of; -Infinity when it is empty. */
  readonly newestMs: () => Promise<number>;
  /** Whether anything is under way at a moment that a jump of time would cut short. */
  readonly isAnythingOnTrial: (atMs: number) => Promise<boolean>;
  /** Told when the clock was set and is not followed. */
  readonly log: { warn(fields: object, event: string): void };
}

/** Up to here a difference is the way clocks are kept right; a larger one was set by somebody. */
const DRIFT_MS = 1000;

/**
 * Goes on where the last process ended, and never before what is stored. A clock that was set ahead is followed when nothing is on
 * trial; so is any clock that is ahead after the machine booted, as nobody can tell that from time that has passed.
 * @throws whatever reading the store throws
 */
export async function openEmbeddedClock(ports: EmbeddedClockPorts): Promise<Clock> {
  const { machine, wall, note, log } = ports;
  const offsetMs = await offsetOf(ports);
  const setByMs = Math.round(wall.nowMs() - (machine.nowMs() + offsetMs));
  if (Math.abs(setByMs) > DRIFT_MS) log.warn({ setByMs }, 'clock.not_followed');
  note.keep(offsetMs);
  return { nowMs: () => machine.nowMs() + offsetMs };
}

async function offsetOf({ note, machine, wall, newestMs, isAnythingOnTrial }: EmbeddedClockPorts): Promise<number> {
  const newest = await newestMs();
  const machineMs = machine.nowMs();
  const wallMs = wall.nowMs();
  const countedMs = machineMs + (note.recall() ?? wallMs - machineMs);
  const aheadMs = wallMs - countedMs;
  const isFollowed = aheadMs >= 0 && (aheadMs <= DRIFT_MS || !(await isAnythingOnTrial(countedMs)));
  return Math.max(newest, isFollowed ? wallMs : countedMs) - machineMs;
}
