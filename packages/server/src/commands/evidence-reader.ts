/** Reads stored evidence block by block, from where it last stopped. Ledgers of rollouts and watches are filled through it. */
import { setImmediate } from 'node:timers/promises';
import type { StoredBlock } from '@understudy/core/evidence-pool';
import type { CommandContext } from './command.ts';

// A second of a hundred gateways in one read, some ten milliseconds to take in. Between chunks others get their turn: after a
// restart days of evidence may have to be read, in a process that serves predictions as well.
const CHUNK = 250;

/** Which evidence is read: of one model, stored at a time or later, after a cursor. */
export interface EvidenceSource {
  readonly model: string;
  readonly sinceMs: number;
  readonly afterCursor: number;
}

/**
 * Hands every block stored since to `absorb`, in the order of storage.
 * @returns the cursor to go on from next time
 */
export async function readEvidence(
  context: Pick<CommandContext, 'store' | 'environment'>,
  source: EvidenceSource,
  absorb: (stored: StoredBlock) => void,
): Promise<number> {
  let cursor = source.afterCursor;
  for (;;) {
    const { model, sinceMs } = source;
    const chunk = await context.store.evidence(context.environment, { model, sinceMs, afterCursor: cursor, limit: CHUNK });
    for (const { block, seenAtMs } of chunk) absorb({ block, seenAtMs });
    cursor = chunk.at(-1)?.cursor ?? cursor;
    if (chunk.length < CHUNK) return cursor;
    await setImmediate();
  }
}
