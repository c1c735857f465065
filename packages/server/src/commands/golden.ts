/** Commands on golden requests: set, clear. */
import type { GoldenSet } from '@understudy/core/golden';
import { type Caller, type CommandContext, runCommand } from './command.ts';
import { holdModel, replace } from './queries.ts';
import type { Receipt } from './receipt.ts';

/** Replaces the golden requests of a model. */
export async function setGolden(
  context: CommandContext,
  caller: Caller,
  input: { readonly model: string } & Pick<GoldenSet, 'protocol' | 'requests'>,
): Promise<Receipt> {
  return runCommand(context, caller, async (atMs) => {
    const model = await holdModel(context, input.model);
    const { protocol, requests } = input;
    const golden: GoldenSet = { protocol, requests, setAtMs: atMs, setBy: caller.actor };
    const message = `"${input.model}" has ${requests.length} golden requests`;
    return {
      commit: { writes: [replace('model', model, { ...model.body, golden })], action: 'model.golden-set', reason: message },
      receipt: { outcome: 'done', message, id: input.model },
    };
  });
}

/** Goes without golden requests. */
export async function clearGolden(context: CommandContext, caller: Caller, input: { readonly model: string }): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const model = await holdModel(context, input.model);
    const { golden, ...rest } = model.body;
    const message = `"${input.model}" has no golden requests`;
    if (golden === undefined) return { nothing: { outcome: 'already-done', message, id: input.model } };
    return {
      commit: { writes: [replace('model', model, rest)], action: 'model.golden-cleared', reason: message },
      receipt: { outcome: 'done', message, id: input.model },
    };
  });
}
