import type { ArmSecond } from '@understudy/core/simulation/arm-source';
import type { SimulatedSecond } from '@understudy/core/simulation/prepared-scenario';
import type { OpenJudge, RequestJudge } from '@understudy/core/simulation/simulate-rollout';
import { EMPTY_TALLY } from '@understudy/core/evidence';
import { describe, expect, it } from 'vitest';
import { openArticleStaircase } from './article-staircase.ts';
import { openArticleMeanRule, openArticleWindow } from './article-window.ts';
import { directionOf, openKayentaLike, withoutOutliers } from './kayenta-like.ts';
import { openPeekedMannWhitney, proportionsZ } from './peeked-mann-whitney.ts';

interface Asked {
  readonly ms: readonly number[];
  /** How many of them failed, the first ones. */
  readonly failed?: number;
  readonly prediction?: number;
}

const OPENING = {
  startedAtMs: 0,
  champion: EMPTY_TALLY,
  percents: [10],
  championBaseline: { count: 100, mean: 0, standardDeviation: 1, source: 'validation', setAtMs: 0 },
} as const;

function open(openJudge: OpenJudge): RequestJudge {
  const judge = openJudge(OPENING);
  if (judge.reads !== 'requests') throw new Error('rivals read requests');
  return judge;
}

function armOf({ ms, failed = 0, prediction = 0 }: Asked): ArmSecond {
  return {
    count: ms.length,
    cold: 0,
    logMs: Float64Array.from(ms, (each) => Math.log(each)),
    failed: Uint8Array.from(ms, (_, index) => Number(index < failed)),
    predictions: Float64Array.from(ms, () => prediction),
  };
}

function secondOf(startMs: number, champion: Asked, challenger: Asked): SimulatedSecond {
  return { startMs, step: 0, champion: armOf(champion), challenger: armOf(challenger), isDeviating: true };
}

/** From 101 ms on, one more for each; so the median of 200 is 200.5 and the value at 99 % is 299. */
const ramp = (count: number, factor = 1): readonly number[] =>
  Array.from({ length: count }, (_, index) => (101 + index) * factor);
const same = (count: number, ms: number): readonly number[] => Array.from({ length: count }, () => ms);
const when = (atMs: number) => ({ atMs, step: 0, sinceMs: 0 });

describe('the staircase of the article', () => {
  it.each([
    {
      name: 'waits below 50 latencies of a model',
      champion: { ms: ramp(200) },
      challenger: { ms: same(49, 9000) },
      verdict: 'undecided',
    },
    {
      name: 'climbs at exactly 1.2x the median',
      champion: { ms: same(50, 100) },
      challenger: { ms: same(50, 119.99) },
      verdict: 'healthy',
    },
    {
      name: 'rolls back above 1.2x the median',
      champion: { ms: same(50, 100) },
      challenger: { ms: same(50, 120.1) },
      verdict: 'harmful',
    },
    {
      name: 'rolls back above 1.5x the value at 99 %',
      champion: { ms: same(100, 100) },
      challenger: { ms: [...same(99, 100), 151] },
      verdict: 'harmful',
    },
    {
      name: 'does not see a single value beyond the place of 99 %',
      champion: { ms: same(200, 100) },
      challenger: { ms: [...same(199, 100), 9000] },
      verdict: 'healthy',
    },
    {
      name: 'never learns of requests that failed',
      champion: { ms: ramp(200) },
      challenger: { ms: ramp(200), failed: 200 },
      verdict: 'undecided',
    },
  ])('$name', ({ champion, challenger, verdict }) => {
    const judge = open(openArticleStaircase);
    judge.see(secondOf(0, champion, challenger));
    expect(judge.verdict(when(300_000))).toBe(verdict);
  });

  it('compares the newest 1,000 only', () => {
    const judge = open(openArticleStaircase);
    judge.see(secondOf(0, { ms: same(1000, 100) }, { ms: same(1000, 900) }));
    expect(judge.verdict(when(300_000))).toBe('harmful');
    judge.see(secondOf(1000, { ms: [] }, { ms: same(1000, 100) }));
    expect(judge.verdict(when(600_000))).toBe('healthy');
  });
});

describe('the window of the article', () => {
  const fine: Asked = { ms: ramp(200) };

  it.each([
    { name: 'waits below 20 requests', challenger: { ms: same(19, 900) }, verdict: 'undecided' },
    {
      name: 'rolls back when the value at 95 % is above 500 ms',
      challenger: { ms: [...same(19, 100), 501] },
      verdict: 'harmful',
    },
    { name: 'does not at 500 ms', challenger: { ms: [...same(19, 100), 500] }, verdict: 'undecided' },
    { name: 'rolls back when two of twenty failed', challenger: { ms: same(20, 100), failed: 2 }, verdict: 'harmful' },
    { name: 'does not when one did', challenger: { ms: same(20, 100), failed: 1 }, verdict: 'undecided' },
    {
      name: 'rolls back when the mean is beyond two spreads',
      challenger: { ms: same(20, 100), prediction: 2.1 },
      verdict: 'harmful',
    },
    { name: 'does not below', challenger: { ms: same(20, 100), prediction: -1.9 }, verdict: 'undecided' },
  ])('$name', ({ challenger, verdict }) => {
    const judge = open(openArticleWindow);
    judge.see(secondOf(0, fine, challenger));
    expect(judge.verdict(when(10_000))).toBe(verdict);
  });

  it('leaves climbing to the staircase, every five minutes', () => {
    const judge = open(openArticleWindow);
    judge.see(secondOf(0, fine, fine));
    expect([judge.verdict(when(290_000)), judge.verdict(when(300_000))]).toEqual(['undecided', 'healthy']);
  });

  it('has forgotten what is 200 requests ago', () => {
    const judge = open(openArticleWindow);
    judge.see(secondOf(0, fine, { ms: same(200, 100), failed: 200 }));
    expect(judge.verdict(when(10_000))).toBe('harmful');
    judge.see(secondOf(1000, fine, { ms: same(200, 100) }));
    expect(judge.verdict(when(20_000))).toBe('undecided');
  });

  it.each([
    { prediction: 2.1, atMs: 10_000, verdict: 'harmful' },
    { prediction: 1.9, atMs: 10_000, verdict: 'undecided' },
    { prediction: 1.9, atMs: 300_000, verdict: 'healthy' },
  ])('alone finds a mean of $prediction at $atMs $verdict, whatever fails', ({ prediction, atMs, verdict }) => {
    const judge = open(openArticleMeanRule);
    judge.see(secondOf(0, fine, { ms: same(100, 9000), failed: 80, prediction }));
    expect(judge.verdict(when(atMs))).toBe(verdict);
  });
});

describe('the peeked Mann-Whitney', () => {
  it.each([
    { name: 'climbs on equal samples', champion: { ms: ramp(100) }, challenger: { ms: ramp(100) }, verdict: 'healthy' },
    {
      name: 'rolls back a slower challenger',
      champion: { ms: ramp(100) },
      challenger: { ms: ramp(100, 1.5) },
      verdict: 'harmful',
    },
    { name: 'lets a faster one climb', champion: { ms: ramp(100, 1.5) }, challenger: { ms: ramp(100) }, verdict: 'healthy' },
    {
      name: 'rolls back one that fails more often',
      champion: { ms: ramp(100) },
      challenger: { ms: ramp(100), failed: 10 },
      verdict: 'harmful',
    },
    {
      name: 'rolls back lower predictions',
      champion: { ms: ramp(100), prediction: 1 },
      challenger: { ms: ramp(100) },
      verdict: 'harmful',
    },
    {
      name: 'rolls back higher predictions',
      champion: { ms: ramp(100) },
      challenger: { ms: ramp(100), prediction: 1 },
      verdict: 'harmful',
    },
  ])('$name', ({ champion, challenger, verdict }) => {
    const judge = open(openPeekedMannWhitney);
    judge.see(secondOf(0, champion, challenger));
    expect(judge.verdict(when(300_000))).toBe(verdict);
  });

  it('compares two proportions as the textbook does', () => {
    // 30 of 200 against 15 of 200: pooled rate 0.1125.
    expect(proportionsZ({ requests: 200, errors: 30 }, { requests: 200, errors: 15 })).toBeCloseTo(2.3735, 3);
    expect(proportionsZ({ requests: 10, errors: 0 }, { requests: 10, errors: 0 })).toBe(0);
    expect(proportionsZ({ requests: 0, errors: 0 }, { requests: 10, errors: 1 })).toBe(0);
  });
});

describe('the judge like Kayenta', () => {
  function verdictAfter(minutes: number, champion: Asked, challenger: Asked) {
    const judge = open(openKayentaLike);
    for (let minute = 0; minute < minutes; minute += 1) {
      // No two points alike.
      const shifted = ({ ms, ...rest }: Asked): Asked => ({ ms: ms.map((each) => each * (1 + minute / 1000)), ...rest });
      judge.see(secondOf(minute * 60_000, shifted(champion), shifted(challenger)));
      judge.see(secondOf(minute * 60_000 + 59_000, { ms: [] }, { ms: [] }));
    }
    return judge.verdict(when(minutes * 60_000));
  }

  it.each([
    { name: 'climbs on equal points', minutes: 5, challenger: { ms: ramp(50) }, verdict: 'healthy' },
    { name: 'rolls back slower points', minutes: 5, challenger: { ms: ramp(50, 1.5) }, verdict: 'harmful' },
    { name: 'lets faster ones climb', minutes: 5, challenger: { ms: ramp(50, 0.5) }, verdict: 'healthy' },
    {
      name: 'rolls back errors that the champion does not make',
      minutes: 5,
      challenger: { ms: ramp(50), failed: 5 },
      verdict: 'harmful',
    },
    {
      name: 'rolls back predictions that moved down',
      minutes: 5,
      challenger: { ms: ramp(50), prediction: -1 },
      verdict: 'harmful',
    },
    { name: 'has no interval of 98 % after four minutes', minutes: 4, challenger: { ms: ramp(50, 9) }, verdict: 'healthy' },
  ])('$name', ({ minutes, challenger, verdict }) => {
    expect(verdictAfter(minutes, { ms: ramp(50) }, challenger)).toBe(verdict);
  });

  it('makes no point of a minute without requests', () => {
    expect(verdictAfter(5, { ms: ramp(50) }, { ms: [] })).toBe('healthy');
  });

  it.each([
    { name: 'higher', challenger: [11, 12, 13, 14, 15], champion: [1, 2, 3, 4, 5], direction: 'higher' },
    { name: 'lower', challenger: [1, 2, 3, 4, 5], champion: [11, 12, 13, 14, 15], direction: 'lower' },
    // The interval begins at 1, below a quarter of the estimated 5.
    {
      name: 'the same within a quarter of the estimate',
      challenger: [6, 7, 8, 9, 10],
      champion: [1, 2, 3, 4, 5],
      direction: 'same',
    },
    { name: 'the same when all points are', challenger: [0, 0, 0, 0, 0], champion: [0, 0, 0, 0, 0], direction: 'same' },
  ])('finds points $name', ({ challenger, champion, direction }) => {
    expect(directionOf(challenger, champion)).toBe(direction);
  });

  it('drops points beyond three quartile distances', () => {
    expect(withoutOutliers([1, 2, 3, 4, 5, 100, -100])).toEqual([1, 2, 3, 4, 5]);
    expect(withoutOutliers([])).toEqual([]);
  });
});
