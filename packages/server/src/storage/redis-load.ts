/**
 * Fills an empty Redis store. Redis has no transaction that lasts that long, so everything is written under names of its
 * own first. One key then says that all of it is there, and from then on it gets its real names, by whoever opens the store
 * next if need be.
 */
import { AppError } from '@understudy/core/errors';
import {
  ENVIRONMENT_PATTERN,
  keysOf,
  LOADED_KEY,
  partsOfKey,
  SECRETS_FENCE,
  SECRETS_KEY,
  STAGE,
  STAGED_SECRETS_KEY,
} from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { openLoadWriter } from './redis-load-writer.ts';
import type { ReplicaWait } from './redis-replicas.ts';
import { textOf } from './redis-replies.ts';
import { PUBLISH_SCRIPT } from './redis-scripts.ts';
import type { DumpRecord } from './store-dump.ts';

const ATTEMPT = 'fill the store';
const KEYS_AT_ONCE = 500;

export interface LoadParts {
  readonly shown: string;
  /** Those that hold anything now. */
  readonly environments: () => Promise<readonly string[]>;
  readonly untilReplicated: ReplicaWait;
}

/**
 * All of it, or nothing when the stream throws.
 * @throws AppError `store.not_empty` when the store holds anything
 */
export async function load(link: RedisLink, records: AsyncIterable<DumpRecord>, parts: LoadParts): Promise<void> {
  await refuseFull(parts);
  await deleteKeys(link, (rest) => LEFT_OVER.test(rest));
  const writer = openLoadWriter(link);
  try {
    for await (const record of records) await writer.add(record);
    await writer.flush();
    await refuseFull(parts);
  } catch (error) {
    await deleteKeys(link, (rest) => rest.startsWith(STAGE));
    throw error;
  }
  await link.send(ATTEMPT, [['set', LOADED_KEY, '1']]);
  await publishLoaded(link);
  await parts.untilReplicated(ATTEMPT, SECRETS_FENCE);
  for (const environment of await parts.environments()) await parts.untilReplicated(ATTEMPT, keysOf(environment).fence);
}

/** Gives what a copy has staged its names, once all of it is there. Does nothing otherwise; may be done twice. */
export async function publishLoaded(link: RedisLink): Promise<void> {
  const [loaded] = await link.send(ATTEMPT, [['get', LOADED_KEY]]);
  if (textOf(loaded) === undefined) return;
  const pairs = new Map<string, [string, string][]>();
  await link.scan(ATTEMPT, ENVIRONMENT_PATTERN, (key) => {
    const { environment = '', rest = '' } = partsOfKey(key) ?? {};
    if (!rest.startsWith(STAGE)) return;
    const own = pairs.get(environment) ?? [];
    own.push([key, key.replace(`}:${STAGE}`, '}:')]);
    pairs.set(environment, own);
  });
  await rename(link, [[STAGED_SECRETS_KEY, SECRETS_KEY]]);
  for (const own of pairs.values()) {
    for (let start = 0; start < own.length; start += KEYS_AT_ONCE) await rename(link, own.slice(start, start + KEYS_AT_ONCE));
  }
  await link.send(ATTEMPT, [['unlink', LOADED_KEY]]);
}

async function rename(link: RedisLink, pairs: readonly (readonly [string, string])[]): Promise<void> {
  await link.run(ATTEMPT, { script: PUBLISH_SCRIPT, keys: pairs.flat(), args: [] });
}

async function refuseFull({ shown, environments }: LoadParts): Promise<void> {
  if ((await environments()).length === 0) return;
  throw new AppError('store.not_empty', `cannot fill the store ${shown}: it holds something already; name an empty one`);
}

// Of copies that were interrupted, and of environments where everything was forgotten.
const LEFT_OVER = new RegExp(`^(${STAGE}.*|cursor|activity|fence|models|evidence:.*)$`, 's');

async function deleteKeys(link: RedisLink, isMeant: (rest: string) => boolean): Promise<void> {
  const keys = new Set([STAGED_SECRETS_KEY]);
  await link.scan(ATTEMPT, ENVIRONMENT_PATTERN, (key) => {
    const rest = partsOfKey(key)?.rest;
    if (rest !== undefined && isMeant(rest)) keys.add(key);
  });
  // One by one, as they may lie on different servers.
  for (const key of keys) await link.send(ATTEMPT, [['unlink', key]]);
}
