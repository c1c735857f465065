/** Fills the disk that it is started on, and prints as JSON what the store could still do. One argument: the directory. */
import { appendFileSync, existsSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { isAppError } from '@understudy/core/errors';
import { openSqliteStore } from '../sqlite-store.ts';
import type { Store } from '../store.ts';
import { appendEvidence, commitOf, ENVIRONMENT, readRevisions } from './operations.ts';

const directory = process.argv[2] ?? '';
const filler = path.join(directory, 'filler');
const ballast = path.join(directory, 'ballast');
const store = await openSqliteStore(path.join(directory, 'state.db'), { ballastBytes: 1024 * 1024 });
let sequence = 0;

/** Repeats something until the store refuses; how often it went well, and with what it ended. */
async function untilRefused(work: (n: number) => Promise<void>, most: number) {
  for (let done = 0; done < most; done += 1) {
    try {
      await work(done);
    } catch (error) {
      if (!isAppError(error)) throw error;
      return { done, code: error.code };
    }
  }
  return { done: most, code: undefined };
}

async function commit(to: Store): Promise<void> {
  const operation = await to.revision(ENVIRONMENT);
  await to.commit(commitOf(operation, 'several', await readRevisions(to)));
}

async function report(to: Store): Promise<void> {
  await appendEvidence(to, sequence++);
}

function fill(): void {
  for (const size of [65_536, 4096, 1]) {
    try {
      for (;;) appendFileSync(filler, Buffer.alloc(size));
    } catch {
      // Full for pieces of this size.
    }
  }
}

await commit(store);
fill();
const evidence = await untilRefused(() => report(store), 10_000);
const important = await untilRefused(() => commit(store), 20);
const isReleased = !existsSync(ballast);
const meanwhile = await untilRefused(() => report(store), 1);
const toTheEnd = await untilRefused(() => commit(store), 100_000);
const revision = await store.revision(ENVIRONMENT);
rmSync(filler);
const afterwards = await untilRefused(async () => {
  await report(store);
  await commit(store);
}, 100);
const isHeldAgain = existsSync(ballast);
const check = await store.verifyJournal(ENVIRONMENT);
await store.close();
writeSync(1, JSON.stringify({ evidence, important, isReleased, meanwhile, toTheEnd, revision, afterwards, isHeldAgain, check }));
