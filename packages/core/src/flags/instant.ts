/** Moments written as RFC 3339 texts. Core has no clock and no calendar, so the few lines that read one are here. */

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(?:Z|([+-])(\d\d):(\d\d))$/;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Milliseconds since 1970 of a date and time with its offset from UTC; undefined when the text is anything else. */
export function parseInstant(text: string): number | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const milliseconds = Math.floor(Number(match[7] ?? '0') * 1000);
  const offset = (Number(match[9] ?? '0') * 60 + Number(match[10] ?? '0')) * (match[8] === '-' ? -1 : 1);
  const minutes = hour * 60 + minute - offset;
  return daysSince1970(year, month, day) * DAY_MS + minutes * MINUTE_MS + second * 1000 + milliseconds;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Source: H. Hinnant, "chrono-compatible low-level date algorithms", days_from_civil. */
function daysSince1970(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** A moment as RFC 3339 in UTC. */
export function instantText(atMs: number): string {
  const days = Math.floor(atMs / DAY_MS);
  const [year, month, day] = dateOf(days);
  const rest = atMs - days * DAY_MS;
  const parts = [Math.floor(rest / 3_600_000), Math.floor(rest / MINUTE_MS) % 60, Math.floor(rest / 1000) % 60];
  const time = parts.map((part) => String(part).padStart(2, '0')).join(':');
  const date = `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`;
  return `${date}T${time}.${String(Math.floor(rest % 1000)).padStart(3, '0')}Z`;
}

/** Source: H. Hinnant, as above, civil_from_days. */
function dateOf(daysSinceEpoch: number): readonly [number, number, number] {
  const shifted = daysSinceEpoch + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const leapDays = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return [yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day];
}
