/**
 * Commits in a loop and acknowledges each commit with one write to standard output. The crash tests run it, kill it and
 * cut its power. One argument: what to do, as JSON.
 */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { z } from 'zod';
import { openSqliteStore } from '../sqlite-store.ts';
import type { CommitResult } from '../store.ts';
import { appendEvidence, commitOf, readRevisions } from './operations.ts';

const Task = z.strictObject({
  file: z.string(),
  /** Number of the first operation. */
  first: z.int().nonnegative(),
  count: z.int().positive(),
  workload: z.enum(['small', 'several', 'mixed']),
  planted: z.strictObject({ relaxedCommits: z.boolean().exactOptional(), ignoreFatal: z.boolean().exactOptional() }),
});

const FATAL_EXIT = 3;

const { file, first, count, workload, planted } = Task.parse(JSON.parse(process.argv[2] ?? ''));
const goesOn = planted.ignoreFatal === true;
const store = await openSqliteStore(file, {
  ballastBytes: 0,
  planted,
  onFatal: () => {
    if (!goesOn) process.exit(FATAL_EXIT);
  },
});
const revisions = await readRevisions(store);
// Killed processes keep nothing for the next one by themselves.
flushCompileCache();
writeSync(1, 'ready\n');
for (let operation = first; operation < first + count; operation += 1) {
  if (workload === 'mixed') await appendEvidence(store, operation);
  const commit = commitOf(operation, workload, revisions);
  const result = await store.commit(commit).catch((error: unknown): CommitResult | undefined => {
    if (goesOn) return undefined;
    throw error;
  });
  if (result?.outcome === 'committed') {
    writeSync(1, `ack ${operation} ${result.revision}\n`);
    for (const { id } of commit.writes) revisions.set(id, result.revision);
  }
}
await store.close();
