/** Endpoints of rollouts and plans. */
import { z } from 'zod';
import { Name } from './documents.ts';
import { base, type Endpoint, Limit, OverrideFreeze, Reason, WithReason } from './endpoint.ts';
import { PlanFile } from './plan-file.ts';
import { DecisionView, ReplayView, RolloutEvidenceView, RolloutView } from './views.ts';

const OfRollout = z.strictObject({ rollout: Name });

export const ROLLOUT_ENDPOINTS = {
  startRollout: {
    ...base,
    method: 'POST',
    path: '/rollouts',
    scope: 'operate',
    summary: 'Start a rollout of a challenger',
    body: z.strictObject({
      model: Name,
      challenger: Name,
      plan: z.union([Name, PlanFile]).default('standard').meta({ description: 'The name of a plan, or a plan.' }),
      reason: Reason.default('start'),
    }),
    answer: RolloutView,
  },
  listRollouts: {
    ...base,
    method: 'GET',
    path: '/rollouts',
    scope: 'read',
    summary: 'Rollouts, newest first',
    query: z.strictObject({ model: Name.exactOptional() }),
    answer: z.array(RolloutView),
  },
  getRollout: {
    ...base,
    method: 'GET',
    path: '/rollouts/:rollout',
    scope: 'read',
    summary: 'One rollout with what the engine sees now',
    params: OfRollout,
    answer: RolloutView,
  },
  listDecisions: {
    ...base,
    method: 'GET',
    path: '/rollouts/:rollout/decisions',
    scope: 'read',
    summary: 'Decisions on a rollout, newest first, with the numbers they rest on',
    params: OfRollout,
    query: z.strictObject({ limit: Limit }),
    answer: z.array(DecisionView),
  },
  replayRollout: {
    ...base,
    method: 'POST',
    path: '/rollouts/:rollout/replay',
    scope: 'read',
    summary: 'Decide a rollout again from its stored evidence and compare; changes nothing',
    params: OfRollout,
    body: z.strictObject({
      plan: z.union([Name, PlanFile]).exactOptional().meta({
        description: 'Another plan, by name or written out: where would it have decided otherwise?',
      }),
    }),
    answer: ReplayView,
  },
  getRolloutEvidence: {
    ...base,
    method: 'GET',
    path: '/rollouts/:rollout/evidence',
    scope: 'read',
    summary: 'What both arms did in each step, added up',
    params: OfRollout,
    answer: RolloutEvidenceView,
  },
  pauseRollout: rolloutAction('pause', 'Freeze the share; guards stay armed'),
  resumeRollout: rolloutAction('resume', 'Go on from where the rollout was paused'),
  approveRollout: rolloutAction('approve', 'Agree that the rollout leaves its present step upwards'),
  promoteRollout: {
    ...rolloutAction('promote', 'Make the challenger champion now, whatever the evidence; approvals are needed as ever'),
    body: z.strictObject({ overrideFreeze: OverrideFreeze, reason: Reason }),
  },
  abortRollout: rolloutAction('abort', 'End the rollout without blaming the challenger'),
  rollBackRollout: rolloutAction('rollback', 'End the rollout and mark the challenger unhealthy'),
  stepRollout: {
    ...base,
    method: 'POST',
    path: '/rollouts/:rollout/step',
    scope: 'operate',
    summary: 'Ask the engine for a decision now instead of at the next check',
    params: OfRollout,
    body: z.strictObject({
      skipHold: z.boolean().default(false).meta({ description: 'Pass the hold time of this step; guards still apply.' }),
      overrideFreeze: OverrideFreeze,
      reason: Reason.default('manual step'),
    }),
    answer: RolloutView,
  },
  retryRollout: {
    ...base,
    method: 'POST',
    path: '/rollouts/:rollout/retry',
    scope: 'operate',
    summary: 'Start again after a rollback, with the same subjects; also with another challenger',
    params: OfRollout,
    body: z.strictObject({
      challenger: Name.exactOptional(),
      plan: z.union([Name, PlanFile]).exactOptional(),
      reason: Reason.default('retry'),
    }),
    answer: RolloutView,
  },
  listPlans: {
    ...base,
    method: 'GET',
    path: '/plans',
    scope: 'read',
    summary: 'Built-in and saved plans',
    answer: z.array(PlanFile),
  },
  getPlan: {
    ...base,
    method: 'GET',
    path: '/plans/:plan',
    scope: 'read',
    summary: 'One plan',
    params: z.strictObject({ plan: Name }),
    answer: PlanFile,
  },
  savePlan: {
    ...base,
    method: 'PUT',
    path: '/plans/:plan',
    scope: 'operate',
    summary: 'Save a plan under a name; live rollouts keep the plan they started with',
    params: z.strictObject({ plan: Name }),
    body: PlanFile,
    answer: PlanFile,
  },
} as const satisfies Record<string, Endpoint>;

function rolloutAction<Verb extends string>(verb: Verb, summary: string) {
  return {
    ...base,
    method: 'POST',
    path: `/rollouts/:rollout/${verb}`,
    scope: 'operate',
    summary,
    params: OfRollout,
    body: WithReason,
    answer: RolloutView,
  } as const;
}
