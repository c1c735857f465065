/** Commands on versions: register, judge, give a baseline. */
import { AppError } from '@understudy/core/errors';
import { challengerFlagKey } from '@understudy/core/flags/rollout-flags';
import { findVersion, markUnhealthy } from '@understudy/core/model';
import type { Baseline, ModelVersion, VersionSource } from '@understudy/core/model-version';
import { assertNotQuarantined, quarantineOf } from '@understudy/core/quarantine';
import type { Write } from '../storage/store.ts';
import { type Caller, type CommandContext, runCommand } from './command.ts';
import { refuseTakenKey } from './flag-library.ts';
import { create, type Held, holdModel, holdVersions, listBodies, replace, versionId } from './queries.ts';
import type { Receipt } from './receipt.ts';

/** A new version, with its source checked and its baseline computed. */
export interface RegisterInput {
  readonly model: string;
  readonly version: string;
  readonly source: VersionSource;
  readonly baseline?: Baseline;
  readonly note: string;
}

/**
 * @throws AppError `version.already_exists`: versions are immutable, and their names are never used again;
 *   `version.quarantined` when a version made of the same file was found unhealthy
 */
export async function registerVersion(context: CommandContext, caller: Caller, input: RegisterInput): Promise<Receipt> {
  return runCommand(context, caller, async (atMs) => {
    await holdModel(context, input.model);
    const id = versionId(input.model, input.version);
    const known = await holdVersions(context, input.model);
    if (known.some((held) => held.id === id)) {
      throw new AppError(
        'version.already_exists',
        `model "${input.model}" has a version "${input.version}" already; versions never change, register a new one`,
      );
    }
    const attempt = `register ${input.version} of "${input.model}"`;
    assertNotQuarantined(`cannot ${attempt}`, quarantineOf(input.source, await listBodies(context, 'version')), atMs);
    await refuseTakenKey(context, challengerFlagKey(input.model, input.version), attempt);
    const { baseline } = input;
    const version: ModelVersion = {
      model: input.model,
      version: input.version,
      source: input.source,
      ...(baseline === undefined ? {} : { baseline }),
      health: { state: 'healthy' },
      note: input.note,
      registeredAtMs: atMs,
      registeredBy: caller.actor,
    };
    const message = `registered ${input.version} of "${input.model}"`;
    return {
      commit: { writes: [create('version', id, version)], action: 'version.registered', reason: message },
      receipt: { outcome: 'done', message, id },
    };
  });
}

/** Marks a version healthy or unhealthy; an unhealthy champion keeps serving until it is rolled back. */
export async function setVersionHealth(
  context: CommandContext,
  caller: Caller,
  input: { readonly model: string; readonly version: string; readonly state: 'healthy' | 'unhealthy'; readonly reason: string },
): Promise<Receipt> {
  return runCommand(context, caller, async (atMs) => {
    const held = await holdVersion(context, input);
    const { state, reason } = input;
    if (held.body.health.state === state) {
      return { nothing: { outcome: 'already-done', message: `${input.version} is marked ${state} already`, id: held.id } };
    }
    const next: ModelVersion =
      state === 'healthy' ? { ...held.body, health: { state } } : markUnhealthy(held.body, { reason, by: caller.actor, atMs });
    const message = `${input.version} of "${input.model}" is marked ${state}`;
    const writes = [replace('version', held, next), ...(await solveAlarm(context, next))];
    return { commit: { writes, action: `version.marked-${state}`, reason }, receipt: { outcome: 'done', message, id: held.id } };
  });
}

/**
 * Lets the file of an unhealthy version be used by other versions again; the version itself stays unhealthy.
 * @throws AppError `request.invalid` for a version that is made of no file
 */
export async function releaseArtifact(
  context: CommandContext,
  caller: Caller,
  input: { readonly model: string; readonly version: string; readonly reason: string },
): Promise<Receipt> {
  return runCommand(context, caller, async (atMs) => {
    const held = await holdVersion(context, input);
    const { source, health } = held.body;
    const name = `${input.version} of "${input.model}"`;
    if (source.kind !== 'onnx') {
      throw new AppError(
        'request.invalid',
        `cannot release the file of ${name}: it has none, it is ${source.kind}; only uploaded files are quarantined`,
      );
    }
    if (health.state === 'healthy' || health.released !== undefined) {
      return { nothing: { outcome: 'already-done', message: `the file of ${name} is not quarantined`, id: held.id } };
    }
    const released = { reason: input.reason, by: caller.actor, atMs };
    const writes = [replace('version', held, { ...held.body, health: { ...health, released } })];
    const message = `other versions may be made of the file of ${name} again; ${input.version} itself stays unhealthy`;
    return {
      commit: { writes, action: 'version.released', reason: input.reason },
      receipt: { outcome: 'done', message, id: held.id },
    };
  });
}

/** Replaces the baseline that drift is measured against. */
export async function setBaseline(
  context: CommandContext,
  caller: Caller,
  input: { readonly model: string; readonly version: string; readonly baseline: Baseline },
): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const held = await holdVersion(context, input);
    const { baseline } = input;
    const message = `baseline of ${input.version}: mean ${baseline.mean.toPrecision(4)}, standard deviation ${baseline.standardDeviation.toPrecision(4)} of ${baseline.count} ${baseline.source} predictions`;
    const writes = [replace('version', held, { ...held.body, baseline })];
    return {
      commit: { writes, action: 'version.baseline-set', reason: message },
      receipt: { outcome: 'done', message, id: held.id },
    };
  });
}

/** A person's word that the champion is healthy ends the alarm that nobody could take its place. */
async function solveAlarm(context: CommandContext, version: ModelVersion): Promise<readonly Write[]> {
  const model = await holdModel(context, version.model);
  if (version.health.state === 'unhealthy' || model.body.champion !== version.version || model.body.alarm === undefined)
    return [];
  const { alarm: _solved, ...rest } = model.body;
  return [replace('model', model, rest)];
}

async function holdVersion(
  context: CommandContext,
  wanted: { readonly model: string; readonly version: string },
): Promise<Held<ModelVersion>> {
  await holdModel(context, wanted.model);
  const versions = await holdVersions(context, wanted.model);
  const found = versions.find((held) => held.body.version === wanted.version);
  if (found !== undefined) return found;
  const bodies = versions.map((held) => held.body);
  return { id: '', revision: 0, body: findVersion(bodies, wanted.model, wanted.version) };
}
