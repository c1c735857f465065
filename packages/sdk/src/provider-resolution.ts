/** Our answers and contexts in OpenFeature's form. Both providers depend on it. */
import type { Attributes, JsonValue } from '@understudy/core/flags/context';
import type { Details, FlagErrorCode } from './flag-values.ts';

/** An answer as OpenFeature takes it. */
export interface Resolution<T> {
  value: T;
  variant?: string;
  reason: string;
  flagMetadata: Record<string, number>;
}

/** What OpenFeature knows of whoever asks. */
export interface ProviderContext {
  readonly targetingKey?: string;
  readonly [attribute: string]: unknown;
}

/** Why there is no answer. OpenFeature's SDKs read the code, and give the default. */
export class ResolutionError extends Error {
  readonly code: FlagErrorCode;

  constructor(code: FlagErrorCode, message: string) {
    super(message);
    this.name = 'ResolutionError';
    this.code = code;
  }
}

/** @throws ResolutionError when there is no answer, which OpenFeature's SDKs expect of a provider */
export function resolutionOf<T>({ value, variant, reason, revision, errorCode, errorMessage }: Details<T>): Resolution<T> {
  if (errorCode !== undefined) throw new ResolutionError(errorCode, errorMessage ?? errorCode);
  return {
    value,
    ...(variant === undefined ? {} : { variant }),
    reason,
    flagMetadata: revision === undefined ? {} : { revision },
  };
}

/**
 * The targeting key becomes the key of the user, everything else its attributes, as the server reads OFREP. An attribute
 * called "key" is left out: it would be taken for the targeting key.
 */
export function attributesOf({ targetingKey, key: _key, ...attributes }: ProviderContext): Attributes {
  const known: Record<string, JsonValue> = typeof targetingKey === 'string' && targetingKey !== '' ? { key: targetingKey } : {};
  for (const [name, value] of Object.entries(attributes)) {
    const json = jsonOf(value);
    // What an attribute "kind" says is the kind of the context itself here, which OpenFeature does not have.
    if (json !== undefined && name !== 'kind') known[name] = json;
  }
  return known;
}

/** Dates become text, as they do in JSON; what JSON does not know is left out. */
function jsonOf(value: unknown): JsonValue | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) return value.map((element: unknown) => jsonOf(element) ?? null);
  if (typeof value !== 'object') return undefined;
  const known: Record<string, JsonValue> = {};
  for (const [name, field] of Object.entries(value)) {
    const json = jsonOf(field);
    if (json !== undefined) known[name] = json;
  }
  return known;
}

/** A value of the same JSON type as the default; OpenFeature's type of objects promises no more. */
export function objectDetails<T extends JsonValue>(ask: (fallback: JsonValue) => Details<JsonValue>, fallback: T): Details<T> {
  const details = ask(fallback);
  if (isOfSameKind(details.value, fallback)) return { ...details, value: details.value };
  const message = `flag "${details.flag}" has a value of another type than its default`;
  return { ...details, value: fallback, errorCode: 'TYPE_MISMATCH', errorMessage: message };
}

function isOfSameKind<T extends JsonValue>(value: JsonValue, fallback: T): value is T {
  return typeof value === typeof fallback;
}
