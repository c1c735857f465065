import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openPairCounter, type Pair, type PairEnd, type Pairing } from './pair-counter.ts';
import { EMPTY_PAIRS, MAX_FLIP_CLASSES, MAX_SEGMENTS, mergePairs, OTHER, type PairTally } from './pairs.ts';
import { nameOfEdges } from './prediction-bins.ts';

fc.configureGlobal({ seed: 1 });

const EDGES = [0, 10];
const PAIRING: Pairing = {
  lines: [{ ratio: 1.2, plusMs: 0 }],
  comparison: { absolute: 0.5, relative: 0.1 },
  binEdges: EDGES,
};

const ended = (prediction: PairEnd['prediction'], more: Partial<PairEnd> = {}): PairEnd => ({
  failure: undefined,
  ms: 10,
  isCold: false,
  prediction,
  isClass: false,
  ...more,
});

function pairOf(champion: PairEnd, shadow: PairEnd, more: Partial<Pair> = {}): Pair {
  const example = () => ({ requestId: 'r', atMs: 0, versions: ['v1', 'v2'] as const });
  return { champion, shadow, segment: undefined, lot: 0.5, example, ...more };
}

function count(pairs: readonly Pair[]): PairTally {
  const counter = openPairCounter(PAIRING);
  for (const pair of pairs) counter.add(pair);
  return counter.take(true) ?? EMPTY_PAIRS;
}

describe('a pair', () => {
  it.each([
    { name: 'equal numbers', theirs: 4, ours: 4, agreed: 1 },
    { name: 'numbers within absolute + relative', theirs: 4, ours: 4.89, agreed: 1 },
    { name: 'numbers beyond it', theirs: 4, ours: 4.91, agreed: 0 },
    { name: 'equal classes', theirs: 'cat', ours: 'cat', agreed: 1 },
    { name: 'other classes', theirs: 'cat', ours: 'dog', agreed: 0 },
    { name: 'a label as text and as number', theirs: '3', ours: 3, agreed: 1 },
  ])('of $name agrees: $agreed', ({ theirs, ours, agreed }) => {
    expect(count([pairOf(ended(theirs), ended(ours))])).toMatchObject({ count: 1, compared: 1, agreed });
  });

  it('of which one failed is not compared, and says who', () => {
    const tally = count([
      pairOf(ended(1), ended(undefined, { failure: 'timeout' })),
      pairOf(ended(undefined, { failure: 'failed' }), ended(1)),
      pairOf(ended(undefined, { failure: 'invalid' }), ended(undefined, { failure: 'invalid' })),
    ]);
    expect(tally).toMatchObject({
      count: 3,
      compared: 0,
      failed: { shadow: 1, champion: 1, both: 1 },
      timeouts: { shadow: 1, champion: 0, both: 0 },
      invalid: { shadow: 0, champion: 0, both: 1 },
    });
  });

  it('moves from bin to bin', () => {
    const tally = count([pairOf(ended(5), ended(15)), pairOf(ended(5), ended(15)), pairOf(ended(-1), ended(-2))]);
    expect(tally.moves).toEqual({
      [nameOfEdges(EDGES)]: [
        [0, 0, 1],
        [1, 2, 2],
      ],
    });
    expect(tally.difference).toMatchObject({ count: 3, sum: 19 });
  });

  it('of a cold instance says nothing about latency', () => {
    expect(count([pairOf(ended(1), ended(1, { isCold: true }))]).latency.champion).toEqual([]);
  });
});

it('adds up to the same, however pairs are spread over counters', () => {
  const end = fc.record({
    value: fc.integer({ min: -5, max: 20 }),
    ms: fc.integer({ min: 1, max: 99 }),
    hasFailed: fc.boolean(),
  });
  const pairs = fc.array(
    fc.tuple(end, end).map(([theirs, ours]) => {
      const of = ({ value, ms, hasFailed }: typeof theirs) =>
        ended(hasFailed ? undefined : value, { ms, failure: hasFailed ? 'failed' : undefined });
      return pairOf(of(theirs), of(ours), { segment: String(theirs.ms % 3) });
    }),
  );
  fc.assert(
    fc.property(pairs, pairs, (left, right) => {
      const { worst: _w, sample: _s, ...together } = count([...left, ...right]);
      const { worst: _worst, sample: _sample, ...merged } = mergePairs(count(left), count(right));
      const sorted = ({ segments, ...rest }: typeof together) => ({ ...rest, segments: new Map(Object.entries(segments)) });
      expect(sorted(merged)).toEqual(sorted(together));
    }),
  );
});

it('tells a bounded number of classes and segments apart, and loses no pair', () => {
  const tally = count(Array.from({ length: 40 }, (_, index) => pairOf(ended(`c${index}`), ended('x'), { segment: `s${index}` })));
  expect(new Set(tally.flips.map(([champion]) => champion)).size).toBeLessThanOrEqual(MAX_FLIP_CLASSES + 1);
  expect(tally.flips.reduce((sum, [, , seen]) => sum + seen, 0)).toBe(40);
  expect(Object.keys(tally.segments)).toHaveLength(MAX_SEGMENTS + 1);
  expect(tally.segments[OTHER]?.count).toBe(40 - MAX_SEGMENTS);
});

describe('examples', () => {
  const differing = (difference: number, lot: number): Pair =>
    pairOf(ended(0), ended(difference), {
      lot,
      example: () => ({ requestId: `d${difference}`, atMs: 0, versions: ['v1', 'v2'] }),
    });

  it('are the farthest apart, and those with the smallest lots', () => {
    const { worst, sample } = count([
      differing(1, 0.9),
      differing(9, 0.8),
      differing(5, 0.7),
      differing(7, 0.1),
      differing(0, 0.2),
    ]);
    expect(worst.map(({ difference }) => difference)).toEqual([9, 7, 5]);
    expect(sample.map(({ lot }) => lot)).toEqual([0.1, 0.2]);
  });

  it('wait until they are asked for', () => {
    const counter = openPairCounter(PAIRING);
    counter.add(differing(1, 0.5));
    expect(counter.take(false)).toMatchObject({ count: 1, worst: [], sample: [] });
    counter.add(differing(2, 0.4));
    expect(counter.take(true)?.worst.map(({ difference }) => difference)).toEqual([2, 1]);
    expect(counter.take(true)).toBeUndefined();
  });
});
