/** Which waiting was written down last: it is noted when its cause changes, not at every look. The judge depends on it. */
import { type Decision, stepOf } from '@understudy/core/rollout';
import type { CommandContext } from '../commands/command.ts';

export interface NotedHolds {
  /** Whether a hold has another cause than what was noted last, here, by another process or before a restart. */
  isNew(rollout: string, hold: Decision): Promise<boolean>;
  /** Remembers a hold that was committed. */
  note(rollout: string, hold: Decision): void;
  /** Whether people were told lately that the rollout waits for them at this very place; guards may come and go meanwhile. */
  wasTold(rollout: string, hold: Decision, atMs: number): Promise<boolean>;
  keepOnly(isKept: (rollout: string) => boolean): void;
}

// Whoever has not come by then is told again.
const TOLD_FOR_MS = 43_200_000;
const TOLD_WITHIN = 20;

export function openNotedHolds({ store, environment }: Pick<CommandContext, 'store' | 'environment'>): NotedHolds {
  const causes = new Map<string, string>();
  return {
    async isNew(rollout, hold) {
      const cause = causeOf(hold);
      if (causes.get(rollout) === cause) return false;
      const [newest] = await store.decisions(environment, rollout, 1);
      if (newest === undefined || newest.decision.action !== 'hold' || causeOf(newest.decision) !== cause) return true;
      causes.set(rollout, cause);
      return false;
    },
    note(rollout, hold) {
      causes.set(rollout, causeOf(hold));
    },
    async wasTold(rollout, hold, atMs) {
      const { heldFor, would } = hold;
      if (heldFor === undefined) return false;
      const place = placeOf(hold);
      const newest = await store.decisions(environment, rollout, TOLD_WITHIN);
      return newest.some(
        ({ atMs: toldMs, decision }) =>
          decision.heldFor === heldFor && decision.would === would && placeOf(decision) === place && atMs - toldMs < TOLD_FOR_MS,
      );
    },
    keepOnly(isKept) {
      for (const rollout of causes.keys()) if (!isKept(rollout)) causes.delete(rollout);
    },
  };
}

/** What makes one waiting different from another, however keys are ordered in a store. */
function causeOf(hold: Decision): string {
  const { verdict, heldFor, would, isCutOff, guards } = hold;
  return JSON.stringify([verdict, heldFor, would, isCutOff, placeOf(hold), guards.map((guard) => [guard.guard, guard.verdict])]);
}

/** Where the rollout stands, and since when. */
function placeOf({ next }: Decision): string {
  return JSON.stringify([next.phase, stepOf(next), 'sinceMs' in next ? next.sinceMs : next.atMs]);
}
