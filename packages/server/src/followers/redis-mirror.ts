/**
 * Keeps hashes `rollout:{name}` in step for programs that route by them. It always compares everything that is with
 * everything that should be, so that a lost hint, a restart or somebody's `hset` is healed by the next round. Nobody waits
 * for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { loadEnvironment } from '../commands/queries.ts';
import { openRolloutHashes, type RolloutHashes } from '../storage/redis-rollout-hashes.ts';
import type { Store } from '../storage/store.ts';
import { fieldsOf, rolloutHashesOf } from './rollout-hash.ts';

export interface MirrorOptions {
  readonly url: string;
  readonly store: Pick<Store, 'read' | 'list' | 'readAll' | 'onCommit'>;
  readonly environment: string;
  readonly log: { info(fields: object, event: string): void; warn(fields: object, event: string): void };
}

// Commits wake it at once; this heals what no commit told of.
const ROUND_MS = 5000;
const RETRY_FIRST_MS = 1000;
const RETRY_LONGEST_MS = 60_000;

/** Begins in the background; a server that does not answer is logged and tried again. */
export function openRedisMirror(options: MirrorOptions): { close(): Promise<void> } {
  const { store, environment, log } = options;
  const closed = new AbortController();
  let hashes: RolloutHashes | undefined;
  let failures = 0;
  let wake = new AbortController();

  const unsubscribe = store.onCommit((committed) => {
    if (committed === environment) wake.abort();
  });

  async function round(): Promise<void> {
    try {
      hashes ??= await openRolloutHashes(options.url);
      const written = await bringInStep(options, hashes);
      if (written > 0 || failures > 0) log.info({ place: hashes.place, written }, 'mirror.written');
      failures = 0;
    } catch (error) {
      failures += 1;
      log.warn({ err: error, failures, retryMs: retryMs(failures) }, 'mirror.failed');
    }
  }

  async function run(): Promise<void> {
    while (!closed.signal.aborted) {
      wake = new AbortController();
      await round();
      // A commit does not hurry a server that just failed.
      const signals = failures > 0 ? [closed.signal] : [closed.signal, wake.signal];
      await sleep(failures > 0 ? retryMs(failures) : ROUND_MS, undefined, { signal: AbortSignal.any(signals), ref: false }).catch(
        () => undefined,
      );
    }
  }

  const running = run();
  return {
    async close() {
      unsubscribe();
      closed.abort();
      await running;
      await hashes?.close();
    },
  };
}

/** How many hashes had to be written. */
async function bringInStep({ store, environment }: MirrorOptions, hashes: RolloutHashes): Promise<number> {
  let written = 0;
  for (const [name, hash] of rolloutHashesOf(await loadEnvironment({ store, environment }))) {
    const fields = fieldsOf(hash);
    const present = await hashes.read(name);
    if (Object.entries(fields).every(([field, value]) => present.get(field) === value)) continue;
    await hashes.write(name, fields);
    written += 1;
  }
  return written;
}

function retryMs(failures: number): number {
  return Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** Math.min(failures - 1, 10));
}
