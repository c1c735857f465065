/** State on a Redis or Valkey server, or a cluster of them. Several control planes may share one. `docs/how-to/redis.md` says what it promises. */
import { randomUUID } from 'node:crypto';
import { AppError } from '@understudy/core/errors';
import { parseRedisAddress, type RedisAddress } from './redis-address.ts';
import { openCommits, type RedisPlantedBugs } from './redis-commit.ts';
import { openDocuments } from './redis-documents.ts';
import { openEvidence } from './redis-evidence.ts';
import { openFeedback } from './redis-feedback.ts';
import { openForgetting } from './redis-forget.ts';
import { openHeadWatch } from './redis-head.ts';
import { openHints } from './redis-hints.ts';
import { openJournal } from './redis-journal.ts';
import { openRedisLink, type RedisLink } from './redis-link.ts';
import { publishLoaded } from './redis-load.ts';
import { openReplicaWait } from './redis-replicas.ts';
import { PERMISSIONS_SCRIPT } from './redis-scripts.ts';
import { openRedisSecrets } from './redis-secrets.ts';
import { reportOf } from './redis-settings.ts';
import type { ServerTime } from '../shared-clock.ts';
import { textsOf } from './redis-replies.ts';
import type { SecretKeeper } from './secret-keeper.ts';
import type { Store } from './store.ts';

export interface RedisStoreOptions {
  /** Told what an acknowledged change could still be lost by. */
  readonly log?: { warn(fields: object, event: string): void };
  /** Bugs to plant, so that a test can show that it would notice them. Never set otherwise. */
  readonly planted?: RedisPlantedBugs;
}

/**
 * Opens the store at `redis://HOST:PORT/DATABASE` or `rediss://…`; parameters are in `redis-address.ts`.
 * @throws AppError `config.invalid` when the address is wrong, the user lacks permissions, or the server would delete state
 *   by itself; `store.busy` when it does not answer
 */
export async function openRedisStore(
  url: string,
  { log, planted = {} }: RedisStoreOptions = {},
): Promise<Store & SecretKeeper & ServerTime> {
  const address = parseRedisAddress(url);
  const link = await openPreparedLink(address, log);
  const { database, patienceMs } = address;
  const untilReplicated = openReplicaWait(link, address);
  const storeId = randomUUID();
  const heads = openHeadWatch(link.place, planted.ignoreLoss === true);
  const hints = await openHints({ link, heads, storeId, database, patienceMs });
  const commit = openCommits({ link, heads, storeId, database, patienceMs, untilReplicated, planted });
  return {
    commit: async (one) => {
      const result = await commit(one);
      if (result.outcome === 'committed') hints.tell(one.environment, result.revision);
      return result;
    },
    onCommit: hints.onCommit,
    async serverMs() {
      const [reply] = await link.send('read the time', [['time']]);
      const [seconds, microseconds] = textsOf(reply).map(Number);
      return (seconds ?? Number.NaN) * 1000 + (microseconds ?? Number.NaN) / 1000;
    },
    ...openDocuments(link, heads),
    ...openEvidence(link, untilReplicated),
    ...openFeedback(link, untilReplicated),
    ...openForgetting(link),
    ...openJournal(link, heads),
    ...openRedisSecrets(link, untilReplicated),
    close: async () => {
      hints.close();
      await link.close();
    },
  };
}

/** Connects, refuses a server that cannot keep state, and ends what a copy left half-done. */
export async function openPreparedLink(address: RedisAddress, log?: RedisStoreOptions['log']): Promise<RedisLink> {
  const link = await openRedisLink(address);
  try {
    await refuseForgetful(link, address.waitReplicas, log);
    await refusePowerless(link);
    await publishLoaded(link);
    return link;
  } catch (error) {
    await link.close();
    throw error;
  }
}

async function refuseForgetful(link: RedisLink, waitReplicas: number, log: RedisStoreOptions['log']): Promise<void> {
  const { verdict, risks, server } = await reportOf(link, waitReplicas);
  if (verdict === 'unusable') {
    const said = risks.map(({ loses, fix }) => `${loses}. ${fix}`).join('; ');
    throw new AppError('config.invalid', `cannot keep state on the Redis server ${link.place}: ${said}`);
  }
  for (const risk of risks) log?.warn({ server, place: link.place, ...risk }, 'store.durability');
}

/** A commit that may do only half of what it needs would stop half-way: Redis takes nothing back. */
async function refusePowerless(link: RedisLink): Promise<void> {
  const id = randomUUID();
  const keys = ['hash', 'sorted', 'stream', 'text', 'number', 'set'].map((name) => `{understudy-check:${id}}:${name}`);
  await link.run('check the permissions of this user', { script: PERMISSIONS_SCRIPT, keys, args: [] });
}
