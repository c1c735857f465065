/** Lengths of time in files that people write. */
import { formatDuration, parseDuration } from '@understudy/core/duration';
import { z } from 'zod';

/** A length of time such as `90s`, `24h` or `1h30m`. */
export const DurationText = z
  .string()
  .refine((text) => parseDuration(text) !== undefined, 'write a length of time such as "90s", "10m", "24h" or "1h30m"')
  .meta({ pattern: '^(?:\\d+(?:\\.\\d+)?(?:ms|s|m|h|d))+$', description: 'A length of time such as 90s, 24h or 1h30m.' });

/** At least so long. */
export const durationOfAtLeast = (leastMs: number) =>
  DurationText.refine((text) => (parseDuration(text) ?? leastMs) >= leastMs, `use at least ${formatDuration(leastMs)}`);

/** Milliseconds of a text that the schema has let through. */
export function milliseconds(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new Error(`"${text}" passed the schema but is not a length of time`);
  return ms;
}

/** The text of a length of time that reads back as just that. */
export function exactDuration(ms: number): string {
  const text = formatDuration(ms).replace(' ', '');
  return parseDuration(text) === ms ? text : `${ms}ms`;
}
