/** Handlers of plans. */
import { readPlan, writePlan } from '@understudy/contract/plan-file';
import { AppError } from '@understudy/core/errors';
import { findPlan, listPlans, savePlan } from '../commands/plans.ts';
import type { Plan } from '@understudy/core/plan';
import type { Handlers } from './call.ts';
import type { CheckDesk } from './ports.ts';

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
    assertAddresses(context.checks, plan);
    const receipt = await savePlan(context, caller, plan);
    return writePlan(await findPlan(context, receipt.id));
  },
} satisfies Partial<Handlers>;

function assertAddresses(desk: CheckDesk, { name, checks = [] }: Plan): void {
  const problems = checks.flatMap((check) => {
    const problem = desk.addressProblemOf(check);
    return problem === undefined ? [] : [`the check "${check.name}" may not call ${check.source.url}: ${problem}`];
  });
  if (problems.length > 0) throw new AppError('plan.invalid', `cannot save the plan "${name}": ${problems.join('; ')}`);
}
