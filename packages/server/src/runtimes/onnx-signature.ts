/** Reads a version's signature from what onnxruntime says about a loaded model. `onnx-session.ts` depends on it. */
import type { DataType, Signature, TensorSpec } from '@understudy/core/model-version';
import { AppError } from '@understudy/core/errors';
import type { InferenceSession } from 'onnxruntime-node';
import { FREE } from './tensor-check.ts';

/** A loaded model's signature, and per input the model's own names of its axes ('' for none). */
export interface OnnxSignature {
  readonly signature: Signature;
  readonly axisNames: readonly (readonly string[])[];
}

const DATA_TYPES: ReadonlyMap<string, DataType> = new Map([
  ['bool', 'BOOL'],
  ['uint8', 'UINT8'],
  ['int8', 'INT8'],
  ['int16', 'INT16'],
  ['int32', 'INT32'],
  ['int64', 'INT64'],
  ['float32', 'FP32'],
  ['float64', 'FP64'],
  ['string', 'BYTES'],
]);

// What exporters call the answer itself: ours, MLflow's, skl2onnx's (classifier, then regressor), PyTorch's.
const PREDICTION_NAMES = ['prediction', 'predictions', 'label', 'output_label', 'variable', 'output'];

/** @throws AppError `artifact.unsupported_format` on an input or output that no request could carry */
export function onnxSignatureOf(session: Pick<InferenceSession, 'inputMetadata' | 'outputMetadata'>): OnnxSignature {
  const inputs = session.inputMetadata.map((value) => specOf('input', value));
  const outputs = session.outputMetadata.map((value) => specOf('output', value));
  if (inputs.length === 0) {
    throw new AppError(
      'artifact.unsupported_format',
      'the model has no inputs, so every answer would be the same: export it with inputs',
    );
  }
  const axisNames = session.inputMetadata.map((value) =>
    value.isTensor ? value.shape.map((size) => (typeof size === 'number' ? '' : size)) : [],
  );
  return { signature: { inputs, outputs, prediction: predictionOf(outputs) }, axisNames };
}

function predictionOf(outputs: readonly TensorSpec[]): string {
  const named = PREDICTION_NAMES.find((name) => outputs.some((output) => output.name === name));
  const chosen = named ?? outputs.find((output) => output.dataType !== 'BYTES')?.name ?? outputs[0]?.name;
  if (chosen === undefined) throw new AppError('artifact.unsupported_format', 'the model has no outputs: export it with outputs');
  return chosen;
}

function specOf(role: 'input' | 'output', value: InferenceSession.ValueMetadata): TensorSpec {
  if (!value.isTensor) {
    throw new AppError(
      'artifact.unsupported_format',
      `${role} "${value.name}" is a map or a sequence, and only tensors can be served: export the model without it ` +
        `(skl2onnx: options={'zipmap': False})`,
    );
  }
  const dataType = DATA_TYPES.get(value.type);
  if (dataType === undefined) {
    throw new AppError(
      'artifact.unsupported_format',
      `${role} "${value.name}" has element type ${value.type}, which cannot be served: cast it inside the model, ` +
        `to ${value.type.startsWith('float') ? 'float32' : 'int64'} for example`,
    );
  }
  return { name: value.name, dataType, shape: value.shape.map((size) => (typeof size === 'number' ? size : FREE)) };
}
