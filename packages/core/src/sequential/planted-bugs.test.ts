// Tests of a promise must bite. Bugs that look harmless are planted here, and false rollbacks rise far above α at once.
import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY, type Tally } from '../evidence.ts';
import type { ConcurrentBlock } from '../evidence-pool.ts';
import { bucketOfLatency, type Histogram } from '../histogram.ts';
import type { Opening } from '../policy.ts';
import { type Random, randomOf } from '../simulation/random.ts';
import { DEFAULT_GUARDS, DEFAULT_SEQUENTIAL, type GuardConfig, type SequentialConfig } from './config.ts';
import { effectiveRatioOf, thresholdOf } from './latency-threshold.ts';
import { sequential } from './policy.ts';
import type { SequentialState } from './state.ts';

const ROLLOUTS = 40;
const errors = { metric: 'errors', ...DEFAULT_GUARDS.errors } as const;
const slowest = { metric: 'latency', quantile: 0.99, ratio: 1.5, ...DEFAULT_GUARDS.latency } as const;

interface Trial {
  readonly guard: GuardConfig;
  readonly opening: Opening;
  readonly looks: number;
  /** The blocks of one look. The challenger stands right on its limit. */
  readonly draw: (random: Random, look: number) => readonly ConcurrentBlock[];
  /** A bug: the state before a block, made by one who has seen the block. */
  readonly tamper?: (state: SequentialState, block: ConcurrentBlock) => SequentialState;
}

/** Share of rollouts of a challenger on its limit that are rolled back, looking after every block. */
function falseRollbacks({ guard, opening, looks, draw, tamper = (state) => state }: Trial): number {
  const config: SequentialConfig = { ...DEFAULT_SEQUENTIAL, guards: [guard] };
  let rolledBack = 0;
  for (let seed = 0; seed < ROLLOUTS; seed += 1) {
    const random = randomOf(seed, guard.metric);
    let state = sequential.open(config, opening);
    for (let look = 0; look < looks && state.peak < Math.log(1 / config.alpha); look += 1) {
      for (const block of draw(random, look)) state = sequential.absorb(config, tamper(state, block), block);
    }
    if (state.peak >= Math.log(1 / config.alpha)) rolledBack += 1;
  }
  return rolledBack / ROLLOUTS;
}

function blockOf(startMs: number, champion: Partial<Tally>, challenger: Partial<Tally>): ConcurrentBlock {
  const arms = { champion: { ...EMPTY_TALLY, ...champion }, challenger: { ...EMPTY_TALLY, ...challenger }, shadow: EMPTY_TALLY };
  return { startMs, step: 0, stratum: '', arms };
}

describe('blocks that are closed by the clock', () => {
  interface Request {
    readonly isChallenger: boolean;
    readonly isBad: boolean;
  }
  // 1.1 × 10 % + 0.1 % is what is tolerated.
  const drawSecond = (random: Random): readonly Request[] =>
    Array.from({ length: 20 }, () => {
      const isChallenger = random.uniform() < 0.2;
      return { isChallenger, isBad: random.uniform() < (isChallenger ? 0.111 : 0.1) };
    });
  const asBlock = (look: number, requests: readonly Request[]): ConcurrentBlock => {
    const countsOf = (ofChallenger: boolean) => {
      const own = requests.filter(({ isChallenger }) => isChallenger === ofChallenger);
      return { requests: own.length, errors: own.filter(({ isBad }) => isBad).length };
    };
    return blockOf(look * 1000, countsOf(false), countsOf(true));
  };
  const trial = {
    guard: errors,
    opening: { startedAtMs: 0, champion: { ...EMPTY_TALLY, requests: 6000, errors: 600 }, percents: [20] },
    looks: 300,
  } as const;

  it('roll back a challenger on its limit with a chance of at most α', () => {
    const draw: Trial['draw'] = (random, look) => [asBlock(look, drawSecond(random))];
    expect(falseRollbacks({ ...trial, draw })).toBeLessThanOrEqual(DEFAULT_SEQUENTIAL.alpha);
  });

  it('would nearly always do so if a gateway reported at once when the challenger fails, and otherwise not at all', () => {
    const draw: Trial['draw'] = (random, look) => {
      const requests = drawSecond(random);
      const failed = requests.findIndex(({ isChallenger, isBad }) => isChallenger && isBad);
      return failed < 0 ? [] : [asBlock(look, requests.slice(0, failed + 1))];
    };
    expect(falseRollbacks({ ...trial, draw })).toBeGreaterThan(0.9);
  });

  it('would often do so in an incident on both arms, if the champion’s part of it counted ten seconds later', () => {
    const rateAt = (look: number): number => (look >= 20 && look < 60 ? 0.3 : 0.02);
    const count = (random: Random, requests: number, rate: number) =>
      Array.from({ length: requests }, () => random.uniform()).filter((drawn) => drawn < rate).length;
    const withLag = (lag: number) =>
      falseRollbacks({
        ...trial,
        looks: 80,
        draw: (random, look) => [
          blockOf(
            look * 1000,
            { requests: 16, errors: count(random, 16, rateAt(look - lag)) },
            { requests: 4, errors: count(random, 4, rateAt(look)) },
          ),
        ],
      });
    expect(withLag(0)).toBeLessThanOrEqual(DEFAULT_SEQUENTIAL.alpha);
    expect(withLag(10)).toBeGreaterThan(0.5);
  });
});

describe('thresholds of latency that are fixed before the block they judge', () => {
  const drawLatency = (random: Random, requests: number, times: number): Histogram => {
    const counts = new Map<number, number>();
    for (let request = 0; request < requests; request += 1) {
      const bucket = bucketOfLatency(20 * times * Math.exp(0.5 * random.normal()));
      counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
    }
    return [...counts].toSorted(([a], [b]) => a - b);
  };
  const trial: Trial = {
    guard: slowest,
    opening: {
      startedAtMs: 0,
      champion: { ...EMPTY_TALLY, latency: drawLatency(randomOf(0, 'before'), 6000, 1) },
      percents: [50],
    },
    looks: 50,
    draw: (random, look) => [
      blockOf(
        look * 10_000,
        { requests: 100, latency: drawLatency(random, 100, 1) },
        { requests: 100, latency: drawLatency(random, 100, effectiveRatioOf(slowest.ratio)) },
      ),
    ],
  };

  it('roll back a challenger on its limit with a chance of at most α', () => {
    expect(falseRollbacks(trial)).toBeLessThanOrEqual(DEFAULT_SEQUENTIAL.alpha);
  });

  it('would nearly always do so if they were taken from the very block', () => {
    const tamper: Trial['tamper'] = (state, block) => ({
      ...state,
      guards: state.guards.map((guard) => {
        const threshold = thresholdOf(slowest, block.arms.champion.latency);
        return guard.metric === 'latency' && threshold !== undefined ? { ...guard, threshold } : guard;
      }),
    });
    expect(falseRollbacks({ ...trial, tamper })).toBeGreaterThan(0.7);
  });
});
