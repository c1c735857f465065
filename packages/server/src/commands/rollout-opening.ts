/** What a rollout starts with: baselines, bins and plan as they are fixed for it, after a look at the champion's last hour. */
import type { CheckConfig } from '@understudy/core/checks/config';
import type { CheckSubject } from '@understudy/core/checks/template';
import { AppError } from '@understudy/core/errors';
import type { Tally } from '@understudy/core/evidence';
import type { Model } from '@understudy/core/model';
import type { ModelVersion } from '@understudy/core/model-version';
import type { Plan } from '@understudy/core/plan';
import type { Baselines, Rollout } from '@understudy/core/rollout';
import { LOOK_BACK_MS } from '@understudy/core/rollout-ledger';
import { checkStart } from '@understudy/core/start-check';
import type { CommandContext } from './command.ts';
import { readChampionTraffic } from './evidence-reader.ts';

/** The parts of a rollout that are fixed at its start, so that nothing that happens later chooses its own yardstick. */
export type RolloutOpening = Pick<Rollout, 'plan' | 'baselines' | 'bins' | 'remarks'>;

/** What asking the checks of a plan before its start came to. */
export interface RehearsedChecks {
  /** What no rollout starts with. */
  readonly refusals: readonly string[];
  /** What the plan's `startCheck` is about. */
  readonly problems: readonly string[];
}

/** Asks every check once. Never throws. */
export type RehearseChecks = (checks: readonly CheckConfig[], subject: CheckSubject) => Promise<RehearsedChecks>;

/** Who is compared, and how. */
export interface Trial {
  readonly model: Model;
  readonly champion: ModelVersion | undefined;
  readonly challenger: ModelVersion;
  readonly plan: Plan;
  readonly atMs: number;
  /** What the plan's checks came to; nothing is wrong with them unless told. */
  readonly rehearsed?: RehearsedChecks;
}

/** @throws AppError `rollout.start_refused` when the plan refuses to start on what is found, no guard is left, or a check has no secret */
export async function openingOf(context: CommandContext, trial: Trial): Promise<RolloutOpening> {
  const { model, champion, challenger, plan } = trial;
  const baselines: Baselines = {
    ...(champion?.baseline === undefined ? {} : { champion: champion.baseline }),
    ...(challenger.baseline === undefined ? {} : { challenger: challenger.baseline }),
  };
  const check = checkStart({
    plan,
    baselines,
    ...(await recentTraffic(context, trial)),
    deadlineMs: model.routing.deadlineMs,
  });
  const { refusals = [], problems: ofChecks = [] } = trial.rehearsed ?? {};
  const problems = [...check.problems, ...refusals, ...ofChecks];
  const isBare = check.plan.policy.kind === 'sequential' && check.plan.policy.guards.length === 0;
  if (isBare || refusals.length > 0 || (plan.startCheck === 'refuse' && problems.length > 0)) {
    throw new AppError(
      'rollout.start_refused',
      `cannot start a rollout of ${challenger.version} for "${model.name}": ${problems.join('; ')}`,
    );
  }
  return {
    plan: check.plan,
    baselines,
    ...(check.bins === undefined ? {} : { bins: check.bins }),
    ...(problems.length === 0 ? {} : { remarks: problems }),
  };
}

/** The champion's last hour, or as much of it as there was traffic. */
async function recentTraffic(
  context: CommandContext,
  { model, atMs }: Trial,
): Promise<{ readonly recent: Tally; readonly recentMs: number }> {
  const source = { model: model.name, version: model.champion, sinceMs: atMs - LOOK_BACK_MS };
  const { tally: recent, firstMs } = await readChampionTraffic(context, source);
  return { recent, recentMs: firstMs === undefined || recent.requests === 0 ? LOOK_BACK_MS : Math.max(1000, atMs - firstMs) };
}
