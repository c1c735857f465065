/** Handlers of shadows. */
import type { PairView } from '@understudy/contract/shadow-endpoints';
import type { PairExample } from '@understudy/core/pairs';
import { readEvidence } from '../commands/evidence-reader.ts';
import { getModel } from '../commands/queries.ts';
import { startShadow, stopShadow } from '../commands/shadows.ts';
import type { Call, HandlerContext, Handlers } from './call.ts';
import { outcomeOf } from './outcome.ts';
import { viewShadow } from './shadow-view.ts';

export const SHADOW_HANDLERS = {
  startShadow: async (context, { caller, params, body }) => {
    const receipt = await startShadow(context, caller, { ...params, ...body });
    return viewShadow(context, receipt.id);
  },
  getShadow: (context, { params }) => viewShadow(context, params.model),
  stopShadow: async (context, { caller, params, body }) => outcomeOf(await stopShadow(context, caller, { ...params, ...body })),
  listPairs: (context, { params, query }) => listPairs(context, params.model, query),
} satisfies Partial<Handlers>;

const HOUR_MS = 3_600_000;

/** @throws AppError `model.not_found` */
async function listPairs(context: HandlerContext, name: string, query: Call<'listPairs'>['query']): Promise<PairView[]> {
  const { name: model } = await getModel(context, name);
  const { order, version, since, limit } = query;
  const sinceMs = since === undefined ? context.clock.nowMs() - HOUR_MS : Date.parse(since);
  const byWorst = (a: PairExample, b: PairExample): number => b.distance - a.distance || b.atMs - a.atMs;
  const byNewest = (a: PairExample, b: PairExample): number => b.atMs - a.atMs || (a.requestId < b.requestId ? -1 : 1);
  const wanted = order === 'worst' ? byWorst : byNewest;
  let found: PairExample[] = [];
  const cut = (): void => {
    found = found.toSorted(wanted).slice(0, limit);
  };
  await readEvidence(context, { model, sinceMs, afterCursor: 0 }, ({ block }) => {
    if (block.arm !== 'shadow' || (version !== undefined && block.version !== version)) return;
    const { worst = [], sample = [] } = block.tally.pairs ?? {};
    found.push(...worst, ...sample.filter(({ requestId }) => !worst.some((one) => one.requestId === requestId)));
    // Never much more in memory than is asked for.
    if (found.length > 2 * limit + worst.length + sample.length) cut();
  });
  cut();
  return found;
}
