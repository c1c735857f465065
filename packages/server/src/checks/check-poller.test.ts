// Whole rollouts: answers of a real HTTP server are asked for when they are due, stored, decided on, and decided again.
import { type CheckConfig, DEFAULT_CHECK } from '@understudy/core/checks/config';
import { INTERVAL_MS } from '@understudy/core/evidence-pool';
import type { Plan } from '@understudy/core/plan';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { getRollout, getVersions } from '../commands/queries.ts';
import { pauseRollout, resumeRollout, startRollout } from '../commands/rollouts.ts';
import { HUMAN, openTestWorld, type TestWorld } from '../commands/test-world.ts';
import { type Engine, type EngineLog, openEngine } from '../engine/rollout-engine.ts';
import { openCheckAsker } from './check-asker.ts';
import { type CheckPoller, openCheckPoller } from './check-poller.ts';
import { ANY_ADDRESS, json, openTestProvider, type TestProvider, vector } from './test-provider.ts';

const QUIET: EngineLog = { info: () => undefined, warn: () => undefined, error: () => undefined };
const TEN_S = 10_000;

let world: TestWorld;
let engine: Engine;
let provider: TestProvider;
let poller: CheckPoller;
let log: { readonly event: string; readonly fields: object }[];
beforeEach(async () => {
  world = await openTestWorld();
  world.wait(INTERVAL_MS - (world.context.clock.nowMs() % INTERVAL_MS));
  provider = await openTestProvider();
  provider.answer = vector('0.1');
  engine = openEngine(world.context, QUIET);
  log = [];
  poller = openPoller();
});
afterEach(async () => {
  await poller.close();
  await provider[Symbol.asyncDispose]();
});

function openPoller(): CheckPoller {
  const note = (fields: object, event: string): unknown => log.push({ event, fields });
  const asker = openCheckAsker({ addresses: ANY_ADDRESS, readVariable: () => undefined });
  return openCheckPoller(world.context, asker, { warn: note, error: note });
}

function planOf(changes: Partial<CheckConfig> = {}, more: Partial<Plan> = {}): Plan {
  const source = { kind: 'prometheus', url: provider.url, query: 'x{v="{{challenger}}"}', failAbove: 1 } as const;
  return {
    name: 'test',
    steps: [10, 50, 100].map((trafficPercent) => ({ trafficPercent, holdMs: 0, minSamples: trafficPercent === 100 ? 0 : 60 })),
    policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS },
    checks: [{ name: 'slo', ...DEFAULT_CHECK, everyMs: TEN_S, source, ...changes }],
    checkEveryMs: TEN_S,
    startCheck: 'warn',
    ...more,
  };
}

async function start(plan: Plan): Promise<string> {
  const { id } = await startRollout(world.context, HUMAN, { model: 'fraud', challenger: 'v2', plan, reason: 'try' });
  await world.report(['v1', 'v2'], []);
  await look();
  return id;
}

const look = (): Promise<void> => world.letLook(engine);

/** Ten seconds: what is due is asked, both arms have good traffic, and the engine looks. */
async function pass(id: string, seconds = 10): Promise<void> {
  await poller.tick();
  await poller.settled();
  const { state } = await getRollout(world.context, id);
  const at = { rollout: id, step: 'step' in state ? state.step : 0 };
  world.wait((seconds - 1) * INTERVAL_MS);
  const challenger = { version: 'v2', arm: 'challenger', requests: 70, ...at } as const;
  await world.report(['v1', 'v2'], [{ version: 'v1', arm: 'champion', requests: 500, ...at }, challenger]);
  await look();
}

async function phase(id: string): Promise<string> {
  const { state } = await getRollout(world.context, id);
  return state.phase === 'stepping' ? `step ${state.step + 1}` : state.phase;
}

async function seen(id: string) {
  const { judgement } = await engine.lookAt(await getRollout(world.context, id));
  return {
    verdict: judgement?.verdict,
    reason: judgement?.reason,
    check: judgement?.guards.find(({ guard }) => guard === 'check slo'),
  };
}

async function measurements(): Promise<readonly unknown[]> {
  const rows = await world.store.evidence('production', { afterCursor: 0, limit: 1000 });
  return rows.flatMap(({ block }) => (block.measurement === undefined ? [] : [block.measurement]));
}

async function expectFaithful(id: string): Promise<void> {
  expect(await engine.replay(await getRollout(world.context, id), undefined)).toMatchObject({ isFaithful: true });
}

describe('a check that passes', () => {
  it('lets the rollout climb, with an answer in each step', async () => {
    const id = await start(planOf());
    await pass(id);
    expect(await phase(id)).toBe('step 2');
    await pass(id);
    expect(await phase(id)).toBe('promoted');
    expect(provider.received).toHaveLength(2);
    await expectFaithful(id);
  });

  it('is no evidence of the arms', async () => {
    const id = await start(planOf());
    await pass(id);
    const { arms } = await engine.evidenceOf(await getRollout(world.context, id));
    expect(arms.map(({ arm, tally }) => [arm, tally.requests])).toEqual([
      ['challenger', 70],
      ['champion', 500],
    ]);
  });
});

describe('a check that fails', () => {
  it('rolls back after so many failures in a row, with the values as the reason', async () => {
    provider.answer = vector('1.7');
    const id = await start(planOf());
    await pass(id);
    await pass(id);
    expect(await phase(id)).toBe('step 1');
    expect(await seen(id)).toMatchObject({ verdict: 'undecided', check: { challenger: 1.7, limit: 1, samples: 2 } });
    await pass(id);
    expect(await phase(id)).toBe('rolled-back');
    const [last] = await world.store.decisions('production', id, 1);
    expect(last?.decision.reason).toContain('the check slo: failed 3 times in a row (fails above 1); 1.7, ');
    const versions = await getVersions(world.context, 'fraud');
    expect(versions.find(({ version }) => version === 'v2')?.health.state).toBe('unhealthy');
    await expectFaithful(id);
  });

  it('holds when the plan says so, and goes on when it passes again', async () => {
    provider.answer = json({ verdict: 'fail', reason: 'chargebacks' });
    const source = { kind: 'webhook', url: provider.url } as const;
    const id = await start(planOf({ source, onFailure: 'hold' }));
    for (let round = 0; round < 5; round += 1) await pass(id);
    expect(await phase(id)).toBe('step 1');
    expect((await seen(id)).reason).toContain('failed 5 times in a row; fail (chargebacks), ');
    provider.answer = json({ verdict: 'pass' });
    await pass(id);
    expect(await phase(id)).toBe('step 2');
    await expectFaithful(id);
  });

  it('keeps a time box from promoting', async () => {
    provider.answer = vector('1.7');
    const id = await start(planOf({ onFailure: 'hold' }, { timeBox: { afterMs: 15_000, onExpiry: 'promote' } }));
    for (let round = 0; round < 4; round += 1) await pass(id);
    expect(await phase(id)).toBe('step 1');
    await expectFaithful(id);
    provider.answer = vector('0.1');
    await pass(id);
    expect(await phase(id)).toBe('promoted');
  });

  it('rolls back a rollout that is paused', async () => {
    const id = await start(planOf());
    await pauseRollout(world.context, HUMAN, { rollout: id, reason: 'lunch' });
    provider.answer = vector('1.7');
    for (let round = 0; round < 3; round += 1) await pass(id);
    expect(await phase(id)).toBe('rolled-back');
    await expectFaithful(id);
  });
});

describe('a provider in trouble', () => {
  it.each([
    { name: 'errors', answer: json({}, 502), words: 'provider error since' },
    { name: 'no data', answer: vector(), words: 'no data; no data (the query matches no series)' },
  ])('with $name holds the rollout for as long as it lasts, and never rolls back', async ({ answer, words }) => {
    provider.answer = answer;
    const id = await start(planOf());
    for (let round = 0; round < 20; round += 1) await pass(id);
    expect(await phase(id)).toBe('step 1');
    const now = await seen(id);
    expect(now).toMatchObject({ verdict: 'undecided', check: { verdict: 'no-data' } });
    expect(now.reason).toContain(words);
    provider.answer = vector('0.1');
    await pass(id);
    expect(await phase(id)).toBe('step 2');
    await expectFaithful(id);
  });

  it('is ignored when the plan says so', async () => {
    provider.answer = json({}, 502);
    const id = await start(planOf({ onError: 'ignore' }));
    for (let round = 0; round < 3; round += 1) await pass(id);
    expect(await phase(id)).toBe('step 2');
    await expectFaithful(id);
  });

  it('is told in the log when it begins, once', async () => {
    provider.answer = json({}, 502);
    const id = await start(planOf());
    for (let round = 0; round < 3; round += 1) await pass(id);
    provider.answer = vector('0.1');
    await pass(id);
    expect(log).toEqual([{ event: 'check.provider-error', fields: { rollout: id, check: 'slo', problem: 'HTTP 502' } }]);
  });

  it('holds when nobody asks any more', async () => {
    const id = await start(
      planOf(
        { needed: 'each-step' },
        {
          steps: [
            { trafficPercent: 10, holdMs: 120_000, minSamples: 60 },
            { trafficPercent: 100, holdMs: 0, minSamples: 0 },
          ],
        },
      ),
    );
    await pass(id);
    await poller.close();
    for (let round = 0; round < 20; round += 1) await pass(id);
    expect(await phase(id)).toBe('step 1');
    expect((await seen(id)).reason).toContain('not asked for');
    await expectFaithful(id);
  });
});

describe('asking', () => {
  it('happens when a check is due, from the first step on, until the rollout ends', async () => {
    const plan = planOf({ everyMs: 2 * TEN_S, needed: 'never' });
    await startRollout(world.context, HUMAN, { model: 'fraud', challenger: 'v2', plan, reason: 'try' });
    await poller.tick();
    await poller.settled();
    expect(provider.received).toHaveLength(0);
    await world.report(['v1', 'v2'], []);
    await look();
    const asked: number[] = [];
    for (let tenth = 0; tenth < 4; tenth += 1) {
      await pass('fraud-1', 10);
      asked.push(provider.received.length);
    }
    expect(asked).toEqual([1, 1, 1, 1]);
    expect(await phase('fraud-1')).toBe('promoted');
  });

  it('counts once when two processes do it', async () => {
    provider.answer = vector('1.7');
    const id = await start(planOf({ failures: 3 }));
    const other = openPoller();
    for (let round = 0; round < 2; round += 1) {
      await Promise.all([poller.tick(), other.tick()]);
      await Promise.all([poller.settled(), other.settled()]);
      await pass(id);
    }
    await other.close();
    expect(provider.received).toHaveLength(4);
    expect(await measurements()).toHaveLength(2);
    expect(await phase(id)).toBe('step 1');
    await expectFaithful(id);
  });

  it('counts once after a restart', async () => {
    const id = await start(planOf());
    await poller.tick();
    await poller.settled();
    await poller.close();
    poller = openPoller();
    await pass(id);
    expect(await measurements()).toHaveLength(1);
  });

  it('goes on after a pause, and asks for an answer of the step again', async () => {
    const id = await start(
      planOf(
        {},
        {
          steps: [
            { trafficPercent: 10, holdMs: 15_000, minSamples: 60 },
            { trafficPercent: 100, holdMs: 0, minSamples: 0 },
          ],
        },
      ),
    );
    await pass(id);
    await pauseRollout(world.context, HUMAN, { rollout: id, reason: 'lunch' });
    await pass(id);
    await resumeRollout(world.context, HUMAN, { rollout: id, reason: 'back' });
    await pass(id);
    expect(await phase(id)).toBe('promoted');
    await expectFaithful(id);
  });

  it('does not wait for a provider that hangs, and asks it one question at a time', async () => {
    const id = await start(planOf());
    provider.answer = () => undefined;
    await poller.tick();
    await vi.waitFor(() => expect(provider.received).toHaveLength(1));
    world.wait(TEN_S);
    await poller.tick();
    world.wait(TEN_S);
    await poller.tick();
    await poller.close();
    expect(provider.received).toHaveLength(1);
    expect(await measurements()).toEqual([]);
    expect(await phase(id)).toBe('step 1');
  });
});

describe('a replay', () => {
  it('notices an answer that was changed afterwards', async () => {
    provider.answer = vector('1.7');
    const id = await start(planOf());
    for (let round = 0; round < 3; round += 1) await pass(id);
    const { store } = world;
    const evidence: typeof store.evidence = async (...query) =>
      (await store.evidence(...query)).map((row) => {
        const { measurement } = row.block;
        if (measurement === undefined) return row;
        return { ...row, block: { ...row.block, measurement: { ...measurement, answer: { outcome: 'value', value: 1.6 } } } };
      });
    const forged = openEngine({ ...world.context, store: { ...store, evidence } }, QUIET);
    expect(await forged.replay(await getRollout(world.context, id), undefined)).toMatchObject({ isFaithful: false });
  });

  it('with another plan says when that one would have rolled back', async () => {
    provider.answer = vector('0.8');
    const id = await start(planOf());
    for (let round = 0; round < 2; round += 1) await pass(id);
    expect(await phase(id)).toBe('promoted');
    const source = { kind: 'prometheus', url: provider.url, query: 'x', failAbove: 0.5 } as const;
    const strict = planOf({ source, failures: 1 }, { name: 'strict' });
    const view = await engine.replay(await getRollout(world.context, id), strict);
    expect(view).toMatchObject({ otherPlan: 'strict', divergence: { other: 'roll-back', verdict: 'harmful' } });
  });
});
