/** What is stored about one rollout, read back in small pieces: its states, its decisions, its evidence. Replays depend on it. */
import { setImmediate } from 'node:timers/promises';
import { RolloutStateSchema } from '@understudy/contract/rollout-documents';
import type { StoredBlock } from '@understudy/core/evidence-pool';
import type { RecordedState, Recording } from '@understudy/core/replay';
import { isLive, type Rollout } from '@understudy/core/rollout';
import { LOOK_BACK_MS } from '@understudy/core/rollout-ledger';
import { z } from 'zod';
import type { CommandContext } from '../commands/command.ts';

/** Where to read. */
export type RecordingSource = Pick<CommandContext, 'store' | 'environment'>;

/**
 * A recording is held in memory, some 2 kB a block: 200 MB for this many. One gateway makes two blocks a second, so it is
 * 14 hours of a rollout.
 */
export const MOST_BLOCKS = 100_000;

// A few milliseconds of parsing, after which predictions get their turn.
const BLOCKS_PER_TURN = 100;

const ENTRIES_PER_READ = 500;
// Waiting is written down when its cause changes, so a rollout has a handful to some hundreds; older ones are left out.
const MOST_DECISIONS = 5000;

/** Only this part of a rollout's document: the rest never changes, and what an older release wrote may lack some of it. */
const StateInJournal = z.object({ state: RolloutStateSchema });

/**
 * Everything that a replay needs.
 * @returns undefined when there is more evidence than {@link MOST_BLOCKS}
 */
export async function readRecording(source: RecordingSource, rollout: Rollout): Promise<Recording | undefined> {
  const { store, environment } = source;
  // In this order: of a rollout that goes on, every decision finds the state and the evidence that it was made on.
  const decisions = await store.decisions(environment, rollout.id, MOST_DECISIONS);
  const states = await statesOf(source, rollout.id);
  const evidence: StoredBlock[] = [];
  // A hold may have been decided while another control plane was ending the rollout, and be stored after the end.
  const lastMs = Math.max(0, ...decisions.map(({ atMs }) => atMs));
  for await (const stored of evidenceOf(source, rollout, lastMs)) {
    if (evidence.length === MOST_BLOCKS) return undefined;
    evidence.push(stored);
  }
  return { rollout, states, decisions: decisions.toReversed(), evidence };
}

/**
 * Evidence that the rollout's decisions rest on, in the order of storage: its own, and the model's of the hour before it.
 * @param lastMs of the newest decision, which may be later than the end
 */
export async function* evidenceOf(
  { store, environment }: RecordingSource,
  rollout: Rollout,
  lastMs = 0,
): AsyncGenerator<StoredBlock, void> {
  const { id, model, startedAtMs, state } = rollout;
  const untilMs = isLive(state) || !('atMs' in state) ? Infinity : Math.max(state.atMs, lastMs);
  const source = { model, sinceMs: startedAtMs - LOOK_BACK_MS, limit: BLOCKS_PER_TURN };
  let afterCursor = 0;
  for (;;) {
    const rows = await store.evidence(environment, { ...source, afterCursor });
    for (const { cursor, block, seenAtMs } of rows) {
      if (seenAtMs > untilMs) return;
      afterCursor = cursor;
      if (block.rollout === id || seenAtMs < startedAtMs) yield { block, seenAtMs };
    }
    if (rows.length < BLOCKS_PER_TURN) return;
    await setImmediate();
  }
}

/**
 * Whether evidence that the rollout rests on may have been deleted since.
 * @returns since when evidence is kept, or false when nothing is missing
 */
export async function missingEvidence(
  { store, environment }: RecordingSource,
  { startedAtMs }: Rollout,
): Promise<false | { readonly keptSinceMs?: number }> {
  const [oldest] = await store.evidence(environment, { afterCursor: 0, limit: 1 });
  if (oldest === undefined) return {};
  // What is old is deleted oldest first, and cursors count from 1.
  const isWhole = oldest.cursor === 1 || oldest.block.startMs <= startedAtMs - LOOK_BACK_MS;
  return isWhole ? false : { keptSinceMs: oldest.block.startMs };
}

async function statesOf({ store, environment }: RecordingSource, id: string): Promise<readonly RecordedState[]> {
  const states: RecordedState[] = [];
  let afterRevision = 0;
  for (;;) {
    const query = { subject: { kind: 'rollout', id }, order: 'oldest-first', limit: ENTRIES_PER_READ, afterRevision } as const;
    const entries = await store.journal(environment, query);
    for (const { revision, atMs, changes } of entries) {
      afterRevision = revision;
      const change = changes.find(({ kind, id: changed }) => kind === 'rollout' && changed === id);
      const after = StateInJournal.safeParse(change?.after);
      if (after.success) states.push({ revision, atMs, state: after.data.state });
    }
    if (entries.length < ENTRIES_PER_READ) return states;
    await setImmediate();
  }
}
