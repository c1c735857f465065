/** Tensors as JSON text, written directly: no intermediate arrays, 64-bit integers with all their digits. */
import { AppError } from '@understudy/core/errors';
import type { Tensor } from '../../runtimes/runtime.ts';

/** The whole tensor as nested arrays; one without dimensions as a bare value. */
export function nestedJson(tensor: Tensor): string {
  return levelJson(tensor, { level: 0, start: 0, length: tensor.data.length });
}

/** The tensor as one flat array. */
export function flatJson(tensor: Tensor): string {
  return listJson(tensor, 0, tensor.data.length);
}

/** Number of rows: the first dimension; 1 for a tensor without dimensions. */
export function rowsOf(tensor: Tensor): number {
  return tensor.shape.length === 0 ? 1 : (tensor.shape[0] ?? 1);
}

/** One row as JSON: a bare value where the row has one value, else nested arrays. */
export function rowJson(tensor: Tensor, row: number): string {
  const length = rowLengthOf(tensor);
  if (length === 1) return itemJson(tensor, row);
  return levelJson(tensor, { level: 1, start: row * length, length });
}

/** One row as nested arrays, also where it has one value in an array. */
export function rowNestedJson(tensor: Tensor, row: number): string {
  const length = rowLengthOf(tensor);
  return levelJson(tensor, { level: 1, start: row * length, length });
}

/** Every row as {@link rowJson}, in an array. */
export function rowsJson(tensor: Tensor): string {
  const rows = rowsOf(tensor);
  let text = '[';
  for (let row = 0; row < rows; row++) text += row === 0 ? rowJson(tensor, row) : `,${rowJson(tensor, row)}`;
  return `${text}]`;
}

/** Number of values in a row. */
export function rowLengthOf(tensor: Tensor): number {
  const rows = rowsOf(tensor);
  return rows === 0 ? 0 : tensor.data.length / rows;
}

/** @throws AppError `model.invalid_output` when an output holds NaN or an infinity: JSON has neither, and neither is a prediction */
export function assertFinite(outputs: readonly Tensor[]): void {
  for (const { data, name } of outputs) {
    if (!(data instanceof Float32Array) && !(data instanceof Float64Array)) continue;
    for (let index = 0; index < data.length; index++) {
      const value = data[index];
      if (!Number.isFinite(value))
        throw new AppError('model.invalid_output', `the model's output "${name}" has ${value} at position ${index}`);
    }
  }
}

interface Span {
  readonly level: number;
  readonly start: number;
  readonly length: number;
}

function levelJson(tensor: Tensor, { level, start, length }: Span): string {
  const { shape } = tensor;
  if (level >= shape.length) return itemJson(tensor, start);
  if (level === shape.length - 1) return listJson(tensor, start, length);
  const size = shape[level] ?? 0;
  const part = size === 0 ? 0 : length / size;
  let text = '[';
  for (let index = 0; index < size; index++) {
    const inner = levelJson(tensor, { level: level + 1, start: start + index * part, length: part });
    text += index === 0 ? inner : `,${inner}`;
  }
  return `${text}]`;
}

function listJson(tensor: Tensor, start: number, length: number): string {
  let text = '[';
  for (let index = 0; index < length; index++) {
    text += index === 0 ? itemJson(tensor, start) : `,${itemJson(tensor, start + index)}`;
  }
  return `${text}]`;
}

function itemJson({ data, dataType }: Tensor, index: number): string {
  const item = data[index];
  if (typeof item === 'string') return JSON.stringify(item);
  if (dataType === 'BOOL') return item === 1 ? 'true' : 'false';
  return String(item);
}
