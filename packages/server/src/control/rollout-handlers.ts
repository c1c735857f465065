/** Handlers of rollouts. */
import { type PlanFile, readPlan } from '@understudy/contract/plan-file';
import type { RolloutView } from '@understudy/contract/views';
import type { Plan } from '@understudy/core/plan';
import type { Caller, CommandContext } from '../commands/command.ts';
import { findPlan } from '../commands/plans.ts';
import { getModel, getRollout, listRollouts } from '../commands/queries.ts';
import type { Receipt } from '../commands/receipt.ts';
import {
  abortRollout,
  approveRollout,
  pauseRollout,
  promoteRollout,
  resumeRollout,
  retryRollout,
  rollBackRollout,
  startRollout,
} from '../commands/rollouts.ts';
import type { HandlerContext, Handlers } from './call.ts';
import { printableReadings } from './printable-readings.ts';
import { viewRollout, viewRollouts } from './rollout-view.ts';

export const ROLLOUT_HANDLERS = {
  startRollout: async (context, { caller, body }) => {
    const plan = await planOf(context, body.plan);
    const receipt = await startRollout(context, caller, { ...body, plan, rehearse: context.checks.rehearse });
    return viewById(context, receipt.id);
  },
  listRollouts: async (context, { query }) => {
    if (query.model !== undefined) await getModel(context, query.model);
    return viewRollouts(context, await listRollouts(context, query.model));
  },
  getRollout: (context, { params }) => viewById(context, params.rollout),
  listDecisions: async (context, { params, query }) => {
    const { id } = await getRollout(context, params.rollout);
    const stored = await context.store.decisions(context.environment, id, query.limit);
    return stored.map(({ decision, ...rest }) => ({
      ...rest,
      decision: { ...decision, guards: printableReadings(decision.guards) },
    }));
  },
  replayRollout: async (context, { params, body }) => {
    const rollout = await getRollout(context, params.rollout);
    return context.engine.replay(rollout, body.plan === undefined ? undefined : await planOf(context, body.plan));
  },
  getRolloutEvidence: async (context, { params }) => context.engine.evidenceOf(await getRollout(context, params.rollout)),
  pauseRollout: act(pauseRollout),
  resumeRollout: act(resumeRollout),
  approveRollout: act(approveRollout),
  promoteRollout: async (context, { caller, params, body }) =>
    viewById(context, (await promoteRollout(context, caller, { ...params, ...body })).id),
  abortRollout: act(abortRollout),
  rollBackRollout: act(rollBackRollout),
  stepRollout: async (context, { caller, params, body }) => {
    const { id } = await getRollout(context, params.rollout);
    await context.engine.step(id, { ...body, ...caller });
    return viewById(context, id);
  },
  retryRollout: async (context, { caller, params, body }) => {
    const { plan: wish, ...rest } = body;
    const plan = wish === undefined ? {} : { plan: await planOf(context, wish) };
    const receipt = await retryRollout(context, caller, { ...params, ...rest, ...plan, rehearse: context.checks.rehearse });
    return viewById(context, receipt.id);
  },
} satisfies Partial<Handlers>;

interface Action {
  readonly rollout: string;
  readonly reason: string;
}

type Command = (context: CommandContext, caller: Caller, input: Action) => Promise<Receipt>;

/** A handler that does one thing to one rollout and answers with the rollout. */
function act(command: Command) {
  return async (
    context: HandlerContext,
    call: { readonly caller: Caller; readonly params: Pick<Action, 'rollout'>; readonly body: Pick<Action, 'reason'> },
  ): Promise<RolloutView> => {
    const receipt = await command(context, call.caller, { ...call.params, ...call.body });
    return viewById(context, receipt.id);
  };
}

async function viewById(context: HandlerContext, id: string): Promise<RolloutView> {
  return viewRollout(context, await getRollout(context, id));
}

/** A plan by name, or the one that is written out in the request. */
async function planOf(context: HandlerContext, plan: string | PlanFile): Promise<Plan> {
  return typeof plan === 'string' ? findPlan(context, plan) : readPlan(plan);
}
