/** A model as the API answers it: the document, and what follows from it. */
import type { ModelView, WatchView } from '@understudy/contract/views';
import { lastKnownGood, type Model } from '@understudy/core/model';
import { drillWarnings } from '@understudy/core/rollback-drill';
import { boundaryOfRollout, type Rollout } from '@understudy/core/rollout';
import type { EnvironmentState } from '@understudy/core/snapshot';
import type { WatchFinding } from '@understudy/core/watch';
import { getModel, getRollout, getVersions, type QueryContext } from '../commands/queries.ts';
import { drill, type WayBack } from '../commands/standbys.ts';
import type { HandlerContext } from './call.ts';
import { printableReadings } from './printable-readings.ts';

// A share is kept in buckets of a thousandth of a percent.
const BUCKETS_PER_PERCENT = 1000;

interface ModelParts extends WayBack {
  readonly rollout: Rollout | undefined;
  readonly finding: WatchFinding | undefined;
}

/** @throws AppError `model.not_found` */
export async function viewModel(context: HandlerContext, name: string): Promise<ModelView> {
  const model = await getModel(context, name);
  const [versions, rollout, finding, gateways] = await Promise.all([
    getVersions(context, name),
    liveRolloutOf(context, model),
    context.engine.watchOf(name),
    context.store.gateways(context.environment),
  ]);
  return modelView({ model, versions, rollout, finding, gateways, atMs: context.clock.nowMs() });
}

/** Every model of an environment that is at hand. */
export async function viewModels(
  { engine, store, environment, clock }: Pick<HandlerContext, 'engine' | 'store' | 'environment' | 'clock'>,
  state: EnvironmentState,
): Promise<ModelView[]> {
  const gateways = await store.gateways(environment);
  const atMs = clock.nowMs();
  return Promise.all(
    state.models.map(async (model) =>
      modelView({
        model,
        versions: state.versions.filter((version) => version.model === model.name),
        rollout: state.rollouts.find((rollout) => rollout.id === model.liveRollout),
        finding: await engine.watchOf(model.name),
        gateways,
        atMs,
      }),
    ),
  );
}

/** The rollout that is live for a model. */
export async function liveRolloutOf(context: QueryContext, model: Model): Promise<Rollout | undefined> {
  return model.liveRollout === undefined ? undefined : getRollout(context, model.liveRollout);
}

/** Share of subjects on the challenger, in percent; nobody is while the model is killed. */
export function challengerPercentOf(model: Model, rollout: Rollout | undefined): number {
  if (rollout === undefined || model.killed !== undefined) return 0;
  return boundaryOfRollout(rollout) / BUCKETS_PER_PERCENT;
}

function modelView({ rollout, finding, ...parts }: ModelParts): ModelView {
  const { model, versions } = parts;
  // Up to 64 KiB for each model would make every list of them long.
  const { golden, ...rest } = model;
  const good = lastKnownGood(model, versions);
  return {
    model: rest,
    ...(good === undefined ? {} : { lastKnownGood: good }),
    ...wayBackOf(parts),
    ...(golden === undefined ? {} : { goldenRequests: golden.requests.length }),
    challengerPercent: challengerPercentOf(model, rollout),
    ...(finding === undefined ? {} : { watch: watchView(finding) }),
  };
}

/** Nothing to say before there was somebody to go back to. */
function wayBackOf(parts: WayBack): Pick<ModelView, 'wayBack'> {
  if (parts.model.champion === undefined || parts.model.terms.length < 2) return {};
  const found = drill(parts);
  return { wayBack: { outcome: found.outcome, warnings: [...drillWarnings(found)] } };
}

function watchView({ state, reason, guards }: WatchFinding): WatchView {
  return { state, reason, guards: printableReadings(guards) };
}
