/** When the load generator sends: a fixed rate that does not wait for answers, as users do not. The traffic thread depends on it. */

/** A rate that began at a moment, and what it has come to so far. */
export interface Schedule {
  readonly perSecond: number;
  readonly sinceMs: number;
  /** Requests that have been due since, sent or skipped. */
  readonly settled: number;
}

/** What is to be done now. */
export interface Due {
  readonly send: number;
  /** Due, but never sent: so many were in flight already, or the generator itself had been held up. */
  readonly skipped: number;
  readonly next: Schedule;
}

// After a pause of the whole machine the rest is skipped: a burst of everything missed would be a test of something else.
const CATCH_UP_MS = 250;

export function beginSchedule(perSecond: number, atMs: number): Schedule {
  return { perSecond, sinceMs: atMs, settled: 0 };
}

/**
 * The requests that have come due and not been settled yet.
 * @param room how many more may be in flight
 */
export function takeDue(schedule: Schedule, atMs: number, room: number): Due {
  const { perSecond, sinceMs } = schedule;
  const settled = Math.max(schedule.settled, Math.floor(((atMs - sinceMs) * perSecond) / 1000));
  const due = settled - schedule.settled;
  const send = Math.min(due, Math.max(0, room), Math.ceil((CATCH_UP_MS * perSecond) / 1000));
  return { send, skipped: due - send, next: { ...schedule, settled } };
}
