/** Baselines of versions: from a sample of predictions, from inputs that the version itself is run on, or from live traffic. */
import type { BaselineInput } from '@understudy/contract/model-endpoints';
import { AppError } from '@understudy/core/errors';
import { momentsOf, type Tally } from '@understudy/core/evidence';
import {
  type Baseline,
  baselineOf,
  isClassifier,
  type PredictionSample,
  type VersionSource,
} from '@understudy/core/model-version';
import {
  countsInBins,
  type Distribution,
  distributionOfClasses,
  distributionOfSample,
  type OrderedBins,
} from '@understudy/core/prediction-bins';
import { compileSnapshot } from '@understudy/core/snapshot';
import type { Clock } from '../clock.ts';
import { loadEnvironment, type QueryContext } from '../commands/queries.ts';
import type { VersionName } from '../commands/readiness.ts';
import type { ArtifactIntake, EngineWindow } from './ports.ts';

// Below this many predictions a mean moves by a large part of its standard deviation for no reason.
const MIN_LIVE_PREDICTIONS = 30;

interface BaselineContext {
  readonly artifacts: Pick<ArtifactIntake, 'predict'>;
  readonly clock: Clock;
}

interface LiveContext extends QueryContext {
  readonly engine: Pick<EngineWindow, 'liveTally'>;
  readonly clock: Clock;
}

/** @throws AppError `request.invalid` when the sample gives no baseline; `model.*` when the version cannot be run on it */
export async function baselineOfInput(context: BaselineContext, source: VersionSource, input: BaselineInput): Promise<Baseline> {
  const predictions = 'predictions' in input ? input.predictions : await predict(context, source, input.features);
  const distribution = isClassifier(source) ? distributionOfLabels(predictions) : distributionOfSample(predictions);
  return toBaseline({ moments: momentsOf(predictions), distribution }, 'validation', context.clock.nowMs());
}

/** From what the version predicted as champion. @throws AppError `baseline.not_enough_data` */
export async function liveBaseline(context: LiveContext, { model, version }: VersionName): Promise<Baseline> {
  const tally = await context.engine.liveTally(model, version);
  const moments = tally.predictions;
  if (moments.count < MIN_LIVE_PREDICTIONS) {
    throw new AppError(
      'baseline.not_enough_data',
      `cannot capture a baseline of ${version} of "${model}" from live traffic: ${moments.count} of at least ${MIN_LIVE_PREDICTIONS} predictions as champion are there; wait for more traffic, or send a sample of predictions`,
    );
  }
  const distribution = liveDistribution(tally, await binsInForce(context, model));
  return toBaseline({ moments, distribution }, 'live', context.clock.nowMs());
}

/** In the bins that gateways count in now, or by class; undefined when too few requests were counted in either. */
function liveDistribution(tally: Tally, bins: OrderedBins | undefined): Distribution | undefined {
  const ordered = bins === undefined ? undefined : { bins, counts: countsInBins(bins, tally) };
  return [ordered, distributionOfClasses(tally.classes)].find(
    (found) => found !== undefined && sumOf(found.counts) >= MIN_LIVE_PREDICTIONS,
  );
}

async function binsInForce(context: QueryContext, model: string): Promise<OrderedBins | undefined> {
  const { models } = compileSnapshot(await loadEnvironment(context));
  const edges = models.find(({ name }) => name === model)?.binEdges;
  return edges === undefined ? undefined : { kind: 'ordered', edges };
}

async function predict(
  { artifacts }: BaselineContext,
  source: VersionSource,
  features: readonly (readonly number[])[],
): Promise<readonly number[]> {
  if (source.kind !== 'onnx') {
    throw new AppError(
      'request.invalid',
      'cannot compute a baseline from features: only uploaded ONNX versions are run here. Ask the model server for its predictions on them and send those as "predictions"',
    );
  }
  return artifacts.predict(source.sha256, features);
}

/** Classes are called as gateways call them. */
function distributionOfLabels(labels: readonly number[]): Distribution {
  const counts = new Map<string, number>();
  for (const label of labels) counts.set(String(label), (counts.get(String(label)) ?? 0) + 1);
  return distributionOfClasses(Object.fromEntries(counts));
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function toBaseline(sample: PredictionSample, source: Baseline['source'], atMs: number): Baseline {
  const baseline = baselineOf(sample, source, atMs);
  if (baseline !== undefined && Number.isFinite(baseline.standardDeviation)) return baseline;
  const { count, sum } = sample.moments;
  throw new AppError(
    'request.invalid',
    `cannot compute a baseline from ${count} predictions that sum up to ${sum}; each must be a finite number of ordinary size`,
  );
}
