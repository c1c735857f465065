/** Freezes as people write them: days and times of the clock, or dates. The API takes and answers this form. */
import { AppError } from '@understudy/core/errors';
import type { FreezeTimes } from '@understudy/core/freeze';
import { z } from 'zod';
import { TimeZone, WeekdaySchema } from './people-documents.ts';

const ClockTime = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'write a time of the clock such as "09:30"');
const ClockEnd = z
  .string()
  .regex(/^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$/, 'write a time of the clock such as "18:00" or "24:00"');
const Moment = z.iso.datetime({ offset: true, error: 'write a moment such as "2026-12-24T00:00:00+01:00"' });

/** When a window is closed for changes. */
export const FreezeTimesFile = z.union([
  z.strictObject({
    days: z.array(WeekdaySchema).min(1).max(7).meta({ description: 'Days on which it begins.' }),
    from: ClockTime.default('00:00'),
    to: ClockEnd.default('24:00').meta({ description: 'At or before `from`: on the day after.' }),
    timezone: TimeZone.default('UTC').meta({ description: 'Name of the IANA database, such as Europe/Berlin.' }),
  }),
  z.strictObject({ from: Moment, until: Moment }),
]);
export type FreezeTimesFile = z.infer<typeof FreezeTimesFile>;

/** @throws AppError `request.invalid` when the end is not after the beginning */
export function readFreezeTimes(file: FreezeTimesFile): FreezeTimes {
  if ('days' in file) {
    const { days, from, to, timezone } = file;
    return { kind: 'weekly', days: [...new Set(days)], fromMinute: minuteOf(from), toMinute: endMinuteOf(to), timezone };
  }
  const [fromMs, untilMs] = [Date.parse(file.from), Date.parse(file.until)];
  if (untilMs > fromMs) return { kind: 'dates', fromMs, untilMs };
  throw new AppError(
    'request.invalid',
    `cannot freeze from ${file.from} until ${file.until}: the end must be after the beginning`,
  );
}

export function writeFreezeTimes(times: FreezeTimes): FreezeTimesFile {
  if (times.kind === 'dates') {
    return { from: new Date(times.fromMs).toISOString(), until: new Date(times.untilMs).toISOString() };
  }
  return {
    days: [...times.days],
    from: clockOf(times.fromMinute),
    to: clockOf(times.toMinute),
    timezone: times.timezone,
  };
}

function minuteOf(clock: string): number {
  const [hours = '', minutes = ''] = clock.split(':');
  return Number(hours) * 60 + Number(minutes);
}

/** Midnight is the end of a day here. */
function endMinuteOf(clock: string): number {
  return minuteOf(clock) || 1440;
}

function clockOf(minute: number): string {
  return [Math.floor(minute / 60), minute % 60].map((part) => String(part).padStart(2, '0')).join(':');
}
