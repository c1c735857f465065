/** An identity and its traits as Flagsmith's SDKs send them, as the context that our evaluator reads. */
import { AppError } from '@understudy/core/errors';
import type { Context, JsonValue } from '@understudy/core/flags/context';
import { fieldOf, isJsonObject } from '../edge/json-shape.ts';

export interface Identity {
  /** Undefined: a transient identity that has none. */
  readonly identifier: string | undefined;
  readonly traits: ReadonlyMap<string, string | number | boolean>;
}

/** What conditions on the environment read. */
export interface EnvironmentAttributes {
  readonly key: string;
  readonly name: string;
}

/** @throws AppError when the body has no identifier */
export function identityOf(body: JsonValue | undefined): Identity {
  if (!isJsonObject(body)) throw new AppError('request.invalid', 'an identity is an object with an "identifier"');
  const identifier = identifierOf(fieldOf(body, 'identifier'));
  if (identifier === undefined && fieldOf(body, 'transient') !== true) {
    throw new AppError('request.invalid', 'the identity has no "identifier": it must be a text of at least one character');
  }
  return { identifier, traits: traitsOf(fieldOf(body, 'traits')) };
}

function identifierOf(value: JsonValue | undefined): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Traits that are null are removed ones; what is no text, number or boolean is no trait. */
function traitsOf(list: JsonValue | undefined): Identity['traits'] {
  const traits = new Map<string, string | number | boolean>();
  for (const trait of Array.isArray(list) ? list : []) {
    const [name, value] = [fieldOf(trait, 'trait_key'), fieldOf(trait, 'trait_value')];
    if (typeof name !== 'string') continue;
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') traits.set(name, value);
  }
  return traits;
}

/** The identifier is the user's key, also where a trait is called "key". */
export function contextOf({ identifier, traits }: Identity, { key, name }: EnvironmentAttributes): Context {
  const attributes = Object.fromEntries(traits);
  return { user: { ...attributes, key: identifier }, environment: { key, name } };
}
