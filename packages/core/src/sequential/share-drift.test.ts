import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ArmPair } from './margin.ts';
import {
  betOnDrift,
  betOnDriftSafety,
  type DriftSafety,
  type DriftState,
  logDriftEvidence,
  logDriftSafetyEvidence,
  openDrift,
  openDriftSafety,
  restartDrift,
} from './share-drift.ts';

fc.configureGlobal({ seed: 1 });

const BINS = 20;
const EVEN: readonly number[] = Array<number>(BINS).fill(1 / BINS);
const MEMORY = { champion: EVEN.map(() => 100), challenger: EVEN.map(() => 0) };

/** Shares that differ from even ones by so much in some bins, and by the opposite in all others. */
function shares(bins: readonly number[], more: number): readonly number[] {
  return EVEN.map((share, bin) => share + (bins.includes(bin) ? more / bins.length : -more / (BINS - bins.length)));
}

const rangeOf = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
const DRIFTS = {
  none: EVEN,
  'a shift': EVEN.map((share, bin) => share * (1 + (bin - 9.5) / 15)),
  'a wider spread': shares([0, 1, 2, 17, 18, 19], 0.2),
  'a narrower spread': shares(rangeOf(6, 14), 0.2),
  'a stuck output': shares([13], 0.2),
  'every second bin': shares(
    rangeOf(0, BINS).filter((bin) => bin % 2 === 0),
    0.2,
  ),
};

/** Blocks whose counts follow the shares, the fractions carried over to the next block. */
function blocksOf(of: ArmPair<readonly number[]>, sizes: ArmPair<number>, blocks: number): readonly ArmPair<readonly number[]>[] {
  const countsAt = (arm: 'champion' | 'challenger', block: number) =>
    of[arm].map((share) => Math.round(share * sizes[arm] * (block + 1)) - Math.round(share * sizes[arm] * block));
  return rangeOf(0, blocks).map((block) => ({
    champion: countsAt('champion', block),
    challenger: countsAt('challenger', block),
  }));
}

const SIZES = { champion: 180, challenger: 20 };

function weigh(challenger: readonly number[], blocks: number, kind: 'ordered' | 'classes' = 'ordered'): DriftState {
  const opened: DriftState = { ...openDrift(BINS, kind), past: MEMORY };
  return blocksOf({ champion: EVEN, challenger }, SIZES, blocks).reduce((state, block) => betOnDrift(state, 0.05, block), opened);
}

describe('betOnDrift', () => {
  // 20 predictions of the challenger a block; 80 is what a guard of weight 0.25 needs at 5 %.
  it.each([
    { drift: 'a shift', blocks: 20 },
    { drift: 'a wider spread', blocks: 15 },
    { drift: 'a narrower spread', blocks: 15 },
    { drift: 'a stuck output', blocks: 15 },
    { drift: 'every second bin', blocks: 20 },
  ] as const)('finds $drift of 0.2 within $blocks blocks', ({ drift, blocks }) => {
    expect(logDriftEvidence(weigh(DRIFTS[drift], 2))).toBeLessThan(Math.log(80));
    expect(logDriftEvidence(weigh(DRIFTS[drift], blocks))).toBeGreaterThan(Math.log(80));
  });

  it.each([
    { name: 'no drift', challenger: EVEN },
    { name: 'a drift within the tolerance', challenger: shares([13], 0.049) },
  ])('finds nothing where there is $name', ({ challenger }) => {
    expect(logDriftEvidence(weigh(challenger, 200))).toBeLessThan(Math.log(0.8));
  });

  it.each([
    { drift: 'a stuck output', name: 'a class that takes over' },
    { drift: 'every second bin', name: 'many classes that gain a little' },
  ] as const)('finds $name among classes', ({ drift }) => {
    expect(logDriftEvidence(weigh(DRIFTS.none, 15, 'classes'))).toBeLessThan(Math.log(0.8));
    expect(logDriftEvidence(weigh(DRIFTS[drift], 15, 'classes'))).toBeGreaterThan(Math.log(80));
  });

  it('only learns from the first block when the champion has no past', () => {
    const block = { champion: EVEN.map(() => 9), challenger: shares([3], 0.9).map((share) => Math.round(20 * share)) };
    const opened = openDrift(BINS, 'ordered');
    const state = betOnDrift(opened, 0.05, block);
    expect(state.families).toEqual(opened.families);
    expect(state.past).toEqual(block);
  });

  it('learns without betting from a block with one arm only', () => {
    const before = weigh(EVEN, 3);
    const after = betOnDrift(before, 0.05, { champion: EVEN.map(() => 1), challenger: EVEN.map(() => 0) });
    expect(after.families).toEqual(before.families);
    expect(after.past.champion).toEqual(before.past.champion.map((count) => count + 1));
  });

  it('has fresh money in every family after a restart', () => {
    const state = weigh(EVEN, 3);
    const families = state.families.map((family) => ({ ...family, logWealth: family.logWealth.map(() => -1000) }));
    expect(logDriftEvidence({ ...state, families })).toBeLessThan(-900);
    expect(Math.exp(logDriftEvidence(restartDrift({ ...state, families })))).toBeCloseTo((0.2 * 6) / Math.PI ** 2, 4);
  });

  it('works with any number of bins, skewed as they may be', () => {
    const kinds = fc.constantFrom('ordered' as const, 'classes' as const);
    const counts = fc.array(fc.nat(300), { minLength: 2, maxLength: 65 });
    fc.assert(
      fc.property(kinds, counts, counts, fc.double({ min: 0, max: 0.9, noNaN: true }), (...[kind, one, other, tolerance]) => {
        const bins = Math.min(one.length, other.length);
        const block = { champion: one.slice(0, bins), challenger: other.slice(0, bins) };
        const state = [block, block, block].reduce((before, of) => betOnDrift(before, tolerance, of), openDrift(bins, kind));
        expect(logDriftEvidence(state)).not.toBeNaN();
        const safety = betOnDriftSafety(openDriftSafety(bins, kind), { margin: tolerance, past: block.champion }, block);
        expect(logDriftSafetyEvidence(safety)).not.toBeNaN();
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    { name: 'a tolerance of everything', tolerance: 1, counts: EVEN.map(() => 1) },
    { name: 'another number of bins', tolerance: 0.05, counts: [1, 2, 3] },
    { name: 'counts that are no numbers', tolerance: 0.05, counts: EVEN.map(() => Number.NaN) },
    { name: 'negative counts', tolerance: 0.05, counts: EVEN.map(() => -1) },
  ])('refuses $name', ({ tolerance, counts }) => {
    const state = weigh(EVEN, 1);
    expect(() => betOnDrift(state, tolerance, { champion: EVEN.map(() => 1), challenger: counts })).toThrow(RangeError);
  });
});

describe('betOnDriftSafety', () => {
  const prove = (challenger: readonly number[], blocks: number) =>
    blocksOf({ champion: EVEN, challenger }, SIZES, blocks).reduce<DriftSafety>(
      (state, block) => betOnDriftSafety(state, { margin: 0.1, past: MEMORY.champion }, block),
      openDriftSafety(BINS, 'ordered'),
    );

  it('proves a challenger without drift safe, not before the bound and not much later', () => {
    // 164 is the bound for the hardest half-line at a share of 10 % and ln 20.
    expect(logDriftSafetyEvidence(prove(EVEN, 7))).toBeLessThan(Math.log(20));
    expect(logDriftSafetyEvidence(prove(EVEN, 10))).toBeGreaterThan(Math.log(20));
  });

  it.each([
    { name: 'to larger predictions', challenger: shares(rangeOf(10, 20), 0.1) },
    { name: 'to smaller predictions', challenger: shares(rangeOf(0, 10), 0.1) },
  ])('proves nothing of a challenger whose predictions moved $name by the margin', ({ challenger }) => {
    expect(logDriftSafetyEvidence(prove(challenger, 100))).toBeLessThan(0);
  });

  it('of classes looks at each of them in both directions', () => {
    const betOn = (challenger: readonly number[]) =>
      blocksOf({ champion: EVEN, challenger }, { champion: 2000, challenger: 2000 }, 2).reduce<DriftSafety>(
        (state, block) => betOnDriftSafety(state, { margin: 0.04, past: MEMORY.champion }, block),
        openDriftSafety(BINS, 'classes'),
      );
    expect(logDriftSafetyEvidence(betOn(EVEN))).toBeGreaterThan(Math.log(20));
    expect(logDriftSafetyEvidence(betOn(shares([4], 0.04)))).toBeLessThan(0);
    expect(logDriftSafetyEvidence(betOn(shares([4], -0.04)))).toBeLessThan(0);
  });
});

describe('the state', () => {
  it('survives JSON to the last bit and is small', () => {
    const drift = rangeOf(0, 10).reduce((state) => restartDrift(state), weigh(DRIFTS['a shift'], 100));
    const copy: DriftState = JSON.parse(JSON.stringify(drift));
    expect(copy).toEqual(drift);
    expect(logDriftEvidence(copy)).toBe(logDriftEvidence(drift));
    expect(JSON.stringify(weigh(EVEN, 200)).length).toBeLessThan(2300);
    expect(JSON.stringify(openDriftSafety(BINS, 'ordered')).length).toBeLessThan(500);
  });

  it.each([0, 1, 2.5, Number.NaN])('refuses %s bins', (bins) => {
    expect(() => openDrift(bins, 'ordered')).toThrow(RangeError);
    expect(() => openDriftSafety(bins, 'classes')).toThrow(RangeError);
  });
});
