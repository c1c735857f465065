/** Handlers of models. */
import { championAt } from '@understudy/core/model';
import { clearGolden, setGolden } from '../commands/golden.ts';
import { createModel, killModel, rollBackModel, unkillModel, updateModel } from '../commands/models.ts';
import { getModel, loadEnvironment } from '../commands/queries.ts';
import type { Handlers } from './call.ts';
import { goldenOfInput, viewDrill, viewGolden } from './way-back-view.ts';
import { viewModel, viewModels } from './model-view.ts';
import { outcomeOf } from './outcome.ts';

export const MODEL_HANDLERS = {
  createModel: async (context, { caller, body }) => {
    const receipt = await createModel(context, caller, body);
    return viewModel(context, receipt.id);
  },
  listModels: async (context) => viewModels(context, await loadEnvironment(context)),
  getModel: (context, { params }) => viewModel(context, params.model),
  updateModel: async (context, { caller, params, body }) => {
    const receipt = await updateModel(context, caller, { ...params, ...body });
    return viewModel(context, receipt.id);
  },
  getChampion: async (context, { params, query }) => {
    const model = await getModel(context, params.model);
    const atMs = query.at === undefined ? context.clock.nowMs() : Date.parse(query.at);
    return { model: model.name, atMs, champion: championAt(model, atMs) ?? null };
  },
  drillRollback: (context, { params }) => viewDrill(context, params.model),
  getGolden: (context, { params }) => viewGolden(context, params.model),
  setGolden: async (context, { caller, params, body }) => {
    await setGolden(context, caller, { model: params.model, ...(await goldenOfInput(context, params.model, body)) });
    return viewGolden(context, params.model);
  },
  clearGolden: async (context, { caller, params }) => {
    await clearGolden(context, caller, params);
    return viewGolden(context, params.model);
  },
  rollBackModel: async (context, { caller, params, body }) =>
    outcomeOf(await rollBackModel(context, caller, { ...params, ...body })),
  killModel: async (context, { caller, params, body }) => outcomeOf(await killModel(context, caller, { ...params, ...body })),
  unkillModel: async (context, { caller, params, body }) => outcomeOf(await unkillModel(context, caller, { ...params, ...body })),
} satisfies Partial<Handlers>;
