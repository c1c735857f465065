/** Nested JSON arrays as tensors of a signature. Every wire protocol decodes its inputs through it. */
import { AppError } from '@understudy/core/errors';
import type { DataType, TensorSpec } from '@understudy/core/model-version';
import type { Tensor, TensorData } from '../../runtimes/runtime.ts';

const RANGE: Readonly<Partial<Record<DataType, readonly [low: number, high: number]>>> = {
  UINT8: [0, 255],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
  INT64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};

/**
 * A tensor from nested arrays, whose nesting gives the shape.
 * @param shape given: the data may be flat or nested, as long as it has as many values; absent: the nesting counts
 * @throws AppError `request.invalid` for ragged arrays and for values that the type cannot hold
 */
export function tensorOf(spec: TensorSpec, value: unknown, shape?: readonly number[]): Tensor {
  const actual = shape ?? shapeOf(value);
  const length = actual.reduce((product, size) => product * size, 1);
  if (shape === undefined)
    return { name: spec.name, dataType: spec.dataType, shape: actual, data: fill({ spec, levels: actual, length }, value) };
  const values = isFlat(value) ? value : flatten(value);
  // Checked before memory is taken for it: a shape is a claim, the data is there.
  if (!Array.isArray(values) || values.length !== length) {
    throw mismatch(spec, `${Array.isArray(values) ? values.length : 'no'} values for a shape of [${actual.join(', ')}]`);
  }
  return { name: spec.name, dataType: spec.dataType, shape: actual, data: fill({ spec, levels: [length], length }, values) };
}

/** The nesting of an array along its first elements; a bare value has no dimensions. */
export function shapeOf(value: unknown): number[] {
  const shape: number[] = [];
  for (let inner = value; Array.isArray(inner); inner = inner[0]) shape.push(inner.length);
  return shape;
}

/** For people: `FP32 [any, 64]`. */
export function describeType({ dataType, shape }: TensorSpec): string {
  return `${dataType} [${shape.map((size) => (size < 0 ? 'any' : String(size))).join(', ')}]`;
}

function isFlat(value: unknown): boolean {
  return Array.isArray(value) && !Array.isArray(value[0]);
}

function flatten(value: unknown): unknown {
  return Array.isArray(value) ? value.flat(Number.POSITIVE_INFINITY) : value;
}

/** Where values go: a type, and the length of each level of nesting. */
interface Target {
  readonly spec: TensorSpec;
  readonly levels: readonly number[];
  /** Number of values. */
  readonly length: number;
}

function fill(target: Target, value: unknown): TensorData {
  const { spec, length } = target;
  switch (spec.dataType) {
    case 'FP32':
      return fillFloats(target, value, new Float32Array(length));
    case 'FP64':
      return fillFloats(target, value, new Float64Array(length));
    case 'BYTES':
      return fillTexts(target, value);
    case 'INT64': {
      const data = new BigInt64Array(length);
      walk(target, value, (item, index) => {
        data[index] = BigInt(integerOf(spec, item));
      });
      return data;
    }
    case 'BOOL':
    case 'UINT8':
      return fillIntegers(target, value, new Uint8Array(length));
    case 'INT8':
      return fillIntegers(target, value, new Int8Array(length));
    case 'INT16':
      return fillIntegers(target, value, new Int16Array(length));
    case 'INT32':
      return fillIntegers(target, value, new Int32Array(length));
  }
}

function fillFloats<Data extends Float32Array | Float64Array>(target: Target, value: unknown, data: Data): Data {
  const { spec } = target;
  walk(target, value, (item, index) => {
    if (typeof item !== 'number') throw mismatch(spec, describe(item));
    data[index] = item;
    if (!Number.isFinite(data[index])) throw mismatch(spec, `${item}, which ${spec.dataType} cannot hold`);
  });
  return data;
}

function fillIntegers<Data extends Uint8Array | Int8Array | Int16Array | Int32Array>(
  target: Target,
  value: unknown,
  data: Data,
): Data {
  const { spec } = target;
  const read = spec.dataType === 'BOOL' ? booleanOf : integerOf;
  walk(target, value, (item, index) => {
    data[index] = read(spec, item);
  });
  return data;
}

function fillTexts(target: Target, value: unknown): readonly string[] {
  const data: string[] = [];
  walk(target, value, (item) => {
    if (typeof item !== 'string') throw mismatch(target.spec, describe(item));
    data.push(item);
  });
  return data;
}

function integerOf(spec: TensorSpec, item: unknown): number {
  const [low, high] = RANGE[spec.dataType] ?? [0, 0];
  if (typeof item !== 'number' || !Number.isInteger(item)) throw mismatch(spec, describe(item));
  if (item < low || item > high) throw mismatch(spec, `${item}, which is outside ${low} to ${high}`);
  return item;
}

function booleanOf(spec: TensorSpec, item: unknown): number {
  if (item === true || item === 1) return 1;
  if (item === false || item === 0) return 0;
  throw mismatch(spec, describe(item));
}

/** Visits the values in row-major order and holds every level against its length. */
function walk({ spec, levels }: Target, value: unknown, visit: (item: unknown, index: number) => void): void {
  let index = 0;
  const descend = (part: unknown, level: number): void => {
    const length = levels[level];
    if (length === undefined) {
      if (Array.isArray(part)) throw mismatch(spec, 'arrays nested to different depths');
      visit(part, index++);
      return;
    }
    if (!Array.isArray(part)) throw mismatch(spec, `${describe(part)} where an array of ${length} was expected`);
    if (part.length !== length) throw mismatch(spec, `an array of ${part.length} values where ${length} were expected`);
    for (const item of part) descend(item, level + 1);
  };
  descend(value, 0);
}

function mismatch(spec: TensorSpec, came: string): AppError {
  return new AppError(
    'request.invalid',
    `cannot read input "${spec.name}": expected ${describeType(spec)}, found ${came}. Send nested arrays of equal lengths that hold ${spec.dataType} values`,
  );
}

function describe(item: unknown): string {
  if (item === null) return 'null';
  if (Array.isArray(item)) return 'an array';
  if (typeof item === 'string') return `the text ${JSON.stringify(item.slice(0, 40))}`;
  if (typeof item === 'number' || typeof item === 'boolean') return String(item);
  return item === undefined ? 'nothing' : 'an object';
}
