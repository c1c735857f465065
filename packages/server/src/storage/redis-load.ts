/**
 * Fills an empty Redis store. Redis has no transaction that lasts that long, so everything is written under names of its
 * own first. One key then says that all of it is there, and from then on it gets its real names, by whoever opens the store
 * next if need be.
 */
import { randomUUID } from 'node:crypto';
import { AppError } from '@understudy/core/errors';
import {
  ENVIRONMENT_PATTERN,
  keysOf,
  LOADED_KEY,
  LOADING_KEY,
  partsOfKey,
  SECRETS_FENCE,
  SECRETS_KEY,
  STAGE,
  STAGED_SECRETS_PATTERN,
  stagedSecretsOf,
  stageOf,
} from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { openLoadWriter } from './redis-load-writer.ts';
import type { ReplicaWait } from './redis-replicas.ts';
import { numberOf, textOf } from './redis-replies.ts';
import { CLAIM_SCRIPT, PUBLISH_SCRIPT, RELEASE_SCRIPT } from './redis-scripts.ts';
import type { DumpRecord } from './store-dump.ts';

const ATTEMPT = 'fill the store';
const KEYS_AT_ONCE = 500;
// Long enough for the slowest of sources between two batches, and short enough to wait for after a kill.
const CLAIM_MS = 60_000;
const CLAIM_AGAIN_MS = 5000;

export interface LoadParts {
  readonly shown: string;
  /** Those that hold anything now. */
  readonly environments: () => Promise<readonly string[]>;
  readonly untilReplicated: ReplicaWait;
}

/**
 * All of it, or nothing when the stream throws. Of several copies at once one is let in.
 * @throws AppError `store.not_empty` when the store holds anything, `store.busy` when another copy is under way
 */
export async function load(link: RedisLink, records: AsyncIterable<DumpRecord>, parts: LoadParts): Promise<void> {
  const copy = randomUUID();
  await claim(link, { copy, when: 'first' });
  try {
    // Of one that was killed when all of it was there.
    await publishLoaded(link);
    await refuseFull(parts);
    await deleteKeys(link, (rest) => LEFT_OVER.test(rest));
    await stage(link, records, copy);
    await refuseFull(parts);
    await claim(link, { copy, when: 'still', done: [LOADED_KEY] });
  } catch (error) {
    await deleteKeys(link, (rest) => rest.startsWith(stageOf(copy)));
    await release(link, copy);
    throw error;
  }
  await publishLoaded(link);
  await release(link, copy);
  await parts.untilReplicated(ATTEMPT, SECRETS_FENCE);
  for (const environment of await parts.environments()) await parts.untilReplicated(ATTEMPT, keysOf(environment).fence);
}

async function stage(link: RedisLink, records: AsyncIterable<DumpRecord>, copy: string): Promise<void> {
  const writer = openLoadWriter(link, copy);
  let claimedMs = performance.now();
  for await (const record of records) {
    await writer.add(record);
    if (performance.now() - claimedMs < CLAIM_AGAIN_MS) continue;
    await claim(link, { copy, when: 'still' });
    claimedMs = performance.now();
  }
  await writer.flush();
}

interface Claim {
  readonly copy: string;
  /** `still` does not begin again what ended meanwhile: another copy may have come and gone. */
  readonly when: 'first' | 'still';
  /** Keys that are set to the copy's name in the same moment. */
  readonly done?: readonly string[];
}

/** Says that this copy is under way. */
async function claim(link: RedisLink, { copy, when, done = [] }: Claim): Promise<void> {
  const args = [copy, String(CLAIM_MS), when];
  const { answer } = await link.run(ATTEMPT, { script: CLAIM_SCRIPT, keys: [LOADING_KEY, ...done], args });
  if (numberOf(answer) === 1) return;
  const problem = when === 'first' ? 'another copy into it is under way' : 'this copy was held up and another one may have begun';
  throw new AppError(
    'store.busy',
    `cannot ${ATTEMPT}: ${problem}; nothing was changed. Wait until it has ended, or a minute when it was killed, and look what is there`,
  );
}

async function release(link: RedisLink, copy: string): Promise<void> {
  await link.run(ATTEMPT, { script: RELEASE_SCRIPT, keys: [LOADING_KEY], args: [copy] });
}

/** Gives what a copy has staged its names, once all of it is there. Does nothing otherwise; may be done twice. */
export async function publishLoaded(link: RedisLink): Promise<void> {
  const [loaded] = await link.send(ATTEMPT, [['get', LOADED_KEY]]);
  const copy = textOf(loaded);
  if (copy === undefined) return;
  const staged = stageOf(copy);
  const pairs = new Map<string, [string, string][]>();
  await link.scan(ATTEMPT, ENVIRONMENT_PATTERN, (key) => {
    const { environment = '', rest = '' } = partsOfKey(key) ?? {};
    if (!rest.startsWith(staged)) return;
    const own = pairs.get(environment) ?? [];
    own.push([key, key.replace(`}:${staged}`, '}:')]);
    pairs.set(environment, own);
  });
  await rename(link, [[stagedSecretsOf(copy), SECRETS_KEY]]);
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
  const keys = new Set<string>();
  await link.scan(ATTEMPT, STAGED_SECRETS_PATTERN, (key) => {
    if (isMeant(key.slice(key.indexOf('}:') + 2))) keys.add(key);
  });
  await link.scan(ATTEMPT, ENVIRONMENT_PATTERN, (key) => {
    const rest = partsOfKey(key)?.rest;
    if (rest !== undefined && isMeant(rest)) keys.add(key);
  });
  // One by one, as they may lie on different servers.
  for (const key of keys) await link.send(ATTEMPT, [['unlink', key]]);
}
