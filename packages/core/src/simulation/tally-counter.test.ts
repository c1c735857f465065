import { describe, expect, it } from 'vitest';
import { mergeTallies, type Tally } from '../evidence.ts';
import { bucketOfLatency } from '../histogram.ts';
import { nameOfEdges, type OrderedBins } from '../prediction-bins.ts';
import type { ArmSecond } from './arm-source.ts';
import { tallyCounterOf } from './tally-counter.ts';

const BINS: OrderedBins = { kind: 'ordered', edges: [0, 10] };
const NUMBERS = { kind: 'numbers', bins: BINS, classes: [] } as const;

interface Request {
  readonly ms: number;
  readonly failed?: boolean;
  readonly prediction?: number;
}

function secondOf(requests: readonly Request[], cold = 0): ArmSecond {
  return {
    count: requests.length,
    cold,
    logMs: Float64Array.from(requests, ({ ms }) => Math.log(ms)),
    failed: Uint8Array.from(requests, ({ failed = false }) => Number(failed)),
    predictions: Float64Array.from(requests, ({ prediction = 0 }) => prediction),
  };
}

const first = secondOf(
  [
    { ms: 5, prediction: -1 },
    { ms: 50, failed: true, prediction: 5 },
    { ms: 50, prediction: 12 },
  ],
  1,
);
const later = secondOf([{ ms: 500, prediction: 3 }]);

/** Reads every place, as a sum is only a view. */
const copyOf = (tally: Tally): Tally => ({ ...tally });

describe('tallyCounterOf', () => {
  it('counts a second as a gateway would', () => {
    expect(tallyCounterOf(NUMBERS).add(first)).toEqual({
      requests: 3,
      errors: 1,
      timeouts: 0,
      invalid: 0,
      rescued: 0,
      rejected: 0,
      latency: [[bucketOfLatency(50), 2]],
      coldLatency: [[bucketOfLatency(5), 1]],
      predictions: { count: 2, sum: 11, sumSquares: 145 },
      classes: {},
      bins: { [nameOfEdges(BINS.edges)]: [1, 0, 1] },
      scores: {},
    });
  });

  it('counts classes by name, and not as numbers', () => {
    const counter = tallyCounterOf({ kind: 'classes', classes: ['cat', 'dog', 'fox'] });
    const tally = counter.add(
      secondOf([
        { ms: 5, prediction: 2 },
        { ms: 5, prediction: 0 },
        { ms: 5, prediction: 2 },
      ]),
    );
    expect(tally).toMatchObject({ classes: { cat: 1, fox: 2 }, bins: {}, predictions: { count: 0, sum: 0 } });
  });

  it('counts no predictions where there are none to count', () => {
    const tally = tallyCounterOf({ kind: 'none', classes: [] }).add(first);
    expect(tally).toMatchObject({ requests: 3, classes: {}, bins: {}, predictions: { count: 0, sum: 0 } });
  });

  it('adds seconds up to the sum of their tallies, until it is cleared', () => {
    const counter = tallyCounterOf(NUMBERS);
    const sum = mergeTallies(counter.add(first), counter.add(later));
    expect(copyOf(counter.sum())).toEqual(sum);
    counter.clear();
    expect(copyOf(counter.sum())).toMatchObject({
      requests: 0,
      errors: 0,
      latency: [],
      coldLatency: [],
      predictions: { count: 0 },
    });
    counter.add(later);
    expect(copyOf(counter.sum())).toEqual(tallyCounterOf(NUMBERS).add(later));
  });
});
