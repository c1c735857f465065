/** Commits to PostgreSQL in a loop and acknowledges each commit with one write to standard output, until it is killed. */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { z } from 'zod';
import { openPostgresStore } from '../postgres-store.ts';
import { ENVIRONMENT, keyOf } from './operations.ts';

const Task = z.strictObject({ address: z.string(), writer: z.string(), first: z.int().nonnegative() });
const { address, writer, first } = Task.parse(JSON.parse(process.argv[2] ?? ''));

const store = await openPostgresStore(address, { deadlineMs: 60_000 });
let revision = (await store.read(ENVIRONMENT, 'model', writer))?.revision ?? 0;
// Killed processes keep nothing for the next one by themselves.
flushCompileCache();
writeSync(1, 'ready\n');
for (let operation = first; ; operation += 1) {
  const result = await store.commit({
    environment: ENVIRONMENT,
    writes: [{ kind: 'model', id: writer, expectedRevision: revision, body: { operation } }],
    actor: writer,
    action: 'model.changed',
    reason: '',
    atMs: operation,
    idempotency: { key: `${writer}-${keyOf(operation)}`, request: 'digest', answer: operation },
  });
  if (result.outcome !== 'committed') throw new Error(`unexpected outcome ${result.outcome}`);
  revision = result.revision;
  writeSync(1, `ack ${operation}\n`);
}
