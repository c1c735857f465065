/** Holds the inputs of a run against a version's signature, so that a caller's mistake never reaches the model. The ONNX runtime depends on it. */
import type { DataType, TensorSpec } from '@understudy/core/model-version';
import { AppError } from '@understudy/core/errors';
import type { Tensor, TensorData } from './runtime.ts';

/** A free dimension in {@link TensorSpec.shape}. */
export const FREE = -1;

/** An axis of an input, by position. */
interface Axis {
  readonly input: number;
  readonly axis: number;
}

const ARRAY_OF: Readonly<Record<DataType, { readonly name: string; holds(data: TensorData): boolean }>> = {
  BOOL: { name: 'Uint8Array', holds: (data) => data instanceof Uint8Array },
  UINT8: { name: 'Uint8Array', holds: (data) => data instanceof Uint8Array },
  INT8: { name: 'Int8Array', holds: (data) => data instanceof Int8Array },
  INT16: { name: 'Int16Array', holds: (data) => data instanceof Int16Array },
  INT32: { name: 'Int32Array', holds: (data) => data instanceof Int32Array },
  INT64: { name: 'BigInt64Array', holds: (data) => data instanceof BigInt64Array },
  FP32: { name: 'Float32Array', holds: (data) => data instanceof Float32Array },
  FP64: { name: 'Float64Array', holds: (data) => data instanceof Float64Array },
  BYTES: { name: 'array of texts', holds: (data) => Array.isArray(data) },
};

/**
 * Compiles the check for a signature.
 * @param axisNames per input, the model's own name of each axis ('' for none); axes of one name must have one length.
 *   Pass [] when no names are known
 * @returns a function that gives the number of values in all inputs together, or throws AppError `request.invalid`
 */
export function tensorCheckOf(
  specs: readonly TensorSpec[],
  axisNames: readonly (readonly string[])[],
): (tensors: readonly Tensor[]) => number {
  const linked = linkedAxesOf(axisNames);
  return (tensors) => {
    if (!isInOrder(specs, tensors)) checkNames(specs, tensors);
    let values = 0;
    for (const [index, spec] of specs.entries()) {
      const tensor = tensorAt(tensors, index, spec.name);
      checkTensor(spec, tensor);
      values += tensor.data.length;
    }
    if (linked.size > 0) checkLinkedAxes(specs, tensors, linked);
    return values;
  };
}

/** A spec for people: `"features" (FP32 [any, 64])`. */
function describeSpec(spec: TensorSpec): string {
  return `"${spec.name}" (${spec.dataType} ${describeShape(spec.shape)})`;
}

function isInOrder(specs: readonly TensorSpec[], tensors: readonly Tensor[]): boolean {
  return tensors.length === specs.length && specs.every((spec, index) => tensors[index]?.name === spec.name);
}

function tensorAt(tensors: readonly Tensor[], index: number, name: string): Tensor {
  const here = tensors[index];
  const found = here?.name === name ? here : tensors.find((tensor) => tensor.name === name);
  if (found === undefined) throw new Error(`input "${name}" vanished after the check of names`);
  return found;
}

function checkNames(specs: readonly TensorSpec[], tensors: readonly Tensor[]): void {
  const expected = `the model expects ${specs.map(describeSpec).join(', ')}`;
  const seen = new Set<string>();
  for (const { name } of tensors) {
    if (seen.has(name)) throw invalid(`input "${name}" was sent twice: send it once`);
    if (!specs.some((spec) => spec.name === name)) throw invalid(`the model has no input "${name}": ${expected}`);
    seen.add(name);
  }
  const missing = specs.find((spec) => !seen.has(spec.name));
  if (missing !== undefined) throw invalid(`input "${missing.name}" is missing: ${expected}`);
}

function checkTensor(spec: TensorSpec, tensor: Tensor): void {
  if (tensor.dataType !== spec.dataType) {
    throw invalid(`input "${spec.name}" is ${tensor.dataType}, but the model expects ${spec.dataType}: convert the values first`);
  }
  if (!ARRAY_OF[spec.dataType].holds(tensor.data)) {
    throw new Error(`input "${spec.name}" is ${spec.dataType} but its data is no ${ARRAY_OF[spec.dataType].name}`);
  }
  let values = 1;
  for (const size of tensor.shape) values *= size;
  if (!hasShape(spec.shape, tensor.shape)) throw wrongShape(spec, tensor);
  if (values !== tensor.data.length) {
    const [claimed, carried] = [String(values), String(tensor.data.length)];
    throw invalid(
      `input "${spec.name}" claims shape ${describeShape(tensor.shape)}, which is ${claimed} values, but carries ${carried}`,
    );
  }
}

// onnxruntime reports the same empty shape for a scalar and for a shape the model leaves open, so it holds for anything.
function hasShape(expected: readonly number[], actual: readonly number[]): boolean {
  if (expected.length > 0 && actual.length !== expected.length) return false;
  for (const [axis, size] of actual.entries()) {
    if (!Number.isSafeInteger(size) || size < 1) return false;
    const wanted = expected[axis] ?? FREE;
    if (wanted !== FREE && wanted !== size) return false;
  }
  return true;
}

function wrongShape(spec: TensorSpec, tensor: Tensor): AppError {
  const came = `input "${spec.name}" has shape ${describeShape(tensor.shape)}, but the model expects ${describeShape(spec.shape)}`;
  if (spec.shape.length > 0 && tensor.shape.length !== spec.shape.length) {
    return invalid(`${came}: send ${String(spec.shape.length)} dimensions (a single row is still a batch of one)`);
  }
  const axis = tensor.shape.findIndex((size, at) => !hasShape([spec.shape[at] ?? FREE], [size]));
  const wanted = spec.shape[axis] ?? FREE;
  const fix = wanted === FREE ? 'an integer of at least 1' : String(wanted);
  return invalid(`${came}: dimension ${String(axis + 1)} must be ${fix}`);
}

/** Names that two or more axes share, with those axes. */
function linkedAxesOf(axisNames: readonly (readonly string[])[]): ReadonlyMap<string, readonly Axis[]> {
  const axes = axisNames.flatMap((names, input) => names.map((name, axis) => ({ name, input, axis })));
  const groups = Map.groupBy(
    axes.filter(({ name }) => name !== ''),
    ({ name }) => name,
  );
  return new Map([...groups].filter(([, group]) => group.length > 1));
}

function checkLinkedAxes(
  specs: readonly TensorSpec[],
  tensors: readonly Tensor[],
  linked: ReadonlyMap<string, readonly Axis[]>,
): void {
  for (const [name, axes] of linked) {
    const sizes = axes.map(({ input, axis }) => {
      const inputName = specs[input]?.name ?? '';
      return { inputName, size: tensorAt(tensors, input, inputName).shape[axis] };
    });
    const odd = sizes.find(({ size }) => size !== sizes[0]?.size);
    if (odd === undefined) continue;
    const [first, other] = [
      `${String(sizes[0]?.size)} in "${sizes[0]?.inputName ?? ''}"`,
      `${String(odd.size)} in "${odd.inputName}"`,
    ];
    throw invalid(`dimension "${name}" is ${first} and ${other}, but the model wants it equal everywhere`);
  }
}

function describeShape(shape: readonly number[]): string {
  return `[${shape.map((size) => (size === FREE ? 'any' : String(size))).join(', ')}]`;
}

function invalid(message: string): AppError {
  return new AppError('request.invalid', message);
}
