import { describe, expect, it } from 'vitest';
import { logEvidence } from './e-process.ts';
import { betOnSampleRatio, openSampleRatio, SAMPLE_RATIO_THRESHOLD } from './sample-ratio.ts';

function isInvalid(plan: { share: number; tolerance: number }, total: number, share: number): boolean {
  const challenger = Math.round(total * share);
  const process = betOnSampleRatio(openSampleRatio(), plan, { champion: total - challenger, challenger });
  return logEvidence(process) >= Math.log(SAMPLE_RATIO_THRESHOLD);
}

describe('betOnSampleRatio', () => {
  // Medians of the reference, section 6.7, with room for a share that is hit exactly.
  it.each([
    { planned: 0.1, real: 0.09, total: 14_860 },
    { planned: 0.1, real: 0.08, total: 3560 },
    { planned: 0.5, real: 0.48, total: 10_300 },
    { planned: 0.5, real: 0.45, total: 1740 },
  ])('finds $real instead of $planned after about $total requests', ({ planned, real, total }) => {
    const plan = { share: planned, tolerance: 0 };
    expect(isInvalid(plan, total * 0.75, real)).toBe(false);
    expect(isInvalid(plan, total * 1.25, real)).toBe(true);
  });

  it.each([
    { name: 'the planned split', real: 0.1, isFound: false },
    { name: 'one within the tolerance', real: 0.115, isFound: false },
    { name: 'one with too many', real: 0.13, isFound: true },
    { name: 'one with too few', real: 0.075, isFound: true },
  ])('tolerates what it is told to: $name', ({ real, isFound }) => {
    expect(isInvalid({ share: 0.1, tolerance: 0.2 }, 50_000, real)).toBe(isFound);
  });

  it.each([
    { plan: { share: 0, tolerance: 0 }, counts: { champion: 1, challenger: 1 } },
    { plan: { share: 1, tolerance: 0 }, counts: { champion: 1, challenger: 1 } },
    { plan: { share: 0.1, tolerance: -0.1 }, counts: { champion: 1, challenger: 1 } },
    { plan: { share: 0.1, tolerance: 0 }, counts: { champion: -1, challenger: 1 } },
    { plan: { share: 0.1, tolerance: 0 }, counts: { champion: 1, challenger: Number.NaN } },
  ])('refuses $plan with $counts', ({ plan, counts }) => {
    expect(() => betOnSampleRatio(openSampleRatio(), plan, counts)).toThrow(RangeError);
  });
});
