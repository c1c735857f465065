/** Reads stored evidence block by block, from where it last stopped. Ledgers of rollouts and watches are filled through it. */
import { setImmediate } from 'node:timers/promises';
import { EMPTY_TALLY, mergeTallies, type Tally } from '@understudy/core/evidence';
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
 * Hands every block stored since to `absorb`, in the order of storage, with the cursor to go on from after it. Reading may fail
 * half-way: whoever reads on begins after the last block that they were given, so that none counts twice.
 */
export async function readEvidence(
  context: Pick<CommandContext, 'store' | 'environment'>,
  source: EvidenceSource,
  absorb: (stored: StoredBlock, cursor: number) => void,
): Promise<void> {
  let cursor = source.afterCursor;
  for (;;) {
    const { model, sinceMs } = source;
    const chunk = await context.store.evidence(context.environment, { model, sinceMs, afterCursor: cursor, limit: CHUNK });
    for (const { block, seenAtMs, cursor: read } of chunk) {
      absorb({ block, seenAtMs }, read);
      cursor = read;
    }
    if (chunk.length < CHUNK) return;
    await setImmediate();
  }
}

/** What a version did as champion. */
export interface ChampionTraffic {
  readonly tally: Tally;
  /** Begin of its oldest block; undefined without any. */
  readonly firstMs: number | undefined;
}

/** Adds up what was stored since of a version as champion. */
export async function readChampionTraffic(
  context: Pick<CommandContext, 'store' | 'environment'>,
  { version, ...source }: Omit<EvidenceSource, 'afterCursor'> & { readonly version: string | undefined },
): Promise<ChampionTraffic> {
  let traffic: ChampionTraffic = { tally: EMPTY_TALLY, firstMs: undefined };
  await readEvidence(context, { ...source, afterCursor: 0 }, ({ block }) => {
    if (block.version !== version || block.arm !== 'champion') return;
    const firstMs = Math.min(traffic.firstMs ?? block.startMs, block.startMs);
    traffic = { tally: mergeTallies(traffic.tally, block.tally), firstMs };
  });
  return traffic;
}
