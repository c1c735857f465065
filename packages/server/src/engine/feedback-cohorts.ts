/** Turns feedback into evidence: each cohort of requests once, when its labels are due, through the way that gateways report. */
import { blocksOfCohort, cohortOf, newestDueCohort } from '@understudy/core/feedback';
import type { ServiceReport } from '@understudy/contract/report';
import { labelsDueMsOf, type Model } from '@understudy/core/model';
import type { CommandContext } from '../commands/command.ts';

export interface FeedbackCohorts {
  /** Judges every cohort of the model that has become due. Safe to repeat, and to do in several processes at once. */
  judge(model: Model): Promise<void>;
}

// So much of the past is looked at after a restart: cohorts that were judged before it are recognised and count once.
const CATCH_UP_MS = 86_400_000;

export function openFeedbackCohorts({
  store,
  environment,
  clock,
}: Pick<CommandContext, 'store' | 'environment' | 'clock'>): FeedbackCohorts {
  const nextCohorts = new Map<string, number>();
  return {
    async judge(model) {
      const atMs = clock.nowMs();
      const dueMs = labelsDueMsOf(model);
      const toCohort = newestDueCohort(atMs, dueMs);
      const fromCohort = nextCohorts.get(model.name) ?? cohortOf(atMs - dueMs - CATCH_UP_MS);
      if (toCohort < fromCohort) return;
      const sums = await store.feedback(environment, { model: model.name, fromCohort, toCohort });
      for (const [cohort, together] of Map.groupBy(sums, (sum) => sum.cohort)) {
        const blocks = [...blocksOfCohort(model.name, together, atMs)];
        // The name cannot be a gateway's; the cohort's number makes it count once, whoever judges it.
        const report: ServiceReport = { gateway: `feedback:${model.name}`, boot: 'cohort', sequence: cohort, blocks };
        await store.appendReport(environment, report, atMs);
      }
      nextCohorts.set(model.name, toCohort + 1);
    },
  };
}
