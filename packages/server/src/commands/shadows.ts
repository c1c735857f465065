/** Commands on standing shadows: start, change and stop copying requests to a version outside of any rollout. */
import { AppError } from '@understudy/core/errors';
import { findVersion, type StandingShadow } from '@understudy/core/model';
import { isLoadable } from '@understudy/core/model-version';
import { type Caller, type CommandContext, runCommand } from './command.ts';
import { holdModel, holdVersions, replace } from './queries.ts';
import type { Receipt } from './receipt.ts';

/** What somebody wants copied. */
export interface ShadowWish extends Pick<StandingShadow, 'version' | 'percent' | 'rules'> {
  readonly model: string;
  readonly reason: string;
}

/**
 * Copies requests to a version from now on, in the place of an earlier setting. The same subjects are copied as long as the
 * version is the same, however the share changes.
 * @throws AppError `version.not_found`; `model.no_champion`; `version.in_use` when it is the champion, which answers already
 */
export async function startShadow(context: CommandContext, caller: Caller, wish: ShadowWish): Promise<Receipt> {
  return runCommand(context, caller, async (atMs) => {
    const model = await holdModel(context, wish.model);
    const versions = await holdVersions(context, wish.model);
    const version = findVersion(
      versions.map(({ body }) => body),
      wish.model,
      wish.version,
    );
    const refusal = `cannot shadow "${wish.model}" with ${version.version}`;
    if (model.body.champion === undefined) {
      throw new AppError(
        'model.no_champion',
        `${refusal}: nobody answers yet that it could be compared with; promote a version first`,
      );
    }
    if (model.body.champion === version.version) {
      throw new AppError('version.in_use', `${refusal}: it is the champion and answers everybody; name another version`);
    }
    const { version: name, percent, rules } = wish;
    const before = model.body.shadow;
    const isSame = before?.version === name;
    const shadow: StandingShadow = {
      version: name,
      percent,
      rules,
      salt: isSame ? before.salt : `${wish.model}-shadow-${name}`,
      sinceMs: atMs,
      by: caller.actor,
      reason: wish.reason,
    };
    const place = isLoadable(version.source) ? 'gateways send it copies' : 'your own service reports pairs';
    const message = `${name} is the shadow of "${wish.model}" for ${percent} %: ${place}`;
    return {
      commit: { writes: [replace('model', model, { ...model.body, shadow })], action: 'shadow.started', reason: wish.reason },
      receipt: { outcome: 'done', message, id: wish.model },
    };
  });
}

/** Ends a standing setting; the shadow of a rollout ends with its step. */
export async function stopShadow(
  context: CommandContext,
  caller: Caller,
  { model: name, reason }: { readonly model: string; readonly reason: string },
): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const model = await holdModel(context, name);
    const { shadow, ...rest } = model.body;
    if (shadow === undefined)
      return { nothing: { outcome: 'already-done', message: `"${name}" has no standing shadow`, id: name } };
    const message = `${shadow.version} is no longer the shadow of "${name}"`;
    return {
      commit: { writes: [replace('model', model, rest)], action: 'shadow.stopped', reason },
      receipt: { outcome: 'done', message, id: name },
    };
  });
}
