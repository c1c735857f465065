import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Arm, EMPTY_TALLY, momentsOf } from './evidence.ts';
import type { ConcurrentBlock } from './evidence-pool.ts';
import { bucketOfLatency, latencyOfBucket } from './histogram.ts';
import type { Baseline } from './model-version.ts';
import type { Judgement, Opening, Question } from './policy.ts';
import { DEFAULT_THRESHOLDS, thresholds, type ThresholdsConfig, type ThresholdsState } from './thresholds.ts';

fc.configureGlobal({ seed: 1 });

interface Seen {
  readonly requests?: number;
  readonly ms?: number;
  /** Of the requests, how many took `slowMs`. */
  readonly slow?: number;
  readonly slowMs?: number;
  readonly errors?: number;
  readonly predictions?: readonly number[];
  readonly step?: number;
  readonly startMs?: number;
}

function blockOf(arm: Arm, seen: Seen): ConcurrentBlock {
  const { requests = 100, ms = 10, slow = 0, slowMs = 100, errors = 0, predictions = [], step = 0, startMs = 0 } = seen;
  const latency = [
    [bucketOfLatency(ms), requests - slow] as const,
    ...(slow === 0 ? [] : [[bucketOfLatency(slowMs), slow] as const]),
  ].filter(([, count]) => count > 0);
  const tally = { ...EMPTY_TALLY, requests, errors, latency, predictions: momentsOf(predictions) };
  const nothing = { champion: EMPTY_TALLY, challenger: EMPTY_TALLY, shadow: EMPTY_TALLY };
  return { startMs, step, stratum: '', arms: { ...nothing, [arm]: tally } };
}

const champion = (seen: Seen = {}) => blockOf('champion', seen);
const challenger = (seen: Seen = {}) => blockOf('challenger', seen);

const opening: Opening = { startedAtMs: 0, champion: EMPTY_TALLY, percents: [10, 100] };

function stateOf(blocks: readonly ConcurrentBlock[], config: ThresholdsConfig = DEFAULT_THRESHOLDS): ThresholdsState {
  return blocks.reduce((state, block) => thresholds.absorb(config, state, block), thresholds.open(config, opening));
}

function questionOf(asked: Partial<Question> = {}): Question {
  const seen = { champion: EMPTY_TALLY, challenger: EMPTY_TALLY };
  return { atMs: 0, step: 0, sinceMs: 0, trafficPercent: 10, isStrictest: false, isLast: false, minSamples: 0, seen, ...asked };
}

interface Asked extends Partial<Question> {
  readonly config?: Partial<ThresholdsConfig>;
}

function judge(blocks: readonly ConcurrentBlock[], { config: changes, ...asked }: Asked = {}): Judgement {
  const config = { ...DEFAULT_THRESHOLDS, ...changes };
  return thresholds.judge(config, stateOf(blocks, config), questionOf(asked));
}

const guardOf = (judgement: Judgement, guard: string) => judgement.guards.find((reading) => reading.guard === guard);
const baseline: Baseline = { count: 100, mean: 0, standardDeviation: 1, source: 'validation', setAtMs: 0 };
const repeat = (value: number, count: number) => Array.from({ length: count }, () => value);

describe('thresholds', () => {
  it('has the usual numbers unless told otherwise', () => {
    const { health: _, ...numbers } = DEFAULT_THRESHOLDS;
    expect(numbers).toEqual({ minSamples: 50, window: 1000, p50Ratio: 1.2, p99Ratio: 1.5, ignoreLatencyBelowMs: 0 });
  });

  it.each([
    { name: 'nothing was seen', blocks: [] },
    { name: 'the challenger has 49 requests', blocks: [champion(), challenger({ requests: 49 })] },
    { name: 'the champion has 49 requests', blocks: [champion({ requests: 49 }), challenger()] },
    { name: 'only the champion was seen', blocks: [champion()] },
    { name: 'only the challenger was seen', blocks: [challenger()] },
    { name: 'few challengers were slow', blocks: [champion(), challenger({ requests: 19, ms: 9000 })] },
  ])('has no data when $name', ({ blocks }) => {
    expect(judge(blocks).verdict).toBe('no-data');
  });

  it('compares from 50 requests on each arm', () => {
    expect(judge([champion({ requests: 50 }), challenger({ requests: 50 })])).toMatchObject({
      verdict: 'healthy',
      reason: 'every guard is within its limit after 50 requests; errors 0.00 %',
    });
  });

  it.each([
    { name: 'the same latency', ms: 10, verdict: 'healthy' },
    { name: 'a lower latency', ms: 1, verdict: 'healthy' },
    { name: 'a median 1.19× as long', ms: 11.9, verdict: 'healthy' },
    { name: 'a median 1.23× as long', ms: 12.3, verdict: 'harmful' },
  ])('judges $name as $verdict', ({ ms, verdict }) => {
    expect(judge([champion(), challenger({ ms })]).verdict).toBe(verdict);
  });

  it('lets the median be exactly 1.2× as long, at any latency, and not one bucket more', () => {
    for (let bucket = 1; bucket < 560; bucket += 1) {
      const blocks = (shift: number) => [
        champion({ ms: latencyOfBucket(bucket) }),
        challenger({ ms: latencyOfBucket(bucket + shift) }),
      ];
      expect(guardOf(judge(blocks(9)), 'latency.p50')).toMatchObject({ verdict: 'healthy' });
      expect(guardOf(judge(blocks(10)), 'latency.p50')).toMatchObject({ verdict: 'harmful' });
    }
  });

  it.each([
    { name: '20 buckets', shift: 20, verdict: 'healthy' },
    { name: '21 buckets', shift: 21, verdict: 'harmful' },
  ])('lets the 99th percentile be 1.5× as long: $name more are $verdict', ({ shift, verdict }) => {
    const slowMs = latencyOfBucket(bucketOfLatency(100) + shift);
    const judgement = judge([champion({ slow: 2, slowMs: 100 }), challenger({ slow: 2, slowMs })]);
    expect(guardOf(judgement, 'latency.p50')?.verdict).toBe('healthy');
    expect(guardOf(judgement, 'latency.p99')?.verdict).toBe(verdict);
    expect(judgement.verdict).toBe(verdict);
  });

  it.each([
    { name: 'the ratio alone', ignoreLatencyBelowMs: 0, verdict: 'harmful' },
    { name: 'a difference that is large enough', ignoreLatencyBelowMs: 5, verdict: 'harmful' },
    { name: 'a difference too small to matter', ignoreLatencyBelowMs: 15, verdict: 'healthy' },
  ])('judges 20 ms against 10 ms by $name as $verdict', ({ ignoreLatencyBelowMs, verdict }) => {
    expect(judge([champion(), challenger({ ms: 20 })], { config: { ignoreLatencyBelowMs } }).verdict).toBe(verdict);
  });

  it('says so when a difference is ignored, instead of calling it within the ratio', () => {
    const judgement = judge([champion(), challenger({ ms: 20 })], { config: { ignoreLatencyBelowMs: 15 } });
    expect(guardOf(judgement, 'latency.p50')?.reason).toMatch(
      /^p50 \d+\.\d\d ms is \d\.\d\d× the champion's \d+\.\d\d ms and exceeds 1\.2×, but by less than the 15 ms that are ignored$/,
    );
  });

  it.each([
    { name: 'errors of the challenger alone', champ: {}, chall: { errors: 6 }, verdict: 'harmful' },
    { name: 'errors of the champion alone', champ: { errors: 50 }, chall: {}, verdict: 'healthy' },
    { name: 'errors of both', champ: { errors: 6 }, chall: { errors: 6 }, verdict: 'champion-sick' },
    { name: 'slowness of both', champ: { ms: 600 }, chall: { ms: 600 }, verdict: 'champion-sick' },
    {
      name: 'errors of both and slowness of the challenger',
      champ: { errors: 6 },
      chall: { errors: 6, ms: 15 },
      verdict: 'harmful',
    },
    {
      name: 'slowness of the champion, errors of the challenger',
      champ: { ms: 600 },
      chall: { ms: 600, errors: 6 },
      verdict: 'harmful',
    },
  ] as const)('judges $name as $verdict', ({ champ, chall, verdict }) => {
    expect(judge([champion(champ), challenger(chall)]).verdict).toBe(verdict);
  });

  it('explains a limit that both arms break by both', () => {
    const judgement = judge([champion({ errors: 7 }), challenger({ errors: 6 })]);
    expect(judgement.reason).toBe(
      'error rate 6.00 % (6 of 100) exceeds 5.00 %; the champion breaks the same limit: error rate 7.00 % (7 of 100) exceeds 5.00 %',
    );
    expect(guardOf(judgement, 'health.errors')).toMatchObject({ champion: 0.07, challenger: 0.06, limit: 0.05 });
  });

  it.each([
    { name: 'no baseline', predictions: repeat(9, 20), asked: {}, verdict: 'healthy' },
    { name: 'its own baseline', predictions: repeat(9, 20), asked: { challengerBaseline: baseline }, verdict: 'harmful' },
    { name: "the champion's baseline", predictions: repeat(9, 20), asked: { championBaseline: baseline }, verdict: 'harmful' },
    {
      name: 'its own baseline before the champion’s',
      predictions: repeat(9, 20),
      asked: { championBaseline: baseline, challengerBaseline: { ...baseline, mean: 9 } },
      verdict: 'healthy',
    },
    { name: 'too few predictions', predictions: repeat(9, 9), asked: { challengerBaseline: baseline }, verdict: 'healthy' },
  ])('judges drift against $name as $verdict', ({ predictions, asked, verdict }) => {
    expect(judge([champion(), challenger({ predictions })], asked).verdict).toBe(verdict);
  });

  it('finds harm as soon as health can be judged, before the arms can be compared', () => {
    expect(judge([challenger({ requests: 20, errors: 20 })]).verdict).toBe('harmful');
  });

  it('is undecided below the minimum sample of the step', () => {
    const blocks = [champion(), challenger({ requests: 60 }), challenger({ requests: 60, startMs: 1 })];
    expect(judge(blocks, { minSamples: 121 })).toMatchObject({
      verdict: 'undecided',
      reason: '120 of 121 requests that this step asks for',
    });
    expect(judge(blocks, { minSamples: 120 }).verdict).toBe('healthy');
  });

  it('counts the minimum sample beyond its window', () => {
    const config = { window: 60, health: { ...DEFAULT_THRESHOLDS.health, window: 60 } };
    const many = Array.from({ length: 10 }, (_, startMs) => challenger({ requests: 60, startMs }));
    expect(judge([champion(), ...many], { config, minSamples: 600 }).verdict).toBe('healthy');
  });

  it('does not call errors healthy before they can be judged', () => {
    const config = { health: { ...DEFAULT_THRESHOLDS.health, window: 1000, minSamples: 500 } };
    expect(judge([champion(), challenger({ errors: 100 })], { config })).toMatchObject({
      verdict: 'no-data',
      reason: 'not enough data: 100 of 500 samples',
    });
  });

  it('judges only the newest requests of an arm', () => {
    const config = { window: 100, health: { ...DEFAULT_THRESHOLDS.health, window: 100 } };
    const recovered = [challenger({ errors: 100, ms: 900 }), challenger({ startMs: 1 })];
    expect(judge([champion(), ...recovered], { config }).verdict).toBe('healthy');
  });
});

describe('steps', () => {
  it('begin without evidence of the challenger', () => {
    const blocks = [champion(), challenger()];
    expect(judge(blocks, { step: 1 }).verdict).toBe('no-data');
    expect(judge([...blocks, challenger({ step: 1, requests: 50 })], { step: 1 }).verdict).toBe('healthy');
  });

  it('forget harm of the step before', () => {
    const blocks = [champion(), challenger({ ms: 90 }), champion({ step: 1 }), challenger({ step: 1 })];
    expect(judge(blocks.slice(0, 2)).verdict).toBe('harmful');
    expect(judge(blocks, { step: 1 }).verdict).toBe('healthy');
  });

  it('compare with the last that was seen of the champion when it gets no traffic any more', () => {
    const blocks = [champion({ step: 3 }), challenger({ step: 4, ms: 20 })];
    expect(judge(blocks, { step: 4 }).verdict).toBe('harmful');
  });

  it('forget what the champion did in a step before, once it is seen in the present one', () => {
    const blocks = [champion({ step: 0, ms: 30 }), champion({ step: 1, startMs: 1, ms: 10 }), challenger({ step: 1, ms: 30 })];
    expect(judge(blocks, { step: 1 }).verdict).toBe('harmful');
  });

  it('change nothing for a late block of an older step', () => {
    const state = stateOf([champion({ step: 1 }), challenger({ step: 1 })]);
    const late = challenger({ step: 0, errors: 100, startMs: 99 });
    expect(thresholds.absorb(DEFAULT_THRESHOLDS, state, late)).toEqual(state);
  });

  it('take a late block of the present step', () => {
    const state = stateOf([challenger({ step: 1, startMs: 5 }), challenger({ step: 1, startMs: 3 })]);
    expect(state.challenger).toMatchObject({ step: 1, requests: 200 });
  });

  it.each([
    { name: 'the shadow', block: blockOf('shadow', { errors: 100 }) },
    { name: 'a request outside of a step', block: challenger({ errors: 100, step: -1 }) },
  ])('change nothing for $name', ({ block }) => {
    for (const state of [stateOf([]), stateOf([champion(), challenger()])]) {
      expect(thresholds.absorb(DEFAULT_THRESHOLDS, state, block)).toEqual(state);
    }
  });
});

describe('the state', () => {
  const blocks = fc
    .array(
      fc.record({
        arm: fc.constantFrom<Arm>('champion', 'challenger', 'shadow'),
        seen: fc.record({
          requests: fc.nat(120),
          ms: fc.constantFrom(1, 10, 12, 15, 400, 700),
          predictions: fc.array(fc.integer({ min: -9, max: 9 }), { maxLength: 20 }),
          step: fc.nat(2),
          startMs: fc.nat(30),
        }),
        failing: fc.constantFrom(0, 0, 0.04, 0.1, 1),
      }),
      { maxLength: 20 },
    )
    .map((list) => list.map(({ arm, seen, failing }) => blockOf(arm, { ...seen, errors: Math.floor(seen.requests * failing) })));
  const question = fc
    .record({ step: fc.nat(2), minSamples: fc.nat(200) })
    .map((asked) => questionOf({ ...asked, championBaseline: baseline }));

  it('gives the same judgement after it was stored as JSON', () => {
    fc.assert(
      fc.property(blocks, question, (list, asked) => {
        const state = stateOf(list);
        const stored: ThresholdsState = JSON.parse(JSON.stringify(state));
        const judgement = thresholds.judge(DEFAULT_THRESHOLDS, state, asked);
        expect(thresholds.judge(DEFAULT_THRESHOLDS, stored, asked)).toEqual(judgement);
        expect(JSON.parse(JSON.stringify(judgement))).toEqual(judgement);
      }),
    );
  });

  it('is a pure fold: stopping, storing and going on anywhere changes nothing', () => {
    fc.assert(
      fc.property(blocks, fc.nat(20), (list, cut) => {
        const stored: ThresholdsState = JSON.parse(JSON.stringify(stateOf(list.slice(0, cut))));
        const before = JSON.stringify(stored);
        const resumed = list.slice(cut).reduce((state, block) => thresholds.absorb(DEFAULT_THRESHOLDS, state, block), stored);
        expect(resumed).toEqual(stateOf(list));
        expect(JSON.stringify(stored)).toBe(before);
      }),
    );
  });

  it('does not depend on the order of blocks within a step', () => {
    const sameStep = blocks.map((list) => list.map((block) => ({ ...block, step: 0 })));
    const shuffled = sameStep.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length })),
    );
    fc.assert(
      fc.property(shuffled, ([inOrder, other]) => {
        expect(stateOf(other)).toEqual(stateOf(inOrder));
      }),
    );
  });

  it('is judged twice with the same result, and has the verdict of its judgement', () => {
    fc.assert(
      fc.property(blocks, question, (list, asked) => {
        const state = stateOf(list);
        const judgement = thresholds.judge(DEFAULT_THRESHOLDS, state, asked);
        expect(thresholds.judge(DEFAULT_THRESHOLDS, state, asked)).toEqual(judgement);
        expect(thresholds.verdict(DEFAULT_THRESHOLDS, state, asked)).toBe(judgement.verdict);
      }),
    );
  });

  it('never makes a challenger harmful that answers exactly as the champion does', () => {
    fc.assert(
      fc.property(blocks, (list) => {
        const twins = list.map((block): ConcurrentBlock => {
          const tally = Object.values(block.arms).find(({ requests }) => requests > 0) ?? EMPTY_TALLY;
          return { ...block, step: 0, arms: { champion: tally, challenger: tally, shadow: EMPTY_TALLY } };
        });
        const asked = questionOf({ championBaseline: baseline });
        expect(thresholds.judge(DEFAULT_THRESHOLDS, stateOf(twins), asked).verdict).not.toBe('harmful');
      }),
    );
  });

  it('stays bounded', () => {
    const many = Array.from({ length: 5000 }, (_, startMs) => challenger({ requests: 1, startMs }));
    expect(stateOf(many).challenger.window).toHaveLength(DEFAULT_THRESHOLDS.window);
    expect(stateOf(many).challenger.requests).toBe(5000);
  });
});
