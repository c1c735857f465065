import { ObservationBatch } from '@understudy/contract/observation-endpoints';
import { bucketOf } from '@understudy/core/bucketing';
import type { EvidenceBlock } from '@understudy/core/evidence';
import { bucketOfLatency } from '@understudy/core/histogram';
import { binOf, binsOfNormal, nameOfEdges } from '@understudy/core/prediction-bins';
import { DEFAULT_SEQUENTIAL } from '@understudy/core/sequential/config';
import { boundaryOfRollout, type RolloutState } from '@understudy/core/rollout';
import type { Plan } from '@understudy/core/plan';
import { beforeEach, describe, expect, it } from 'vitest';
import { applyDecision } from '../commands/decisions.ts';
import { holdRollout } from '../commands/queries.ts';
import { rollBackRollout, startRollout } from '../commands/rollouts.ts';
import { HUMAN, openTestWorld, type TestWorld } from '../commands/test-world.ts';
import { type Observations, openObservations, type ReportedOutcome } from './observations.ts';

const PLAN: Plan = {
  name: 'test',
  steps: [
    { trafficPercent: 10, holdMs: 0, minSamples: 0 },
    { trafficPercent: 50, holdMs: 0, minSamples: 0 },
    { trafficPercent: 100, holdMs: 0, minSamples: 0 },
  ],
  policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL },
  checkEveryMs: 1000,
  startCheck: 'warn',
};

let world: TestWorld;
let observations: Observations;
let rollout: string;
let sequence = 0;

beforeEach(async () => {
  world = await openTestWorld();
  observations = openObservations(world.context);
  ({ id: rollout } = await startRollout(world.context, HUMAN, { model: 'fraud', challenger: 'v2', plan: PLAN, reason: 'try' }));
});

async function goTo(next: RolloutState): Promise<void> {
  const held = await holdRollout(world.context, rollout);
  const decision = { action: 'advance', verdict: 'healthy', reason: 'test', guards: [], next } as const;
  const atMs = world.context.clock.nowMs();
  await applyDecision(world.context, HUMAN, { rollout: held, decision, window: atMs, atMs });
}

const onStep = (step: number): RolloutState => ({ phase: 'stepping', step, sinceMs: world.context.clock.nowMs() });

async function take(batch: object): ReturnType<Observations['take']> {
  sequence += 1;
  return observations.take(ObservationBatch.parse({ reporter: 'shop-1', boot: 'b', sequence, ...batch }));
}

async function blocks(): Promise<readonly EvidenceBlock[]> {
  return (await world.store.evidence('production', { afterCursor: 0, limit: 1000 })).map(({ block }) => block);
}

const ofV2 = { model: 'fraud', version: 'v2' };

describe('an observation', () => {
  it('becomes the block that a gateway would have made', async () => {
    await goTo(onStep(0));
    world.wait(1500);
    const atMs = world.context.clock.nowMs();
    const bins = binsOfNormal(10, 2);
    if (bins === undefined) throw new Error('a standard deviation of 2 can be told apart');
    const told = await take({
      stratum: 'eu',
      observations: [
        { ...ofV2, atMs, latencyMs: 20, prediction: 9, scores: { accuracy: 1 } },
        { ...ofV2, atMs, latencyMs: 20, error: 'timeout' },
        { ...ofV2, atMs, error: 'rejected' },
        { ...ofV2, atMs, prediction: 'fraud', scores: { accuracy: 0.5 } },
      ],
    });
    expect(told).toEqual({ outcome: 'stored', counted: 4, ignored: [] });
    const counts = Array.from({ length: bins.edges.length + 1 }, (_, bin) => (bin === binOf(bins.edges, 9) ? 1 : 0));
    expect(await blocks()).toEqual([
      {
        ...ofV2,
        arm: 'challenger',
        rollout,
        step: 0,
        stratum: 'eu',
        startMs: Math.floor(atMs / 1000) * 1000,
        tally: {
          requests: 4,
          errors: 1,
          timeouts: 1,
          invalid: 0,
          rescued: 0,
          rejected: 1,
          latency: [[bucketOfLatency(20), 2]],
          coldLatency: [],
          predictions: { count: 1, sum: 9, sumSquares: 81 },
          classes: { fraud: 1 },
          bins: { [nameOfEdges(bins.edges)]: counts },
          scores: { accuracy: { count: 2, sum: 1.5, sumSquares: 1.25 } },
        },
      },
    ]);
  });

  it('counts the same when it was added up before', async () => {
    await goTo(onStep(0));
    const singles = [
      { ...ofV2, latencyMs: 5, prediction: 8 },
      { ...ofV2, latencyMs: 5, error: 'failed', scores: { accuracy: 0.25 } },
    ];
    await take({ observations: singles });
    const scores = { accuracy: { count: 1, sum: 0.25, sumSquares: 0.0625 } };
    await take({ counts: [{ ...ofV2, requests: 2, errors: 1, latencies: [[5, 2]], predictions: [[8, 1]], scores }] });
    const [one, other, ...rest] = await blocks();
    expect(rest).toEqual([]);
    expect(other).toEqual(one);
  });

  it('counts once, however often it is sent', async () => {
    await goTo(onStep(0));
    const batch = { sequence: 7, observations: [ofV2] };
    expect((await take(batch)).outcome).toBe('stored');
    expect((await take(batch)).outcome).toBe('duplicate');
    expect((await take({ ...batch, boot: 'another' })).outcome).toBe('stored');
    expect((await take({ ...batch, reporter: 'shop-2' })).outcome).toBe('stored');
    expect(await blocks()).toHaveLength(3);
  });

  it('makes no gateway known', async () => {
    await goTo(onStep(0));
    await take({ observations: [ofV2] });
    expect(await world.store.gateways('production')).toEqual([]);
  });

  it('belongs to the step at its time, not at its arrival', async () => {
    await goTo(onStep(0));
    const atMs = world.context.clock.nowMs();
    world.wait(2000);
    await goTo(onStep(1));
    await take({ observations: [{ ...ofV2, atMs }, ofV2, { model: 'fraud', version: 'v1', atMs }] });
    expect((await blocks()).map(({ arm, step }) => [arm, step])).toEqual([
      ['challenger', 0],
      ['challenger', 1],
      ['champion', 0],
    ]);
  });

  it.each([
    { name: 'before the first step', arrange: async () => {}, one: { model: 'fraud', version: 'v1' }, arm: 'champion' },
    { name: 'decided by a rule', arrange: () => goTo(onStep(0)), one: { ...ofV2, reason: 'TARGETING_MATCH' }, arm: 'challenger' },
    {
      name: 'after the end',
      arrange: async () => void (await rollBackRollout(world.context, HUMAN, { rollout, reason: 'fire' })),
      one: { model: 'fraud', version: 'v1' },
      arm: 'champion',
    },
  ])('$name is no part of the rollout', async ({ arrange, one, arm }) => {
    await arrange();
    await take({ observations: [one] });
    expect((await blocks()).map((block) => [block.arm, block.rollout, block.step])).toEqual([[arm, undefined, undefined]]);
  });

  it('of a subject that the split does not send there is no part of the rollout', async () => {
    await goTo(onStep(0));
    const { body } = await holdRollout(world.context, rollout);
    const boundary = boundaryOfRollout(body);
    const users = Array.from({ length: 200 }, (_, index) => `user-${index}`);
    await take({ observations: users.map((subject) => ({ ...ofV2, subject })) });
    const inside = users.filter((user) => bucketOf(body.salt, user) < boundary).length;
    const found = new Map((await blocks()).map((block) => [block.rollout, block.tally.requests]));
    expect([found.get(rollout), found.get(undefined)]).toEqual([inside, 200 - inside]);
  });

  it.each([
    { name: 'an unknown model', one: { model: 'nothing', version: 'v1' }, reason: 'there is no model "nothing"' },
    { name: 'a version without a part in it', one: { model: 'fraud', version: 'v3' }, reason: 'neither champion nor challenger' },
    { name: 'a flag of a person', one: { flag: 'checkout', variant: 'on' }, reason: 'did not follow a rollout' },
    { name: 'yesterday', one: { ...ofV2, atMs: 0 }, reason: 'more than an hour old' },
  ])('of $name is left out, and that is said', async ({ one, reason }) => {
    await goTo(onStep(0));
    world.wait(4_000_000);
    const told = await take({ observations: [one, one] });
    expect(told).toEqual({ outcome: 'nothing', counted: 0, ignored: [{ reason: expect.stringContaining(reason), requests: 2 }] });
    expect(await blocks()).toEqual([]);
  });

  it('from the future counts as seen now', async () => {
    await goTo(onStep(0));
    await take({ observations: [{ ...ofV2, atMs: 9e15 }] });
    expect((await blocks())[0]?.startMs).toBe(Math.floor(world.context.clock.nowMs() / 1000) * 1000);
  });

  it('with more names than can be kept is refused, or counted under "other"', async () => {
    await goTo(onStep(0));
    const many = Array.from({ length: 70 }, (_, index) => index);
    await take({ observations: many.map((index) => ({ ...ofV2, prediction: `class-${index}` })) });
    const [block] = await blocks();
    expect([Object.keys(block?.tally.classes ?? {}).length, block?.tally.classes['other']]).toEqual([65, 6]);
    const scored = many.map((index) => ({ ...ofV2, scores: { [`score-${index}`]: 1 } }));
    await expect(take({ observations: scored })).rejects.toThrow('a version has at most 32 scores');
  });

  it.each([
    { requests: 1, errors: 2 },
    { requests: 3, errors: 1, timeouts: 2 },
    { requests: 1, scores: { accuracy: { count: 1, sum: 2, sumSquares: 1 } } },
    { requests: -1 },
  ])('added up to %j is refused', (counts) => {
    const batch = { reporter: 'shop', boot: 'b', sequence: 0, counts: [{ ...ofV2, ...counts }] };
    expect(ObservationBatch.safeParse(batch).success).toBe(false);
  });
});

describe('what SDKs report', () => {
  const outcome = (flag: string, variant: string, more: Partial<ReportedOutcome> = {}): ReportedOutcome => ({
    flag,
    variant,
    batch: 'one',
    atMs: world.context.clock.nowMs(),
    exposures: 0,
    requests: 10,
    errors: 1,
    latencies: [],
    scores: {},
    ...more,
  });

  it('counts for the version that the variant stands for, once for each batch', async () => {
    await goTo(onStep(0));
    const together = [
      outcome('fraud-version', 'v1', { requests: 90 }),
      outcome('fraud-v2', 'on', { latencies: [[12, 10]], scores: { quality: { count: 2, sum: 1, sumSquares: 1 } } }),
      outcome('checkout', 'on'),
    ];
    await observations.report(together);
    await observations.report(together);
    const found = await blocks();
    expect(found.map(({ version, arm, step, tally }) => [version, arm, step, tally.requests, tally.errors])).toEqual([
      ['v1', 'champion', 0, 90, 1],
      ['v2', 'challenger', 0, 10, 1],
    ]);
    expect(found[1]?.tally).toMatchObject({ latency: [[bucketOfLatency(12), 10]], scores: { quality: { count: 2 } } });
    await observations.report([outcome('fraud-v2', 'off', { batch: 'two' })]);
    expect((await blocks()).at(-1)).toMatchObject({ version: 'v1', arm: 'champion', step: 0 });
  });

  it('counts nothing that was only given and never judged, and that is known', async () => {
    await goTo(onStep(0));
    const given = { exposures: 500, requests: 0, errors: 0 };
    await observations.report([
      outcome('fraud-version', 'v2', given),
      outcome('fraud-v2', 'off', given),
      outcome('checkout', 'on', given),
    ]);
    expect(await blocks()).toEqual([]);
    expect([observations.unjudgedExposures('fraud'), observations.unjudgedExposures('checkout')]).toEqual([1000, undefined]);
    await observations.report([outcome('fraud-version', 'v2', { ...given, requests: 4, errors: 1, batch: 'two' })]);
    expect((await blocks()).map(({ tally }) => [tally.requests, tally.errors])).toEqual([[4, 1]]);
    expect(observations.unjudgedExposures('fraud')).toBe(undefined);
  });

  it('is made sense of before it is stored', async () => {
    await goTo(onStep(0));
    const scores = { 'not a name': { count: 1, sum: 1, sumSquares: 1 }, rate: { count: 2, sum: 5, sumSquares: -1 } };
    const odd = { requests: 1.4, errors: 3, latencies: [[5, Number.NaN]] as const, scores };
    await observations.report([outcome('fraud-version', 'v2', odd)]);
    expect((await blocks())[0]?.tally).toMatchObject({
      requests: 3,
      errors: 3,
      latency: [],
      scores: { rate: { count: 2, sum: 2, sumSquares: 0 } },
    });
  });
});
