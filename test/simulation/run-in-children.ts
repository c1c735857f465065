/** Spreads seeds over processes. Not over threads: they would share the one heap that a world fills fastest. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { addUp } from './happened.ts';
import type { Seeds, Tally } from './run-seeds.ts';

const CHILD = fileURLToPath(new URL('./worlds.child.ts', import.meta.url));
const PROCESSES = 2;

/** @param count how many seeds, from `first` on */
export async function runInChildren({ first, count }: Pick<Seeds, 'first' | 'count'>): Promise<Tally> {
  const shares = Array.from({ length: PROCESSES }, (_, place): Seeds => ({
    first: first + place,
    every: PROCESSES,
    count: Math.ceil((count - place) / PROCESSES),
  }));
  const tallies = await Promise.all(shares.map(runInChild));
  const add = (of: (tally: Tally) => number): number => tallies.reduce((sum, tally) => sum + of(tally), 0);
  return {
    seeds: add(({ seeds }) => seeds),
    found: tallies.flatMap(({ found }) => found).toSorted((a, b) => a.seed - b.seed),
    virtualMs: add(({ virtualMs }) => virtualMs),
    commits: add(({ commits }) => commits),
    replayed: add(({ replayed }) => replayed),
    happened: tallies.map(({ happened }) => happened).reduce(addUp),
    wishes: add(({ wishes }) => wishes),
    watchedToTheEnd: add(({ watchedToTheEnd }) => watchedToTheEnd),
  };
}

async function runInChild(seeds: Seeds): Promise<Tally> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, JSON.stringify(seeds)]);
  return JSON.parse(stdout) as Tally;
}
