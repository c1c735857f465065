import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Moves } from '../pairs.ts';
import { RESTARTABLE_FUND } from './e-process.ts';
import { betOnPairedDrift, betOnPairedDriftSafety, pairsIn } from './paired-drift.ts';
import { logDriftEvidence, logDriftSafetyEvidence, openDrift, openDriftSafety } from './share-drift.ts';

fc.configureGlobal({ seed: 1 });

const BINS = 4;

/** Joint chances of both versions' bins. */
const joints = fc
  .array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: BINS * BINS, maxLength: BINS * BINS })
  .map((weights) => {
    const total = weights.reduce((sum, weight) => sum + weight, 1e-9);
    return weights.map((weight, cell) => [Math.floor(cell / BINS), cell % BINS, weight / total] as const);
  });

/** Both versions predict alike: whatever one moves there, something else moves back. */
const alike = joints.map((cells) =>
  cells.flatMap(([from, to, chance]) => [[from, to, chance / 2] as const, [to, from, chance / 2] as const]),
);

describe('a bet on drift in pairs', () => {
  it('wins nothing where both predict alike, however often they differ on single requests', () => {
    fc.assert(
      fc.property(alike, fc.constantFrom('ordered' as const, 'classes' as const), (cells, kind) => {
        const won = cells.reduce((sum, [from, to, chance]) => {
          const after = betOnPairedDrift(openDrift(BINS, kind), 0.05, [[from, to, 1]]);
          return sum + chance * Math.exp(logDriftEvidence(after));
        }, 0);
        expect(won).toBeLessThanOrEqual(RESTARTABLE_FUND + 1e-9);
      }),
    );
  });

  it('finds what two margins would have found, in a fraction of the requests', () => {
    const moves: Moves = [
      [0, 0, 40],
      [1, 1, 40],
      [1, 2, 20],
    ];
    let state = openDrift(BINS, 'ordered');
    for (let block = 0; block < 3; block += 1) state = betOnPairedDrift(state, 0.05, moves);
    expect(logDriftEvidence(state)).toBeGreaterThan(Math.log(20));
  });

  it('proves two versions alike that agree on every request', () => {
    const moves: Moves = [
      [0, 0, 20],
      [1, 1, 20],
      [2, 2, 20],
    ];
    const state = betOnPairedDriftSafety(openDriftSafety(BINS, 'ordered'), 0.1, moves);
    expect(logDriftSafetyEvidence(state)).toBeGreaterThan(Math.log(20));
  });

  it('refuses a bin that there is not', () => {
    expect(() => betOnPairedDrift(openDrift(BINS, 'ordered'), 0.05, [[0, BINS, 1]])).toThrow(RangeError);
  });
});

it('counts pairs by whose prediction lies in a set', () => {
  const moves: Moves = [
    [0, 0, 5],
    [0, 1, 3],
    [1, 0, 2],
    [1, 1, 7],
  ];
  expect(pairsIn(moves, [0])).toEqual({ count: 17, both: 5, champion: 3, challenger: 2 });
});
