import { describe, expect, it } from 'vitest';
import type { Tensor } from './runtime.ts';
import { tensorCheckOf } from './tensor-check.ts';

const SPECS = [{ name: 'features', dataType: 'FP32', shape: [-1, 2] }] as const;
const check = tensorCheckOf(SPECS, []);

function features(shape: readonly number[], change: Partial<Tensor> = {}): Tensor {
  const length = shape.reduce((count, size) => count * size, 1);
  return { name: 'features', dataType: 'FP32', shape, data: new Float32Array(Math.max(0, Math.trunc(length))), ...change };
}

it.each([{ shape: [1, 2] }, { shape: [3, 2] }])('accepts $shape and counts its values', ({ shape }) => {
  expect(check([features(shape)])).toBe(shape.reduce((count, size) => count * size, 1));
});

it.each([
  {
    name: 'too few features',
    inputs: [features([1, 1])],
    message: 'input "features" has shape [1, 1], but the model expects [any, 2]: dimension 2 must be 2',
  },
  {
    name: 'a row without a batch',
    inputs: [features([2])],
    message:
      'input "features" has shape [2], but the model expects [any, 2]: send 2 dimensions (a single row is still a batch of one)',
  },
  {
    name: 'an empty batch',
    inputs: [features([0, 2])],
    message: 'input "features" has shape [0, 2], but the model expects [any, 2]: dimension 1 must be an integer of at least 1',
  },
  {
    name: 'a broken number of rows',
    inputs: [features([1.5, 2])],
    message: 'input "features" has shape [1.5, 2], but the model expects [any, 2]: dimension 1 must be an integer of at least 1',
  },
  {
    name: 'another type',
    inputs: [features([1, 2], { dataType: 'FP64', data: new Float64Array(2) })],
    message: 'input "features" is FP64, but the model expects FP32: convert the values first',
  },
  {
    name: 'a shape its values do not fill',
    inputs: [features([2, 2], { data: new Float32Array(3) })],
    message: 'input "features" claims shape [2, 2], which is 4 values, but carries 3',
  },
  {
    name: 'an unknown name',
    inputs: [features([1, 2], { name: 'pixels' })],
    message: 'the model has no input "pixels": the model expects "features" (FP32 [any, 2])',
  },
  {
    name: 'nothing',
    inputs: [],
    message: 'input "features" is missing: the model expects "features" (FP32 [any, 2])',
  },
  {
    name: 'an input twice',
    inputs: [features([1, 2]), features([1, 2])],
    message: 'input "features" was sent twice: send it once',
  },
])('refuses $name', ({ inputs, message }) => {
  expect(() => check(inputs)).toThrow(expect.objectContaining({ code: 'request.invalid', message }));
});

it('calls an array of the wrong kind a bug of ours', () => {
  expect(() => check([features([1, 2], { data: new Float64Array(2) })])).toThrow(
    new Error('input "features" is FP32 but its data is no Float32Array'),
  );
});

it('accepts any shape where the model declares none', () => {
  const open = tensorCheckOf([{ name: 'features', dataType: 'FP32', shape: [] }], []);
  expect([open([features([])]), open([features([2, 3])])]).toEqual([1, 6]);
});

describe('with two inputs whose rows the model names alike', () => {
  const specs = [
    { name: 'age', dataType: 'FP32', shape: [-1, 1] },
    { name: 'town', dataType: 'BYTES', shape: [-1, 1] },
  ] as const;
  const linked = tensorCheckOf(specs, [
    ['batch', ''],
    ['batch', ''],
  ]);
  const age: Tensor = { name: 'age', dataType: 'FP32', shape: [2, 1], data: Float32Array.of(30, 40) };
  const town: Tensor = { name: 'town', dataType: 'BYTES', shape: [2, 1], data: ['Bonn', 'Köln'] };

  it.each([{ inputs: [age, town] }, { inputs: [town, age] }])('takes them in any order', ({ inputs }) => {
    expect(linked(inputs)).toBe(4);
  });

  it('refuses different numbers of rows', () => {
    expect(() => linked([{ ...town, shape: [1, 1], data: ['Bonn'] }, age])).toThrow(
      'dimension "batch" is 2 in "age" and 1 in "town", but the model wants it equal everywhere',
    );
  });
});
