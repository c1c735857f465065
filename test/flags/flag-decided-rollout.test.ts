// A service without a gateway: it decides by flag, serves both versions itself, reports what came of it, and the engine does the rest.
import { ObservationBatch } from '@understudy/contract/observation-endpoints';
import { INTERVAL_MS } from '@understudy/core/evidence-pool';
import { DEFAULT_ROUTING } from '@understudy/core/model';
import type { Plan } from '@understudy/core/plan';
import { route } from '@understudy/core/routing';
import { boundaryOfRollout } from '@understudy/core/rollout';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createModel, promoteVersion } from '../../packages/server/src/commands/models.ts';
import { getModel, getRollout, getVersions } from '../../packages/server/src/commands/queries.ts';
import { startRollout } from '../../packages/server/src/commands/rollouts.ts';
import { HUMAN, openTestWorld, type TestWorld } from '../../packages/server/src/commands/test-world.ts';
import { registerVersion } from '../../packages/server/src/commands/versions.ts';
import { type FlagFeed, openFlagFeed } from '../../packages/server/src/control/flag-feed.ts';
import { type Observations, openObservations } from '../../packages/server/src/control/observations.ts';
import { type Engine, openEngine } from '../../packages/server/src/engine/rollout-engine.ts';
import { compileRegex } from '../../packages/server/src/regex.ts';

const MODEL = 'rank';
const PLAN: Plan = {
  name: 'test',
  steps: [
    { trafficPercent: 20, holdMs: 0, minSamples: 60 },
    { trafficPercent: 50, holdMs: 0, minSamples: 60 },
    { trafficPercent: 100, holdMs: 0, minSamples: 0 },
  ],
  policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS },
  checkEveryMs: 1000,
  startCheck: 'warn',
};
const USERS = Array.from({ length: 500 }, (_, index) => `user-${index}`);

let world: TestWorld;
let engine: Engine;
let feed: FlagFeed;
let observations: Observations;
let sequence: number;

beforeEach(async () => {
  world = await openTestWorld();
  const { context } = world;
  await createModel(context, HUMAN, { name: MODEL });
  for (const version of ['v1', 'v2']) {
    await registerVersion(context, HUMAN, { model: MODEL, version, source: { kind: 'external' }, note: '' });
  }
  await promoteVersion(context, HUMAN, { model: MODEL, version: 'v1', reason: 'first' });
  engine = openEngine(context, { info: () => undefined, warn: () => undefined, error: () => undefined });
  const log = { warn: (): void => {}, error: (): void => {} };
  feed = await openFlagFeed({ ...context, compileRegex, timers: { after: () => () => {} }, log });
  observations = openObservations(context);
  sequence = 0;
  world.wait(INTERVAL_MS - (context.clock.nowMs() % INTERVAL_MS));
});

afterEach(() => feed.close());

function versionOf(subject: string): unknown {
  const at = { atMs: world.context.clock.nowMs(), random: () => 0 };
  return feed.now()?.evaluator.evaluate(`${MODEL}-version`, { user: { key: subject } }, at).value;
}

async function start(): Promise<string> {
  const { id } = await startRollout(world.context, HUMAN, { model: MODEL, challenger: 'v2', plan: PLAN, reason: 'try' });
  await look();
  return id;
}

async function look(): Promise<void> {
  await world.letLook(engine);
  await feed.refresh();
}

/** A second of traffic of the service, then a look of the engine. */
async function serve(failing: (version: unknown, index: number) => boolean): Promise<void> {
  const atMs = world.context.clock.nowMs();
  const decided = USERS.map((subject, index) => {
    const version = versionOf(subject);
    const error = failing(version, index) ? { error: 'failed' } : {};
    return { flag: `${MODEL}-version`, variant: version, subject, reason: 'SPLIT', atMs, latencyMs: 20 + (index % 7), ...error };
  });
  world.wait(INTERVAL_MS);
  sequence += 1;
  await observations.take(ObservationBatch.parse({ reporter: 'web-1', boot: 'b', sequence, observations: decided }));
  await look();
}

async function stateOf(id: string): Promise<string> {
  const { state } = await getRollout(world.context, id);
  return state.phase === 'stepping' ? `step ${state.step + 1}` : state.phase;
}

describe('a rollout that only flags decide', () => {
  it('begins without any gateway, climbs on good outcomes and ends with a new champion for everybody', async () => {
    const id = await start();
    expect(await stateOf(id)).toBe('step 1');
    const [begin] = await world.store.decisions('production', id, 1);
    expect(begin?.decision.reason).toContain('served by your own service');
    const seen: string[] = [];
    for (let second = 0; second < 10 && (await stateOf(id)) !== 'promoted'; second += 1) {
      await serve((_version, index) => index % 100 === 0);
      seen.push(await stateOf(id));
    }
    expect([...new Set(seen)]).toEqual(['step 2', 'promoted']);
    expect((await getModel(world.context, MODEL)).champion).toBe('v2');
    expect(USERS.filter((user) => versionOf(user) !== 'v2')).toEqual([]);
    expect(await world.store.gateways('production')).toEqual([]);
  });

  it('is rolled back on bad outcomes, and the flag sends everybody back', async () => {
    const id = await start();
    expect(USERS.some((user) => versionOf(user) === 'v2')).toBe(true);
    for (let second = 0; second < 3; second += 1) await serve((version, index) => version === 'v2' && index % 3 === 0);
    expect((await getRollout(world.context, id)).state).toMatchObject({ phase: 'rolled-back', by: 'engine' });
    expect(USERS.filter((user) => versionOf(user) !== 'v1')).toEqual([]);
    const versions = await getVersions(world.context, MODEL);
    expect(versions.find(({ version }) => version === 'v2')?.health.state).toBe('unhealthy');
  });

  it('gives every subject the version that a gateway would have given', async () => {
    const id = await start();
    const rollout = await getRollout(world.context, id);
    const model = {
      name: MODEL,
      champion: 'v1',
      rollout: { id, challenger: 'v2', salt: rollout.salt, step: 0, boundary: boundaryOfRollout(rollout) },
      isKilled: false,
      routing: DEFAULT_ROUTING,
      versions: [],
    };
    const routed = USERS.map((user) => route(model, true, { read: () => user, random: () => 0 }).arm);
    expect(USERS.map((user) => (versionOf(user) === 'v2' ? 'challenger' : 'champion'))).toEqual(routed);
  });

  it('is refused between a version of gateways and one that is external', async () => {
    const source = { kind: 'upstream', url: 'http://127.0.0.1:9', protocol: 'predict', remoteModel: MODEL } as const;
    await registerVersion(world.context, HUMAN, { model: MODEL, version: 'v3', source, note: '' });
    const input = { model: MODEL, challenger: 'v3', plan: PLAN, reason: 'try' };
    await expect(startRollout(world.context, HUMAN, input)).rejects.toThrow('the champion v1 is external');
  });
});
