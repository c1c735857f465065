/** The hashes `rollout:{name}` that programs read which route by them: found, read and written. The import and the mirror depend on it. */
import { AppError } from '@understudy/core/errors';
import { parseRedisAddress } from './redis-address.ts';
import { openRedisLink, type RedisLink } from './redis-link.ts';
import { hashOf, textOf, textsOf } from './redis-replies.ts';

/** The fields of one hash, whatever they are. */
export type HashFields = ReadonlyMap<string, string>;

export interface RolloutHashes {
  /** For messages. */
  readonly place: string;
  /** Every hash of a server, by name. Keys of that form that are no hashes are left out. */
  readAll(): Promise<ReadonlyMap<string, HashFields>>;
  /** Empty when there is none. */
  read(name: string): Promise<HashFields>;
  /** Sets these fields in one command, so that nobody reads half of them. Other fields stay. */
  write(name: string, fields: Readonly<Record<string, string>>): Promise<void>;
  close(): Promise<void>;
}

const PREFIX = 'rollout:';
// What a server looks through before others get their turn.
const KEYS_PER_SCAN = '500';
// More are no hashes that people wrote.
const MOST_HASHES = 10_000;

/** @throws AppError when the address is wrong or nobody answers */
export async function openRolloutHashes(url: string): Promise<RolloutHashes> {
  const link = await openRedisLink(parseRedisAddress(url));
  const read = async (name: string): Promise<HashFields> => {
    const [reply] = await link.send(`read "${PREFIX}${name}"`, [['hgetall', PREFIX + name]]);
    return new Map(hashOf(reply));
  };
  return {
    place: link.place,
    read,
    readAll: async () => {
      const found = new Map<string, HashFields>();
      for (const name of await namesOf(link)) found.set(name, await read(name));
      return found;
    },
    write: async (name, fields) => {
      await link.send(`write "${PREFIX}${name}"`, [['hset', PREFIX + name, ...Object.entries(fields).flat()]]);
    },
    close: () => link.close(),
  };
}

async function namesOf(link: RedisLink): Promise<readonly string[]> {
  if (link.isCluster) {
    throw new AppError(
      'config.invalid',
      `cannot look for "${PREFIX}…" on ${link.place}: it is a node of a cluster, which is not supported`,
    );
  }
  const names = new Set<string>();
  let cursor = '0';
  do {
    const [reply] = await link.send('look for rollouts', [
      ['scan', cursor, 'MATCH', `${PREFIX}*`, 'COUNT', KEYS_PER_SCAN, 'TYPE', 'hash'],
    ]);
    const [next, keys]: readonly unknown[] = Array.isArray(reply) ? reply : [];
    for (const key of textsOf(keys)) names.add(key.slice(PREFIX.length));
    cursor = textOf(next) ?? '0';
    if (names.size > MOST_HASHES) {
      throw new AppError(
        'config.invalid',
        `cannot import from ${link.place}: it has more than ${MOST_HASHES} hashes "${PREFIX}…"`,
      );
    }
  } while (cursor !== '0');
  return [...names].toSorted();
}
