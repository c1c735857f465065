/** Commits to a Redis store in a loop and acknowledges each commit with one write to standard output. Fault tests run and kill it. */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { z } from 'zod';
import { commitOf, readRevisions } from '../crash/operations.ts';
import { openRedisStore } from '../redis-store.ts';
import { decide } from '../samples.contract.ts';

const Task = z.strictObject({
  url: z.string(),
  /** Number of the first operation. */
  first: z.int().nonnegative(),
  count: z.int().positive(),
  /** Documents under idempotency keys, or one decision for each window. */
  work: z.enum(['documents', 'windows']),
  planted: z.strictObject({ inPieces: z.boolean().exactOptional(), noCompareAndSet: z.boolean().exactOptional() }),
});
export type LoopTask = z.infer<typeof Task>;

const { url, first, count, work, planted } = Task.parse(JSON.parse(process.argv[2] ?? ''));
const store = await openRedisStore(url, { planted });
const revisions = await readRevisions(store);
// Killed processes keep nothing for the next one by themselves.
flushCompileCache();
writeSync(1, 'ready\n');
for (let operation = first; operation < first + count; operation += 1) {
  const commit = work === 'windows' ? decide('r1', operation) : commitOf(operation, 'several', revisions);
  const result = await store.commit(commit);
  if (result.outcome !== 'committed') continue;
  writeSync(1, `ack ${operation}\n`);
  for (const { id } of commit.writes) revisions.set(id, result.revision);
}
await store.close();
