import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Arm, EMPTY_TALLY, mergeTallies, momentsOf, type Tally } from '../evidence.ts';
import type { ConcurrentBlock } from '../evidence-pool.ts';
import { latencyOfBucket } from '../histogram.ts';
import type { Opening } from '../policy.ts';
import { nameOfEdges } from '../prediction-bins.ts';
import { randomOf } from '../simulation/random.ts';
import { DEFAULT_GUARDS, DEFAULT_SEQUENTIAL, type GuardConfig, type SequentialConfig } from './config.ts';
import { logHarmOfGuard, logSafetyOfGuard } from './guard.ts';
import { sequential } from './policy.ts';
import type { SequentialState } from './state.ts';
import { BINS, drawTally, judge, openingOf, play, questionOf, trafficOf } from './test-traffic.ts';

fc.configureGlobal({ seed: 1 });

const errors = { metric: 'errors', ...DEFAULT_GUARDS.errors } as const;
const drift = { metric: 'drift', ...DEFAULT_GUARDS.drift } as const;
const median = { metric: 'latency', quantile: 0.5, ratio: 1.2, ...DEFAULT_GUARDS.latency } as const;
const EVERY_GUARD: SequentialConfig = {
  ...DEFAULT_SEQUENTIAL,
  guards: [
    ...DEFAULT_SEQUENTIAL.guards,
    { ...errors, of: 'timeouts', weight: 0.1 },
    { metric: 'score', name: 'stars', ...DEFAULT_GUARDS.score },
    { metric: 'limit', of: 'errors', share: 0.1, ...DEFAULT_GUARDS.limit },
    { metric: 'limit', of: 'latency', share: 0.05, aboveMs: 200, ...DEFAULT_GUARDS.limit },
  ],
};
const OPENING = openingOf();
const NOTHING = { champion: EMPTY_TALLY, challenger: EMPTY_TALLY, shadow: EMPTY_TALLY };

const only = (...guards: readonly GuardConfig[]): SequentialConfig => ({ ...DEFAULT_SEQUENTIAL, guards });

function stateOf(
  blocks: readonly ConcurrentBlock[],
  config: SequentialConfig = DEFAULT_SEQUENTIAL,
  from: SequentialState = sequential.open(config, OPENING),
): SequentialState {
  return blocks.reduce((state, block) => sequential.absorb(config, state, block), from);
}

function blockOf(
  startMs: number,
  arms: Partial<Record<Arm, Partial<Tally>>>,
  { step = 0, stratum = '' }: Partial<Pick<ConcurrentBlock, 'step' | 'stratum'>> = {},
): ConcurrentBlock {
  const tallyOf = (arm: Arm): Tally => ({ ...EMPTY_TALLY, ...arms[arm] });
  const filled = { champion: tallyOf('champion'), challenger: tallyOf('challenger'), shadow: tallyOf('shadow') };
  return { startMs, step, stratum, arms: filled };
}

/** What one gateway may have seen of an arm in a second. Scores are halves, which add up exactly in any order. */
const tallies: fc.Arbitrary<Tally> = fc
  .tuple(fc.nat(8), fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(1_000_000), fc.array(fc.nat(2), { maxLength: 4 }))
  .map(([requests, failing, seed, halves]) => {
    const tally = drawTally(randomOf(seed, 'tally'), requests, {
      errorRate: failing ** 3,
      medianMs: 15 + failing * 30,
      shift: failing,
    });
    const stars = {
      count: halves.length,
      sum: halves.reduce((sum, half) => sum + half / 2, 0),
      sumSquares: halves.reduce((sum, half) => sum + half ** 2 / 4, 0),
    };
    return { ...tally, timeouts: Math.floor(tally.errors / 2), scores: halves.length === 0 ? {} : { stars } };
  });

const blocks: fc.Arbitrary<readonly ConcurrentBlock[]> = fc
  .array(
    fc.record({
      afterMs: fc.constantFrom(0, 1000, 1000, 1000, 5000, 60_000, 400_000),
      climbs: fc.constantFrom(0, 0, 0, 0, 0, 1),
      stratum: fc.constantFrom('', '', 'eu'),
      champion: tallies,
      challenger: tallies,
    }),
    { maxLength: 25 },
  )
  .map((list) => {
    let [startMs, step] = [0, 0];
    return list.map(({ afterMs, climbs, stratum, champion, challenger }) => {
      startMs += afterMs;
      step = Math.min(3, step + climbs);
      return { startMs, step, stratum, arms: { ...NOTHING, champion, challenger } };
    });
  });

const questions = fc
  .record({ step: fc.nat(3), minSamples: fc.nat(200), isStrictest: fc.boolean(), atMs: fc.nat(3_000_000) })
  .map((asked) => questionOf({ ...asked, trafficPercent: [10, 25, 50, 75][asked.step] ?? 100 }));

describe('the state', () => {
  it('is the same bit for bit when it was stored as JSON in between', () => {
    fc.assert(
      fc.property(blocks, fc.nat(25), questions, (list, cut, question) => {
        const stored: SequentialState = JSON.parse(JSON.stringify(stateOf(list.slice(0, cut), EVERY_GUARD)));
        const before = JSON.stringify(stored);
        const resumed = stateOf(list.slice(cut), EVERY_GUARD, stored);
        const whole = stateOf(list, EVERY_GUARD);
        expect(resumed).toEqual(whole);
        expect(sequential.judge(EVERY_GUARD, resumed, question)).toEqual(sequential.judge(EVERY_GUARD, whole, question));
        expect(JSON.stringify(stored)).toBe(before);
      }),
      { numRuns: 40 },
    );
  });

  it('does not depend on how gateways share the requests of a block, nor on the order of their reports', () => {
    const shared = fc.array(fc.tuple(tallies, tallies), { minLength: 1, maxLength: 5 });
    const inTwoOrders = shared.chain((parts) =>
      fc.tuple(fc.constant(parts), fc.shuffledSubarray(parts, { minLength: parts.length, maxLength: parts.length })),
    );
    const merged = (startMs: number, parts: readonly (readonly [Tally, Tally])[]): ConcurrentBlock => ({
      startMs,
      step: 0,
      stratum: '',
      arms: {
        ...NOTHING,
        champion: parts.reduce((sum, [champion]) => mergeTallies(sum, champion), EMPTY_TALLY),
        challenger: parts.reduce((sum, [, challenger]) => mergeTallies(sum, challenger), EMPTY_TALLY),
      },
    });
    fc.assert(
      fc.property(fc.array(inTwoOrders, { maxLength: 12 }), (list) => {
        const one = list.map(([parts], second) => merged(second * 1000, parts));
        const other = list.map(([, parts], second) => merged(second * 1000, parts));
        expect(stateOf(other, EVERY_GUARD)).toEqual(stateOf(one, EVERY_GUARD));
      }),
      { numRuns: 40 },
    );
  });

  it('has the same verdict whether it is asked for alone or with its reasons', () => {
    fc.assert(
      fc.property(blocks, questions, (list, question) => {
        const state = stateOf(list, EVERY_GUARD);
        expect(sequential.verdict(EVERY_GUARD, state, question)).toBe(sequential.judge(EVERY_GUARD, state, question).verdict);
      }),
      { numRuns: 60 },
    );
  });

  it('does with a block what its time and its counts say, whatever came of the requests', () => {
    // Another outcome of the same requests: nothing failed, and everything was fast.
    const tame = (tally: Tally): Tally => ({
      ...tally,
      errors: 0,
      timeouts: 0,
      latency: tally.requests === 0 ? [] : [[300, tally.requests]],
    });
    const bookkeeping = ({ guards, pending, restartedAtMs, step, heardMs }: SequentialState) => ({
      restartedAtMs,
      step,
      heardMs,
      waiting: pending.map(({ guard, sinceMs, stratum }) => [guard, sinceMs, stratum]),
      thresholds: guards.map((guard) => (guard.metric === 'latency' ? guard.threshold : undefined)),
      restarts: guards.map((guard) => ('harm' in guard ? guard.harm.restarts : 0)),
    });
    fc.assert(
      fc.property(blocks, (list) => {
        const last = list.at(-1);
        fc.pre(last !== undefined);
        const { champion, challenger } = last.arms;
        const other = { ...last, arms: { ...last.arms, champion: tame(champion), challenger: tame(challenger) } };
        const before = stateOf(list.slice(0, -1), EVERY_GUARD);
        const after = (block: ConcurrentBlock) => bookkeeping(sequential.absorb(EVERY_GUARD, before, block));
        expect(after(other)).toEqual(after(last));
      }),
      { numRuns: 60 },
    );
  });

  it('stays small and finite, however long the rollout', () => {
    const awful = { errorRate: 1, medianMs: 5000, shift: 5, accuracy: 0 };
    const state = stateOf(trafficOf(1, { seconds: 400, rate: 100, challenger: awful, trafficPercent: 50 }), EVERY_GUARD);
    expect(JSON.stringify(state).length).toBeLessThan(20_000);
    expect(JSON.stringify(state)).not.toMatch(/null/);
  });
});

describe('steps', () => {
  const first = trafficOf(1, { seconds: 60, rate: 100, challenger: { errorRate: 0.03 } });

  it('begin with nothing proven, and keep what was found', () => {
    const before = stateOf(first);
    const next = sequential.absorb(DEFAULT_SEQUENTIAL, before, blockOf(60_000, { champion: { requests: 1 } }, { step: 1 }));
    expect(before.guards.map(logSafetyOfGuard).some((evidence) => evidence > 1)).toBe(true);
    expect(next.guards.map(logSafetyOfGuard).every((evidence) => evidence <= 0)).toBe(true);
    next.guards.map(logHarmOfGuard).forEach((evidence, index) => {
      const known = before.guards[index];
      expect(evidence).toBeGreaterThanOrEqual(known === undefined ? 0 : logHarmOfGuard(known));
    });
    expect(next.peak).toBeGreaterThanOrEqual(before.peak);
  });

  it('weigh what was counted before they began', () => {
    const config = only(drift);
    const five = trafficOf(1, { seconds: 5, rate: 200, challenger: { shift: 2 }, trafficPercent: 50 });
    const early = stateOf(trafficOf(2, { seconds: 10, fromMs: -10_000 }), config);
    const state = stateOf(five, config, early);
    const next = sequential.absorb(config, state, blockOf(5000, { champion: { requests: 1 } }, { step: 1 }));
    expect(state.peak).toBe(0);
    expect(next.peak).toBeGreaterThan(Math.log(20));
    expect(next.pending.filter(({ step }) => step === 0)).toEqual([]);
  });

  it.each([
    { name: 'a late block of the step before', step: 0 },
    { name: 'a block outside of any step', step: -1 },
  ])('change nothing for $name', ({ step }) => {
    const state = stateOf(trafficOf(1, { seconds: 5, step: 1, trafficPercent: 25 }));
    const late = { ...trafficOf(3, { seconds: 1, fromMs: 9000, challenger: { errorRate: 1 } })[0], step };
    expect(sequential.absorb(DEFAULT_SEQUENTIAL, state, { ...blockOf(9000, {}), ...late })).toBe(state);
  });
});

describe('restarts', () => {
  const restartsAfter = (seconds: readonly number[], steps: readonly number[] = []) => {
    const list = seconds.map((second, index) =>
      blockOf(second * 1000, { champion: { requests: 9 }, challenger: { requests: 1 } }, { step: steps[index] ?? 0 }),
    );
    const [guard] = stateOf(list, only(errors)).guards;
    return guard?.metric === 'errors' ? [guard.harm.restarts, guard.safety.restarts] : [];
  };

  it.each([
    { name: 'with the first block', seconds: [0], restarts: [1, 0] },
    { name: 'not before five minutes are over', seconds: [0, 100, 299], restarts: [1, 0] },
    { name: 'after five minutes', seconds: [0, 100, 300], restarts: [2, 1] },
    { name: 'once, however long nothing came', seconds: [0, 86_400], restarts: [2, 1] },
    { name: 'every five minutes', seconds: [0, 300, 600, 900], restarts: [4, 3] },
    { name: 'with a step, which proves safety anew', seconds: [0, 300, 310], steps: [0, 0, 1], restarts: [3, 0] },
    { name: 'five minutes after the last one', seconds: [0, 200, 400, 500], steps: [0, 1, 1, 1], restarts: [3, 1] },
  ])('come on the clock: $name', ({ seconds, steps, restarts }) => {
    expect(restartsAfter(seconds, steps)).toEqual(restarts);
  });

  it('come to every bet of every guard', () => {
    const { guards } = stateOf([blockOf(0, {}), blockOf(300_000, {})], EVERY_GUARD);
    for (const guard of guards) {
      if (guard.metric === 'limit') expect([guard.over.restarts, guard.worse.restarts, guard.safety.restarts]).toEqual([2, 2, 1]);
      else if (guard.metric === 'drift') expect(guard.tests?.harm.families.map(({ restarts }) => restarts)).toEqual([2, 2, 2, 2]);
      else expect([guard.harm.restarts, guard.safety.restarts]).toEqual([2, 1]);
    }
  });
});

describe('counts', () => {
  const pair = ([champion, challenger]: readonly [number, number], startMs = 0, stratum = '') =>
    blockOf(startMs, { champion: { requests: champion }, challenger: { requests: challenger } }, { stratum });
  const waiting = (config: SequentialConfig, list: readonly ConcurrentBlock[]) =>
    stateOf(list, config).pending.map(({ counts }) => {
      const arms = counts.kind === 'slow' ? counts.harm : 'arms' in counts ? counts.arms : undefined;
      if (arms === undefined) throw new Error('steps of traffic count no pairs');
      return [arms.champion, arms.challenger].map((arm) => ('count' in arm ? arm.count : undefined));
    });

  it.each([
    { name: 'of errors are weighed each second', list: [pair([9, 1]), pair([9, 1], 1000)], left: [] },
    { name: 'of one arm wait for the other', list: [pair([9, 0]), pair([9, 0], 1000)], left: [[18, 0]] },
    { name: 'are weighed together with those that waited', list: [pair([9, 0]), pair([9, 1], 1000)], left: [] },
    {
      name: 'of strata wait apart',
      list: [pair([9, 0], 0, 'eu'), pair([0, 1], 0, 'us')],
      left: [
        [9, 0],
        [0, 1],
      ],
    },
    { name: 'that waited for five minutes in vain are left out', list: [pair([9, 0]), pair([5, 0], 300_000)], left: [[5, 0]] },
  ])('$name', ({ list, left }) => {
    expect(waiting(only(errors), list)).toEqual(left);
  });

  it('of an arm that was alone for long are not compared with what comes after them', () => {
    const quiet = blockOf(0, { champion: { requests: 3000, errors: 0 } });
    const outage = blockOf(301_000, { champion: { requests: 10, errors: 9 }, challenger: { requests: 4, errors: 4 } });
    expect(stateOf([quiet, outage], only(errors)).peak).toBeLessThan(Math.log(20));
  });

  it('of slow answers are weighed every ten seconds, from five on each arm', () => {
    const second = (startMs: number, challenger: number) =>
      blockOf(startMs, {
        champion: { requests: 9, latency: [[400, 9]] },
        challenger: { requests: challenger, latency: challenger === 0 ? [] : [[400, challenger]] },
      });
    const seconds = (count: number, challenger: number) =>
      Array.from({ length: count }, (_, index) => second(index * 1000, challenger));
    expect(waiting(only(median), seconds(9, 1))).toEqual([[81, 9]]);
    expect(waiting(only(median), seconds(10, 1))).toEqual([]);
    const rare = Array.from({ length: 300 }, (_, index) => second(index * 1000, index % 100 === 0 ? 1 : 0));
    expect(waiting(only(median), rare)).toEqual([[2700, 3]]);
    // Too few, but no longer to be waited for.
    expect(waiting(only(median), [...rare, second(300_000, 0)])).toEqual([[9, 0]]);
    expect(stateOf([...rare, second(300_000, 0)], only(median)).guards).not.toEqual(stateOf([], only(median)).guards);
  });
});

describe('strata', () => {
  const config: SequentialConfig = { ...only(errors), splitTolerance: 10 };
  // Europe fails more, on both arms, and more of its requests go to the challenger.
  const america = (second: number) => ({
    champion: { requests: 90, errors: 1 },
    challenger: { requests: 10, errors: second % 10 === 0 ? 1 : 0 },
  });
  const europe = { champion: { requests: 50, errors: 10 }, challenger: { requests: 50, errors: 10 } };
  const world = (second: number) => {
    const { champion, challenger } = america(second);
    return {
      champion: { requests: champion.requests + 50, errors: champion.errors + 10 },
      challenger: { requests: challenger.requests + 50, errors: challenger.errors + 10 },
    };
  };
  const seconds = Array.from({ length: 120 }, (_, second) => second);

  it('are weighed apart: what is alike in each of them is not blamed for their mixture', () => {
    const apart = seconds.flatMap((second) => [
      blockOf(second * 1000, america(second), { stratum: 'us' }),
      blockOf(second * 1000, europe, { stratum: 'eu' }),
    ]);
    const pooled = seconds.map((second) => blockOf(second * 1000, world(second)));
    expect(play(apart, config).verdicts).not.toContain('harmful');
    expect(play(pooled, config).verdicts).toContain('harmful');
  });

  it('are proven safe together', () => {
    const halves = seconds.flatMap((second) => [
      blockOf(second * 1000, america(second), { stratum: 'us' }),
      blockOf(second * 1000, america(second), { stratum: 'asia' }),
    ]);
    const one = seconds.map((second) => blockOf(second * 1000, america(second)));
    const safetyOf = (list: readonly ConcurrentBlock[]) => stateOf(list, config).guards.map(logSafetyOfGuard)[0] ?? 0;
    expect(safetyOf(halves)).toBeGreaterThan(safetyOf(one) + 1);
  });
});

describe('thresholds of latency', () => {
  const config = only(median);
  const usual: Tally['latency'] = [
    [400, 50],
    [410, 50],
  ];
  const opening: Opening = { ...OPENING, champion: { ...EMPTY_TALLY, requests: 100, latency: usual } };
  const thresholdAfter = (list: readonly ConcurrentBlock[], from: Opening = opening) => {
    const [guard] = stateOf(list, config, sequential.open(config, from)).guards;
    return guard?.metric === 'latency' ? guard.threshold : undefined;
  };
  const answers = (startMs: number, bucket: number, requests = 1000) => {
    const tally = { requests, latency: [[bucket, requests]] as const };
    return blockOf(startMs, { champion: tally, challenger: tally });
  };
  const lineAfter = (list: readonly ConcurrentBlock[], from?: Opening) => thresholdAfter(list, from)?.harm.champion;

  it('come from what the champion did before the rollout', () => {
    const line = { champion: 401, challenger: 410, guess: 0.5, expected: 0.5 };
    expect(thresholdAfter([])).toEqual({ harm: line, safety: line });
  });

  it('stay as they are until five minutes are over, and then move to what was seen until then', () => {
    expect(lineAfter([answers(0, 420), answers(299_000, 420)])).toBe(401);
    expect(lineAfter([answers(0, 420), blockOf(300_000, {})])).toBe(421);
    // The block that comes at that moment is not among what it is judged by.
    expect(lineAfter([answers(0, 420), answers(300_000, 430, 9999)])).toBe(421);
  });

  it('are not moved under what was counted by the old ones: that is weighed before', () => {
    const state = stateOf(
      [answers(0, 420), answers(290_000, 420), answers(299_000, 420, 30)],
      config,
      sequential.open(config, opening),
    );
    const counted = (from: SequentialState) =>
      from.pending.map(({ counts }) => (counts.kind === 'slow' ? counts.harm.champion.count : 0));
    const next = sequential.absorb(config, state, answers(300_000, 420, 7));
    expect([counted(state), counted(next)]).toEqual([[30], [7]]);
    const harmOf = ({ guards }: SequentialState) => guards.map(logHarmOfGuard)[0] ?? 0;
    expect(harmOf(next)).not.toBe(harmOf(stateOf([blockOf(300_000, {})], config, { ...state, pending: [] })));
  });

  it('do not learn from an outage of the champion', () => {
    const outage = Array.from({ length: 30 }, (_, second) => answers(second * 1000, 700, 50));
    expect(latencyOfBucket(700)).toBeGreaterThan(DEFAULT_SEQUENTIAL.sick.slowMs);
    expect(lineAfter([...outage, blockOf(300_000, {})])).toBe(401);
  });

  it('are missing until the champion has answered 50 times, and nothing is counted until then', () => {
    const none: Opening = { ...opening, champion: EMPTY_TALLY };
    expect(thresholdAfter([answers(0, 420, 49), blockOf(1000, {})], none)).toBeUndefined();
    expect(lineAfter([answers(0, 420, 50), blockOf(1000, {})], none)).toBe(421);
    expect(stateOf([answers(0, 420, 49)], config, sequential.open(config, none)).pending).toEqual([]);
  });

  it('let a champion that always takes equally long be told from a challenger that takes longer, and from one that does not', () => {
    const constant: Opening = { ...opening, champion: { ...EMPTY_TALLY, requests: 1000, latency: [[400, 1000]] } };
    const after = (bucket: number) => {
      const list = Array.from({ length: 60 }, (_, second) =>
        blockOf(second * 1000, {
          champion: { requests: 10, latency: [[400, 10]] },
          challenger: { requests: 10, latency: [[bucket, 10]] },
        }),
      );
      return play(list, config, { ...constant, percents: [50] }).verdicts.at(-1);
    };
    expect([after(400), after(408), after(420)]).toEqual(['healthy', 'healthy', 'harmful']);
  });
});

describe('predictions', () => {
  it('are counted only in the bins of the rollout', () => {
    const name = nameOfEdges(BINS.edges);
    const counted = (bins: Tally['bins']) =>
      stateOf([blockOf(0, { champion: { requests: 9, bins }, challenger: { requests: 9, bins } })], only(drift)).pending.map(
        ({ counts }) => (counts.kind === 'bins' ? counts.arms.challenger[3] : undefined),
      );
    const nine = Array.from<number>({ length: 20 }).fill(0).with(3, 9);
    expect(counted({ [name]: nine })).toEqual([9]);
    expect(counted({ other: nine })).toEqual([0]);
  });

  it('in a single bin tell nothing, and break nothing', () => {
    const opening: Opening = { ...OPENING, bins: { kind: 'classes', classes: [] } };
    const config = only(errors, drift);
    const played = play(trafficOf(1, { seconds: 20 }), config, opening);
    expect(judge(played).guards[1]).toMatchObject({ guard: 'drift', verdict: 'no-data' });
  });
});

describe('numbers at the ends of their ranges', () => {
  it.each<{ readonly name: string; readonly config: Partial<SequentialConfig> }>([
    { name: 'limits below every rate', config: { guards: [{ metric: 'limit', of: 'errors', share: 1e-9, weight: 1 }] } },
    { name: 'limits above every rate', config: { guards: [{ metric: 'limit', of: 'errors', share: 1 - 1e-12, weight: 1 }] } },
    { name: 'a champion that is sick at once', config: { sick: { errorRate: 1e-9, slowMs: 1e-3, slowShare: 1e-9 } } },
    { name: 'a champion that is never sick', config: { sick: { errorRate: 1 - 1e-12, slowMs: 1e9, slowShare: 1 - 1e-12 } } },
    { name: 'a split that may be anything', config: { splitTolerance: 10 } },
    { name: 'a quantile beyond every answer', config: { guards: [{ ...median, quantile: 0.999999 }] } },
    {
      name: 'a score with a rounding error',
      config: { guards: [{ metric: 'score', name: 'nearly', ...DEFAULT_GUARDS.score, better: 'lower' }] },
    },
  ])('break nothing: $name', ({ config }) => {
    // 0.99999999, a hundred times: turned round, its squares would add up to less than nothing.
    const nearly = momentsOf(Array.from({ length: 100 }, () => 0.99999999));
    expect(nearly.count - 2 * nearly.sum + nearly.sumSquares).toBeLessThan(0);
    const list = trafficOf(1, { seconds: 30 }).map((block) => {
      const withScore = (tally: Tally): Tally => ({ ...tally, scores: { nearly } });
      return {
        ...block,
        arms: { ...block.arms, champion: withScore(block.arms.champion), challenger: withScore(block.arms.challenger) },
      };
    });
    const played = play(list, { ...DEFAULT_SEQUENTIAL, ...config });
    expect(judge(played).verdict).not.toBe('harmful');
  });
});
