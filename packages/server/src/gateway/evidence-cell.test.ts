import { EMPTY_TALLY, momentsOf, type Tally } from '@understudy/core/evidence';
import { bucketOfLatency } from '@understudy/core/histogram';
import { nameOfEdges } from '@understudy/core/prediction-bins';
import { expect, it } from 'vitest';
import { type CellKey, openEvidenceCell } from './evidence-cell.ts';
import type { Prediction } from './prediction-counts.ts';

const KEY: CellKey = { model: 'm', version: 'v2', arm: 'challenger' };
const EDGES = [0, 10];
const BINS = nameOfEdges(EDGES);

/** The tally of one request that predicted these rows. */
function tallyOf(rows: readonly Prediction[], isClass: boolean, binEdges: readonly number[] | undefined): Tally | undefined {
  const cell = openEvidenceCell({ key: KEY, binEdges }, () => {});
  cell.addRequest(1, false);
  const [first, ...rest] = rows;
  if (first !== undefined) cell.predictions.add(first, isClass);
  for (const row of rest) cell.predictions.addRow(row);
  return cell.take(1000)?.tally;
}

it.each<{ name: string; rows: readonly Prediction[]; isClass: boolean; expected: Partial<Tally> }>([
  {
    name: 'a number by its bin',
    rows: [9.5],
    isClass: false,
    expected: { bins: { [BINS]: [0, 1, 0] }, classes: {}, predictions: momentsOf([9.5]) },
  },
  { name: 'a number at an edge in the bin above it', rows: [10], isClass: false, expected: { bins: { [BINS]: [0, 0, 1] } } },
  {
    name: 'a label as a class and in its bin',
    rows: [-3n],
    isClass: true,
    expected: { bins: { [BINS]: [1, 0, 0] }, classes: { '-3': 1 }, predictions: momentsOf([-3]) },
  },
  {
    name: 'a text as a class only',
    rows: ['cat'],
    isClass: true,
    expected: { bins: {}, classes: { cat: 1 }, predictions: momentsOf([]) },
  },
  {
    name: 'a batch by its first row, with the mean of every row',
    rows: [5, 20, 30],
    isClass: false,
    expected: { bins: { [BINS]: [0, 1, 0] }, predictions: momentsOf([5, 20, 30]) },
  },
  {
    name: 'a batch of labels by its first row',
    rows: [1n, 2n, 2n],
    isClass: true,
    expected: { classes: { 1: 1 }, predictions: momentsOf([1, 2, 2]) },
  },
  { name: 'a batch of texts by its first row', rows: ['cat', 'dog'], isClass: true, expected: { classes: { cat: 1 } } },
  {
    name: 'NaN nowhere',
    rows: [Number.NaN],
    isClass: true,
    expected: { bins: {}, classes: {}, predictions: momentsOf([]) },
  },
  {
    name: 'infinity nowhere',
    rows: [Number.POSITIVE_INFINITY],
    isClass: true,
    expected: { bins: {}, classes: {}, predictions: momentsOf([]) },
  },
  {
    name: 'a number too large to be squared in its bin only',
    rows: [1e200],
    isClass: false,
    expected: { bins: { [BINS]: [0, 0, 1] }, predictions: momentsOf([]) },
  },
])('counts $name', ({ rows, isClass, expected }) => {
  expect(tallyOf(rows, isClass, EDGES)).toMatchObject({ requests: 1, ...expected });
});

it('counts in no bins when nobody knows what predictions look like', () => {
  expect(tallyOf([5], false, undefined)?.bins).toEqual({});
});

it('tells the times of a cold instance from the others', () => {
  const cell = openEvidenceCell({ key: KEY, binEdges: undefined }, () => {});
  for (const [ms, isCold] of [
    [200, true],
    [2, false],
    [2, false],
  ] as const) {
    cell.addRequest(ms, isCold);
  }
  expect(cell.take(1000)?.tally).toEqual({
    ...EMPTY_TALLY,
    requests: 3,
    latency: [[bucketOfLatency(2), 2]],
    coldLatency: [[bucketOfLatency(200), 1]],
  });
});

it('begins anew after its counts were taken', () => {
  const cell = openEvidenceCell({ key: KEY, binEdges: EDGES }, () => {});
  expect(cell.take(1000)).toBeUndefined();
  const request = (): void => {
    cell.addRequest(3, false);
    cell.addError('timeout', true);
    cell.predictions.add(1, true);
    cell.predictions.addRow(2);
  };
  request();
  const first = cell.take(1000);
  expect(cell.take(2000)).toBeUndefined();
  request();
  expect(cell.take(1000)).toEqual(first);
});
