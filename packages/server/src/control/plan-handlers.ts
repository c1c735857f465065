/** Handlers of plans. */
import { readPlan, writePlan } from '@understudy/contract/plan-file';
import { AppError } from '@understudy/core/errors';
import { findPlan, listPlans, savePlan } from '../commands/plans.ts';
import type { Handlers } from './call.ts';

export const PLAN_HANDLERS = {
  listPlans: async (context) => (await listPlans(context)).map(writePlan),
  getPlan: async (context, { params }) => writePlan(await findPlan(context, params.plan)),
  savePlan: async (context, { caller, params, body }) => {
    const plan = readPlan(body);
    if (plan.name !== params.plan) {
      throw new AppError(
        'request.invalid',
        `cannot save a plan named "${plan.name}" under "${params.plan}"; make the name in the body and in the address the same`,
      );
    }
    const receipt = await savePlan(context, caller, plan);
    return writePlan(await findPlan(context, receipt.id));
  },
} satisfies Partial<Handlers>;
