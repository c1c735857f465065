// The promise as a user meets it: looks after every block, in seeded simulations that are far too small to measure anything finely.
import { describe, expect, it } from 'vitest';
import { addToPast, guessOf } from './champion-rate.ts';
import { bet, type EProcess, logEvidence, openEProcess, RESTARTABLE_FUND, restart } from './e-process.ts';
import type { ArmPair, RateCounts } from './margin.ts';
import { betOnHarm, guessWithin, HARM_ALTERNATIVES, logFactor } from './two-arm-test.ts';

const MARGIN = { ratio: 1.1, plus: 0.001 };
const RESTART_EVERY = 30;

type Bet = (process: EProcess, guess: number, counts: ArmPair<RateCounts>) => EProcess;
const fairBet: Bet = (process, guess, counts) => betOnHarm(process, { margin: MARGIN, guess }, counts);

/** Looks at what the challenger did in the very block that it bets on. */
const cheatingBet: Bet = (process, guess, counts) => {
  const seen = counts.challenger.bad / counts.challenger.count;
  const alternative = { champion: guessWithin(MARGIN, guess), challenger: Math.min(0.9, Math.max(seen, 0.015)) };
  return bet(process, Array<number>(HARM_ALTERNATIVES).fill(logFactor(MARGIN, alternative, counts)));
};

interface Simulation {
  readonly challengerRate: number;
  readonly requests: ArmPair<number>;
  readonly looks: number;
  readonly threshold: number;
  readonly betOn: Bet;
}

/** Challenger requests until the evidence reaches the threshold; undefined when it never does. The champion fails 1 %. */
function requestsUntil(
  random: () => number,
  { challengerRate, requests, looks, threshold, betOn }: Simulation,
): number | undefined {
  const draw = (count: number, rate: number): RateCounts => {
    let bad = 0;
    for (let request = 0; request < count; request += 1) if (random() < rate) bad += 1;
    return { count, bad };
  };
  let process = openEProcess(HARM_ALTERNATIVES, RESTARTABLE_FUND);
  let past = draw(5000, 0.01);
  for (let look = 1; look <= looks; look += 1) {
    const counts = { champion: draw(requests.champion, 0.01), challenger: draw(requests.challenger, challengerRate) };
    process = betOn(process, guessOf(past), counts);
    past = addToPast(past, counts.champion);
    if (logEvidence(process) >= Math.log(threshold)) return look * requests.challenger;
    if (look % RESTART_EVERY === 0) process = restart(process);
  }
  return undefined;
}

/** Mulberry32, by T. Ettinger (public domain). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function simulate(runs: number, simulation: Simulation): readonly (number | undefined)[] {
  const random = randomOf(7);
  return Array.from({ length: runs }, () => requestsUntil(random, simulation));
}

describe('evidence of harm', () => {
  const onTheLine = { challengerRate: 0.012, requests: { champion: 180, challenger: 20 }, looks: 200, threshold: 20 };
  const shareOfAlarms = (betOn: Bet) => {
    const runs = simulate(300, { ...onTheLine, betOn });
    return runs.filter((requests) => requests !== undefined).length / runs.length;
  };

  it('reaches 20 in at most 5 % of the rollouts of a challenger on the line, looking after every block', () => {
    expect(shareOfAlarms(fairBet)).toBeLessThanOrEqual(0.05);
  });

  it('would do so far more often if the bets knew the outcome', () => {
    expect(shareOfAlarms(cheatingBet)).toBeGreaterThan(0.5);
  });

  it('rolls a challenger that fails 5 % instead of 1 % back within 186 requests, in the median, at a weight of 0.4', () => {
    const wrong = { challengerRate: 0.05, requests: { champion: 18, challenger: 2 }, looks: 2000, threshold: 20 / 0.4 };
    const requests = simulate(300, { ...wrong, betOn: fairBet }).map((count) => count ?? Infinity);
    const median = requests.toSorted((a, b) => a - b)[150] ?? Number.NaN;
    expect(Math.abs(median / 186 - 1)).toBeLessThan(0.15);
  });
});
