import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chanceOfSplit, isClearlyWorse } from './breaker-test.ts';
import type { PairedOutcomes } from './outcome-window.ts';

/** `7/7 of 0/61` is 7 of 7 requests of the challenger failed, and 0 of 61 of the champion. */
function seen(challenger: readonly [number, number], champion: readonly [number, number]): PairedOutcomes {
  return {
    challenger: { failures: challenger[0], requests: challenger[1] },
    champion: { failures: champion[0], requests: champion[1] },
  };
}

describe('what is clearly worse', () => {
  it.each([
    { name: 'five failures in a row at a tenth of the traffic', challenger: [5, 5], champion: [0, 45], expected: true },
    { name: 'not four', challenger: [4, 4], champion: [0, 4000], expected: false },
    { name: 'five in a row beside 26 answers', challenger: [5, 5], champion: [0, 26], expected: true },
    { name: 'not five beside five, which chance does once in 252 times', challenger: [5, 5], champion: [0, 5], expected: false },
    { name: 'ten beside ten', challenger: [10, 10], champion: [0, 10], expected: true },
    { name: 'the end of a good time', challenger: [6, 50], champion: [0, 450], expected: true },
    { name: 'half of them at a half of the traffic', challenger: [30, 60], champion: [1, 60], expected: true },
    { name: 'not a shared outage', challenger: [50, 50], champion: [450, 450], expected: false },
    {
      name: 'not when the champion fails more than half of the time',
      challenger: [500, 500],
      champion: [260, 500],
      expected: false,
    },
    { name: 'not a small difference, however certain', challenger: [3000, 100_000], champion: [1000, 900_000], expected: false },
    { name: 'not without a champion to compare with', challenger: [9, 9], champion: [0, 0], expected: false },
    { name: 'not without failures', challenger: [0, 100], champion: [0, 900], expected: false },
  ] as const)('$name', ({ challenger, champion, expected }) => {
    expect(isClearlyWorse(seen(challenger, champion))).toBe(expected);
  });
});

describe('the chance of a split', () => {
  it.each([
    { challenger: [5, 5], champion: [0, 5], expected: 1 / 252 },
    // Fisher's lady tasting tea: three of four right.
    { challenger: [3, 4], champion: [1, 4], expected: 17 / 70 },
    { challenger: [0, 4], champion: [3, 9], expected: 1 },
  ] as const)('is known for $challenger and $champion', ({ challenger, champion, expected }) => {
    expect(chanceOfSplit(seen(challenger, champion))).toBeCloseTo(expected, 10);
  });

  it('adds up over all splits of the same failures', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), fc.nat(80), (n, m, some) => {
        const failures = Math.min(some, n + m);
        const least = Math.max(0, failures - m);
        const most = Math.min(n, failures);
        // At least the least there can be is certain, and each step up is less likely.
        let last = 1;
        for (let hit = least; hit <= most; hit++) {
          const chance = chanceOfSplit(seen([hit, n], [failures - hit, m]));
          if (hit === least) expect(chance).toBeCloseTo(1, 9);
          expect(chance).toBeLessThanOrEqual(last + 1e-9);
          last = chance;
        }
      }),
    );
  });
});
