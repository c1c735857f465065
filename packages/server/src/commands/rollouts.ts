/** Commands on rollouts: what a person may do, each one atomic change of rollout, model and challenger together. */
import { approvalNeedOf, approve } from '@understudy/core/approval';
import { AppError } from '@understudy/core/errors';
import { crown, findVersion, markUnhealthy, type Model } from '@understudy/core/model';
import { isLoadable, type ModelVersion } from '@understudy/core/model-version';
import { assertNotQuarantined, quarantineOf } from '@understudy/core/quarantine';
import type { Plan as RolloutPlan } from '@understudy/core/plan';
import { type Act, end, isLive, pause, resume, type Rollout, type RolloutState } from '@understudy/core/rollout';
import type { Write } from '../storage/store.ts';
import { type Caller, type CommandContext, type Plan, runCommand } from './command.ts';
import { passFreezes } from './freezes.ts';
import { planRollBack, refuseWithoutTarget } from './models.ts';
import { create, type Held, holdModel, holdRollout, holdVersions, listBodies, replace } from './queries.ts';
import type { Receipt } from './receipt.ts';
import { openingOf, type RehearseChecks } from './rollout-opening.ts';

interface StartInput {
  readonly model: string;
  readonly challenger: string;
  readonly plan: RolloutPlan;
  readonly reason: string;
  /** Asks the plan's checks before the start; left out, they are asked from the first step on. */
  readonly rehearse?: RehearseChecks;
}

interface OnRollout {
  readonly rollout: string;
  readonly reason: string;
}

/**
 * Starts a rollout; the challenger gets traffic once every gateway has it ready.
 * @throws AppError `model.no_champion`, `model.killed`, `rollout.already_live`, `rollout.unfit_challenger`
 */
export async function startRollout(context: CommandContext, caller: Caller, input: StartInput): Promise<Receipt> {
  return runCommand(context, caller, (atMs) => planStart(context, caller, { ...input, atMs }));
}

/** Freezes the share. */
export async function pauseRollout(context: CommandContext, caller: Caller, input: OnRollout): Promise<Receipt> {
  return changeState(context, caller, { ...input, action: 'rollout.paused', change: pause });
}

/** Goes on after a pause. */
export async function resumeRollout(context: CommandContext, caller: Caller, input: OnRollout): Promise<Receipt> {
  return changeState(context, caller, { ...input, action: 'rollout.resumed', change: resume });
}

/** A promotion by hand. */
export interface PromoteInput extends OnRollout {
  readonly overrideFreeze?: boolean;
}

/**
 * Makes the challenger champion now, whatever the evidence.
 * @throws AppError `freeze.active`; `rollout.approval_missing` when a step that is left asks for people who have not agreed
 */
export async function promoteRollout(context: CommandContext, caller: Caller, input: PromoteInput): Promise<Receipt> {
  return runCommand(context, caller, async (atMs) => {
    const rollout = await holdRollout(context, input.rollout);
    const { model, challenger } = rollout.body;
    const attempt = `promote rollout "${input.rollout}"`;
    const state = end(rollout.body, 'promoted', { atMs, by: caller.actor, reason: input.reason });
    const need = approvalNeedOf(rollout.body, 'promotion');
    if (need !== undefined && need.missing > 0) {
      throw new AppError('rollout.approval_missing', `cannot ${attempt}: ${need.sentence}`);
    }
    const passed = await passFreezes(context, { model, atMs, attempt, overrideFreeze: input.overrideFreeze === true });
    const writes = [...(await writesOfEnd(context, rollout, state)), passed.guard];
    const message = `${challenger} is champion of "${model}"`;
    return {
      commit: { writes, action: 'rollout.promoted', reason: input.reason + passed.note },
      receipt: { outcome: 'done', message, id: input.rollout },
    };
  });
}

/**
 * Agrees that a rollout leaves its present step upwards. Said twice it counts once; guards decide as ever.
 * @throws AppError `rollout.invalid_transition` when nobody is asked; `rollout.approval_refused` for who started it
 */
export async function approveRollout(context: CommandContext, caller: Caller, input: OnRollout): Promise<Receipt> {
  return runCommand(context, caller, async (atMs) => {
    const rollout = await holdRollout(context, input.rollout);
    const approved = approve(rollout.body, { atMs, by: caller.actor, reason: input.reason });
    if (approved === rollout.body) {
      return {
        nothing: { outcome: 'already-done', message: `${caller.actor} has approved this step already`, id: input.rollout },
      };
    }
    const need = approvalNeedOf(approved, 'next') ?? approvalNeedOf(approved, 'promotion');
    const message = need?.sentence ?? `approved by ${caller.actor}`;
    return {
      commit: { writes: [replace('rollout', rollout, approved)], action: 'rollout.approved', reason: input.reason },
      receipt: { outcome: 'done', message, id: input.rollout },
    };
  });
}

/** Ends the rollout without blaming the challenger. */
export async function abortRollout(context: CommandContext, caller: Caller, input: OnRollout): Promise<Receipt> {
  return runCommand(context, caller, async (atMs) => {
    const act = { atMs, by: caller.actor, reason: input.reason };
    const rollout = await holdRollout(context, input.rollout);
    const writes = await writesOfEnd(context, rollout, end(rollout.body, 'aborted', act));
    const message = `rollout "${input.rollout}" is aborted; everybody is on ${rollout.body.champion}`;
    return {
      commit: { writes, action: 'rollout.aborted', reason: input.reason },
      receipt: { outcome: 'done', message, id: input.rollout },
    };
  });
}

/**
 * Ends the rollout and marks the challenger unhealthy. After promotion it sends the new champion back. Asked twice, or
 * when the engine was faster, it changes nothing.
 */
export async function rollBackRollout(context: CommandContext, caller: Caller, input: OnRollout): Promise<Receipt> {
  const receipt = await runCommand(context, caller, async (atMs) => {
    const rollout = await holdRollout(context, input.rollout);
    if (rollout.body.state.phase === 'promoted') {
      const { model, challenger: failing } = rollout.body;
      return planRollBack(context, caller, { model, failing, reason: input.reason, atMs });
    }
    if (!isLive(rollout.body.state)) {
      const message = `rollout "${input.rollout}" is ${rollout.body.state.phase} already; nobody is on ${rollout.body.challenger}`;
      return { nothing: { outcome: 'already-done', message, id: input.rollout } };
    }
    const act = { atMs, by: caller.actor, reason: input.reason };
    const writes = await writesOfEnd(context, rollout, end(rollout.body, 'rolled-back', act));
    const message = `everybody is on ${rollout.body.champion}; ${rollout.body.challenger} is marked unhealthy`;
    return {
      commit: { writes, action: 'rollout.rolled-back', reason: input.reason },
      receipt: { outcome: 'done', message, id: input.rollout },
    };
  });
  // Of a promoted one the model's rollback tells; the caller asked about the rollout.
  return { ...refuseWithoutTarget(receipt), id: input.rollout };
}

/** What to change for a second try; the rest is as in the first. */
export interface RetryInput extends OnRollout {
  readonly challenger?: string;
  readonly plan?: RolloutPlan;
  readonly rehearse?: RehearseChecks;
}

/**
 * Starts again after a rollback with the same subjects first in line. Retrying a challenger that is marked unhealthy
 * is a person's word that it is not.
 * @throws AppError `rollout.invalid_transition` while the rollout is live
 */
export async function retryRollout(context: CommandContext, caller: Caller, input: RetryInput): Promise<Receipt> {
  return runCommand(context, caller, async (atMs) => {
    const { body: last } = await holdRollout(context, input.rollout);
    if (isLive(last.state)) {
      throw new AppError(
        'rollout.invalid_transition',
        `cannot retry rollout "${last.id}": it is ${last.state.phase}; abort it first to start again`,
      );
    }
    const challenger = input.challenger ?? last.challenger;
    const plan = input.plan ?? last.plan;
    const { reason, rehearse } = input;
    const again = { model: last.model, challenger, plan, reason, atMs, retryOf: last };
    return planStart(context, caller, rehearse === undefined ? again : { ...again, rehearse });
  });
}

/**
 * The writes that end a live rollout: rollout, model and challenger change together.
 * @param state the state it ends in
 */
export async function writesOfEnd(
  context: CommandContext,
  rollout: Held<Rollout>,
  state: RolloutState,
): Promise<readonly Write[]> {
  const model = await holdModel(context, rollout.body.model);
  const versions = await holdVersions(context, rollout.body.model);
  const challenger = versions.find((held) => held.body.version === rollout.body.challenger);
  const { liveRollout: _ended, ...rest } = model.body;
  const writes = [replace('rollout', rollout, { ...rollout.body, state })];
  if (state.phase === 'promoted') {
    writes.push(replace('model', model, crown(rest, { version: rollout.body.challenger, began: 'promotion' }, state.atMs)));
    // Unchanged, so that the commit conflicts when somebody marks the challenger unhealthy meanwhile.
    if (challenger !== undefined) writes.push(replace('version', challenger, challenger.body));
    return writes;
  }
  writes.push(replace('model', model, rest));
  if (state.phase === 'rolled-back' && challenger !== undefined && challenger.body.health.state === 'healthy') {
    writes.push(replace('version', challenger, markUnhealthy(challenger.body, state)));
  }
  return writes;
}

async function changeState(
  context: CommandContext,
  caller: Caller,
  input: OnRollout & { readonly action: string; readonly change: (rollout: Rollout, act: Act) => RolloutState },
): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const rollout = await holdRollout(context, input.rollout);
    // Read last: time that passed before does not count as held.
    const act = { atMs: context.clock.nowMs(), by: caller.actor, reason: input.reason };
    const state = input.change(rollout.body, act);
    const writes = [replace('rollout', rollout, { ...rollout.body, state })];
    const message = `rollout "${input.rollout}" is ${state.phase}`;
    return {
      commit: { writes, action: input.action, reason: input.reason },
      receipt: { outcome: 'done', message, id: input.rollout },
    };
  });
}

async function planStart(
  context: CommandContext,
  caller: Caller,
  input: StartInput & { readonly atMs: number; readonly retryOf?: Rollout },
): Promise<Plan> {
  const model = await holdModel(context, input.model);
  const versions = await holdVersions(context, input.model);
  const challenger = findVersion(
    versions.map((held) => held.body),
    input.model,
    input.challenger,
  );
  const champion = assertCanStart(model.body, challenger, input);
  assertNotQuarantined(
    `cannot start a rollout of ${challenger.version} for "${input.model}"`,
    quarantineOf(challenger.source, await listBodies(context, 'version'), challenger),
    input.atMs,
  );
  const versionOfChampion = versions.find((held) => held.body.version === champion)?.body;
  assertServedAlike(versionOfChampion, challenger);
  const id = `${input.model}-${model.body.rolloutCount + 1}`;
  const { checks = [] } = input.plan;
  const subject = { model: input.model, champion, challenger: challenger.version, rollout: id, step: 0 };
  const rehearsed = checks.length === 0 ? undefined : await input.rehearse?.(checks, subject);
  const opening = await openingOf(context, {
    model: model.body,
    champion: versionOfChampion,
    challenger,
    plan: input.plan,
    atMs: input.atMs,
    ...(rehearsed === undefined ? {} : { rehearsed }),
  });
  const rollout: Rollout = {
    id,
    model: input.model,
    champion,
    challenger: challenger.version,
    ...opening,
    salt: input.retryOf?.salt ?? id,
    startedAtMs: input.atMs,
    startedBy: caller.actor,
    ...(input.retryOf === undefined ? {} : { retryOf: input.retryOf.id }),
    state: { phase: 'preparing', sinceMs: input.atMs },
  };
  const held = versions.find((candidate) => candidate.body === challenger);
  const next: Model = { ...model.body, liveRollout: id, rolloutCount: model.body.rolloutCount + 1 };
  const writes = [create('rollout', id, rollout), replace('model', model, next)];
  if (held !== undefined) writes.push(replace('version', held, { ...challenger, health: { state: 'healthy' } }));
  const message = `rollout "${id}" of ${challenger.version} against ${champion} has started with plan "${input.plan.name}"`;
  return { commit: { writes, action: 'rollout.started', reason: input.reason }, receipt: { outcome: 'done', message, id } };
}

/** @returns the champion that the challenger is tried against */
function assertCanStart(model: Model, challenger: ModelVersion, input: { readonly retryOf?: Rollout }): string {
  const attempt = `cannot start a rollout of ${challenger.version} for "${model.name}"`;
  if (model.champion === undefined) {
    throw new AppError(
      'model.no_champion',
      `${attempt}: the model has no champion yet; promote a first version (understudy version promote)`,
    );
  }
  if (model.killed !== undefined) {
    throw new AppError(
      'model.killed',
      `${attempt}: ${model.killed.by} killed it (${model.killed.reason}); undo that first (understudy unkill ${model.name})`,
    );
  }
  if (model.liveRollout !== undefined) {
    throw new AppError(
      'rollout.already_live',
      `${attempt}: rollout "${model.liveRollout}" is live; a model has one rollout at a time`,
    );
  }
  if (challenger.version === model.champion) {
    throw new AppError('rollout.unfit_challenger', `${attempt}: it is the champion already`);
  }
  if (challenger.health.state === 'unhealthy' && input.retryOf === undefined) {
    throw new AppError(
      'rollout.unfit_challenger',
      `${attempt}: it is marked unhealthy (${challenger.health.reason}). Retry its rollout (understudy rollout retry) or mark it healthy if it is`,
    );
  }
  return model.champion;
}

/** Requests are answered by gateways or by a service of their users: between the two there is nothing to compare. */
function assertServedAlike(champion: ModelVersion | undefined, challenger: ModelVersion): void {
  if (champion === undefined || isLoadable(champion.source) === isLoadable(challenger.source)) return;
  const place = (version: ModelVersion): string =>
    isLoadable(version.source) ? 'is served by gateways' : 'is external, served by your own service';
  throw new AppError(
    'rollout.unfit_challenger',
    `cannot start a rollout of ${challenger.version} for "${challenger.model}": it ${place(challenger)}, and the champion ${champion.version} ${place(champion)}; register the challenger like the champion, or promote it by hand`,
  );
}
