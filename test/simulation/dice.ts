/** Chance, drawn from a seed. Each part of a simulation has dice of its own, so that one that draws more does not change the others. */
import { randomOf } from '@understudy/core/simulation/random';

export interface Dice {
  /** True in so many of 1. */
  chance(probability: number): boolean;
  /** A number in [from, to). */
  between(from: number, to: number): number;
  /** A whole number in [from, to]. */
  whole(from: number, to: number): number;
  pick<Choice>(choices: readonly Choice[]): Choice;
  shuffled<Item>(items: readonly Item[]): readonly Item[];
}

export function diceOf(seed: number, use: string): Dice {
  const random = randomOf(seed, use);
  const uniform = (): number => random.uniform();
  const whole = (from: number, to: number): number => from + Math.floor(uniform() * (to - from + 1));
  return {
    chance: (probability) => uniform() < probability,
    between: (from, to) => from + uniform() * (to - from),
    whole,
    pick(choices) {
      const choice = choices[whole(0, choices.length - 1)];
      if (choice === undefined) throw new Error('nothing to choose from');
      return choice;
    },
    shuffled(items) {
      const keyed = items.map((item) => ({ item, key: uniform() }));
      return keyed.toSorted((a, b) => a.key - b.key).map(({ item }) => item);
    },
  };
}
