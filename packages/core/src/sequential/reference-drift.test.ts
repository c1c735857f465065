import { describe, expect, it } from 'vitest';
import { detect, logDetection, openDetector } from './detector.ts';
import {
  betOnReferenceDrift,
  openReferenceDrift,
  type ReferenceDriftState,
  referenceLogFactors,
  slackOf,
} from './reference-drift.ts';
import { logDriftEvidence, restartDrift } from './share-drift.ts';

const BINS = 20;
const even = (count: number) => Array<number>(BINS).fill(count);
const SHIFTED = even(0).map((_, bin) => 10 + Math.round((bin - 9.5) * 0.8));
const STUCK = even(8).with(13, 48);

function weigh(block: readonly number[], baseline: number, blocks: number): ReferenceDriftState {
  const reference = { tolerance: 0.05, baseline: even(baseline / BINS) };
  let state = openReferenceDrift(BINS, 'ordered');
  for (let index = 0; index < blocks; index += 1) state = betOnReferenceDrift(state, reference, block);
  return state;
}

describe('betOnReferenceDrift', () => {
  it.each([
    { name: 'nothing where there is no drift', block: even(10), baseline: 10_000, isFound: false },
    { name: 'a shift', block: SHIFTED, baseline: 10_000, isFound: true },
    { name: 'a stuck output', block: STUCK, baseline: 10_000, isFound: true },
    { name: 'nothing against a baseline that is too small to tell', block: SHIFTED, baseline: 100, isFound: false },
  ])('finds $name', ({ block, baseline, isFound }) => {
    expect(logDriftEvidence(weigh(block, baseline, 10)) > Math.log(20)).toBe(isFound);
  });

  it('survives JSON, and restarts like drift against the champion', () => {
    const state = restartDrift(weigh(SHIFTED, 10_000, 5));
    const copy: ReferenceDriftState = JSON.parse(JSON.stringify(state));
    expect(copy).toEqual(state);
    expect(logDriftEvidence(copy)).toBe(logDriftEvidence(state));
  });

  it.each([
    { name: 'an empty baseline', reference: { tolerance: 0.05, baseline: even(0) } },
    { name: 'a baseline in other bins', reference: { tolerance: 0.05, baseline: [1, 2] } },
    { name: 'a tolerance of everything', reference: { tolerance: 1, baseline: even(1) } },
  ])('refuses $name', ({ reference }) => {
    expect(() => betOnReferenceDrift(openReferenceDrift(BINS, 'ordered'), reference, even(1))).toThrow(RangeError);
  });
});

it('feeds detectors, one a family', () => {
  const reference = { tolerance: 0.05, baseline: even(500) };
  const state = weigh(STUCK, 10_000, 1);
  const [, , single = []] = referenceLogFactors(state, reference, STUCK);
  let detector = openDetector(single.length);
  for (let block = 0; block < 5; block += 1) detector = detect(detector, single);
  expect(logDetection(detector)).toBeGreaterThan(Math.log(1e6));
});

describe('slackOf', () => {
  it.each([
    { count: 1000, slack: 0.051 },
    { count: 10_000, slack: 0.016 },
    { count: 100_000, slack: 0.005 },
  ])('of $count predictions is $slack', ({ count, slack }) => {
    expect(slackOf(count)).toBeCloseTo(slack, 3);
  });
});
