import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundaryOf } from './bisection.ts';
import { logEvidence, openEProcess, WHOLE_FUND } from './e-process.ts';
import { type ArmPair, limitOf, type Margin, type RateCounts } from './margin.ts';
import { oneSampleLogFactor } from './one-sample-test.ts';
import {
  betOnHarm,
  betOnSafety,
  guessWithin,
  HARM_ALTERNATIVES,
  harmAlternatives,
  logFactor,
  nullOf,
  SAFETY_ALTERNATIVES,
  safetyAlternatives,
} from './two-arm-test.ts';

fc.configureGlobal({ seed: 1 });

const TOLERANCE: Margin = { ratio: 1.1, plus: 0.001 };

/** Rates from 1e-5 to 1 − 1e-5, as many of them near the ends as in the middle. */
const rate = fc.double({ min: -11.5, max: 11.5, noNaN: true }).map((logOdds) => 1 / (1 + Math.exp(-logOdds)));
const margins: fc.Arbitrary<Margin> = fc.record({
  ratio: fc.oneof(fc.constant(1), fc.double({ min: 0.3, max: 5, noNaN: true })),
  plus: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 0.9, noNaN: true })),
});
const share = fc.oneof(
  fc.double({ min: 1e-9, max: 1e-3, noNaN: true }),
  fc.double({ min: 1e-3, max: 0.999, noNaN: true }),
  fc.double({ min: 1e-9, max: 1e-3, noNaN: true }).map((rest) => 1 - rest),
);
const countsOf = (most: number) => fc.nat(most).chain((count) => fc.nat(count).map((bad): RateCounts => ({ count, bad })));

function divergence(p: number, q: number): number {
  return oneSampleLogFactor(q, p, { count: 1, bad: p });
}

describe('nullOf', () => {
  it('is where bisection finds the root of the derivative', () => {
    fc.assert(
      fc.property(margins, share, rate, rate, (margin, w, ...[champion, challenger]) => {
        const { ratio, plus } = margin;
        const isBelow = (q0: number) => {
          const q1 = ratio * q0 + plus;
          return (w * ratio * (q1 - challenger)) / (q1 * (1 - q1)) + ((1 - w) * (q0 - champion)) / (q0 * (1 - q0)) < 0;
        };
        const found = nullOf(margin, w, { champion, challenger });
        const bisected = boundaryOf(isBelow, 0, Math.min(1, (1 - plus) / ratio));
        expect(Math.abs(found.champion / bisected - 1)).toBeLessThan(1e-8);
        expect(found.challenger).toBe(ratio * found.champion + plus);
      }),
      { numRuns: 1000 },
    );
  });

  it('is nearer than any other point of the line', () => {
    fc.assert(
      fc.property(share, rate, rate, rate, (w, ...[champion, challenger, other]) => {
        fc.pre(limitOf(TOLERANCE, other) < 1);
        const distance = (q0: number) => w * divergence(challenger, limitOf(TOLERANCE, q0)) + (1 - w) * divergence(champion, q0);
        const nearest = distance(nullOf(TOLERANCE, w, { champion, challenger }).champion);
        expect(nearest).toBeLessThanOrEqual(distance(other) + 1e-12);
      }),
    );
  });

  it('is the pooled rate when nothing is tolerated', () => {
    const pooled = nullOf({ ratio: 1, plus: 0 }, 0.25, { champion: 0.02, challenger: 0.06 });
    expect(pooled.champion).toBeCloseTo(0.03, 12);
    expect(pooled.challenger).toBeCloseTo(0.03, 12);
  });
});

describe('logFactor', () => {
  it('is the likelihood ratio of the alternative to the nearest point of the line', () => {
    const alternative = { champion: 0.01, challenger: 0.05 };
    const counts = { champion: { count: 180, bad: 2 }, challenger: { count: 20, bad: 3 } };
    const line = nullOf(TOLERANCE, 0.1, alternative);
    const ratio =
      oneSampleLogFactor(line.champion, 0.01, counts.champion) + oneSampleLogFactor(line.challenger, 0.05, counts.challenger);
    expect(logFactor(TOLERANCE, alternative, counts)).toBeCloseTo(ratio, 10);
  });

  it.each([
    { name: 'the challenger', counts: { champion: { count: 9, bad: 9 }, challenger: { count: 0, bad: 0 } } },
    { name: 'the champion', counts: { champion: { count: 0, bad: 0 }, challenger: { count: 9, bad: 9 } } },
  ])('is nothing without requests on $name', ({ counts }) => {
    expect(logFactor(TOLERANCE, { champion: 0.01, challenger: 0.05 }, counts)).toBe(0);
  });

  it.each([
    { count: 1, bad: 2 },
    { count: 1, bad: -1 },
    { count: Number.NaN, bad: 0 },
    { count: Infinity, bad: 0 },
  ])('refuses $bad of $count', (challenger) => {
    const counts = { champion: { count: 9, bad: 0 }, challenger };
    expect(() => logFactor(TOLERANCE, { champion: 0.01, challenger: 0.05 }, counts)).toThrow(RangeError);
  });
});

describe('alternatives', () => {
  it('of harm rise from just above the line', () => {
    const alternatives = harmAlternatives(TOLERANCE, 0.01);
    expect(alternatives).toHaveLength(HARM_ALTERNATIVES);
    expect(alternatives.map((alternative) => Number(alternative.toFixed(4)))).toEqual([
      0.0139, 0.0161, 0.0217, 0.032, 0.0567, 0.1289, 0.3987,
    ]);
  });

  it('of safety fall from the line to beyond what is expected', () => {
    const alternatives = safetyAlternatives({ ratio: 1.5, plus: 0.003 }, 0.01, 0.01);
    expect(alternatives).toHaveLength(SAFETY_ALTERNATIVES);
    expect(alternatives.map((alternative) => Number(alternative.toFixed(4)))).toEqual([0.0134, 0.0116, 0.01, 0.0079]);
  });

  it('lie on their own side of the line for any margin and guess', () => {
    fc.assert(
      fc.property(margins, rate, rate, (margin, guess, expected) => {
        fc.pre(margin.ratio * 1e-5 + margin.plus < 0.999);
        const limit = limitOf(margin, guessWithin(margin, guess));
        expect(harmAlternatives(margin, guess).every((alternative) => alternative > limit && alternative < 1)).toBe(true);
        const isSafe = (alternative: number) => alternative > 0 && alternative <= limit * (1 + 1e-12);
        expect(safetyAlternatives(margin, guess, expected).every(isSafe)).toBe(true);
      }),
    );
  });

  it.each([
    { name: 'a guess that is no number', margin: TOLERANCE, guess: Number.NaN },
    { name: 'a margin that allows everything', margin: { ratio: 1, plus: 1 }, guess: 0.01 },
    { name: 'a margin without a ratio', margin: { ratio: 0, plus: 0.01 }, guess: 0.01 },
    { name: 'a negative margin', margin: { ratio: 1, plus: -0.01 }, guess: 0.5 },
  ])('refuse $name', ({ margin, guess }) => {
    expect(() => harmAlternatives(margin, guess)).toThrow(RangeError);
  });
});

describe('betting', () => {
  const harmProcess = openEProcess(HARM_ALTERNATIVES, WHOLE_FUND);
  const safetyProcess = openEProcess(SAFETY_ALTERNATIVES, WHOLE_FUND);
  const PROMOTE = { ratio: 1.5, plus: 0.003 };
  const logHarm = (counts: ArmPair<RateCounts>, guess = 0.01) =>
    logEvidence(betOnHarm(harmProcess, { margin: TOLERANCE, guess }, counts));
  const logSafety = (counts: ArmPair<RateCounts>, guess = 0.01) =>
    logEvidence(betOnSafety(safetyProcess, { margin: PROMOTE, guess, expected: guess }, counts));

  it.each([
    { name: 'equal arms', champion: 100, challenger: 11, harm: 'falls', safety: 'rises' },
    { name: 'twice as many failures', champion: 100, challenger: 22, harm: 'rises', safety: 'falls' },
    { name: 'no failures at all', champion: 0, challenger: 0, harm: 'falls', safety: 'rises' },
    { name: 'an incident on both arms', champion: 3000, challenger: 333, harm: 'falls', safety: 'rises' },
    { name: 'a challenger that always fails', champion: 100, challenger: 1111, harm: 'rises', safety: 'falls' },
  ])('on $name: evidence of harm $harm, of safety $safety', ({ champion, challenger, harm, safety }) => {
    const counts = { champion: { count: 10_000, bad: champion }, challenger: { count: 1111, bad: challenger } };
    const movementOf = (evidence: number) => (evidence > 0 ? 'rises' : 'falls');
    expect({ harm: movementOf(logHarm(counts)), safety: movementOf(logSafety(counts)) }).toEqual({ harm, safety });
  });

  it.each([0, 0.3, 0.97, 1])('blames nobody for what both arms do, however wrong the guess of %s is', (guess) => {
    for (const bad of [0, 20, 900, 1000]) {
      const alike = { champion: { count: 1000, bad }, challenger: { count: 1000, bad } };
      expect(logHarm(alike, guess)).toBeLessThan(Math.log(2));
    }
  });

  it('never proves safety when not even an equal challenger keeps to the margin', () => {
    const counts = { champion: { count: 1000, bad: 10 }, challenger: { count: 1000, bad: 0 } };
    const process = betOnSafety(safetyProcess, { margin: { ratio: 1, plus: 0 }, guess: 0.01, expected: 0.02 }, counts);
    expect(logEvidence(process)).toBeCloseTo(0, 4);
  });

  it('comes to finite evidence on any counts', () => {
    fc.assert(
      fc.property(margins, rate, countsOf(1e9), countsOf(1e9), (margin, guess, ...[champion, challenger]) => {
        fc.pre(margin.ratio * 1e-5 + margin.plus < 0.999);
        const counts = { champion, challenger };
        expect(Number.isFinite(logEvidence(betOnHarm(harmProcess, { margin, guess }, counts)))).toBe(true);
        expect(Number.isFinite(logEvidence(betOnSafety(safetyProcess, { margin, guess, expected: guess }, counts)))).toBe(true);
      }),
    );
  });

  it.each([
    { champion: 1e9, challenger: 1 },
    { champion: 1, challenger: 1e9 },
  ])('takes blocks as lopsided as $champion to $challenger requests', (sizes) => {
    for (const isBad of [true, false]) {
      const counts = {
        champion: { count: sizes.champion, bad: isBad ? sizes.champion : 0 },
        challenger: { count: sizes.challenger, bad: isBad ? 0 : sizes.challenger },
      };
      expect(Number.isFinite(logHarm(counts)) && Number.isFinite(logSafety(counts))).toBe(true);
    }
  });

  it('does not depend on how many gateways counted, or in which order they reported', () => {
    const gateways = fc.array(fc.record({ champion: countsOf(500), challenger: countsOf(60) }), { minLength: 1, maxLength: 8 });
    const merge = (reports: readonly ArmPair<RateCounts>[]) => {
      const add = (arm: 'champion' | 'challenger') => ({
        count: reports.reduce((sum, report) => sum + report[arm].count, 0),
        bad: reports.reduce((sum, report) => sum + report[arm].bad, 0),
      });
      return { champion: add('champion'), challenger: add('challenger') };
    };
    fc.assert(
      fc.property(gateways, (reports) => {
        const [first = [], second = []] = [reports.slice(0, 3), reports.slice(3)].map((part) => part.toReversed());
        const inOneGo = merge(reports);
        const inParts = merge([merge(second), merge(first)]);
        expect(logHarm(inParts)).toBe(logHarm(inOneGo));
        expect(logSafety(inParts)).toBe(logSafety(inOneGo));
      }),
    );
  });
});
