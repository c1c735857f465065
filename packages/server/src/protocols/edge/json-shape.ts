/** Looks into JSON that somebody sent, of which nothing is known. Whatever reads the bodies of flag SDKs depends on it. */
import type { JsonValue } from '@understudy/core/flags/context';

/** A JSON object. */
export type JsonObject = { readonly [name: string]: JsonValue };

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field of an object; undefined when the value is no object or the field is absent or null. */
export function fieldOf(value: JsonValue | undefined, name: string): JsonValue | undefined {
  return isJsonObject(value) && Object.hasOwn(value, name) ? (value[name] ?? undefined) : undefined;
}
