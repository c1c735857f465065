// A shadow ends in a verdict: services report pairs, the engine judges them, and no user was ever touched.
import { ObservationBatch } from '@understudy/contract/observation-endpoints';
import { GRACE_MS, INTERVAL_MS } from '@understudy/core/evidence-pool';
import type { Plan } from '@understudy/core/plan';
import { boundaryOfRollout, type Rollout } from '@understudy/core/rollout';
import { DEFAULT_GUARDS, DEFAULT_SEQUENTIAL } from '@understudy/core/sequential/config';
import { randomOf } from '@understudy/core/simulation/random';
import { beforeEach, describe, expect, it } from 'vitest';
import { updateModel } from '../packages/server/src/commands/models.ts';
import { getModel, getRollout, getVersions } from '../packages/server/src/commands/queries.ts';
import { startRollout } from '../packages/server/src/commands/rollouts.ts';
import { startShadow, stopShadow } from '../packages/server/src/commands/shadows.ts';
import { HUMAN, openTestWorld, type TestWorld } from '../packages/server/src/commands/test-world.ts';
import { openObservations, type Observations } from '../packages/server/src/control/observations.ts';
import { openEngine, type Engine } from '../packages/server/src/engine/rollout-engine.ts';

const MODEL = 'fraud';

function planOf(guards = DEFAULT_SEQUENTIAL.guards): Plan {
  return {
    name: 'rehearsal',
    steps: [
      { trafficPercent: 0, shadowPercent: 50, holdMs: 0, minSamples: 200 },
      { trafficPercent: 50, holdMs: 0, minSamples: 100 },
      { trafficPercent: 100, holdMs: 0, minSamples: 0 },
    ],
    policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL, guards },
    checkEveryMs: 1000,
    startCheck: 'warn',
  };
}

let world: TestWorld;
let engine: Engine;
let observations: Observations;
let warned: object[];
let sequence = 0;

beforeEach(async () => {
  world = await openTestWorld();
  world.wait(INTERVAL_MS - (world.context.clock.nowMs() % INTERVAL_MS));
  warned = [];
  const log = {
    info: () => undefined,
    warn: (fields: object, event: string) => warned.push({ event, ...fields }),
    error: () => undefined,
  };
  engine = openEngine(world.context, log);
  observations = openObservations(world.context);
});

/** How the shadow differs from the champion on the same request. */
interface Behaviour {
  readonly failRate?: number;
  readonly shift?: number;
  readonly slower?: number;
}

/** Seconds of 40 pairs each, until something has ended. */
async function rehearse(
  seconds: number,
  { failRate = 0.01, shift = 0, slower = 1 }: Behaviour,
  goesOn = async () => true,
): Promise<void> {
  const random = randomOf(7, 'pairs');
  for (let second = 0; second < seconds && (await goesOn()); second += 1) {
    const pairs = Array.from({ length: 40 }, () => {
      const hard = random.uniform();
      const prediction = 10 + 2 * random.normal();
      const latencyMs = 20 * Math.exp(0.5 * random.normal());
      const side = (rate: number, offset: number, factor: number) =>
        hard < rate
          ? { latencyMs: latencyMs * factor, error: 'failed' }
          : { latencyMs: latencyMs * factor * Math.exp(0.05 * random.normal()), prediction: prediction + offset };
      return { model: MODEL, version: 'v2', champion: side(0.01, 0, 1), shadow: side(failRate, shift, slower) };
    });
    sequence += 1;
    await observations.take(ObservationBatch.parse({ reporter: 'shop', boot: 'b', sequence, pairs }));
    await world.letLook(engine);
  }
}

async function start(plan = planOf()): Promise<string> {
  const { id } = await startRollout(world.context, HUMAN, { model: MODEL, challenger: 'v2', plan, reason: 'try' });
  await world.report(['v1', 'v2'], []);
  world.wait(INTERVAL_MS);
  await engine.tick();
  return id;
}

const rollout = (id: string): Promise<Rollout> => getRollout(world.context, id);
const isOnShadow = async (id: string): Promise<boolean> => {
  const { state } = await rollout(id);
  return state.phase === 'stepping' && state.step === 0;
};

describe('a step of shadow', () => {
  it('is passed by a challenger that does as well on the same requests, which nobody got', async () => {
    const id = await start();
    expect(boundaryOfRollout(await rollout(id))).toBe(0);
    await rehearse(300, { shift: 0.01 }, () => isOnShadow(id));
    expect((await rollout(id)).state).toMatchObject({ phase: 'stepping', step: 1 });
    const [decision] = await world.store.decisions('production', id, 1);
    expect(decision?.decision.reason).toContain('from a shadow of 50 % to 50 %: the shadow has passed');
  });

  it.each([
    { name: 'fails five times in a hundred more', behaviour: { failRate: 0.06 }, guard: 'failed requests' },
    { name: 'is half as fast', behaviour: { slower: 2 }, guard: 'latency' },
    { name: 'predicts something else', behaviour: { shift: 1.5 }, guard: 'predictions' },
  ])('rolls back one that $name, before any user got it', async ({ behaviour, guard }) => {
    const id = await start();
    await rehearse(120, behaviour, () => isOnShadow(id));
    const { state } = await rollout(id);
    expect(state).toMatchObject({ phase: 'rolled-back', step: 0, by: 'engine' });
    expect('reason' in state && state.reason).toContain(guard);
    const versions = await getVersions(world.context, MODEL);
    expect(versions.find(({ version }) => version === 'v2')?.health.state).toBe('unhealthy');
  });

  it('asks for agreement when the plan does', async () => {
    const id = await start(
      planOf([{ metric: 'agreement', atLeast: 0.95, ...DEFAULT_GUARDS.agreement }, ...DEFAULT_SEQUENTIAL.guards]),
    );
    // 2 % off is beyond the tolerance of 1 %, and no guard on shares would notice.
    await rehearse(120, { shift: 0.2 }, () => isOnShadow(id));
    const { state } = await rollout(id);
    expect('reason' in state && state.reason).toContain('agreement');
  });

  it('replays bit for bit, and shows pairs with intervals', async () => {
    const id = await start();
    await rehearse(4, {});
    world.wait(GRACE_MS);
    const { judgement, shadow } = await engine.lookAt(await rollout(id));
    const [errors] = judgement?.guards ?? [];
    expect(errors).toMatchObject({ guard: 'errors', samples: 160 });
    expect(errors?.difference?.value).toBe(0);
    expect(errors?.difference?.interval[0]).toBeLessThan(0);
    expect(shadow?.tally.pairs).toMatchObject({ count: 160 });
    const replay = await engine.replay(await rollout(id), undefined);
    expect(replay).toMatchObject({ outcome: 'replayed', isFaithful: true });
  });

  it('is said to be silent when copies should come and none does', async () => {
    const id = await start();
    for (let second = 0; second < 90; second += 1) {
      await world.report(['v1', 'v2'], [{ version: 'v1', arm: 'champion', requests: 20, rollout: id, step: 0 }]);
      world.wait(INTERVAL_MS);
      await engine.tick();
    }
    expect((await engine.lookAt(await rollout(id))).shadow?.silentMs).toBeGreaterThan(60_000);
    expect(warned).toContainEqual(expect.objectContaining({ event: 'shadow.silent', model: MODEL, shadow: 'v2' }));
  });
});

describe('a standing shadow', () => {
  const wish = { model: MODEL, version: 'v2', percent: 10, rules: [], reason: 'look' };

  it('comes to the same verdict, and changes nothing by it', async () => {
    await startShadow(world.context, HUMAN, wish);
    await rehearse(60, { failRate: 0.1 });
    world.wait(GRACE_MS);
    const found = await engine.shadowOf(await getModel(world.context, MODEL));
    expect(found?.judgement.verdict).toBe('harmful');
    expect(found?.tally).toMatchObject({ requests: 2400 });
    expect((await getModel(world.context, MODEL)).champion).toBe('v1');
    await stopShadow(world.context, HUMAN, { model: MODEL, reason: 'enough' });
    expect(await engine.shadowOf(await getModel(world.context, MODEL))).toBeUndefined();
  });

  it('finds agreement by the tolerance that the model declares', async () => {
    await updateModel(world.context, HUMAN, { model: MODEL, comparison: { absolute: 0.5, relative: 0 }, reason: 'coarse' });
    await startShadow(world.context, HUMAN, wish);
    await rehearse(5, { shift: 0.4 });
    const found = await engine.shadowOf(await getModel(world.context, MODEL));
    const { compared = 0, agreed = 0, worst = [] } = found?.tally.pairs ?? {};
    expect([agreed, compared > 150, worst.length]).toEqual([compared, true, 3]);
  });

  it('refuses the champion, who answers already', async () => {
    await expect(startShadow(world.context, HUMAN, { ...wish, version: 'v1' })).rejects.toThrow(
      'it is the champion and answers everybody',
    );
  });
});
