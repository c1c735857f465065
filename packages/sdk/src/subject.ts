/** Whom a flag is asked about, as callers write it. Local evaluation and OpenFeature providers depend on it. */
import type { Attributes, Context, JsonValue } from '@understudy/core/flags/context';
import { isRecord } from './shape.ts';

/**
 * The key of a user, or a user with its attributes, `{ key: 'ana', plan: 'pro' }`. Entities of several kinds are written as
 * `{ kind: 'multi', user: { key: 'ana' }, request: { path: '/' } }`.
 */
export type Subject = string | Attributes;

/** The context of an evaluation, and the key of its user. */
export interface ReadSubject {
  readonly context: Context;
  /** Undefined when the user has none; a flag that divides users is then not answered. */
  readonly key: string | undefined;
}

/** The environment as an entity, which conditions can ask for as the server's do. */
export function placeOf(environment: string): Attributes {
  return { key: environment, name: environment };
}

/** @param place {@link placeOf} */
export function readSubject(subject: Subject, place: Attributes): ReadSubject {
  if (typeof subject === 'string') {
    return withKey({ user: subject === '' ? {} : { key: subject }, environment: place });
  }
  if (subject['kind'] !== 'multi') return withKey({ user: subject, environment: place });
  const entities: Record<string, Attributes> = { environment: place };
  for (const [kind, entity] of Object.entries(subject)) if (isAttributes(entity)) entities[kind] = entity;
  return withKey(entities);
}

function withKey(context: Context): ReadSubject {
  return { context, key: keyOfSubject(context['user']) };
}

function isAttributes(value: JsonValue | undefined): value is { readonly [name: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The key of a subject's user, whatever it is; undefined when it has none. Never throws. */
export function keyOfSubject(subject: unknown): string | undefined {
  if (typeof subject === 'string') return subject === '' ? undefined : subject;
  const user = isRecord(subject) && subject['kind'] === 'multi' ? subject['user'] : subject;
  const key = isRecord(user) ? user['key'] : undefined;
  return typeof key === 'string' && key !== '' ? key : undefined;
}
