/** The plain protocol: `{"features": […]}` for one row, rows, or `{"inputs": {name: …}}` for models of several inputs. */
import { AppError } from '@understudy/core/errors';
import type { Signature, TensorSpec } from '@understudy/core/model-version';
import type { Tensor } from '../../runtimes/runtime.ts';
import { isJsonObject, propertyOf } from '../json-text.ts';
import { BATCH, type DecodedRequest, SINGLE_ROW, type WireProtocol } from './protocol.ts';
import { describeType, shapeOf, tensorOf } from './tensor-decode.ts';
import { nestedJson, rowJson, rowsJson } from './tensor-encode.ts';

export const predictProtocol: WireProtocol = {
  name: 'predict',
  title: 'plain (POST /predict/{model})',
  decode(body, signature) {
    if (!isJsonObject(body)) throw invalid('the body is no JSON object', signature);
    const features = propertyOf(body, 'features');
    const inputs = propertyOf(body, 'inputs');
    if ((features === undefined) === (inputs === undefined)) {
      throw invalid(
        features === undefined ? 'it has neither "features" nor "inputs"' : 'it has both "features" and "inputs"',
        signature,
      );
    }
    if (features !== undefined) return decodeFeatures(features, signature);
    if (!isJsonObject(inputs)) throw invalid('"inputs" is no object', signature);
    return decodeInputs(inputs, signature);
  },
  encode({ outputs, signature, form, model, version, arm, latencyMs, requestId }) {
    const predicted = outputs.find((output) => output.name === signature.prediction);
    let text = '{';
    if (predicted !== undefined) {
      text += form.isSingleRow ? `"prediction":${rowJson(predicted, 0)},` : `"predictions":${rowsJson(predicted)},`;
    }
    text += '"outputs":{';
    let separator = '';
    for (const output of outputs) {
      text += `${separator}${JSON.stringify(output.name)}:${nestedJson(output)}`;
      separator = ',';
    }
    const latency = Math.round(latencyMs * 1000) / 1000;
    // Names of models and versions need no escapes: the contract allows letters, digits, ".", "_" and "-".
    return `${text}},"model":"${model}","version":"${version}","arm":"${arm}","latencyMs":${latency},"requestId":"${requestId}"}`;
  },
  encodeProblem: ({ code, message }, requestId) => JSON.stringify({ error: { code, message, requestId } }),
  predictionsOf(answer) {
    if (!isJsonObject(answer)) return undefined;
    const many = propertyOf(answer, 'predictions');
    if (Array.isArray(many)) return many;
    const one = propertyOf(answer, 'prediction');
    return one === undefined ? [] : [one];
  },
};

/** One input only; whether it is one row or several is told by the nesting. */
function decodeFeatures(features: unknown, signature: Signature): DecodedRequest {
  const spec = onlyInputOf(signature);
  if (!Array.isArray(features)) throw invalid('"features" is no array', signature);
  const rank = spec.shape.length;
  const depth = shapeOf(features).length;
  if (depth === rank - 1) return { inputs: [withBatch(tensorOf(spec, features))], form: SINGLE_ROW };
  return { inputs: [tensorOf(spec, features)], form: BATCH };
}

/** Named inputs. Where every one lacks exactly the batch dimension, they are one row. */
function decodeInputs(inputs: Readonly<Record<string, unknown>>, signature: Signature): DecodedRequest {
  for (const name of Object.keys(inputs)) {
    if (!signature.inputs.some((spec) => spec.name === name)) throw invalid(`the model has no input "${name}"`, signature);
  }
  const isSingleRow = signature.inputs.every(
    (spec) => spec.shape.length > 0 && shapeOf(inputOf(inputs, spec, signature)).length === spec.shape.length - 1,
  );
  const tensors = signature.inputs.map((spec) => tensorOf(spec, inputOf(inputs, spec, signature)));
  return isSingleRow ? { inputs: tensors.map(withBatch), form: SINGLE_ROW } : { inputs: tensors, form: BATCH };
}

function inputOf(inputs: Readonly<Record<string, unknown>>, spec: TensorSpec, signature: Signature): unknown {
  const value = propertyOf(inputs, spec.name);
  if (value === undefined) throw invalid(`input "${spec.name}" is missing`, signature);
  return value;
}

function onlyInputOf(signature: Signature): TensorSpec {
  const [spec] = signature.inputs;
  if (spec === undefined || signature.inputs.length > 1) {
    throw invalid('"features" fits only models of one input', signature);
  }
  return spec;
}

/** The tensor as a batch of one. */
function withBatch(tensor: Tensor): Tensor {
  return { ...tensor, shape: [1, ...tensor.shape] };
}

function invalid(problem: string, signature: Signature): AppError {
  const inputs = signature.inputs.map((spec) => `"${spec.name}" (${describeType(spec)})`).join(', ');
  const example = signature.inputs.length === 1 ? '{"features": […]}' : '{"inputs": {name: […]}}';
  return new AppError('request.invalid', `cannot read the request: ${problem}. The model expects ${inputs}: send ${example}`);
}
