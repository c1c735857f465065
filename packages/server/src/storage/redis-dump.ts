/** Reads everything out of a Redis store and fills an empty one. Who changes the store meanwhile is noticed, and the reading fails. */
import { AppError } from '@understudy/core/errors';
import { byBytes } from './byte-order.ts';
import { GENESIS_HASH } from './journal-hash.ts';
import { parseRedisAddress, placeOf } from './redis-address.ts';
import { rowsOf } from './redis-dump-rows.ts';
import { ENVIRONMENT_PATTERN, keysOf, partsOfKey, SECRETS_KEY } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { load } from './redis-load.ts';
import { openReplicaWait } from './redis-replicas.ts';
import { hashOf, headOf, numberOf, textOf } from './redis-replies.ts';
import { openPreparedLink } from './redis-store.ts';
import { type DumpableStore, DumpRecord, ENVIRONMENT_TABLES } from './store-dump.ts';

// Whole hashes are read at once.
const PATIENCE_MS = 15_000;

/** @throws AppError as opening the store does */
export async function openRedisDump(url: string): Promise<DumpableStore> {
  const given = parseRedisAddress(url);
  const address = { ...given, patienceMs: Math.max(given.patienceMs, PATIENCE_MS) };
  const link = await openPreparedLink(address);
  const shown = `redis ${placeOf(address)}/${address.database}`;
  return {
    shown,
    dump: () => dump(link, shown),
    load: async (records) => {
      const environments = () => environmentsIn(link);
      await load(link, records, { shown, environments, untilReplicated: openReplicaWait(link, address) });
    },
    close: () => link.close(),
  };
}

async function* dump(link: RedisLink, shown: string): AsyncGenerator<DumpRecord> {
  const environments = await environmentsIn(link);
  const marks = new Map<string, Mark>();
  for (const environment of environments) marks.set(environment, await markOf(link, environment));
  for (const [environment, mark] of marks) {
    const head = mark.head === '' ? { revision: 0, hash: GENESIS_HASH } : headOf(mark.head);
    yield { table: 'environment', environment, ...head };
    for (const table of ENVIRONMENT_TABLES) {
      for await (const row of rowsOf[table]({ link, environment })) yield DumpRecord.parse({ table, environment, ...row });
    }
    await refuseMoved(link, { environment, mark, shown });
  }
  const [secrets] = await link.send('read the secrets', [['hgetall', SECRETS_KEY]]);
  for (const [name, value] of hashOf(secrets).toSorted(([a], [b]) => byBytes(a, b))) {
    yield DumpRecord.parse({ table: 'secrets', name, value });
  }
  // What was read first may have changed while the rest was read.
  if (String(await environmentsIn(link)) !== String(environments)) throw moved(shown);
  for (const [environment, mark] of marks) await refuseMoved(link, { environment, mark, shown });
}

/** Equal as long as nothing in an environment has changed. */
interface Mark {
  readonly head: string;
  readonly activity: string;
}

async function markOf(link: RedisLink, environment: string): Promise<Mark> {
  const keys = keysOf(environment);
  const [head, activity] = await link.readTogether('read the revision', [
    ['get', keys.head],
    ['get', keys.activity],
  ]);
  return { head: textOf(head) ?? '', activity: textOf(activity) ?? '' };
}

interface Marked {
  readonly environment: string;
  readonly mark: Mark;
  readonly shown: string;
}

async function refuseMoved(link: RedisLink, { environment, mark, shown }: Marked): Promise<void> {
  const { head, activity } = await markOf(link, environment);
  if (head !== mark.head || activity !== mark.activity) throw moved(shown);
}

function moved(shown: string): AppError {
  return new AppError(
    'store.busy',
    `cannot read all of the store ${shown}: it was changed meanwhile; stop the servers that work on it and try again`,
  );
}

/** Environments that hold anything, by name. What is left of one where everything was forgotten does not count. */
async function environmentsIn(link: RedisLink): Promise<readonly string[]> {
  const found = new Set<string>();
  await link.scan('look for environments', ENVIRONMENT_PATTERN, (key) => {
    const environment = partsOfKey(key)?.environment;
    if (environment !== undefined) found.add(environment);
  });
  const present: string[] = [];
  for (const environment of [...found].toSorted(byBytes)) {
    const { head, idempotency, reports, evidenceStarts, feedbackCohorts, gateways } = keysOf(environment);
    const kept = [head, idempotency, reports, evidenceStarts, feedbackCohorts, gateways];
    const [count] = await link.send('look for environments', [['exists', ...kept]]);
    if (numberOf(count) > 0) present.push(environment);
  }
  return present;
}
