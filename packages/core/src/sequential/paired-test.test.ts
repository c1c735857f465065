// Under its hypothesis no bet on pairs is expected to win, computed exactly: whatever the pairs have in common.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { randomOf } from '../simulation/random.ts';
import { bet, logEvidence, openEProcess, WHOLE_FUND } from './e-process.ts';
import { limitOf, type Margin } from './margin.ts';
import { addPairCounts, NO_PAIRS, type PairCounts, pairedHarmLogFactors, pairedSafetyLogFactors } from './paired-test.ts';
import { HARM_ALTERNATIVES, SAFETY_ALTERNATIVES } from './two-arm-test.ts';

fc.configureGlobal({ seed: 1 });

const FAIR = 1 + 1e-9;

/** The chances of a pair: bad on both, on the challenger alone, on the champion alone; the rest is good. */
interface PairChances {
  readonly both: number;
  readonly challenger: number;
  readonly champion: number;
}

const KINDS: readonly (keyof PairChances | 'neither')[] = ['both', 'challenger', 'champion', 'neither'];

function countsOf(kind: (typeof KINDS)[number]): PairCounts {
  return { ...NO_PAIRS, count: 1, ...(kind === 'neither' ? {} : { [kind]: 1 }) };
}

/** Every way in which a few pairs can come out, with its chance. */
function* outcomesOf(pairs: readonly PairChances[]): Generator<readonly [counts: PairCounts, chance: number]> {
  const [first, ...rest] = pairs;
  if (first === undefined) {
    yield [NO_PAIRS, 1];
    return;
  }
  const neither = 1 - first.both - first.challenger - first.champion;
  for (const kind of KINDS) {
    const chance = kind === 'neither' ? neither : first[kind];
    for (const [counts, restChance] of outcomesOf(rest)) yield [addPairCounts(countsOf(kind), counts), chance * restChance];
  }
}

type Factors = (margin: Margin, counts: PairCounts) => readonly number[];

function expected(factors: Factors, margin: Margin, pairs: readonly PairChances[]): number {
  let sum = 0;
  for (const [counts, chance] of outcomesOf(pairs)) {
    const won = factors(margin, counts).map(Math.exp);
    sum += (chance * won.reduce((total, one) => total + one, 0)) / won.length;
  }
  return sum;
}

/** How far the average challenger is beyond the line: at most 0 is within. */
function excessOf({ ratio, plus }: Margin, pairs: readonly PairChances[]): number {
  const excess = pairs.map(({ both, challenger, champion }) => challenger + both - limitOf({ ratio, plus }, champion + both));
  return excess.reduce((sum, one) => sum + one, 0) / pairs.length;
}

const chances = fc
  .tuple(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
  )
  .map(([a, b, c]): PairChances => {
    const [low = 0, middle = 0, high = 0] = [a, b, c].toSorted((x, y) => x - y);
    return { both: low, challenger: middle - low, champion: high - middle };
  });
const cases = fc.record({
  pairs: fc.array(chances, { minLength: 1, maxLength: 5 }),
  margin: fc.record({
    ratio: fc.constantFrom(1, 1.1, 1.5, 3),
    plus: fc.constantFrom(0, 0.001, 0.05, 0.3),
  }),
});

describe('a bet on pairs', () => {
  it('on harm wins nothing from a challenger on the line or below, whatever single pairs are like', () => {
    fc.assert(
      fc.property(cases, ({ pairs, margin }) => {
        fc.pre(excessOf(margin, pairs) <= 0);
        expect(expected(pairedHarmLogFactors, margin, pairs)).toBeLessThanOrEqual(FAIR);
      }),
      { numRuns: 200 },
    );
  });

  it('on safety wins nothing from a challenger on the line or above', () => {
    fc.assert(
      fc.property(cases, ({ pairs, margin }) => {
        fc.pre(excessOf(margin, pairs) >= 0);
        expect(expected(pairedSafetyLogFactors, margin, pairs)).toBeLessThanOrEqual(FAIR);
      }),
      { numRuns: 60, maxSkipsPerRun: 1000 },
    );
  });

  it('is exactly fair on the line when every pair is alike', () => {
    const onLine = { both: 0.05, challenger: 0.07, champion: 0.02 };
    const pairs = [onLine, onLine, onLine];
    const margin = { ratio: 1, plus: 0.05 };
    expect(expected(pairedHarmLogFactors, margin, pairs)).toBeCloseTo(1, 12);
    expect(expected(pairedSafetyLogFactors, margin, pairs)).toBeCloseTo(1, 12);
  });

  it('would be found out if it left out the tolerance where both are good', () => {
    const planted: Factors = (margin, { both, challenger, champion }) =>
      pairedHarmLogFactors(margin, { both, challenger, champion, count: both + challenger + champion });
    const onLine = { both: 0, challenger: 0.25, champion: 0.05 };
    expect(
      expected(
        planted,
        { ratio: 1, plus: 0.2 },
        Array.from({ length: 5 }, () => onLine),
      ),
    ).toBeGreaterThan(1.2);
  });

  it('makes as many bets as the two-arm test, so that one process can make both', () => {
    const counts = { count: 10, both: 1, challenger: 2, champion: 1 };
    expect(pairedHarmLogFactors({ ratio: 1.1, plus: 0.001 }, counts)).toHaveLength(HARM_ALTERNATIVES);
    expect(pairedSafetyLogFactors({ ratio: 1.1, plus: 0.001 }, counts)).toHaveLength(SAFETY_ALTERNATIVES);
  });

  it.each([
    { name: 'a bad pair too many', counts: { count: 2, both: 1, challenger: 1, champion: 1 } },
    { name: 'a negative count', counts: { count: 2, both: -1, challenger: 1, champion: 1 } },
  ])('refuses $name', ({ counts }) => {
    expect(() => pairedHarmLogFactors({ ratio: 1, plus: 0.1 }, counts)).toThrow(RangeError);
  });
});

describe('evidence from pairs', () => {
  interface Truth {
    /** Requests that no version can answer. */
    readonly common: number;
    readonly champion: number;
    readonly challenger: number;
  }

  /** Pairs until the evidence reaches a bound; undefined when it does not within `most`. */
  function pairsUntil(
    factors: Factors,
    truth: Truth,
    { margin, bound, most, seed }: { margin: Margin; bound: number; most: number; seed: number },
  ) {
    const random = randomOf(seed, 'pairs');
    let process = openEProcess(factors(margin, NO_PAIRS).length, WHOLE_FUND);
    for (let block = 0; block < most / 20; block += 1) {
      let counts = NO_PAIRS;
      for (let pair = 0; pair < 20; pair += 1) {
        const isCommon = random.uniform() < truth.common;
        const [onChampion, onChallenger] = [random.uniform() < truth.champion, random.uniform() < truth.challenger];
        const kind =
          isCommon || (onChampion && onChallenger) ? 'both' : onChallenger ? 'challenger' : onChampion ? 'champion' : 'neither';
        counts = addPairCounts(counts, countsOf(kind));
      }
      process = bet(process, factors(margin, counts));
      if (logEvidence(process) >= Math.log(bound)) return (block + 1) * 20;
    }
    return undefined;
  }

  const medianOf = (run: (seed: number) => number | undefined): number => {
    const runs = Array.from({ length: 60 }, (_, seed) => run(seed) ?? Infinity);
    return runs.toSorted((a, b) => a - b)[30] ?? Infinity;
  };

  it('finds a percentage point more failures in some thousand pairs, where common ones cancel', () => {
    // Reference list: 1 % errors, 0.8 of them common, and one point more takes a median of 1 140 pairs at a tolerance of 0.1 points.
    const truth = { common: 0.008, champion: 0.002, challenger: 0.012 };
    const median = medianOf((seed) =>
      pairsUntil(pairedHarmLogFactors, truth, { margin: { ratio: 1, plus: 0.001 }, bound: 20, most: 20_000, seed }),
    );
    expect(median).toBeGreaterThan(400);
    expect(median).toBeLessThan(1600);
  });

  it('proves an equal challenger safe in some hundred pairs', () => {
    const truth = { common: 0.008, champion: 0.002, challenger: 0.002 };
    const median = medianOf((seed) =>
      pairsUntil(pairedSafetyLogFactors, truth, { margin: { ratio: 1.5, plus: 0.003 }, bound: 5, most: 20_000, seed }),
    );
    expect(median).toBeLessThan(1000);
  });

  it('accuses a challenger right on its line in at most 5 % of the cases, looking after every block', () => {
    const truth = { common: 0.05, champion: 0.02, challenger: 0.04 };
    const accused = Array.from({ length: 200 }, (_, seed) =>
      pairsUntil(pairedHarmLogFactors, truth, { margin: { ratio: 1, plus: 0.02 }, bound: 20, most: 4000, seed }),
    ).filter((pairs) => pairs !== undefined);
    expect(accused.length / 200).toBeLessThanOrEqual(0.05);
  });
});
