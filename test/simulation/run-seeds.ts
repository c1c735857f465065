/** Plays worlds one after the other, each in an environment of its own, and adds up what came of them. */
import { createHash } from 'node:crypto';
import { openSqliteStore } from '../../packages/server/src/storage/sqlite-store.ts';
import type { Store } from '../../packages/server/src/storage/store.ts';
import { addUp, type Happened } from './happened.ts';
import type { Violation } from './history.ts';
import { runWorld, type WorldOptions } from './world.ts';

/** Which seeds: `first`, `first + every`, … so many of them. */
export interface Seeds {
  readonly first: number;
  readonly every: number;
  readonly count: number;
}

export interface Found extends Violation {
  readonly seed: number;
}

export interface Tally {
  readonly seeds: number;
  /** At most {@link MOST_FOUND}. */
  readonly found: readonly Found[];
  readonly virtualMs: number;
  readonly commits: number;
  /** Worlds whose rollouts were decided again. */
  readonly replayed: number;
  readonly wishes: number;
  readonly happened: Happened;
  readonly watchedToTheEnd: number;
}

const MOST_FOUND = 20;
// A store in memory keeps everything that was ever in it.
const WORLDS_PER_STORE = 50;

/** What is the same in all worlds of a run. */
export type RunOptions = Omit<WorldOptions, 'seed' | 'store' | 'environment' | 'onTrace'> & {
  /** Ends with the first broken promise. */
  readonly endsAtFirst?: boolean;
};

export async function runSeeds(
  { first, every, count }: Seeds,
  { endsAtFirst = false, ...options }: RunOptions = {},
): Promise<Tally> {
  const found: Found[] = [];
  const sum = { seeds: 0, virtualMs: 0, commits: 0, replayed: 0, wishes: 0, watchedToTheEnd: 0 };
  let happened: Happened = {};
  let store: Store | undefined;
  for (let place = 0; place < count; place += 1) {
    if (store === undefined || place % WORLDS_PER_STORE === 0) {
      await store?.close();
      store = await openSqliteStore(':memory:');
    }
    const seed = first + place * every;
    const result = await runWorld({ ...options, seed, store, environment: `world-${seed}` });
    sum.seeds += 1;
    sum.virtualMs += result.lastedMs;
    sum.commits += result.commits;
    sum.replayed += result.isReplayed ? 1 : 0;
    sum.wishes += result.wishes;
    happened = addUp(happened, result.happened);
    sum.watchedToTheEnd += result.isWatchedToTheEnd ? 1 : 0;
    for (const violation of result.violations) if (found.length < MOST_FOUND) found.push({ seed, ...violation });
    if (endsAtFirst && found.length > 0) break;
  }
  await store?.close();
  return { ...sum, happened, found };
}

/** One world with everything that happened in it, as a digest and line by line. */
export async function traceOf(
  seed: number,
  options: RunOptions = {},
): Promise<{ readonly digest: string; readonly lines: readonly string[]; readonly violations: readonly Violation[] }> {
  const store = await openSqliteStore(':memory:');
  const lines: string[] = [];
  try {
    const onTrace = (line: string): void => void lines.push(line);
    const environment = `world-${seed}`;
    const { violations } = await runWorld({ ...options, seed, store, environment, onTrace });
    const check = await store.verifyJournal(environment);
    lines.push(check.intact ? `journal of ${check.entries} entries ends in ${check.head}` : `journal broken: ${check.problem}`);
    return { digest: createHash('sha256').update(lines.join('\n')).digest('hex'), lines, violations };
  } finally {
    await store.close();
  }
}
