/** Reads stored evidence block by block, from where it last stopped. Ledgers of rollouts and watches are filled through it. */
import type { StoredBlock } from '@understudy/core/evidence-pool';
import type { CommandContext } from './command.ts';

// Large enough that a second of a hundred gateways is one read, small enough that a restart never holds much at once.
const CHUNK = 2000;

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
  }
}
