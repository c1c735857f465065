import type { DataType } from '@understudy/core/model-version';
import { expect, it } from 'vitest';
import { flatJson, nestedJson } from './tensor-encode.ts';
import { tensorOf } from './tensor-decode.ts';

const spec = (dataType: DataType) => ({ name: 'x', dataType, shape: [-1, -1] });

it.each<{ dataType: DataType; values: unknown[][] }>([
  { dataType: 'BOOL', values: [[true, false]] },
  { dataType: 'UINT8', values: [[0, 255]] },
  { dataType: 'INT8', values: [[-128, 127]] },
  { dataType: 'INT16', values: [[-32_768, 32_767]] },
  { dataType: 'INT32', values: [[-2_147_483_648], [2_147_483_647]] },
  { dataType: 'INT64', values: [[Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]] },
  { dataType: 'FP32', values: [[1.5, -0.25]] },
  { dataType: 'FP64', values: [[0.1, 1e300]] },
  { dataType: 'BYTES', values: [['', 'ä"\\', '\u2028']] },
])('reads and writes $dataType', ({ dataType, values }) => {
  const tensor = tensorOf(spec(dataType), values);
  expect(tensor.shape).toEqual([values.length, values[0]?.length]);
  expect(JSON.parse(nestedJson(tensor))).toEqual(values);
  expect(JSON.parse(flatJson(tensor))).toEqual(values.flat());
});

it.each<{ dataType: DataType; value: unknown }>([
  { dataType: 'BOOL', value: 2 },
  { dataType: 'UINT8', value: -1 },
  { dataType: 'UINT8', value: 256 },
  { dataType: 'INT8', value: 128 },
  { dataType: 'INT32', value: 0.5 },
  { dataType: 'INT64', value: 2 ** 53 },
  { dataType: 'INT64', value: '1' },
  { dataType: 'FP32', value: 1e39 },
  { dataType: 'FP64', value: null },
  { dataType: 'BYTES', value: 1 },
])('refuses $value as $dataType', ({ dataType, value }) => {
  expect(() => tensorOf(spec(dataType), [[value]])).toThrow(expect.objectContaining({ code: 'request.invalid' }));
});

it('writes 64-bit integers with all their digits', () => {
  expect(nestedJson({ name: 'x', dataType: 'INT64', shape: [1], data: new BigInt64Array([2n ** 63n - 1n]) })).toBe(
    '[9223372036854775807]',
  );
});

it('writes tensors of any rank', () => {
  const data = new Float32Array([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(nestedJson({ name: 'x', dataType: 'FP32', shape: [2, 2, 2], data })).toBe('[[[1,2],[3,4]],[[5,6],[7,8]]]');
  expect(nestedJson({ name: 'x', dataType: 'FP32', shape: [], data: data.slice(0, 1) })).toBe('1');
  expect(nestedJson({ name: 'x', dataType: 'FP32', shape: [2, 0], data: new Float32Array() })).toBe('[[],[]]');
});
