/** Values as Flagsmith has them. Remote answers depend on it; the environment document is written by core in the same way. */
import type { JsonValue } from '@understudy/core/flags/context';

/** Texts, whole numbers and booleans stay what they are; anything else becomes a text. */
export function flagsmithValue(value: JsonValue | undefined): string | number | boolean | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  return typeof value === 'number' && Number.isInteger(value) ? value : JSON.stringify(value);
}
