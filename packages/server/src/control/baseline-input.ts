/** Baselines of versions: from a sample of predictions, from inputs that the version itself is run on, or from live traffic. */
import type { BaselineInput } from '@understudy/contract/model-endpoints';
import { AppError } from '@understudy/core/errors';
import { type Moments, momentsOf } from '@understudy/core/evidence';
import { type Baseline, baselineOf, type VersionSource } from '@understudy/core/model-version';
import type { Clock } from '../clock.ts';
import type { VersionName } from '../commands/readiness.ts';
import type { ArtifactIntake, EngineWindow } from './ports.ts';

// Below this many predictions a mean moves by a large part of its standard deviation for no reason.
const MIN_LIVE_PREDICTIONS = 30;

interface BaselineContext {
  readonly artifacts: Pick<ArtifactIntake, 'predict'>;
  readonly engine: Pick<EngineWindow, 'livePredictions'>;
  readonly clock: Clock;
}

/** @throws AppError `request.invalid` when the sample gives no baseline; `model.*` when the version cannot be run on it */
export async function baselineOfInput(context: BaselineContext, source: VersionSource, input: BaselineInput): Promise<Baseline> {
  const predictions = 'predictions' in input ? input.predictions : await predict(context, source, input.features);
  return toBaseline(momentsOf(predictions), 'validation', context.clock.nowMs());
}

/** From what the version predicted as champion. @throws AppError `baseline.not_enough_data` */
export async function liveBaseline(context: BaselineContext, { model, version }: VersionName): Promise<Baseline> {
  const moments = await context.engine.livePredictions(model, version);
  if (moments.count < MIN_LIVE_PREDICTIONS) {
    throw new AppError(
      'baseline.not_enough_data',
      `cannot capture a baseline of ${version} of "${model}" from live traffic: ${moments.count} of at least ${MIN_LIVE_PREDICTIONS} predictions as champion are there; wait for more traffic, or send a sample of predictions`,
    );
  }
  return toBaseline(moments, 'live', context.clock.nowMs());
}

async function predict(
  { artifacts }: BaselineContext,
  source: VersionSource,
  features: readonly (readonly number[])[],
): Promise<readonly number[]> {
  if (source.kind === 'upstream') {
    throw new AppError(
      'request.invalid',
      'cannot compute a baseline from features: only uploaded ONNX versions are run here. Ask the model server for its predictions on them and send those as "predictions"',
    );
  }
  return artifacts.predict(source.sha256, features);
}

function toBaseline(moments: Moments, source: Baseline['source'], atMs: number): Baseline {
  const baseline = baselineOf(moments, source, atMs);
  if (baseline !== undefined && Number.isFinite(baseline.standardDeviation)) return baseline;
  throw new AppError(
    'request.invalid',
    `cannot compute a baseline from ${moments.count} predictions that sum up to ${moments.sum}; each must be a finite number of ordinary size`,
  );
}
