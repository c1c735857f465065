import { describe, expect, it } from 'vitest';
import { addToPast, guessOf, MEMORY } from './champion-rate.ts';

describe('addToPast', () => {
  it.each([
    { name: 'adds', past: { count: 10, bad: 1 }, added: { count: 5, bad: 2 }, now: { count: 15, bad: 3 } },
    {
      name: 'keeps all of its memory',
      past: { count: MEMORY, bad: 7 },
      added: { count: 0, bad: 0 },
      now: { count: MEMORY, bad: 7 },
    },
    {
      name: 'halves what is beyond it',
      past: { count: MEMORY, bad: 7 },
      added: { count: 2, bad: 0 },
      now: { count: 10_001, bad: 3 },
    },
  ])('$name', ({ past, added, now }) => {
    expect(addToPast(past, added)).toEqual(now);
  });

  it('forgets an incident', () => {
    let past = { count: MEMORY, bad: MEMORY / 2 };
    for (let block = 0; block < 200; block += 1) past = addToPast(past, { count: 1000, bad: 10 });
    expect(guessOf(past)).toBeCloseTo(0.01, 3);
  });
});

describe('guessOf', () => {
  it.each([
    { past: { count: 0, bad: 0 }, guess: 0.01 },
    { past: { count: 950, bad: 9.5 }, guess: 0.01 },
    { past: { count: 50, bad: 50 }, guess: 0.505 },
  ])('of $past.bad in $past.count is $guess', ({ past, guess }) => {
    expect(guessOf(past)).toBeCloseTo(guess, 12);
  });
});
