/** Times in which no rollout goes forward: weekly windows, dates, and the line that somebody stopped. Rollbacks never ask it. */

/** A day of the week, in the order of ISO 8601. */
export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun';

/** Every day, Monday first. */
export const WEEKDAYS: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

/** When a window is closed for changes. */
export type FreezeTimes =
  | {
      readonly kind: 'weekly';
      /** Days on which it begins. */
      readonly days: readonly Weekday[];
      /** Minutes of the local day, 0 to 1439. */
      readonly fromMinute: number;
      /** Minutes of the local day, 1 to 1440; at or before the beginning: on the day after. */
      readonly toMinute: number;
      /** Name of the IANA database, such as `Europe/Berlin`. */
      readonly timezone: string;
    }
  | { readonly kind: 'dates'; readonly fromMs: number; readonly untilMs: number };

/** A window with its name. */
export interface FreezeWindow {
  readonly name: string;
  /** Only these models; all of them when absent. */
  readonly models?: readonly string[];
  readonly times: FreezeTimes;
  readonly reason: string;
  readonly setBy: string;
  readonly setAtMs: number;
}

/** Everything that may hold rollouts of an environment back. */
export interface FreezeRules {
  readonly windows: readonly FreezeWindow[];
  /** Set while the line is stopped: nothing goes forward until somebody lifts it. */
  readonly stopped?: { readonly atMs: number; readonly by: string; readonly reason: string };
}

/** Nothing is frozen. */
export const NO_FREEZE: FreezeRules = { windows: [] };

/** What clocks on the wall of a time zone show. */
export interface LocalTime {
  readonly weekday: Weekday;
  /** Minutes since midnight as the clock shows them, 0 to 1439. */
  readonly minute: number;
}

/** Tells the local time. Passed in, as time zones are the world's and change with it. */
export type ReadLocalTime = (atMs: number, timezone: string) => LocalTime;

/** Why a model is frozen at a moment, and until when. */
export interface Freeze {
  /** The name of the window; `stop-the-line` for the stopped line. */
  readonly name: string;
  readonly reason: string;
  /** The first moment without any freeze, to the minute; absent when nobody can tell. */
  readonly untilMs?: number;
}

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;
// Windows one after another are followed for so many ends; beyond, nobody waits for the answer.
const MOST_ENDS = 64;

/** The freeze that holds rollouts of a model back at a moment; undefined when none does. */
export function freezeAt(
  rules: FreezeRules,
  { model, atMs }: { readonly model: string; readonly atMs: number },
  localTime: ReadLocalTime,
): Freeze | undefined {
  if (rules.stopped !== undefined) {
    return { name: 'stop-the-line', reason: `${rules.stopped.by} stopped the line: ${rules.stopped.reason}` };
  }
  const windows = rules.windows.filter(({ models }) => models === undefined || models.includes(model));
  const present = windows.find(({ times }) => isWithin(times, atMs, localTime));
  if (present === undefined) return undefined;
  const untilMs = endOf(windows, atMs, localTime);
  return { name: present.name, reason: present.reason, ...(untilMs === undefined ? {} : { untilMs }) };
}

/** Whether a moment is within a window: its beginning is, its end is not. */
export function isWithin(times: FreezeTimes, atMs: number, localTime: ReadLocalTime): boolean {
  if (times.kind === 'dates') return times.fromMs <= atMs && atMs < times.untilMs;
  return minutesLeft(times, localTime(atMs, times.timezone)) > 0;
}

/** Minutes on the clock until the window ends, or until midnight when it goes on then; 0 outside of it. */
function minutesLeft(times: Extract<FreezeTimes, { kind: 'weekly' }>, { weekday, minute }: LocalTime): number {
  const { days, fromMinute, toMinute } = times;
  const isOvernight = toMinute <= fromMinute;
  const yesterday = WEEKDAYS[(WEEKDAYS.indexOf(weekday) + 6) % 7];
  if (isOvernight && minute < toMinute && yesterday !== undefined && days.includes(yesterday)) return toMinute - minute;
  if (!days.includes(weekday) || minute < fromMinute) return 0;
  return Math.max(0, (isOvernight ? DAY_MINUTES : toMinute) - minute);
}

/** The first moment from `atMs` on at which no window holds. */
function endOf(windows: readonly FreezeWindow[], atMs: number, localTime: ReadLocalTime): number | undefined {
  let momentMs = atMs;
  for (let ends = 0; ends < MOST_ENDS; ends += 1) {
    const holding = windows.find(({ times }) => isWithin(times, momentMs, localTime));
    if (holding === undefined) return momentMs;
    momentMs = endOfWindow(holding.times, momentMs, localTime);
  }
  return undefined;
}

/** When a window that holds at `atMs` lets go, or a later moment at which it still holds because clocks were turned back. */
function endOfWindow(times: FreezeTimes, atMs: number, localTime: ReadLocalTime): number {
  if (times.kind === 'dates') return times.untilMs;
  const startMs = Math.floor(atMs / MINUTE_MS) * MINUTE_MS;
  const guessMs = startMs + minutesLeft(times, localTime(atMs, times.timezone)) * MINUTE_MS;
  if (isWithin(times, guessMs, localTime)) return guessMs;
  // Where clocks were turned forward on the way the window was shorter: the first minute without it lies between.
  let heldMs = startMs;
  let freeMs = guessMs;
  while (freeMs - heldMs > MINUTE_MS) {
    const middleMs = heldMs + Math.floor((freeMs - heldMs) / MINUTE_MS / 2) * MINUTE_MS;
    if (isWithin(times, middleMs, localTime)) heldMs = middleMs;
    else freeMs = middleMs;
  }
  return freeMs;
}
