/** The Open Inference Protocol v2 over REST, as Triton, KServe, MLServer and others speak it. */
import { AppError } from '@understudy/core/errors';
import type { Signature, TensorSpec } from '@understudy/core/model-version';
import type { Tensor } from '../../runtimes/runtime.ts';
import { isJsonObject, propertyOf } from '../json-text.ts';
import type { WireProtocol } from './protocol.ts';
import { describeType, tensorOf } from './tensor-decode.ts';
import { flatJson } from './tensor-encode.ts';

export const openInferenceProtocol: WireProtocol = {
  name: 'open-inference',
  title: 'Open Inference Protocol (POST /v2/models/{model}/infer)',
  decode(body, signature) {
    if (!isJsonObject(body)) throw invalid('the body is no JSON object', signature);
    const inputs = propertyOf(body, 'inputs');
    if (!Array.isArray(inputs)) throw invalid('it has no array "inputs"', signature);
    const id = propertyOf(body, 'id');
    if (id !== undefined && typeof id !== 'string') throw invalid('"id" is no text', signature);
    const outputs = outputNamesOf(propertyOf(body, 'outputs'), signature);
    return {
      inputs: inputs.map((input: unknown) => inputOf(input, signature)),
      form: {
        isSingleRow: false,
        isColumnar: true,
        ...(id === undefined ? {} : { id }),
        ...(outputs === undefined ? {} : { outputs }),
      },
    };
  },
  encode({ outputs, form, model, version }) {
    let text = `{"model_name":"${model}","model_version":"${version}",`;
    if (form.id !== undefined) text += `"id":${JSON.stringify(form.id)},`;
    text += '"outputs":[';
    let separator = '';
    for (const output of selected(outputs, form.outputs)) {
      const head = `{"name":${JSON.stringify(output.name)},"datatype":"${output.dataType}","shape":[${output.shape.join(',')}]`;
      text += `${separator}${head},"data":${flatJson(output)}}`;
      separator = ',';
    }
    return `${text}]}`;
  },
  encodeProblem: ({ message }) => JSON.stringify({ error: message }),
  predictionsOf(answer) {
    const outputs = propertyOf(answer, 'outputs');
    if (!Array.isArray(outputs)) return undefined;
    const data = propertyOf(outputs[0], 'data');
    return Array.isArray(data) ? data : [];
  },
};

function inputOf(input: unknown, signature: Signature): Tensor {
  const name = propertyOf(input, 'name');
  const spec = signature.inputs.find((candidate) => candidate.name === name);
  if (spec === undefined) throw invalid(`the model has no input ${JSON.stringify(name) ?? 'without a name'}`, signature);
  refuseBinary(input, spec, signature);
  const dataType = propertyOf(input, 'datatype');
  if (dataType !== spec.dataType) {
    throw invalid(
      `input "${spec.name}" is sent as ${JSON.stringify(dataType) ?? 'no datatype'}, the model takes "${spec.dataType}"`,
      signature,
    );
  }
  return tensorOf(spec, propertyOf(input, 'data'), shapeOf(propertyOf(input, 'shape'), spec, signature));
}

function shapeOf(shape: unknown, spec: TensorSpec, signature: Signature): readonly number[] {
  if (!Array.isArray(shape)) throw invalid(`input "${spec.name}" has no array "shape"`, signature);
  return shape.map((size: unknown) => {
    if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size;
    throw invalid(`the shape of input "${spec.name}" has a dimension that is no integer of at least 0`, signature);
  });
}

function refuseBinary(input: unknown, spec: TensorSpec, signature: Signature): void {
  if (propertyOf(propertyOf(input, 'parameters'), 'binary_data_size') === undefined) return;
  throw invalid(`input "${spec.name}" is sent as binary data, which is not supported: send "data" as JSON`, signature);
}

function outputNamesOf(outputs: unknown, signature: Signature): readonly string[] | undefined {
  if (outputs === undefined) return undefined;
  if (!Array.isArray(outputs)) throw invalid('"outputs" is no array', signature);
  const names = outputs.map((output: unknown) => {
    const name = propertyOf(output, 'name');
    if (typeof name === 'string' && signature.outputs.some((spec) => spec.name === name)) return name;
    const known = signature.outputs.map((spec) => `"${spec.name}"`).join(', ');
    throw invalid(`the model has no output ${JSON.stringify(name) ?? 'without a name'}, only ${known}`, signature);
  });
  return names.length === 0 ? undefined : names;
}

function selected(outputs: readonly Tensor[], names: readonly string[] | undefined): readonly Tensor[] {
  if (names === undefined) return outputs;
  return names.flatMap((name) => outputs.filter((output) => output.name === name));
}

function invalid(problem: string, signature: Signature): AppError {
  const inputs = signature.inputs.map((spec) => `"${spec.name}" (${describeType(spec)})`).join(', ');
  return new AppError(
    'request.invalid',
    `cannot read the request: ${problem}. The model expects ${inputs}: send {"inputs": [{"name", "shape", "datatype", "data"}]}`,
  );
}
