/** Guard readings that JSON can say: a number that is not finite is left out, the sentence beside it keeps it. */
import type { GuardReading, Interval } from '@understudy/core/policy';

export function printableReadings(guards: readonly GuardReading[]): GuardReading[] {
  return guards.map(({ champion, challenger, limit, margin, intervals, ...reading }) => ({
    ...reading,
    ...(isPrintable(champion) ? { champion } : {}),
    ...(isPrintable(challenger) ? { challenger } : {}),
    ...(isPrintable(limit) ? { limit } : {}),
    ...(isPrintable(margin) ? { margin } : {}),
    ...(intervals !== undefined && isBounded(intervals.champion) && isBounded(intervals.challenger) ? { intervals } : {}),
  }));
}

function isPrintable(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value);
}

function isBounded(interval: Interval): boolean {
  return interval.every(Number.isFinite);
}
