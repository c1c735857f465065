/** JSON with one spelling for each value: what the store writes and what the journal's hashes are taken over. */
import type { Json } from './store.ts';

/**
 * The value as JSON with keys in order of their UTF-16 code units and no white space (RFC 8785 without its number
 * rules, which `JSON.stringify` follows already). Properties that are `undefined` are left out.
 * @throws Error on a number that JSON cannot say: writing it would change it to null
 */
export function canonicalJson(value: Json): string {
  refuseUnsayable('', value);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  const fields: string[] = [];
  for (const key of Object.keys(value).toSorted()) {
    const field = value[key];
    if (field !== undefined) fields.push(`${JSON.stringify(key)}:${canonicalJson(field)}`);
  }
  return `{${fields.join(',')}}`;
}

/**
 * Plain data as JSON, for a reader that has a schema of its own.
 * @throws Error on a number that JSON cannot say: the reader would find null and call the store corrupt
 */
export function jsonText(value: object): string {
  return JSON.stringify(value, refuseUnsayable);
}

function refuseUnsayable(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`cannot store the number ${value} as JSON`);
  return value;
}

// Array.isArray does not narrow a readonly array.
function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
