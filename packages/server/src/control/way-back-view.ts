/** The way back from a champion as the API answers it: drills, and golden requests made from what somebody sent. */
import type { GoldenInput } from '@understudy/contract/model-endpoints';
import { GoldenRequestsSchema } from '@understudy/contract/golden-documents';
import type { DrillView, GoldenView } from '@understudy/contract/views';
import { describeProblems } from '@understudy/contract/problems';
import { AppError } from '@understudy/core/errors';
import type { GoldenSet } from '@understudy/core/golden';
import { findVersion } from '@understudy/core/model';
import { getModel, getVersions } from '../commands/queries.ts';
import { drill } from '../commands/standbys.ts';
import type { HandlerContext } from './call.ts';

/** @throws AppError `model.not_found` */
export async function viewDrill(context: HandlerContext, name: string): Promise<DrillView> {
  const model = await getModel(context, name);
  const [versions, gateways] = await Promise.all([getVersions(context, name), context.store.gateways(context.environment)]);
  const atMs = context.clock.nowMs();
  const { outcome, target, checks } = drill({ model, versions, gateways, atMs });
  return { model: name, outcome, ...(target === undefined ? {} : { target }), checks: [...checks], atMs };
}

/** @throws AppError `model.not_found` */
export async function viewGolden(context: HandlerContext, name: string): Promise<GoldenView> {
  const { golden } = await getModel(context, name);
  return { model: name, ...(golden === undefined ? {} : { golden }) };
}

/**
 * Golden requests as somebody wrote them, or with the answers that a version gives now.
 * @throws AppError `request.invalid` for a version that is not run here, or when they are too large; `model.*` when it fails on them
 */
export async function goldenOfInput(
  context: HandlerContext,
  model: string,
  input: GoldenInput,
): Promise<Pick<GoldenSet, 'protocol' | 'requests'>> {
  if ('requests' in input) return { protocol: input.protocol ?? 'predict', requests: input.requests };
  const { answersOf, features, tolerance } = input;
  await getModel(context, model);
  const { source } = findVersion(await getVersions(context, model), model, answersOf);
  if (source.kind !== 'onnx') {
    throw new AppError(
      'request.invalid',
      `cannot take golden answers from ${answersOf} of "${model}": only uploaded ONNX versions are run here. Ask the model server, and send requests with what it answers as "expect"`,
    );
  }
  const predictions = await context.artifacts.predict(source.sha256, features);
  const requests = features.map((row, index) => ({
    body: { features: row },
    ...(predictions[index] === undefined ? {} : { expect: [predictions[index]] }),
    ...(tolerance === undefined ? {} : { tolerance }),
  }));
  const checked = GoldenRequestsSchema.safeParse(requests);
  if (checked.success) return { protocol: 'predict', requests: checked.data };
  throw new AppError('request.invalid', `cannot keep these golden requests: ${describeProblems(checked.error)}`);
}
