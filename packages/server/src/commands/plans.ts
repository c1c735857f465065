/** Plans by name: those that come with the product, and those that people saved. */
import { AppError } from '@understudy/core/errors';
import { BUILT_IN_PLANS, type Plan } from '@understudy/core/plan';
import { type Caller, type CommandContext, runCommand } from './command.ts';
import { create, hold, listBodies, type QueryContext, replace } from './queries.ts';
import type { Receipt } from './receipt.ts';

/** @throws AppError `plan.not_found` */
export async function findPlan(context: QueryContext, name: string): Promise<Plan> {
  const plans = await listPlans(context);
  const found = plans.find((plan) => plan.name === name);
  if (found !== undefined) return found;
  throw new AppError('plan.not_found', `there is no plan "${name}"; there are ${plans.map((plan) => plan.name).join(', ')}`);
}

/** Built-in plans first, then saved ones by name. */
export async function listPlans(context: QueryContext): Promise<readonly Plan[]> {
  return [...BUILT_IN_PLANS, ...(await listBodies(context, 'plan'))];
}

/** Saves a plan under its name. @throws AppError `plan.invalid` for the name of a built-in plan */
export async function savePlan(context: CommandContext, caller: Caller, plan: Plan): Promise<Receipt> {
  if (BUILT_IN_PLANS.some((builtIn) => builtIn.name === plan.name)) {
    throw new AppError(
      'plan.invalid',
      `"${plan.name}" comes with the product and cannot be replaced; save yours under another name`,
    );
  }
  return runCommand(context, caller, async () => {
    const held = await hold(context, 'plan', plan.name);
    const writes = [held === undefined ? create('plan', plan.name, plan) : replace('plan', held, plan)];
    const message = `saved plan "${plan.name}"`;
    return { commit: { writes, action: 'plan.saved', reason: message }, receipt: { outcome: 'done', message, id: plan.name } };
  });
}
