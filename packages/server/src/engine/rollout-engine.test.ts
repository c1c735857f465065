import { AppError } from '@understudy/core/errors';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import { withBake } from '@understudy/core/bake';
import { compileSnapshot } from '@understudy/core/snapshot';
import { GRACE_MS, INTERVAL_MS } from '@understudy/core/evidence-pool';
import { BUILT_IN_PLANS, type Plan } from '@understudy/core/plan';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CommandContext } from '../commands/command.ts';
import { createModel, rollBackModel, updateModel } from '../commands/models.ts';
import { getModel, getRollout, getVersions, loadEnvironment } from '../commands/queries.ts';
import { pauseRollout, promoteRollout, resumeRollout, startRollout } from '../commands/rollouts.ts';
import { registerVersion, setVersionHealth } from '../commands/versions.ts';
import { HUMAN, openTestWorld, type TestWorld, type Traffic } from '../commands/test-world.ts';
import type { Store } from '../storage/store.ts';
import { type Engine, type EngineLog, openEngine } from './rollout-engine.ts';

const MODEL = 'fraud';
const QUIET: EngineLog = { info: () => undefined, warn: () => undefined, error: () => undefined };
const PLAN: Plan = {
  name: 'test',
  steps: [
    { trafficPercent: 10, holdMs: 20_000, minSamples: 60 },
    { trafficPercent: 50, holdMs: 0, minSamples: 60 },
    { trafficPercent: 100, holdMs: 0, minSamples: 0 },
  ],
  policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS },
  checkEveryMs: 10_000,
  startCheck: 'warn',
};

let world: TestWorld;
let engine: Engine;
beforeEach(async () => {
  world = await openTestWorld();
  world.wait(INTERVAL_MS - (world.context.clock.nowMs() % INTERVAL_MS));
  engine = openEngine(world.context, QUIET);
});

async function start(plan = PLAN): Promise<string> {
  const { id } = await startRollout(world.context, HUMAN, { model: MODEL, challenger: 'v2', plan, reason: 'try' });
  await world.report(['v1', 'v2'], []);
  await look();
  return id;
}

async function phase(id: string): Promise<unknown> {
  const { state } = await getRollout(world.context, id);
  return 'step' in state && state.phase === 'stepping' ? `step ${state.step + 1}` : state.phase;
}

const look = (): Promise<void> => world.letLook(engine);

/** Ten seconds of traffic on both arms, then a check. */
async function check(id: string, challenger: Partial<Traffic> = {}, champion: Partial<Traffic> = {}): Promise<void> {
  const { state } = await getRollout(world.context, id);
  const at = { rollout: id, step: 'step' in state ? state.step : 0 };
  world.wait(10_000 - INTERVAL_MS);
  await world.report(
    ['v1', 'v2'],
    [
      { version: 'v1', arm: 'champion', requests: 500, ...at, ...champion },
      { version: 'v2', arm: 'challenger', requests: 70, ...at, ...challenger },
    ],
  );
  await look();
}

describe('the staircase', () => {
  it('climbs while the challenger proves itself, and ends with a new champion', async () => {
    const id = await start();
    expect(await phase(id)).toBe('step 1');
    await check(id);
    expect(await phase(id)).toBe('step 1'); // held for 20 s
    await check(id);
    expect(await phase(id)).toBe('step 2');
    await check(id);
    expect(await phase(id)).toBe('promoted');
    expect((await getModel(world.context, MODEL)).champion).toBe('v2');
    const decisions = await world.store.decisions('production', id, 10);
    expect(decisions.map((stored) => stored.decision.action)).toEqual(['promote', 'advance', 'hold', 'begin']);
  });

  it('holds a step from when it began, not from the look that led to it', async () => {
    const { id } = await startRollout(world.context, HUMAN, { model: MODEL, challenger: 'v2', plan: PLAN, reason: 'try' });
    await world.report(['v1', 'v2'], []);
    const slow: CommandContext = {
      ...world.context,
      store: {
        ...world.store,
        gateways(environment) {
          world.wait(5000);
          return world.store.gateways(environment);
        },
      },
    };
    await openEngine(slow, QUIET).tick();
    const { state } = await getRollout(world.context, id);
    expect(state).toEqual({ phase: 'stepping', step: 0, sinceMs: world.context.clock.nowMs() });
    expect((await world.store.decisions('production', id, 1))[0]?.decision.next).toEqual(state);
  });

  it('counts evidence once although reading it failed half-way', async () => {
    const id = await start();
    const block: Traffic = { version: 'v2', arm: 'challenger', requests: 1, rollout: id, step: 0 };
    await world.report(
      ['v1', 'v2'],
      Array.from({ length: 400 }, () => block),
    );
    world.wait(INTERVAL_MS + GRACE_MS);
    let reads = 0;
    const store: Store = {
      ...world.store,
      async evidence(environment, query) {
        reads += 1;
        if (reads === 2) throw new AppError('store.busy', 'cannot read evidence: the store is restarting');
        return world.store.evidence(environment, query);
      },
    };
    const restarted = openEngine({ ...world.context, store }, QUIET);
    const rollout = await getRollout(world.context, id);
    await expect(restarted.lookAt(rollout)).rejects.toMatchObject({ code: 'store.busy' });
    expect((await restarted.lookAt(rollout)).arms).toMatchObject([{ arm: 'challenger', requests: 400 }]);
  });

  it('does not count as held what it took to resume', async () => {
    const id = await start();
    await pauseRollout(world.context, HUMAN, { rollout: id, reason: 'lunch' });
    const { state: paused } = await getRollout(world.context, id);
    const slow: CommandContext = {
      ...world.context,
      store: {
        ...world.store,
        read(environment, kind, document) {
          if (kind === 'rollout') world.wait(5000);
          return world.store.read(environment, kind, document);
        },
      },
    };
    await resumeRollout(slow, HUMAN, { rollout: id, reason: 'back' });
    const heldMs = 'heldMs' in paused ? paused.heldMs : Number.NaN;
    const { state } = await getRollout(world.context, id);
    expect(state).toEqual({ phase: 'stepping', step: 0, sinceMs: world.context.clock.nowMs() - heldMs });
  });

  describe('with a bake', () => {
    const steps = withBake(PLAN.steps, { holdMs: 30_000, holdBackPercent: 5, minSamples: 60 });
    const reach = async (): Promise<string> => {
      const id = await start({ ...PLAN, steps });
      for (let round = 0; round < 3; round += 1) await check(id);
      expect(await phase(id)).toBe('step 3');
      return id;
    };

    it('keeps some subjects on the old champion for its hold, then promotes', async () => {
      const id = await reach();
      await check(id, { requests: 950 }, { requests: 50 });
      expect(await phase(id)).toBe('step 3');
      expect((await getModel(world.context, MODEL)).champion).toBe('v1');
      const snapshot = compileSnapshot(await loadEnvironment(world.context));
      expect(snapshot.models[0]?.rollout?.boundary).toBe(95_000);
      for (let round = 0; round < 2; round += 1) await check(id, { requests: 950 }, { requests: 50 });
      expect(await phase(id)).toBe('promoted');
      expect((await getModel(world.context, MODEL)).champion).toBe('v2');
    });

    it('goes back to a champion that never left, as soon as there is harm', async () => {
      const id = await reach();
      await check(id, { requests: 950, errors: 300 }, { requests: 50 });
      expect(await phase(id)).toBe('rolled-back');
      expect((await getModel(world.context, MODEL)).terms).toHaveLength(1);
    });
  });

  it('holds while a gateway has cut the challenger off, says so, and goes on afterwards', async () => {
    const id = await start();
    const seen = { challenger: { requests: 7, failures: 7 }, champion: { requests: 61, failures: 0 } };
    world.trial = { rollout: id, breaker: { state: 'half-open', sinceMs: 1000, successes: 1, seen } };
    for (let round = 0; round < 4; round += 1) await check(id);
    expect(await phase(id)).toBe('step 1');
    const [stored] = await world.store.decisions('production', id, 1);
    expect(stored?.decision).toMatchObject({ action: 'hold', isCutOff: true });
    expect(stored?.decision.reason).toContain('gateway g1 has cut v2 off since 1970-01-01T00:00:01Z: 7 of 7 requests failed');
    world.trial = { rollout: id, breaker: { state: 'closed' } };
    await check(id);
    expect(await phase(id)).toBe('step 2');
    const replayed = await engine.replay(await getRollout(world.context, id), PLAN);
    expect(replayed).toMatchObject({ isFaithful: true });
    expect(replayed).not.toHaveProperty('divergence');
  });

  it('rolls back on evidence, cut off or not', async () => {
    const id = await start();
    const seen = { challenger: { requests: 7, failures: 7 }, champion: { requests: 61, failures: 0 } };
    world.trial = { rollout: id, breaker: { state: 'half-open', sinceMs: 1000, successes: 1, seen } };
    await check(id, { errors: 7 });
    expect(await phase(id)).toBe('rolled-back');
  });

  it('rolls back when every gateway has cut the challenger off for good, however little evidence there is', async () => {
    const id = await start();
    const seen = { challenger: { requests: 7, failures: 7 }, champion: { requests: 61, failures: 0 } };
    world.trial = { rollout: id, breaker: { state: 'open', sinceMs: 1000, retryAtMs: 2000, seen } };
    await check(id);
    expect(await phase(id)).toBe('rolled-back');
    const [stored] = await world.store.decisions('production', id, 1);
    expect(stored?.decision).toMatchObject({ action: 'roll-back', isCutOff: true });
    expect(stored?.decision.reason).toContain('every gateway has cut v2 off for 15s and more: gateway g1 has cut v2 off');
    expect(await engine.replay(await getRollout(world.context, id), PLAN)).toMatchObject({ isFaithful: true });
  });

  it('gives no traffic before every gateway is ready', async () => {
    const { id } = await startRollout(world.context, HUMAN, { model: MODEL, challenger: 'v2', plan: PLAN, reason: 'try' });
    await engine.tick();
    const held = async (): Promise<string | undefined> => (await world.store.decisions('production', id, 1))[0]?.decision.reason;
    expect(await held()).toContain('no gateway has reported');
    world.wait(1000);
    await world.report(['v1'], []);
    await engine.tick();
    expect(await phase(id)).toBe('preparing');
    await world.report(['v1', 'v2'], []);
    await engine.tick();
    expect(await phase(id)).toBe('step 1');
  });

  it('waits without data, and never promotes on it', async () => {
    const id = await start();
    for (let round = 0; round < 10; round += 1) {
      world.wait(10_000);
      await engine.tick();
    }
    expect(await phase(id)).toBe('step 1');
    await check(id, { requests: 49 });
    expect(await phase(id)).toBe('step 1');
    const { judgement } = await engine.lookAt(await getRollout(world.context, id));
    expect(judgement?.verdict).toBe('no-data');
    expect(judgement?.reason).toContain('champion 500, challenger 49 of 50');
  });

  it.each([
    { name: 'slower at the median', traffic: { latencyMs: 30 }, reason: 'p50' },
    { name: 'failing', traffic: { errors: 7 }, reason: 'error rate 10.00 %' },
    { name: 'answering garbage', traffic: { prediction: 40 }, reason: 'baseline standard deviations' },
  ])('rolls back a challenger that is $name, and marks it unhealthy', async ({ traffic, reason }) => {
    const id = await start();
    await check(id, traffic);
    expect((await getRollout(world.context, id)).state).toMatchObject({ phase: 'rolled-back', by: 'engine' });
    expect(JSON.stringify((await getRollout(world.context, id)).state)).toContain(reason);
    const versions = await getVersions(world.context, MODEL);
    expect(versions.find((version) => version.version === 'v2')?.health.state).toBe('unhealthy');
    expect((await getModel(world.context, MODEL)).champion).toBe('v1');
  });

  it.each([
    { where: 'this model', model: MODEL, named: 'twin' },
    { where: 'another model', model: 'churn', named: 'twin of "churn"' },
  ])('ends a trial when a version made of the same file is marked unhealthy in $where', async ({ model, named }) => {
    const { context } = world;
    const signature = { inputs: [], outputs: [], prediction: 'y' };
    const source = { kind: 'onnx', sha256: 'a'.repeat(64), bytes: 1, signature } as const;
    if (model !== MODEL) await createModel(context, HUMAN, { name: model });
    await registerVersion(context, HUMAN, { model: MODEL, version: 'v9', source, note: '' });
    await registerVersion(context, HUMAN, { model, version: 'twin', source, note: '' });
    const { id } = await startRollout(context, HUMAN, { model: MODEL, challenger: 'v9', plan: PLAN, reason: 'try' });
    await world.report(['v1', 'v9'], []);
    await look();
    expect(await phase(id)).toBe('step 1');
    await setVersionHealth(context, HUMAN, { model, version: 'twin', state: 'unhealthy', reason: 'leaks memory' });
    world.wait(10_000);
    await look();
    expect((await getRollout(context, id)).state).toMatchObject({
      phase: 'rolled-back',
      by: 'engine',
      reason: expect.stringContaining(`it is made of the same file as ${named}, which was marked unhealthy (leaks memory)`),
    });
  });

  it('blames nobody for an outage that hits both arms', async () => {
    const id = await start();
    await check(id, { errors: 20 }, { errors: 150 });
    expect(await phase(id)).toBe('step 1');
    expect((await getModel(world.context, MODEL)).champion).toBe('v1');
    expect((await world.store.decisions('production', id, 1))[0]?.decision.verdict).toBe('champion-sick');
  });

  it('keeps its guards armed while paused, and goes on with the time it had held', async () => {
    const id = await start();
    await check(id);
    await pauseRollout(world.context, HUMAN, { rollout: id, reason: 'lunch' });
    await check(id);
    await check(id);
    expect(await phase(id)).toBe('paused');
    await resumeRollout(world.context, HUMAN, { rollout: id, reason: 'back' });
    await check(id);
    expect(await phase(id)).toBe('step 2');
    await pauseRollout(world.context, HUMAN, { rollout: id, reason: 'coffee' });
    await check(id, { errors: 30 });
    expect(await phase(id)).toBe('rolled-back');
  });

  it('decides at once when asked, and passes the hold only when told to', async () => {
    const id = await start();
    await check(id);
    const request = { actor: 'token:ana', reason: 'now' };
    await engine.step(id, { ...request, skipHold: false });
    expect(await phase(id)).toBe('step 1');
    await engine.step(id, { ...request, skipHold: true });
    expect(await phase(id)).toBe('step 2');
  });

  it('ends as the time box says', async () => {
    const id = await start({ ...PLAN, timeBox: { afterMs: 60_000, onExpiry: 'roll-back' } });
    world.wait(60_000);
    await engine.tick();
    expect((await getRollout(world.context, id)).state).toMatchObject({
      phase: 'rolled-back',
      reason: 'not promoted within the time box of 1m',
    });
  });
});

describe('crash and race', () => {
  it('goes on after a restart from what is stored, and decides the same', async () => {
    const id = await start();
    await check(id);
    engine = openEngine(world.context, QUIET);
    const before = await engine.lookAt(await getRollout(world.context, id));
    await check(id);
    expect(await phase(id)).toBe('step 2');
    expect(before.arms.find((arm) => arm.arm === 'challenger')).toMatchObject({ requests: 70, version: 'v2' });
  });

  it('takes one step however many engines decide at once', async () => {
    const id = await start();
    await check(id);
    const engines = Array.from({ length: 4 }, () => openEngine(world.context, QUIET));
    world.wait(10_000);
    await world.report(['v1', 'v2'], [{ version: 'v2', arm: 'challenger', requests: 70, rollout: id, step: 0 }]);
    world.wait(GRACE_MS);
    const revision = await world.store.revision('production');
    await Promise.all(engines.map((one) => one.tick()));
    expect(await phase(id)).toBe('step 2');
    const advances = (await world.store.journal('production', { afterRevision: revision, limit: 100 })).filter(
      (entry) => entry.action === 'rollout.advanced',
    );
    expect(advances).toHaveLength(1);
  });

  it('never overwrites a human rollback', async () => {
    const id = await start();
    await check(id);
    await promoteRollout(world.context, HUMAN, { rollout: id, reason: 'sure' });
    await rollBackModel(world.context, HUMAN, { model: MODEL, version: 'v2', reason: 'no' });
    await check(id);
    expect((await getModel(world.context, MODEL)).champion).toBe('v1');
    expect(await phase(id)).toBe('promoted');
  });
});

describe('the watch after promotion, by window', () => {
  beforeEach(async () => {
    await updateModel(world.context, HUMAN, { model: MODEL, watch: { method: 'window' }, reason: 'as the article does' });
  });

  async function serve(traffic: Partial<Traffic> & { readonly version: string }): Promise<void> {
    world.wait(10_000 - INTERVAL_MS);
    await world.report(['v1', 'v2', 'v3'], [{ arm: 'champion', requests: 250, ...traffic }]);
    await look();
  }

  async function promote(version: string): Promise<void> {
    const { id } = await startRollout(world.context, HUMAN, { model: MODEL, challenger: version, plan: PLAN, reason: 'r' });
    await promoteRollout(world.context, HUMAN, { rollout: id, reason: 'sure' });
  }

  it('sends a failing champion back to its last known good, and the new champion begins with a clean window', async () => {
    await promote('v2');
    await serve({ version: 'v2' });
    expect((await engine.watchOf(MODEL))?.state).toBe('healthy');
    await serve({ version: 'v2', errors: 100 });
    const model = await getModel(world.context, MODEL);
    expect([model.champion, model.lastRollback?.by]).toEqual(['v1', 'engine']);
    expect(model.lastRollback?.reason).toContain('error rate 40.00 % (100 of 250) exceeds 5.00 %');
    expect((await engine.watchOf(MODEL))?.state).toBe('waiting');
  });

  it('does not judge a handful of requests', async () => {
    await promote('v2');
    await serve({ version: 'v2', requests: 19, errors: 19 });
    expect((await getModel(world.context, MODEL)).champion).toBe('v2');
  });

  it('rolls back no second time within the cooldown, and does after it', async () => {
    await promote('v2');
    await promote('v3');
    await serve({ version: 'v3', latencyMs: 900 });
    expect((await getModel(world.context, MODEL)).champion).toBe('v2');
    await serve({ version: 'v2', latencyMs: 900 });
    expect((await engine.watchOf(MODEL))?.reason).toContain('no automatic rollback for 1m 49s more (cooldown)');
    expect((await getModel(world.context, MODEL)).champion).toBe('v2');
    world.wait(120_000);
    await serve({ version: 'v2', latencyMs: 900 });
    expect((await getModel(world.context, MODEL)).champion).toBe('v1');
  });

  it('keeps serving and is loud when nobody is left, without writing it down at every look', async () => {
    await serve({ version: 'v1', errors: 100 });
    expect((await getModel(world.context, MODEL)).alarm?.message).toContain('v1 keeps serving');
    const revision = await world.store.revision('production');
    await serve({ version: 'v1', errors: 100 });
    expect(await world.store.revision('production')).toBe(revision);
  });

  it('replaces a champion that fails while its challenger does not, and ends the rollout', async () => {
    await promote('v2');
    const { id } = await startRollout(world.context, HUMAN, { model: MODEL, challenger: 'v3', plan: PLAN, reason: 'r' });
    await world.report(['v2', 'v3'], []);
    await engine.tick();
    world.wait(10_000);
    const at = { rollout: id, step: 0 };
    await world.report(
      ['v2', 'v3'],
      [
        { version: 'v2', arm: 'champion', requests: 250, errors: 50, ...at },
        { version: 'v3', arm: 'challenger', requests: 30, ...at },
      ],
    );
    await look();
    expect((await getModel(world.context, MODEL)).champion).toBe('v1');
    expect(await phase(id)).toBe('aborted');
  });
});

describe('the default plan', () => {
  const [standard] = BUILT_IN_PLANS;

  /** Seconds of traffic, the shares as planned, looked at each second until the rollout ends. */
  async function serve(id: string, seconds: number, challenger: Partial<Traffic>): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      const { state, plan } = await getRollout(world.context, id);
      if (state.phase !== 'stepping') return;
      const at = { rollout: id, step: state.step };
      const share = (plan.steps[state.step]?.trafficPercent ?? 0) / 100;
      await world.report(
        ['v1', 'v2'],
        [
          { version: 'v1', arm: 'champion', requests: Math.round(400 * (1 - share)), errors: second % 2, ...at },
          { version: 'v2', arm: 'challenger', requests: Math.round(400 * share), ...at, ...challenger },
        ],
      );
      await look();
    }
  }

  it('promotes a challenger that is as good as the champion', async () => {
    const id = await start(standard);
    await serve(id, 200, {});
    expect(await phase(id)).toBe('promoted');
    const decisions = await world.store.decisions('production', id, 100);
    expect(decisions.filter(({ decision }) => decision.action === 'advance')).toHaveLength(3);
  });

  it.each([
    { name: 'fails a tenth of its requests', traffic: { errors: 4 }, guard: 'failed requests' },
    { name: 'is half as fast', traffic: { latencyMs: 40 }, guard: 'latency' },
  ])('rolls back one that $name within a minute, and says why', async ({ traffic, guard }) => {
    const id = await start(standard);
    await serve(id, 60, traffic);
    const { state } = await getRollout(world.context, id);
    expect(state).toMatchObject({ phase: 'rolled-back', by: 'engine' });
    expect('reason' in state && state.reason).toContain(guard);
  });

  it('decides the same after a restart in the middle', async () => {
    const id = await start(standard);
    await serve(id, 12, { errors: 1 });
    const before = await engine.lookAt(await getRollout(world.context, id));
    engine = openEngine(world.context, QUIET);
    const after = await engine.lookAt(await getRollout(world.context, id));
    expect(after).toEqual(before);
  });
});

describe('the watch after promotion, by detectors', () => {
  it('sends a failing champion back within seconds, and leaves one that is near its limit alone', async () => {
    const { id } = await startRollout(world.context, HUMAN, { model: MODEL, challenger: 'v2', plan: PLAN, reason: 'r' });
    await promoteRollout(world.context, HUMAN, { rollout: id, reason: 'sure' });
    const serve = async (errors: number): Promise<void> => {
      await world.report(['v1', 'v2'], [{ version: 'v2', arm: 'champion', requests: 20, errors }]);
      await look();
    };
    for (let second = 0; second < 120; second += 1) await serve(second % 2);
    expect((await engine.watchOf(MODEL))?.state).toBe('healthy');
    for (let second = 0; second < 5; second += 1) await serve(12);
    const model = await getModel(world.context, MODEL);
    expect([model.champion, model.lastRollback?.failed]).toEqual(['v1', 'v2']);
  });
});
