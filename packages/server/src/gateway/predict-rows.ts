/** Runs many rows of features through a loaded model, for baselines. Reads rows and predictions just as the hot path does. */
import type { OnnxRuntime } from '../runtimes/runtime.ts';
import { predictionsOf } from './onnx-arm.ts';
import { predictProtocol } from './wire/predict.ts';

// One row at a time would be slow, all at once may not fit: a model with a fixed batch of one row fails on more.
const BATCH_ROWS = 64;
const DEADLINE_MS = 60_000;

/**
 * The numeric prediction of each row.
 * @throws AppError `request.invalid` when the rows do not fit the model, `model.run_failed` when it fails on them
 */
export async function predictRows(runtime: OnnxRuntime, rows: readonly (readonly number[])[]): Promise<readonly number[]> {
  const predictions: number[] = [];
  const isFree = runtime.signature.inputs.every((input) => input.shape[0] === -1);
  const size = isFree ? BATCH_ROWS : 1;
  for (let start = 0; start < rows.length; start += size) {
    const { inputs } = predictProtocol.decode({ features: rows.slice(start, start + size) }, runtime.signature);
    const { outputs } = await runtime.run(inputs, DEADLINE_MS);
    const { values } = predictionsOf(outputs, runtime.signature);
    for (const value of values) predictions.push(Number(value));
  }
  return predictions;
}
