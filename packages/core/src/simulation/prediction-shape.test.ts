import { describe, expect, it } from 'vitest';
import { momentsOf, meanOf, standardDeviationOf } from '../evidence.ts';
import {
  centreAndSpreadOf,
  classesOf,
  driftedDrawer,
  predictionDrawer,
  type PredictionDrift,
  type PredictionShape,
} from './prediction-shape.ts';
import { randomOf } from './random.ts';

const DRAWS = 100_000;
const NORMAL: PredictionShape = { kind: 'normal', mean: 5, standardDeviation: 2 };
const RECORDED: PredictionShape = { kind: 'empirical', bins: { kind: 'ordered', edges: [0, 1, 3] }, counts: [1, 2, 4, 1] };
const ANIMALS: PredictionShape = { kind: 'classes', shares: { cat: 3, dog: 1 } };

function drawnOf(shape: PredictionShape, drift?: PredictionDrift): readonly number[] {
  const random = randomOf(1, 'test');
  const draw = driftedDrawer(shape, drift);
  return Array.from({ length: DRAWS }, () => draw(random));
}

describe('predictions', () => {
  it.each([
    { name: 'a normal distribution', shape: NORMAL, drift: undefined, mean: 5, spread: 2 },
    { name: 'a moved one', shape: NORMAL, drift: { kind: 'moved', by: 0.5, spread: 1 } as const, mean: 6, spread: 2 },
    { name: 'a wider one', shape: NORMAL, drift: { kind: 'moved', by: 0, spread: 1.5 } as const, mean: 5, spread: 3 },
    { name: 'a stuck one', shape: NORMAL, drift: { kind: 'stuck', share: 0.75 } as const, mean: 5, spread: 1 },
    {
      name: 'two humps',
      shape: NORMAL,
      drift: {
        kind: 'replaced',
        shape: {
          kind: 'modes',
          modes: [
            { share: 1, mean: -1, standardDeviation: 0.5 },
            { share: 1, mean: 1, standardDeviation: 0.5 },
          ],
        },
      } as const,
      mean: 0,
      spread: Math.sqrt(1.25),
    },
    // From −1 to 0, 1, 3 and 5.
    { name: 'what was recorded', shape: RECORDED, drift: undefined, mean: 1.5625, spread: 1.4076 },
  ])('of $name have its mean and spread', ({ shape, drift, mean, spread }) => {
    const moments = momentsOf(drawnOf(shape, drift));
    expect(Math.abs((meanOf(moments) ?? 0) - mean)).toBeLessThan((5 * spread) / Math.sqrt(DRAWS));
    expect((standardDeviationOf(moments) ?? 0) / spread).toBeCloseTo(1, 1);
  });

  it('know mean and spread of a recorded shape without drawing from it', () => {
    expect(centreAndSpreadOf({ kind: 'modes', modes: [{ share: 2, mean: 1, standardDeviation: 3 }] })).toEqual({
      mean: 1,
      standardDeviation: 3,
    });
    expect(centreAndSpreadOf(RECORDED).mean).toBe(1.5625);
  });

  it('fall into the recorded bins as often as recorded', () => {
    const drawn = drawnOf(RECORDED);
    expect(drawn.filter((value) => value >= 1 && value < 3).length / DRAWS).toBeCloseTo(0.5, 1);
    expect(Math.min(...drawn)).toBeGreaterThan(-1);
    expect(Math.max(...drawn)).toBeLessThan(5);
  });

  it('of classes are places in the list of both sides', () => {
    const drift: PredictionDrift = { kind: 'replaced', shape: { kind: 'classes', shares: { fox: 1 } } };
    const classes = classesOf(ANIMALS, drift);
    expect(classes).toEqual(['cat', 'dog', 'fox']);
    expect(new Set(drawnOf(ANIMALS, drift))).toEqual(new Set([2]));
    const random = randomOf(1, 'test');
    const draw = predictionDrawer(ANIMALS, classes);
    const dogs = Array.from({ length: DRAWS }, () => draw(random)).filter((place) => place === 1).length;
    expect(dogs / DRAWS).toBeCloseTo(0.25, 1);
  });

  it.each([
    { name: 'classes are moved', shape: ANIMALS, drift: { kind: 'moved', by: 1, spread: 1 } as const },
    { name: 'classes stick', shape: ANIMALS, drift: { kind: 'stuck', share: 0.5 } as const },
    { name: 'numbers replace classes', shape: ANIMALS, drift: { kind: 'replaced', shape: NORMAL } as const },
    { name: 'classes replace numbers', shape: NORMAL, drift: { kind: 'replaced', shape: ANIMALS } as const },
  ])('are refused where $name', ({ shape, drift }) => {
    expect(() => driftedDrawer(shape, drift)).toThrow(RangeError);
  });
});
