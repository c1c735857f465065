import { describe, expect, it } from 'vitest';
import { type Random, randomOf } from './random.ts';

const DRAWS = 200_000;

function drawnOf(draw: (random: Random) => number): Float64Array {
  const random = randomOf(1, 'test');
  return Float64Array.from({ length: DRAWS }, () => draw(random));
}

function momentOf(values: Float64Array, power: number): number {
  return values.reduce((sum, value) => sum + value ** power, 0) / values.length;
}

describe('randomOf', () => {
  it('gives the same numbers for the same seed and name, and others for any other', () => {
    const first = (seed: number, stream: string) => {
      const random = randomOf(seed, stream);
      return [random.uniform(), random.uniform(), random.uniform()];
    };
    expect(first(7, 'champion')).toEqual(first(7, 'champion'));
    expect(first(7, 'champion')).not.toEqual(first(7, 'challenger'));
    expect(first(7, 'champion')).not.toEqual(first(8, 'champion'));
    expect(first(7, 'champion')).not.toEqual(first(7 + 2 ** 32, 'champion'));
  });

  it('keeps its numbers from one version to the next, as recorded seeds name rollouts', () => {
    const random = randomOf(1, 'vectors');
    const round = (value: number) => Number(value.toFixed(9));
    expect([random.uniform(), random.normal(), random.exponential()].map(round)).toEqual([
      0.533766543, -1.068307942, 0.659876052,
    ]);
    expect([random.poisson(3), random.poisson(3), random.poisson(40)]).toEqual([1, 3, 37]);
  });

  // Bounds are five standard errors of 200,000 draws.
  it.each([
    { name: 'uniform', draw: (random: Random) => random.uniform(), mean: 0.5, square: 1 / 3, within: 0.004 },
    { name: 'normal', draw: (random: Random) => random.normal(), mean: 0, square: 1, within: 0.016 },
    { name: 'exponential', draw: (random: Random) => random.exponential(), mean: 1, square: 2, within: 0.05 },
    { name: 'Poisson with mean 0.3', draw: (random: Random) => random.poisson(0.3), mean: 0.3, square: 0.39, within: 0.012 },
    { name: 'Poisson with mean 40', draw: (random: Random) => random.poisson(40), mean: 40, square: 1640, within: 6 },
  ])('draws $name numbers with the right mean and square', ({ draw, mean, square, within }) => {
    const drawn = drawnOf(draw);
    expect(Math.abs(momentOf(drawn, 1) - mean)).toBeLessThan(within);
    expect(Math.abs(momentOf(drawn, 2) - square)).toBeLessThan(within);
  });

  it.each([
    { beyond: 1, share: 0.3173105 },
    { beyond: 2, share: 0.0455003 },
    { beyond: 3.4426, share: 0.0005761 },
    { beyond: 4, share: 0.0000633 },
  ])('puts $share of normal numbers beyond $beyond standard deviations', ({ beyond, share }) => {
    const seen = drawnOf((random) => random.normal()).filter((value) => Math.abs(value) > beyond).length / DRAWS;
    expect(Math.abs(seen - share)).toBeLessThan(5 * Math.sqrt(share / DRAWS));
  });

  it('draws every count of a Poisson distribution as often as it should', () => {
    const drawn = drawnOf((random) => random.poisson(2));
    let share = Math.exp(-2);
    for (let count = 0; count <= 8; count += 1) {
      const seen = drawn.filter((value) => value === count).length / DRAWS;
      expect(Math.abs(seen - share)).toBeLessThan(5 * Math.sqrt(share / DRAWS));
      share *= 2 / (count + 1);
    }
  });

  it('draws no event where none is expected', () => {
    expect(randomOf(1, 'test').poisson(0)).toBe(0);
  });
});
