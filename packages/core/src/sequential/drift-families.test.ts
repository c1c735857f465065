import { describe, expect, it } from 'vitest';
import { FAMILY_WEIGHTS, familiesOf, suspectsOf } from './drift-families.ts';

describe('familiesOf', () => {
  it('of 20 ordered bins are 18 half-lines, 8 around the centre, 20 bins and the suspects', () => {
    const families = familiesOf({ bins: 20, kind: 'ordered' }, [3, 4]);
    expect(families.map((sets) => sets.length)).toEqual([18, 8, 20, 1]);
    const [halfLines = [], centres = []] = families;
    expect(halfLines.map((set) => set.length)).toEqual([2, 18, 4, 16, 6, 14, 8, 12, 10, 10, 12, 8, 14, 6, 16, 4, 18, 2]);
    expect(centres.map((set) => set.length)).toEqual([4, 16, 10, 10, 16, 4, 18, 2]);
    expect(centres[1]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, 18, 19]);
  });

  it.each([
    { bins: 3, sizes: [4, 2, 3, 1] },
    { bins: 4, sizes: [6, 2, 4, 1] },
    { bins: 10, sizes: [18, 6, 10, 1] },
  ])('of $bins ordered bins have $sizes sets, none of them twice or empty', ({ bins, sizes }) => {
    const families = familiesOf({ bins, kind: 'ordered' }, [0]);
    expect(families.map((sets) => sets.length)).toEqual(sizes);
    for (const sets of families) expect(new Set(sets.map(String)).size).toBe(sets.length);
    expect(families.flat().every((set) => set.length > 0 && set.length < bins)).toBe(true);
  });

  it.each(['ordered', 'classes'] as const)('of %s share all of the money', (kind) => {
    const weights = FAMILY_WEIGHTS[kind];
    expect(weights).toHaveLength(familiesOf({ bins: 20, kind }, []).length);
    expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
  });
});

describe('suspectsOf', () => {
  it.each([
    { name: 'bins with a larger share', counts: [3, 1, 1], reference: [20, 10, 20], suspects: [0] },
    { name: 'nothing when the shares are equal', counts: [1, 2, 3], reference: [10, 20, 30], suspects: [] },
    { name: 'nothing without a past', counts: [0, 0, 0], reference: [1, 1, 1], suspects: [] },
  ])('names $name', ({ counts, reference, suspects }) => {
    expect(suspectsOf(counts, reference)).toEqual(suspects);
  });
});
