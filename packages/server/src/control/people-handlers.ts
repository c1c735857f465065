/** Handlers of freezes, the line and webhooks. A secret leaves the server once; of an address only where it goes. */
import { readFreezeTimes, writeFreezeTimes } from '@understudy/contract/freeze-file';
import type { FreezesView, HookView } from '@understudy/contract/people-endpoints';
import { AppError } from '@understudy/core/errors';
import { isWithin } from '@understudy/core/freeze';
import type { Hook } from '@understudy/core/hook';
import { deleteFreeze, holdFreezes, resumeTheLine, saveFreeze, stopTheLine } from '../commands/freezes.ts';
import { createHook, deleteHook, getHook, listHooks } from '../commands/hooks.ts';
import { readLocalTime } from '../local-time.ts';
import type { HandlerContext, Handlers } from './call.ts';
import { outcomeOf } from './outcome.ts';

export const PEOPLE_HANDLERS = {
  listFreezes: viewFreezes,
  saveFreeze: async (context, { caller, params, body }) => {
    await saveFreeze(context, caller, { ...body, name: params.freeze, times: readFreezeTimes(body.times) });
    return viewFreezes(context);
  },
  deleteFreeze: async (context, { caller, params, query }) =>
    outcomeOf(await deleteFreeze(context, caller, { ...params, ...query })),
  stopTheLine: async (context, { caller, body }) => outcomeOf(await stopTheLine(context, caller, body)),
  resumeTheLine: async (context, { caller, body }) => outcomeOf(await resumeTheLine(context, caller, body)),
  createHook: async (context, { caller, body }) => {
    const problem = context.hooks.problemOf(body.url);
    if (problem !== undefined) {
      throw new AppError('hook.forbidden_address', `cannot send messages of hook "${body.name}" to that address: ${problem}`);
    }
    const hook = await createHook(context, caller, body);
    return { hook: viewHook(hook), secret: context.hooks.secretOf(hook) };
  },
  listHooks: async (context) => (await listHooks(context)).map(viewHook),
  listDeliveries: async (context, { params }) => {
    const { pending, log, dead } = (await getHook(context, params.hook)).progress;
    return { pending: [...pending], log: log.toReversed(), dead: dead.toReversed() };
  },
  testHook: async (context, { params }) => context.hooks.test(await getHook(context, params.hook)),
  deleteHook: async (context, { caller, params, query }) => outcomeOf(await deleteHook(context, caller, { ...params, ...query })),
} satisfies Partial<Handlers>;

async function viewFreezes(context: HandlerContext): Promise<FreezesView> {
  const { windows, stopped } = (await holdFreezes(context)).body;
  const atMs = context.clock.nowMs();
  return {
    freezes: windows.map(({ times, models, ...rest }) => ({
      ...rest,
      ...(models === undefined ? {} : { models: [...models] }),
      times: writeFreezeTimes(times),
      isActive: isWithin(times, atMs, readLocalTime),
    })),
    ...(stopped === undefined ? {} : { stopped }),
  };
}

function viewHook({ name, url, format, events, createdAtMs, createdBy, disabled, progress }: Hook): HookView {
  const last = progress.log.at(-1);
  return {
    name,
    origin: new URL(url).origin,
    format,
    events: [...events],
    createdAtMs,
    createdBy,
    ...(disabled === undefined ? {} : { disabled }),
    pending: progress.pending.length,
    dead: progress.dead.length,
    ...(last === undefined ? {} : { last }),
  };
}
