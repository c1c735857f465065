/** MLflow's scoring protocol: data frames by `dataframe_split` or `dataframe_records`, and TensorFlow's `instances` and `inputs`. */
import { AppError } from '@understudy/core/errors';
import type { Signature, TensorSpec } from '@understudy/core/model-version';
import { isJsonObject, propertyOf } from '../json-text.ts';
import { BATCH, type DecodedRequest, type WireProtocol } from './protocol.ts';
import { describeType, tensorOf } from './tensor-decode.ts';
import { rowsJson } from './tensor-encode.ts';
import { tensorflowProtocol } from './tensorflow.ts';

const FORMATS = ['dataframe_split', 'dataframe_records', 'instances', 'inputs'] as const;

// MLflow's own names of errors (protos/databricks.proto); clients tell retries from mistakes by them.
const MLFLOW_CODES: Readonly<Record<number, string>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'RESOURCE_DOES_NOT_EXIST',
  405: 'ENDPOINT_NOT_FOUND',
  409: 'RESOURCE_CONFLICT',
  413: 'BAD_REQUEST',
  415: 'BAD_REQUEST',
  503: 'TEMPORARILY_UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

export const mlflowProtocol: WireProtocol = {
  name: 'mlflow',
  title: 'MLflow scoring (POST /invocations)',
  decode(body, signature) {
    const present = FORMATS.filter((format) => propertyOf(body, format) !== undefined);
    const [format] = present;
    if (format === undefined || present.length > 1) {
      throw invalid(`it has ${format === undefined ? 'none' : 'several'} of ${FORMATS.join(', ')}`, signature);
    }
    const value = propertyOf(body, format);
    switch (format) {
      case 'dataframe_split':
        return decodeSplit(value, signature);
      case 'dataframe_records':
        return decodeRecords(value, signature);
      case 'instances':
      case 'inputs':
        return { ...tensorflowProtocol.decode({ [format]: value }, signature), form: BATCH };
    }
  },
  encode({ outputs, signature }) {
    const predicted = outputs.find((output) => output.name === signature.prediction) ?? outputs[0];
    return `{"predictions":${predicted === undefined ? '[]' : rowsJson(predicted)}}`;
  },
  encodeProblem: ({ status, message }) => JSON.stringify({ error_code: MLFLOW_CODES[status] ?? 'INTERNAL_ERROR', message }),
  predictionsOf(answer) {
    // Servers before MLflow 2 answer with the bare array.
    if (Array.isArray(answer)) return answer;
    const predictions = propertyOf(answer, 'predictions');
    if (Array.isArray(predictions)) return predictions;
    return isJsonObject(predictions) ? [] : undefined;
  },
};

/** `{"columns": […], "data": [[…]], "index": […]}`; the index says nothing to a model. */
function decodeSplit(frame: unknown, signature: Signature): DecodedRequest {
  const columns = propertyOf(frame, 'columns');
  const data = propertyOf(frame, 'data');
  if (!Array.isArray(data)) throw invalid('"dataframe_split" has no array "data"', signature);
  if (columns === undefined) return decodeRowArrays(data, signature);
  if (!Array.isArray(columns)) throw invalid('"columns" is no array', signature);
  const names = columns.map(String);
  for (const [index, row] of data.entries()) {
    if (!Array.isArray(row) || row.length !== names.length) {
      throw invalid(`row ${index} of "data" has not the ${names.length} values that "columns" names`, signature);
    }
  }
  if (!isByInput(names, signature)) return decodeRowArrays(data, signature);
  const inputs = signature.inputs.map((spec) => {
    const at = names.indexOf(spec.name);
    return columnTensor(
      spec,
      data.map((row: unknown) => (Array.isArray(row) ? row[at] : undefined)),
    );
  });
  return { inputs, form: BATCH };
}

/** `[{column: value}, …]`: the columns of the first record, in its order. */
function decodeRecords(records: unknown, signature: Signature): DecodedRequest {
  if (!Array.isArray(records) || !isJsonObject(records[0]))
    throw invalid('"dataframe_records" is no array of objects', signature);
  const names = Object.keys(records[0]);
  const data = records.map((record: unknown, index) => {
    if (!isJsonObject(record) || Object.keys(record).length !== names.length)
      throw invalid(`record ${index} has other columns`, signature);
    return names.map((name) => {
      const value = propertyOf(record, name);
      if (value === undefined) throw invalid(`record ${index} has no "${name}"`, signature);
      return value;
    });
  });
  return decodeSplit({ columns: names, data }, signature);
}

/** Columns that are the model's inputs; otherwise they are the features of its only input, in their order. */
function isByInput(names: readonly string[], signature: Signature): boolean {
  if (signature.inputs.every((spec) => names.includes(spec.name))) {
    const extra = names.find((name) => !signature.inputs.some((spec) => spec.name === name));
    if (extra !== undefined) throw invalid(`the model has no input "${extra}"`, signature);
    return true;
  }
  return false;
}

function decodeRowArrays(data: unknown, signature: Signature): DecodedRequest {
  const [only] = signature.inputs;
  if (only === undefined || signature.inputs.length > 1) throw invalid('its columns are not the inputs of the model', signature);
  return { inputs: [tensorOf(only, data)], form: BATCH };
}

/** Scalars of a column become `[N, 1]` where the model wants two dimensions. */
function columnTensor(spec: TensorSpec, column: readonly unknown[]): ReturnType<typeof tensorOf> {
  const isScalar = !Array.isArray(column[0]);
  return tensorOf(spec, isScalar && spec.shape.length === 2 ? column.map((value) => [value]) : column);
}

function invalid(problem: string, signature: Signature): AppError {
  const inputs = signature.inputs.map((spec) => `"${spec.name}" (${describeType(spec)})`).join(', ');
  return new AppError(
    'request.invalid',
    `cannot read the request: ${problem}. The model expects ${inputs}: send {"dataframe_split": {"columns": […], "data": [[…]]}}`,
  );
}
