// What makes every promise of this folder true, computed exactly: under its hypothesis, no bet is expected to win.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Moments } from '../evidence.ts';
import { betOnMeanHarm, betOnMeanSafety, MEAN_ALTERNATIVES } from './bounded-mean-test.ts';
import { type EProcess, logEvidence, openEProcess, WHOLE_FUND } from './e-process.ts';
import { logistic, logit } from './log-odds.ts';
import { type ArmPair, limitOf, type Margin, type RateCounts } from './margin.ts';
import { limitLogFactors, oneSampleLogFactor } from './one-sample-test.ts';
import { betOnReferenceDrift, openReferenceDrift } from './reference-drift.ts';
import { betOnSampleRatio, openSampleRatio } from './sample-ratio.ts';
import {
  betOnDrift,
  betOnDriftSafety,
  logDriftEvidence,
  logDriftSafetyEvidence,
  openDrift,
  openDriftSafety,
} from './share-drift.ts';
import { guessWithin, harmAlternatives, logFactor, safetyAlternatives } from './two-arm-test.ts';

fc.configureGlobal({ seed: 1 });

const FAIR = 1 + 1e-9;
const unit = fc.double({ min: 0, max: 1, noNaN: true });
const inner = fc.double({ min: 1e-4, max: 1 - 1e-4, noNaN: true });
const margins: fc.Arbitrary<Margin> = fc.record({
  ratio: fc.oneof(fc.constant(1), fc.double({ min: 0.5, max: 3, noNaN: true })),
  plus: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 0.4, noNaN: true })),
});
const ratesOf = (most: number) => fc.array(unit, { minLength: 1, maxLength: most });

/** How many of some requests are bad, each with a probability of its own: the chance of 0, of 1, … */
function badOf(rates: readonly number[]): readonly number[] {
  return rates.reduce<readonly number[]>(
    (chances, rate) =>
      Array.from({ length: chances.length + 1 }, (_, bad) => (chances[bad] ?? 0) * (1 - rate) + (chances[bad - 1] ?? 0) * rate),
    [1],
  );
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Different rates with the given mean. */
function withMean(rates: readonly number[], mean: number): readonly number[] {
  const present = meanOf(rates);
  if (present >= mean) return present === 0 ? rates : rates.map((rate) => (rate * mean) / present);
  return rates.map((rate) => 1 - ((1 - rate) * (1 - mean)) / (1 - present));
}

/** The expected evidence after one block in which requests are bad with these probabilities. */
function expected(rates: ArmPair<readonly number[]>, evidenceOf: (counts: ArmPair<RateCounts>) => number): number {
  let sum = 0;
  for (const [championBad, championChance] of badOf(rates.champion).entries()) {
    for (const [challengerBad, challengerChance] of badOf(rates.challenger).entries()) {
      const counts = {
        champion: { count: rates.champion.length, bad: championBad },
        challenger: { count: rates.challenger.length, bad: challengerBad },
      };
      sum += championChance * challengerChance * evidenceOf(counts);
    }
  }
  return sum;
}

const evidence = (process: EProcess) => Math.exp(logEvidence(process));

describe('bets on two arms', () => {
  const cases = fc.record({
    champion: ratesOf(30),
    challenger: ratesOf(12),
    margin: margins,
    guess: unit,
    hope: unit,
    slack: unit,
  });

  /** Evidence after one block of the two-arm test, not yet rounded as a process rounds it. */
  function evidenceWith(margin: Margin, guess: number, alternatives: readonly number[]) {
    const champion = guessWithin(margin, guess);
    return (counts: ArmPair<RateCounts>) =>
      meanOf(alternatives.map((challenger) => Math.exp(logFactor(margin, { champion, challenger }, counts))));
  }

  it('on harm win nothing from a challenger on the line or below, whatever the rates of single requests', () => {
    fc.assert(
      fc.property(cases, fc.boolean(), ({ champion, challenger, margin, guess, slack }, isOnLine) => {
        const limit = Math.min(1, limitOf(margin, meanOf(champion)));
        const rates = { champion, challenger: withMean(challenger, isOnLine ? limit : limit * slack) };
        const won = expected(rates, evidenceWith(margin, guess, harmAlternatives(margin, guess)));
        expect(won).toBeLessThanOrEqual(FAIR);
      }),
      { numRuns: 150 },
    );
  });

  it('on safety win nothing from a challenger on the line or above, whatever the rates of single requests', () => {
    fc.assert(
      fc.property(cases, fc.boolean(), ({ champion, challenger, margin, guess, hope, slack }, isOnLine) => {
        const limit = limitOf(margin, meanOf(champion));
        fc.pre(limit <= 1);
        const rates = { champion, challenger: withMean(challenger, isOnLine ? limit : limit + (1 - limit) * slack) };
        const won = expected(rates, evidenceWith(margin, guess, safetyAlternatives(margin, guess, hope)));
        expect(won).toBeLessThanOrEqual(FAIR);
      }),
      { numRuns: 150 },
    );
  });

  it('would be found out if they compared with the champion as guessed instead of the nearest point of the line', () => {
    const margin = { ratio: 1.1, plus: 0.001 };
    const champion = guessWithin(margin, 0.1);
    const unfair = ({ challenger }: ArmPair<RateCounts>) =>
      meanOf(
        harmAlternatives(margin, champion).map((alternative) =>
          Math.exp(oneSampleLogFactor(limitOf(margin, champion), alternative, challenger)),
        ),
      );
    const rates = { champion: Array<number>(30).fill(0.2), challenger: Array<number>(12).fill(0.221) };
    expect(expected(rates, unfair)).toBeGreaterThan(1.5);
  });
});

describe('bets on one arm', () => {
  it('win nothing within an absolute limit', () => {
    fc.assert(
      fc.property(ratesOf(30), inner, unit, (rates, limit, slack) => {
        const within = { champion: [0], challenger: withMean(rates, limit * Math.max(slack, 0.5)) };
        const won = expected(within, ({ challenger }) => meanOf(limitLogFactors(limit, challenger).map(Math.exp)));
        expect(won).toBeLessThanOrEqual(FAIR);
      }),
    );
  });

  it('win nothing from a split within its tolerance', () => {
    fc.assert(
      fc.property(ratesOf(40), inner, fc.constantFrom(0, 0.05, 0.5), fc.double({ min: -1, max: 1, noNaN: true }), (...drawn) => {
        const [rates, share, tolerance, side] = drawn;
        const truth = logistic(logit(share) + side * Math.log1p(tolerance));
        const split = { champion: [0], challenger: withMean(rates, truth) };
        const won = expected(split, ({ challenger: { count, bad } }) =>
          evidence(betOnSampleRatio(openSampleRatio(), { share, tolerance }, { champion: count - bad, challenger: bad })),
        );
        expect(won).toBeLessThanOrEqual(FAIR);
      }),
    );
  });
});

describe('bets on means', () => {
  const VALUES = [0, 0.3, 1];
  type Chances = readonly number[];
  const chances: fc.Arbitrary<Chances> = fc
    .tuple(unit, unit)
    .map((cuts) => cuts.toSorted((a, b) => a - b))
    .map(([low = 0, high = 0]) => [low, high - low, 1 - high]);
  const requests = fc.array(chances, { minLength: 1, maxLength: 4 });
  const meanOfRequest = (of: Chances) => of.reduce((sum, chance, index) => sum + chance * (VALUES[index] ?? 0), 0);
  const meanOfRequests = (all: readonly Chances[]) => meanOf(all.map(meanOfRequest));

  function sumsOf(all: readonly Chances[]): readonly { readonly chance: number; readonly sums: Moments }[] {
    const nothing = { chance: 1, sums: { count: 0, sum: 0, sumSquares: 0 } };
    return all.reduce(
      (paths, of) =>
        paths.flatMap(({ chance, sums }) =>
          VALUES.map((value, index) => ({
            chance: chance * (of[index] ?? 0),
            sums: { count: sums.count + 1, sum: sums.sum + value, sumSquares: sums.sumSquares + value * value },
          })),
        ),
      [nothing],
    );
  }

  it.each([
    { name: 'harm', betOn: betOnMeanHarm },
    { name: 'safety', betOn: betOnMeanSafety },
  ])('win nothing on $name where the means are just as far apart as is allowed', ({ betOn }) => {
    const opened = openEProcess(MEAN_ALTERNATIVES, WHOLE_FUND);
    fc.assert(
      fc.property(requests, requests, unit, (one, other, guess) => {
        const [better, worse] = meanOfRequests(one) >= meanOfRequests(other) ? [one, other] : [other, one];
        const drop = meanOfRequests(better) - meanOfRequests(worse);
        fc.pre(drop < 1);
        let won = 0;
        for (const theirs of sumsOf(better)) {
          for (const ours of sumsOf(worse)) {
            const sums = { champion: theirs.sums, challenger: ours.sums };
            won += theirs.chance * ours.chance * evidence(betOn(opened, { drop, guess }, sums));
          }
        }
        expect(won).toBeLessThanOrEqual(FAIR);
      }),
      { numRuns: 25 },
    );
  });
});

describe('bets on drift', () => {
  const BINS = 3;
  const shares = fc
    .tuple(unit, unit)
    .map((cuts) => cuts.toSorted((a, b) => a - b))
    .map(([low = 0, high = 0]): readonly number[] => [low, high - low, 1 - high]);
  const past = fc.array(fc.nat(60), { minLength: BINS, maxLength: BINS });
  const kinds = fc.constantFrom('ordered' as const, 'classes' as const);

  /** Every way in which four predictions fall into the bins. */
  function fallsOf(probabilities: readonly number[]): readonly { readonly chance: number; readonly counts: readonly number[] }[] {
    const falls = [];
    for (let a = 0; a <= 4; a += 1) {
      for (let b = 0; a + b <= 4; b += 1) {
        const counts = [a, b, 4 - a - b];
        const ways = 24 / counts.reduce((product, count) => product * ([1, 1, 2, 6, 24][count] ?? 0), 1);
        falls.push({
          counts,
          chance: counts.reduce((product, count, bin) => product * (probabilities[bin] ?? 0) ** count, ways),
        });
      }
    }
    return falls;
  }

  /** The expected growth of evidence in a block of four predictions on either arm. */
  function growth(of: ArmPair<readonly number[]>, evidenceAfter: (block: ArmPair<readonly number[]>) => number): number {
    let sum = 0;
    for (const theirs of fallsOf(of.champion)) {
      for (const ours of fallsOf(of.challenger)) {
        sum += theirs.chance * ours.chance * evidenceAfter({ champion: theirs.counts, challenger: ours.counts });
      }
    }
    return sum;
  }

  const distanceOf = (p: readonly number[], q: readonly number[]) =>
    p.reduce((sum, share, bin) => sum + Math.abs(share - (q[bin] ?? 0)), 0) / 2;

  it('win nothing while no set of bins differs by more than the tolerance', () => {
    fc.assert(
      fc.property(kinds, shares, shares, fc.tuple(past, past), (...[kind, champion, challenger, [champions, challengers]]) => {
        const tolerance = distanceOf(champion, challenger);
        fc.pre(tolerance < 0.99);
        const state = { ...openDrift(BINS, kind), past: { champion: champions, challenger: challengers } };
        const won = growth({ champion, challenger }, (block) => Math.exp(logDriftEvidence(betOnDrift(state, tolerance, block))));
        expect(won).toBeLessThanOrEqual(Math.exp(logDriftEvidence(state)) * FAIR);
      }),
      { numRuns: 25 },
    );
  });

  it('on safety win nothing when one of the sets differs by the margin', () => {
    fc.assert(
      fc.property(kinds, shares, shares, past, (...[kind, champion, challenger, champions]) => {
        // Of ordered bins only half-lines count; the first bin and the last one are such.
        const margin = Math.max(...[0, 2].map((bin) => Math.abs((challenger[bin] ?? 0) - (champion[bin] ?? 0))));
        fc.pre(margin < 0.99);
        const state = openDriftSafety(BINS, kind);
        const won = growth({ champion, challenger }, (block) =>
          Math.exp(logDriftSafetyEvidence(betOnDriftSafety(state, { margin, past: champions }, block))),
        );
        expect(won).toBeLessThanOrEqual(FAIR);
      }),
      { numRuns: 25 },
    );
  });

  it('against a baseline win nothing while no set differs from it by more than the tolerance', () => {
    fc.assert(
      fc.property(kinds, shares, past, past, (...[kind, challenger, baseline, before]) => {
        const known = baseline.reduce((sum, count) => sum + count, 0);
        fc.pre(known > 0);
        const tolerance = distanceOf(
          baseline.map((count) => count / known),
          challenger,
        );
        fc.pre(tolerance < 0.99);
        const state = { ...openReferenceDrift(BINS, kind), past: before };
        const reference = { tolerance, baseline };
        const won = growth({ champion: [1, 0, 0], challenger }, (block) =>
          Math.exp(logDriftEvidence(betOnReferenceDrift(state, reference, block.challenger))),
        );
        expect(won).toBeLessThanOrEqual(Math.exp(logDriftEvidence(state)) * FAIR);
      }),
      { numRuns: 25 },
    );
  });
});
