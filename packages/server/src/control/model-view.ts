/** A model as the API answers it: the document, and what follows from it. */
import type { ModelView, WatchView } from '@understudy/contract/views';
import { lastKnownGood, type Model } from '@understudy/core/model';
import type { ModelVersion } from '@understudy/core/model-version';
import { boundaryOfRollout, type Rollout } from '@understudy/core/rollout';
import type { EnvironmentState } from '@understudy/core/snapshot';
import type { WatchFinding } from '@understudy/core/watch';
import { getModel, getRollout, getVersions, type QueryContext } from '../commands/queries.ts';
import type { HandlerContext } from './call.ts';
import type { EngineWindow } from './ports.ts';
import { printableReadings } from './printable-readings.ts';

// A share is kept in buckets of a thousandth of a percent.
const BUCKETS_PER_PERCENT = 1000;

interface ModelParts {
  readonly model: Model;
  readonly versions: readonly ModelVersion[];
  readonly rollout: Rollout | undefined;
  readonly finding: WatchFinding | undefined;
}

/** @throws AppError `model.not_found` */
export async function viewModel(context: HandlerContext, name: string): Promise<ModelView> {
  const model = await getModel(context, name);
  const [versions, rollout, finding] = await Promise.all([
    getVersions(context, name),
    liveRolloutOf(context, model),
    context.engine.watchOf(name),
  ]);
  return modelView({ model, versions, rollout, finding });
}

/** Every model of an environment that is at hand. */
export async function viewModels({ engine }: { readonly engine: EngineWindow }, state: EnvironmentState): Promise<ModelView[]> {
  return Promise.all(
    state.models.map(async (model) =>
      modelView({
        model,
        versions: state.versions.filter((version) => version.model === model.name),
        rollout: state.rollouts.find((rollout) => rollout.id === model.liveRollout),
        finding: await engine.watchOf(model.name),
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

function modelView({ model, versions, rollout, finding }: ModelParts): ModelView {
  const good = lastKnownGood(model, versions);
  return {
    model,
    ...(good === undefined ? {} : { lastKnownGood: good }),
    challengerPercent: challengerPercentOf(model, rollout),
    ...(finding === undefined ? {} : { watch: watchView(finding) }),
  };
}

function watchView({ state, reason, guards }: WatchFinding): WatchView {
  return { state, reason, guards: printableReadings(guards) };
}
