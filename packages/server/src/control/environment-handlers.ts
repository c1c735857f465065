/** Handlers of the environment as a whole: status, gateways, journal. */
import { loadEnvironment } from '../commands/queries.ts';
import type { Handlers } from './call.ts';
import { gatewayView } from './gateway-view.ts';
import { readJournal } from './journal-reader.ts';
import { viewModels } from './model-view.ts';

export const ENVIRONMENT_HANDLERS = {
  whoAmI: async ({ environment }, { token }) => ({
    id: token.id,
    name: token.name,
    scopes: [...token.scopes],
    environment,
  }),
  getStatus: async (context) => {
    const state = await loadEnvironment(context);
    const gateways = await context.store.gateways(context.environment);
    const atMs = context.clock.nowMs();
    return {
      environment: context.environment,
      revision: state.revision,
      release: context.release,
      models: await viewModels(context, state),
      gateways: gateways.map((gateway) => gatewayView(gateway, atMs)),
    };
  },
  listGateways: async ({ store, environment, clock }) => {
    const gateways = await store.gateways(environment);
    return gateways.map((gateway) => gatewayView(gateway, clock.nowMs()));
  },
  readJournal: (context, { query }) => readJournal(context, query),
  verifyJournal: ({ store, environment }) => store.verifyJournal(environment),
} satisfies Partial<Handlers>;
