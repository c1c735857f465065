import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ContrastTolerance, logContrastEvidence, type TwoPlaces } from './contrast-test.ts';
import { logistic, logit } from './log-odds.ts';
import type { RateCounts } from './margin.ts';

fc.configureGlobal({ seed: 1 });

const TOLERANCE: ContrastTolerance = { oddsRatio: 2, difference: 0.01 };

type Four<T> = readonly [champion: T, challenger: T, otherChampion: T, otherChallenger: T];

function placesOf([a, b, c, d]: Four<RateCounts>): TwoPlaces {
  return { one: { champion: a, challenger: b }, others: { champion: c, challenger: d } };
}

const countsOf = (counts: Four<number>, bad: Four<number>): TwoPlaces => {
  const at = (place: 0 | 1 | 2 | 3): RateCounts => ({ count: counts[place], bad: bad[place] });
  return placesOf([at(0), at(1), at(2), at(3)]);
};

const evidenceOf = (counts: Four<number>, bad: Four<number>): number => logContrastEvidence(countsOf(counts, bad), TOLERANCE);

/** Probability of so many bad ones. */
function binomial({ count, bad }: RateCounts, rate: number): number {
  let ways = 1;
  for (let k = 0; k < bad; k += 1) ways = (ways * (count - k)) / (k + 1);
  return ways * rate ** bad * (1 - rate) ** (count - bad);
}

describe('the expectation of the evidence', () => {
  const sizes: Four<number> = [3, 4, 5, 3];
  const outcomes: { readonly places: TwoPlaces; readonly evidence: number }[] = [];
  for (let a = 0; a <= sizes[0]; a += 1)
    for (let b = 0; b <= sizes[1]; b += 1)
      for (let c = 0; c <= sizes[2]; c += 1)
        for (let d = 0; d <= sizes[3]; d += 1) {
          const places = countsOf(sizes, [a, b, c, d]);
          outcomes.push({ places, evidence: Math.exp(logContrastEvidence(places, TOLERANCE)) });
        }

  function expectation(rates: Four<number>): number {
    return outcomes.reduce((sum, { places: { one, others }, evidence }) => {
      const cells = [one.champion, one.challenger, others.champion, others.challenger];
      return sum + evidence * cells.reduce((product, cell, place) => product * binomial(cell, rates[place] ?? 0), 1);
    }, 0);
  }

  const rate = fc.double({ min: 0.001, max: 0.999, noNaN: true });

  it('is at most 1 where the odds of the challenger are the same multiple in both places, up to the tolerance', () => {
    fc.assert(
      fc.property(
        rate,
        rate,
        fc.double({ min: -3, max: 3, noNaN: true }),
        fc.double({ min: -1, max: 1, noNaN: true }),
        (...[p, q, by, part]) => {
          const apart = part * Math.log(TOLERANCE.oddsRatio);
          expect(expectation([p, logistic(logit(p) + by + apart), q, logistic(logit(q) + by)])).toBeLessThanOrEqual(1 + 1e-9);
        },
      ),
    );
  });

  it('is at most 1 where the challenger adds the same share in both places, up to the tolerance', () => {
    fc.assert(
      fc.property(
        rate,
        rate,
        fc.double({ min: -0.5, max: 0.5, noNaN: true }),
        fc.double({ min: -1, max: 1, noNaN: true }),
        (...[p, q, by, part]) => {
          const [own, theirs] = [p + by + part * TOLERANCE.difference, q + by];
          fc.pre(own >= 0 && own <= 1 && theirs >= 0 && theirs <= 1);
          expect(expectation([p, own, q, theirs])).toBeLessThanOrEqual(1 + 1e-9);
        },
      ),
    );
  });

  it('is more than 1 where the places differ clearly: the test can tell', () => {
    expect(Math.exp(evidenceOf([4000, 4000, 4000, 4000], [40, 2000, 40, 40]))).toBeGreaterThan(1e6);
  });
});

describe('evidence', () => {
  it.each<{ readonly name: string; readonly counts: Four<number>; readonly bad: Four<number>; readonly isShown: boolean }>([
    { name: 'of nothing', counts: [0, 0, 0, 0], bad: [0, 0, 0, 0], isShown: false },
    { name: 'of four places without an event', counts: [1e6, 1e5, 1e6, 1e5], bad: [0, 0, 0, 0], isShown: false },
    { name: 'where everything fails everywhere', counts: [1e3, 1e3, 1e3, 1e3], bad: [1e3, 1e3, 1e3, 1e3], isShown: false },
    { name: 'without one arm in one place', counts: [1e3, 0, 1e3, 1e3], bad: [10, 0, 10, 900], isShown: false },
    { name: 'of a challenger that is bad in both', counts: [9e3, 1e3, 9e4, 1e4], bad: [90, 500, 900, 5000], isShown: false },
    { name: 'of a place where both arms are worse', counts: [9e3, 1e3, 9e4, 1e4], bad: [900, 100, 900, 100], isShown: false },
    { name: 'of one where nothing ever fails', counts: [9e7, 1e7, 9e3, 1e3], bad: [0, 0, 90, 100], isShown: false },
    { name: 'of one that claims that all fails', counts: [270, 30, 2700, 300], bad: [3, 30, 27, 3], isShown: true },
    { name: 'of one that claims that nothing fails', counts: [9e4, 1e4, 9e4, 1e4], bad: [900, 0, 900, 500], isShown: true },
    {
      name: 'of one that hides what fails on the champion',
      counts: [1e4, 1e4, 5e4, 5e4],
      bad: [0, 300, 1500, 1500],
      isShown: true,
    },
    { name: 'of one that brings a hundred times as much', counts: [9e7, 1e7, 9e3, 1e3], bad: [9e5, 0, 90, 100], isShown: true },
  ])('$name is shown: $isShown', ({ counts, bad, isShown }) => {
    const evidence = evidenceOf(counts, bad);
    expect(Number.isFinite(evidence)).toBe(true);
    if (isShown) expect(evidence).toBeGreaterThan(Math.log(1e4));
    else expect(evidence).toBeLessThanOrEqual(0);
  });

  const four = fc.tuple(
    ...([0, 1, 2, 3] as const).map(() => fc.nat(300).chain((count) => fc.nat(count).map((bad) => ({ count, bad })))),
  );
  const places = four.map(([a, b, c, d]) =>
    placesOf([a, b, c, d].map((one) => one ?? { count: 0, bad: 0 }) as unknown as Four<RateCounts>),
  );

  it('is the same from both sides, and the same for successes as for failures', () => {
    fc.assert(
      fc.property(places, ({ one, others }) => {
        const evidence = logContrastEvidence({ one, others }, TOLERANCE);
        expect(logContrastEvidence({ one: others, others: one }, TOLERANCE)).toBeCloseTo(evidence, 4);
        const flip = ({ champion, challenger }: TwoPlaces['one']): TwoPlaces['one'] => ({
          champion: { count: champion.count, bad: champion.count - champion.bad },
          challenger: { count: challenger.count, bad: challenger.count - challenger.bad },
        });
        expect(logContrastEvidence({ one: flip(one), others: flip(others) }, TOLERANCE)).toBeCloseTo(evidence, 4);
      }),
      { numRuns: 60 },
    );
  });

  it('that is cut short is below what is enough, and otherwise the same', () => {
    fc.assert(
      fc.property(places, fc.double({ min: -30, max: 60, noNaN: true }), (counts, enough) => {
        const whole = logContrastEvidence(counts, TOLERANCE);
        const cut = logContrastEvidence(counts, TOLERANCE, enough);
        if (whole >= enough) expect(cut).toBe(whole);
        else expect(cut).toBeLessThan(enough);
        expect(cut).toBeGreaterThanOrEqual(whole - 1e-4);
      }),
      { numRuns: 60 },
    );
  });
});
