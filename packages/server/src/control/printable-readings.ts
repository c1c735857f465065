/** Guard readings that JSON can say: a number that is not finite is left out, the sentence beside it keeps it. */
import type { GuardReading } from '@understudy/core/policy';

export function printableReadings(guards: readonly GuardReading[]): GuardReading[] {
  return guards.map(({ champion, challenger, limit, ...reading }) => ({
    ...reading,
    ...(isPrintable(champion) ? { champion } : {}),
    ...(isPrintable(challenger) ? { challenger } : {}),
    ...(isPrintable(limit) ? { limit } : {}),
  }));
}

function isPrintable(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value);
}
