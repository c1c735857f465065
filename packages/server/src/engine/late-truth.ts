/** Undoes a promotion when the truth about the rollout's requests, which comes late, speaks against the new champion. */
import { isAppError } from '@understudy/core/errors';
import { labelsDueMsOf } from '@understudy/core/model';
import { provisionalUntil } from '@understudy/core/provisional';
import type { Rollout } from '@understudy/core/rollout';
import type { EnvironmentState } from '@understudy/core/snapshot';
import type { CommandContext } from '../commands/command.ts';
import { rollBackModel } from '../commands/models.ts';
import type { RolloutJudge } from './rollout-judge.ts';

/** Why a promotion was undone, and what came of it. */
export interface Undone {
  readonly reason: string;
  readonly outcome: string;
}

export interface LateTruth {
  /** Judges the labels of a promoted rollout and acts on them. @returns undefined while nothing speaks against it */
  check(rollout: Rollout): Promise<Undone | undefined>;
}

/** By model, the rollout that made the present champion, as long as its promotion is provisional. */
export function provisionalOf({ models, rollouts }: EnvironmentState, atMs: number): ReadonlyMap<string, Rollout> {
  const found = new Map<string, Rollout>();
  for (const model of models) {
    const made = rollouts.find((rollout) => {
      const untilMs = rollout.model === model.name ? provisionalUntil(rollout, labelsDueMsOf(model)) : undefined;
      return untilMs !== undefined && atMs < untilMs && rollout.challenger === model.champion;
    });
    if (made !== undefined) found.set(model.name, made);
  }
  return found;
}

export function openLateTruth(context: CommandContext, judge: Pick<RolloutJudge, 'lookAt'>): LateTruth {
  return {
    async check(rollout) {
      const { judgement } = await judge.lookAt(rollout);
      if (judgement?.verdict !== 'harmful') return undefined;
      const { model, challenger: version } = rollout;
      const reason = `late truth about rollout "${rollout.id}": ${judgement.reason}`;
      try {
        const { message } = await rollBackModel(context, { actor: 'engine' }, { model, version, reason });
        return { reason, outcome: message };
      } catch (error) {
        // The alarm is stored, and the champion goes on: there is nobody to go back to.
        if (!isAppError(error, 'rollback.no_target')) throw error;
        return { reason, outcome: error.message };
      }
    },
  };
}
