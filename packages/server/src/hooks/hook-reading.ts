/** Reads the journal on for hooks, from where each has come. The sender depends on it. */
import { type Hook, MOST_PENDING, type PendingDelivery } from '@understudy/core/hook';
import type { CommandContext } from '../commands/command.ts';

/** What a hook has to be told, and up to where that is everything. */
export interface NewMessages {
  readonly cursor: number;
  readonly pending: readonly PendingDelivery[];
}

export interface HookReading {
  /** Stops where too much is waiting already: the rest stays in the journal. */
  findNew(hook: Hook, atMs: number): Promise<NewMessages>;
  /** Forgets hooks that are not among these. */
  keepOnly(hooks: readonly Hook[]): void;
}

const ENTRIES_PER_READ = 100;
const READS_PER_ROUND = 20;

export function openHookReading({ environment, store }: Pick<CommandContext, 'environment' | 'store'>): HookReading {
  // By salt, up to where the journal has nothing for a hook: only what is for it is written down.
  const scanned = new Map<string, number>();

  return {
    async findNew(hook, atMs) {
      const found: PendingDelivery[] = [];
      let { cursor } = hook.progress;
      let afterRevision = Math.max(cursor, scanned.get(hook.salt) ?? 0);
      for (let reads = 0; reads < READS_PER_ROUND; reads += 1) {
        const entries = await store.journal(environment, { afterRevision, order: 'oldest-first', limit: ENTRIES_PER_READ });
        for (const { revision, action } of entries) {
          afterRevision = revision;
          if (hook.events.some((event) => event === action)) {
            if (hook.progress.pending.length + found.length >= MOST_PENDING) return { cursor, pending: found };
            found.push({ revision, attempts: 0, firstAtMs: atMs, nextAtMs: atMs });
            cursor = revision;
          } else if (found.length === 0) scanned.set(hook.salt, revision);
        }
        if (entries.length < ENTRIES_PER_READ) break;
      }
      return { cursor, pending: found };
    },
    keepOnly(hooks) {
      const salts = new Set(hooks.map(({ salt }) => salt));
      for (const salt of scanned.keys()) if (!salts.has(salt)) scanned.delete(salt);
    },
  };
}
