/** What runs by itself while the process lives: the engine's ticks, catching up with other processes, deleting what is old. */
import type { Clock } from './clock.ts';

/** What needs to be kept going. */
export interface Housekeeping {
  readonly engine: { tick(): Promise<void> };
  /** Begins to ask what is due; answers come in their own time. */
  readonly checks: { tick(): Promise<void> };
  readonly feeds: readonly { refresh(): Promise<unknown> }[];
  readonly store: {
    revision(environment: string): Promise<number>;
    prune(environment: string, before: ReturnType<typeof pruneBoundsAt>): Promise<unknown>;
  };
  /** Of all models, the longest time after which labels of a request are due. */
  readonly longestDueMs: () => Promise<number>;
  readonly config: { readonly environment: string; readonly evidenceDays: number };
  readonly clock: Clock;
  readonly log: { error(fields: object, event: string): void };
}

const TICK_MS = 1000;
const PRUNE_EVERY_TICKS = 3600;
const DAY_MS = 86_400_000;

/** Begins. Rounds never overlap; a round that fails is logged and the next one tries again. */
export function startHousekeeping(kept: Housekeeping): { close(): Promise<void> } {
  let isClosed = false;
  let rounds = 0;
  let working: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  async function round(): Promise<void> {
    rounds += 1;
    try {
      await kept.checks.tick();
      await kept.engine.tick();
      // Commits of this process are seen at once; this is for those of others, and tells gateways that what they have is the newest.
      for (const feed of kept.feeds) await feed.refresh();
      if (rounds % PRUNE_EVERY_TICKS === 0) await prune(kept);
    } catch (error) {
      kept.log.error({ err: error }, 'housekeeping.failed');
    }
    schedule();
  }

  function schedule(): void {
    if (isClosed) return;
    timer = setTimeout(() => {
      working = round();
    }, TICK_MS);
    timer.unref();
  }

  schedule();
  return {
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await working;
    },
  };
}

async function prune({ store, config, clock, longestDueMs }: Housekeeping): Promise<void> {
  const longest = await longestDueMs();
  await store.prune(
    config.environment,
    pruneBoundsAt(clock.nowMs(), { evidenceDays: config.evidenceDays, longestDueMs: longest }),
  );
}

/** Feedback is kept as long as evidence, counted from when it is due: before, it is not evidence yet. */
export function pruneBoundsAt(nowMs: number, kept: { readonly evidenceDays: number; readonly longestDueMs: number }) {
  const evidenceMs = nowMs - kept.evidenceDays * DAY_MS;
  return { evidenceMs, feedbackMs: evidenceMs - kept.longestDueMs, idempotencyMs: nowMs - DAY_MS };
}
