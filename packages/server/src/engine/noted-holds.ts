/** Which waiting was written down last: it is noted when its cause changes, not at every look. The judge depends on it. */
import { type Decision, stepOf } from '@understudy/core/rollout';
import type { CommandContext } from '../commands/command.ts';

export interface NotedHolds {
  /** Whether a hold has another cause than what was noted last, here, by another process or before a restart. */
  isNew(rollout: string, hold: Decision): Promise<boolean>;
  /** Remembers a hold that was committed. */
  note(rollout: string, hold: Decision): void;
  keepOnly(isKept: (rollout: string) => boolean): void;
}

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
    keepOnly(isKept) {
      for (const rollout of causes.keys()) if (!isKept(rollout)) causes.delete(rollout);
    },
  };
}

/** What makes one waiting different from another, however keys are ordered in a store. */
function causeOf({ verdict, heldFor, would, next, guards }: Decision): string {
  const since = 'sinceMs' in next ? next.sinceMs : next.atMs;
  const place = [next.phase, stepOf(next), since];
  return JSON.stringify([verdict, heldFor, would, place, guards.map((guard) => [guard.guard, guard.verdict])]);
}
