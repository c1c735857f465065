/** OpenFeature's evaluation context as ours. The OFREP protocol depends on it. */
import type { Context, JsonValue } from '@understudy/core/flags/context';
import { isJsonObject } from '../edge/json-shape.ts';

/** What a body asks about, or what is wrong with it. */
export type ContextReading =
  | { readonly outcome: 'read'; readonly context: Context; readonly hasTargetingKey: boolean }
  | { readonly outcome: 'invalid'; readonly message: string };

/**
 * The targeting key becomes the key of the user, everything else the user's attributes. An attribute that is called
 * "key" is left out: it would be taken for the targeting key.
 */
export function readContext(body: JsonValue | undefined, environment: string): ContextReading {
  const given = body === undefined ? {} : body;
  if (!isJsonObject(given)) return invalid('the body must be an object with a "context"');
  const context = given['context'] ?? {};
  if (!isJsonObject(context)) return invalid('"context" must be an object');
  const { targetingKey = null, key: _key, ...attributes } = context;
  if (targetingKey !== null && typeof targetingKey !== 'string') return invalid('"targetingKey" must be a text');
  const hasTargetingKey = targetingKey !== null && targetingKey !== '';
  const user = hasTargetingKey ? { ...attributes, key: targetingKey } : attributes;
  return { outcome: 'read', context: { user, environment: { key: environment, name: environment } }, hasTargetingKey };
}

function invalid(message: string): ContextReading {
  return { outcome: 'invalid', message };
}
