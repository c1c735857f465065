/** Local times by the time zone database of this runtime. Freezes depend on it. */
import type { LocalTime, Weekday } from '@understudy/core/freeze';
import { WEEKDAYS } from '@understudy/core/freeze';

// A formatter takes a hundred times longer to make than to use; windows name a handful of time zones.
const formatters = new Map<string, Intl.DateTimeFormat>();
const MOST_FORMATTERS = 500;

/** What clocks on the wall of a time zone show. @throws RangeError when the runtime does not know the time zone */
export function readLocalTime(atMs: number, timezone: string): LocalTime {
  const parts = new Map(
    formatterOf(timezone)
      .formatToParts(atMs)
      .map(({ type, value }) => [type, value]),
  );
  const minute = Number(parts.get('hour')) * 60 + Number(parts.get('minute'));
  return { weekday: weekdayOf(parts.get('weekday')), minute };
}

function formatterOf(timezone: string): Intl.DateTimeFormat {
  const known = formatters.get(timezone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  if (formatters.size >= MOST_FORMATTERS) formatters.clear();
  formatters.set(timezone, made);
  return made;
}

function weekdayOf(word: string | undefined): Weekday {
  const found = WEEKDAYS.find((day) => day === word?.toLowerCase());
  if (found === undefined) throw new Error(`"${word}" is no day of the week`);
  return found;
}
