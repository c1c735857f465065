/** Values as Flagsmith has them, in its environment document and in remote answers. */
import type { JsonValue } from './context.ts';

/** Texts, whole numbers and booleans stay what they are; anything else becomes a text. */
export function flagsmithValue(value: JsonValue | undefined): string | number | boolean | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  return typeof value === 'number' && Number.isInteger(value) ? value : JSON.stringify(value);
}
