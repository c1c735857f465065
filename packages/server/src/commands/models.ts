/** Commands on models: create, configure, promote, roll back, kill. */
import { AppError } from '@understudy/core/errors';
import { versionFlagKey } from '@understudy/core/flags/rollout-flags';
import {
  type Comparison,
  crown,
  DEFAULT_COMPARISON,
  DEFAULT_ROUTING,
  DEFAULT_WATCH,
  findVersion,
  type Model,
  rollBackChampion,
  type Routing,
  type Watch,
} from '@understudy/core/model';
import type { ModelVersion } from '@understudy/core/model-version';
import { assertNotQuarantined, quarantineOf } from '@understudy/core/quarantine';
import { end } from '@understudy/core/rollout';
import type { Write } from '../storage/store.ts';
import { type Caller, type CommandContext, type Plan, runCommand } from './command.ts';
import { refuseTakenKey } from './flag-library.ts';
import { passFreezes } from './freezes.ts';
import { create, type Held, hold, holdModel, holdRollout, holdVersions, listBodies, replace } from './queries.ts';
import type { Receipt } from './receipt.ts';

/** Fields left out keep their values. */
export interface WatchChange extends Partial<Omit<Watch, 'limits'>> {
  readonly limits?: Partial<Watch['limits']>;
}

interface ModelSettings {
  readonly routing?: Partial<Routing>;
  readonly watch?: WatchChange;
  readonly labelsDueMs?: number;
  readonly comparison?: Partial<Comparison>;
}

/** @throws AppError `model.already_exists`; `flag.already_exists` when somebody's flag has the key of the one that would follow it */
export async function createModel(
  context: CommandContext,
  caller: Caller,
  input: ModelSettings & { readonly name: string },
): Promise<Receipt> {
  return runCommand(context, caller, async (atMs) => {
    if ((await hold(context, 'model', input.name)) !== undefined) {
      throw new AppError('model.already_exists', `cannot create model "${input.name}": there is one of that name`);
    }
    await refuseTakenKey(context, versionFlagKey(input.name), `create model "${input.name}"`);
    const bare: Model = {
      name: input.name,
      createdAtMs: atMs,
      terms: [],
      routing: DEFAULT_ROUTING,
      watch: DEFAULT_WATCH,
      rolloutCount: 0,
    };
    const writes = [create('model', input.name, configure(bare, input))];
    const message = `created model "${input.name}"`;
    return {
      commit: { writes, action: 'model.created', reason: message },
      receipt: { outcome: 'done', message, id: input.name },
    };
  });
}

/** Changes routing or watch. */
export async function updateModel(
  context: CommandContext,
  caller: Caller,
  input: ModelSettings & { readonly model: string; readonly reason: string },
): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const model = await holdModel(context, input.model);
    const writes = [replace('model', model, configure(model.body, input))];
    const receipt = { outcome: 'done', message: `changed model "${input.model}"`, id: input.model } as const;
    return { commit: { writes, action: 'model.changed', reason: input.reason }, receipt };
  });
}

/**
 * Makes a version champion without a rollout.
 * @throws AppError `version.in_use` while a rollout is live; `freeze.active`; `rollback.unsafe_target` for an unhealthy version,
 *   `version.quarantined` for one that is made of the same file as an unhealthy one
 */
export async function promoteVersion(
  context: CommandContext,
  caller: Caller,
  input: { readonly model: string; readonly version: string; readonly reason: string; readonly overrideFreeze?: boolean },
): Promise<Receipt> {
  return runCommand(context, caller, async (atMs) => {
    const model = await holdModel(context, input.model);
    const versions = await holdVersions(context, input.model);
    const version = findVersion(bodies(versions), input.model, input.version);
    if (model.body.champion === version.version)
      return done(input.model, `${version.version} is the champion of "${input.model}" already`);
    if (model.body.liveRollout !== undefined) {
      throw new AppError(
        'version.in_use',
        `cannot promote ${version.version} while rollout "${model.body.liveRollout}" is live; promote or abort the rollout instead`,
      );
    }
    if (version.health.state === 'unhealthy') {
      const why = version.health.reason;
      throw new AppError(
        'rollback.unsafe_target',
        `cannot promote ${version.version}: it is marked unhealthy (${why}); mark it healthy first if it is`,
      );
    }
    const attempt = `promote ${version.version} of "${input.model}"`;
    const place = { model: input.model, atMs, attempt, overrideFreeze: input.overrideFreeze === true };
    const passed = await passFreezes(context, place);
    assertNotQuarantined(
      `cannot promote ${version.version} of "${input.model}"`,
      quarantineOf(version.source, await listBodies(context, 'version'), version),
      atMs,
    );
    const next = crown(model.body, { version: version.version, began: 'promotion' }, atMs);
    const message = `${version.version} is champion of "${input.model}"`;
    const writes = [replace('model', model, next), ...guardVersion(versions, version.version), passed.guard];
    return {
      commit: { writes, action: 'model.promoted', reason: input.reason + passed.note },
      receipt: { outcome: 'done', message, id: input.model },
    };
  });
}

/** A wish to send the champion back. Without `version`, the champion found first is meant. */
export interface RollBackInput {
  readonly model: string;
  readonly version?: string;
  readonly to?: string;
  readonly force?: boolean;
  readonly reason: string;
}

/**
 * Sends the champion back to the last known good version in one atomic change; a live rollout ends with it. However
 * many ask at once, people or engine, a failing version is rolled back once.
 * @throws AppError `rollback.no_target` when nobody is left; the alarm is stored all the same
 */
export async function rollBackModel(context: CommandContext, caller: Caller, input: RollBackInput): Promise<Receipt> {
  let failing = input.version;
  const receipt = await runCommand(context, caller, async (atMs) => {
    if (failing === undefined) {
      const { body } = await holdModel(context, input.model);
      const repeated = repeatedRollback(body, atMs);
      if (repeated !== undefined) return { nothing: repeated };
      failing = body.champion;
    }
    if (failing === undefined) throw new AppError('model.no_champion', `cannot roll "${input.model}" back: it has no champion`);
    return planRollBack(context, caller, { ...input, failing, atMs });
  });
  return refuseWithoutTarget(receipt);
}

/**
 * A rollback that found nobody to go back to has stored the alarm and is told as a failure.
 * @throws AppError `rollback.no_target`
 */
export function refuseWithoutTarget(receipt: Receipt): Receipt {
  if (receipt.message.startsWith(NO_TARGET)) throw new AppError('rollback.no_target', receipt.message);
  return receipt;
}

/** Puts everybody on the champion at once; a live rollout ends as killed. */
export async function killModel(
  context: CommandContext,
  caller: Caller,
  input: { readonly model: string; readonly reason: string },
): Promise<Receipt> {
  return runCommand(context, caller, async (atMs) => {
    const model = await holdModel(context, input.model);
    if (model.body.killed !== undefined)
      return done(input.model, `"${input.model}" is killed already, by ${model.body.killed.by}`);
    const act = { atMs, by: caller.actor, reason: input.reason };
    const { liveRollout, ...rest } = model.body;
    const writes: Write[] = [replace('model', model, { ...rest, killed: act })];
    if (liveRollout !== undefined) {
      const rollout = await holdRollout(context, liveRollout);
      writes.push(replace('rollout', rollout, { ...rollout.body, state: end(rollout.body, 'killed', act) }));
    }
    const ended = liveRollout === undefined ? '' : `; rollout "${liveRollout}" is ended`;
    const champion =
      model.body.champion === undefined ? 'nobody answers, as there is no champion' : `everybody is on ${model.body.champion}`;
    const message = `"${input.model}" is killed: ${champion}${ended}`;
    return {
      commit: { writes, action: 'model.killed', reason: input.reason },
      receipt: { outcome: 'done', message, id: input.model },
    };
  });
}

/** @throws AppError `model.not_killed` */
export async function unkillModel(
  context: CommandContext,
  caller: Caller,
  input: { readonly model: string; readonly reason: string },
): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const model = await holdModel(context, input.model);
    if (model.body.killed === undefined)
      throw new AppError('model.not_killed', `"${input.model}" is not killed, so there is nothing to undo`);
    const { killed: _undone, ...rest } = model.body;
    const message = `rollouts of "${input.model}" are possible again; a rollout that was killed stays ended (understudy rollout retry)`;
    const writes = [replace('model', model, rest)];
    return {
      commit: { writes, action: 'model.unkilled', reason: input.reason },
      receipt: { outcome: 'done', message, id: input.model },
    };
  });
}

const NO_TARGET = 'no target: ';

/** How a failing version is sent back, as long as it is champion; part of every command that does so. */
export async function planRollBack(
  context: CommandContext,
  caller: Caller,
  input: RollBackInput & { readonly failing: string; readonly atMs: number },
): Promise<Plan> {
  const model = await holdModel(context, input.model);
  const versions = await holdVersions(context, input.model);
  const act = { atMs: input.atMs, by: caller.actor, reason: input.reason };
  const wish = {
    ...act,
    failing: input.failing,
    ...(input.to === undefined ? {} : { to: input.to }),
    force: input.force ?? false,
  };
  const result = rollBackChampion(model.body, bodies(versions), wish);
  if (result.outcome === 'already-done') return done(input.model, result.message);
  const failed = versions.find((held) => held.body.version === result.failed.version);
  const unhealthy =
    failed === undefined || failed.body.health.state === 'unhealthy' ? [] : [replace('version', failed, result.failed)];
  if (result.outcome === 'no-target') {
    const receipt = { outcome: 'done', message: NO_TARGET + result.message, id: input.model } as const;
    if (model.body.alarm !== undefined && unhealthy.length === 0) return { nothing: receipt };
    const writes = [
      replace('model', model, { ...result.model, ...(model.body.alarm === undefined ? {} : { alarm: model.body.alarm }) }),
      ...unhealthy,
    ];
    return { commit: { writes, action: 'model.alarmed', reason: result.message }, receipt };
  }
  const ended = await endLiveRollout(context, model.body, {
    ...act,
    reason: `the champion ${result.failed.version} was rolled back: ${input.reason}`,
  });
  const { liveRollout: _ended, ...next } = result.model;
  const writes = [replace('model', model, next), ...unhealthy, ...guardVersion(versions, result.restored), ...ended];
  const message = `"${input.model}" is back on ${result.restored}; ${result.failed.version} is marked unhealthy`;
  return {
    commit: { writes, action: 'model.rolled-back', reason: input.reason },
    receipt: { outcome: 'done', message, id: input.model },
  };
}

/** Somebody who asks right after a rollback, without saying which version fails, most likely saw the failing one. */
function repeatedRollback(model: Model, atMs: number): Omit<Receipt, 'revision'> | undefined {
  const last = model.lastRollback;
  if (last === undefined || last.restored !== model.champion || atMs - last.atMs >= model.watch.cooldownMs) return undefined;
  const message = `${last.failed} was rolled back to ${last.restored} ${Math.round((atMs - last.atMs) / 1000)} s ago by ${last.by}, so nothing was changed. To roll ${last.restored} back as well, name it.`;
  return { outcome: 'already-done', message, id: model.name };
}

async function endLiveRollout(
  context: CommandContext,
  model: Model,
  act: { readonly atMs: number; readonly by: string; readonly reason: string },
): Promise<readonly Write[]> {
  if (model.liveRollout === undefined) return [];
  const rollout = await holdRollout(context, model.liveRollout);
  return [replace('rollout', rollout, { ...rollout.body, state: end(rollout.body, 'aborted', act) })];
}

/** Writes a version unchanged, so that the commit conflicts when somebody marks it unhealthy meanwhile. */
function guardVersion(versions: readonly Held<ModelVersion>[], version: string): readonly Write[] {
  const held = versions.find((candidate) => candidate.body.version === version);
  return held === undefined ? [] : [replace('version', held, held.body)];
}

function configure(model: Model, settings: ModelSettings): Model {
  const { limits, ...watch } = settings.watch ?? {};
  return {
    ...model,
    routing: { ...model.routing, ...settings.routing },
    ...comparisonOf(model, settings.comparison),
    watch: { ...model.watch, ...watch, limits: { ...model.watch.limits, ...limits } },
    ...(settings.labelsDueMs === undefined ? {} : { labelsDueMs: settings.labelsDueMs }),
  };
}

/** Models that never asked for another comparison have none of their own. */
function comparisonOf(model: Model, change: Partial<Comparison> | undefined): Pick<Model, 'comparison'> {
  return change === undefined ? {} : { comparison: { ...DEFAULT_COMPARISON, ...model.comparison, ...change } };
}

function bodies(held: readonly Held<ModelVersion>[]): readonly ModelVersion[] {
  return held.map((one) => one.body);
}

function done(id: string, message: string): Plan {
  return { nothing: { outcome: 'already-done', message, id } };
}
