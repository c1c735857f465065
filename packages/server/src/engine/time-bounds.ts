/** What the store knows of time before there is a clock: how far it has come, and whether a jump would cut something short. */
import type { CommandContext } from '../commands/command.ts';
import { loadEnvironment } from '../commands/queries.ts';
import { provisionalOf } from './late-truth.ts';

type Stored = Pick<CommandContext, 'store' | 'environment'>;

/** The newest moment at which something was stored, in milliseconds since the epoch; -Infinity when nothing was. */
export async function newestMomentOf({ store, environment }: Stored): Promise<number> {
  const entries = await store.journal(environment, { order: 'newest-first', limit: 1 });
  const gateways = await store.gateways(environment);
  return Math.max(-Infinity, ...entries.map(({ atMs }) => atMs), ...gateways.map(({ seenAtMs }) => seenAtMs));
}

/** Whether a rollout is live, or a promotion may still be undone. */
export async function isAnythingOnTrial(stored: Stored, atMs: number): Promise<boolean> {
  const state = await loadEnvironment(stored);
  return state.models.some(({ liveRollout }) => liveRollout !== undefined) || provisionalOf(state, atMs).size > 0;
}
