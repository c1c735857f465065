/** TensorFlow Serving's REST predict, which is KServe's v1 protocol too: `instances` by rows, `inputs` by columns. */
import { AppError } from '@understudy/core/errors';
import type { Signature, TensorSpec } from '@understudy/core/model-version';
import { isJsonObject, propertyOf } from '../json-text.ts';
import { BATCH, type DecodedRequest, type WireProtocol } from './protocol.ts';
import { describeType, tensorOf } from './tensor-decode.ts';
import { nestedJson, rowNestedJson, rowsJson, rowsOf } from './tensor-encode.ts';

export const tensorflowProtocol: WireProtocol = {
  name: 'tensorflow',
  title: 'TensorFlow Serving or KServe v1 (POST /v1/models/{model}:predict)',
  decode(body, signature) {
    if (!isJsonObject(body)) throw invalid('the body is no JSON object', signature);
    const name = propertyOf(body, 'signature_name');
    if (name !== undefined && name !== 'serving_default') {
      throw invalid(`there is no signature ${JSON.stringify(name)}, only "serving_default"`, signature);
    }
    const instances = propertyOf(body, 'instances');
    const inputs = propertyOf(body, 'inputs');
    if ((instances === undefined) === (inputs === undefined)) {
      throw invalid(
        instances === undefined ? 'it has neither "instances" nor "inputs"' : 'it has both "instances" and "inputs"',
        signature,
      );
    }
    return instances === undefined ? decodeColumns(inputs, signature) : decodeRows(instances, signature);
  },
  encode({ outputs, form }) {
    const [only] = outputs;
    const isSingle = outputs.length === 1 && only !== undefined;
    if (form.isColumnar) {
      if (isSingle) return `{"outputs":${nestedJson(only)}}`;
      return `{"outputs":{${outputs.map((output) => `${JSON.stringify(output.name)}:${nestedJson(output)}`).join(',')}}}`;
    }
    if (isSingle) return `{"predictions":${only.shape.length > 1 ? nestedJson(only) : rowsJson(only)}}`;
    const rows = Math.max(0, ...outputs.map(rowsOf));
    const texts: string[] = [];
    for (let row = 0; row < rows; row++) {
      texts.push(`{${outputs.map((output) => `${JSON.stringify(output.name)}:${rowNestedJson(output, row)}`).join(',')}}`);
    }
    return `{"predictions":[${texts.join(',')}]}`;
  },
  encodeProblem: ({ message }) => JSON.stringify({ error: message }),
  predictionsOf(answer) {
    const predictions = propertyOf(answer, 'predictions');
    if (Array.isArray(predictions)) return predictions;
    const outputs = propertyOf(answer, 'outputs');
    if (Array.isArray(outputs)) return outputs;
    return isJsonObject(outputs) ? [] : undefined;
  },
};

/** One array of rows; a row is a bare value, or an object of named inputs where the model has several. */
function decodeRows(instances: unknown, signature: Signature): DecodedRequest {
  if (!Array.isArray(instances) || instances.length === 0) throw invalid('"instances" is no array of rows', signature);
  const isNamed = isJsonObject(instances[0]) && !isEncodedText(instances[0]);
  const [only] = signature.inputs;
  if (!isNamed) {
    if (only === undefined || signature.inputs.length > 1) throw invalid('rows of several inputs are objects', signature);
    return { inputs: [tensorOf(only, instances)], form: BATCH };
  }
  const inputs = signature.inputs.map((spec) => {
    const column = instances.map((row: unknown, index) => {
      const value = propertyOf(row, spec.name);
      if (value === undefined) throw invalid(`row ${index} has no "${spec.name}"`, signature);
      return value;
    });
    return tensorOf(spec, column);
  });
  for (const name of Object.keys(instances[0])) assertInput(name, signature);
  return { inputs, form: BATCH };
}

/** One array for each input, the batch included; the only input may come without its name. */
function decodeColumns(inputs: unknown, signature: Signature): DecodedRequest {
  const form = { isSingleRow: false, isColumnar: true };
  const [only] = signature.inputs;
  if (!isJsonObject(inputs)) {
    if (only === undefined || signature.inputs.length > 1) throw invalid('"inputs" of several inputs is an object', signature);
    return { inputs: [tensorOf(only, inputs)], form };
  }
  for (const name of Object.keys(inputs)) assertInput(name, signature);
  return { inputs: signature.inputs.map((spec) => tensorOf(spec, columnOf(inputs, spec, signature))), form };
}

function columnOf(inputs: unknown, spec: TensorSpec, signature: Signature): unknown {
  const column = propertyOf(inputs, spec.name);
  if (column === undefined) throw invalid(`input "${spec.name}" is missing`, signature);
  return column;
}

function assertInput(name: string, signature: Signature): void {
  if (!signature.inputs.some((spec) => spec.name === name)) throw invalid(`the model has no input "${name}"`, signature);
}

/** TensorFlow's `{"b64": …}` is a value, not a row of named inputs. */
function isEncodedText(row: unknown): boolean {
  return propertyOf(row, 'b64') !== undefined;
}

function invalid(problem: string, signature: Signature): AppError {
  const inputs = signature.inputs.map((spec) => `"${spec.name}" (${describeType(spec)})`).join(', ');
  return new AppError(
    'request.invalid',
    `cannot read the request: ${problem}. The model expects ${inputs}: send {"instances": [row, …]}`,
  );
}
