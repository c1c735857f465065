import { describe, expect, it } from 'vitest';
import { momentsOf } from './evidence.ts';
import { baselineOf, type DataType, isClassifier, isLabelType, type VersionSource } from './model-version.ts';
import { distributionOfSample } from './prediction-bins.ts';

describe('baselineOf', () => {
  it('is the mean and the spread of the predictions', () => {
    const baseline = { count: 3, mean: 2, standardDeviation: 1, source: 'validation', setAtMs: 7 };
    expect(baselineOf({ moments: momentsOf([1, 2, 3]) }, 'validation', 7)).toEqual(baseline);
  });

  it('has the distribution where it is known', () => {
    const distribution = distributionOfSample([1, 2, 3]);
    expect(baselineOf({ moments: momentsOf([1, 2, 3]), distribution }, 'validation', 7)).toMatchObject({ mean: 2, distribution });
    expect(baselineOf({ moments: momentsOf([1, 2]), distribution: undefined }, 'live', 7)).not.toHaveProperty('distribution');
  });

  it('may have no spread', () => {
    expect(baselineOf({ moments: momentsOf([2, 2]) }, 'live', 0)).toMatchObject({ mean: 2, standardDeviation: 0 });
  });

  it.each([
    { name: 'no prediction', moments: momentsOf([]) },
    { name: 'one prediction', moments: momentsOf([1]) },
    { name: 'predictions whose squares no number can hold', moments: momentsOf([1e200, 2e200]) },
    { name: 'predictions whose sum no number can hold', moments: momentsOf([1e308, 1e308]) },
    { name: 'predictions that are no numbers', moments: momentsOf([1, Number.NaN]) },
  ])('does not exist for $name', ({ moments }) => {
    expect(baselineOf({ moments }, 'validation', 0)).toBeUndefined();
  });
});

describe('isClassifier', () => {
  const onnx = (dataType: DataType, prediction = 'y'): VersionSource => ({
    kind: 'onnx',
    sha256: 'a'.repeat(64),
    bytes: 1,
    signature: {
      inputs: [],
      outputs: [
        { name: 'p', dataType: 'FP32', shape: [-1, 2] },
        { name: 'y', dataType, shape: [-1] },
      ],
      prediction,
    },
  });

  it.each<{ dataType: DataType; expected: boolean }>([
    { dataType: 'FP32', expected: false },
    { dataType: 'FP64', expected: false },
    { dataType: 'INT64', expected: true },
    { dataType: 'INT32', expected: true },
    { dataType: 'INT16', expected: true },
    { dataType: 'INT8', expected: true },
    { dataType: 'UINT8', expected: true },
    { dataType: 'BOOL', expected: true },
    { dataType: 'BYTES', expected: true },
  ])('is $expected of a prediction in $dataType', ({ dataType, expected }) => {
    expect(isLabelType(dataType)).toBe(expected);
    expect(isClassifier(onnx(dataType))).toBe(expected);
  });

  it.each<{ name: string; source: VersionSource }>([
    { name: 'a model whose other outputs are labels', source: onnx('INT64', 'p') },
    { name: 'a model without its prediction', source: onnx('INT64', 'z') },
    { name: 'a model server', source: { kind: 'upstream', url: 'http://m', protocol: 'predict', remoteModel: 'm' } },
  ])('is false of $name', ({ source }) => {
    expect(isClassifier(source)).toBe(false);
  });
});
