import { describe, expect, it, beforeEach } from 'vitest';
import type { Probe } from '@understudy/core/standby';
import { compileSnapshot } from '@understudy/core/snapshot';
import { setGolden } from '../commands/golden.ts';
import { promoteVersion, rollBackModel } from '../commands/models.ts';
import { getModel, getVersions, loadEnvironment } from '../commands/queries.ts';
import { drill, type WayBack } from '../commands/standbys.ts';
import { HUMAN, openTestWorld, type TestWorld } from '../commands/test-world.ts';
import { type Engine, openEngine } from './rollout-engine.ts';

const MODEL = 'fraud';
const ALL = ['v1', 'v2', 'v3'];

let world: TestWorld;
let engine: Engine;
let warned: string[];

/** v1, v2 and v3 were promoted in turn; v3 is champion. */
beforeEach(async () => {
  world = await openTestWorld();
  warned = [];
  engine = openEngine(world.context, { info: () => {}, warn: (_fields, event) => warned.push(event), error: () => {} });
  for (const version of ['v2', 'v3']) {
    world.wait(1000);
    await promoteVersion(world.context, HUMAN, { model: MODEL, version, reason: 'next' });
  }
});

const probe = (outcome: Probe['outcome'], detail = 'golden request 1 of 3'): Probe => ({
  outcome,
  detail,
  atMs: world.context.clock.nowMs(),
});

async function look(): Promise<void> {
  world.wait(5000);
  await world.report(ALL, []);
  await engine.tick();
}

async function wayBack(): Promise<WayBack> {
  const [model, versions] = [await getModel(world.context, MODEL), await getVersions(world.context, MODEL)];
  return { model, versions, gateways: await world.store.gateways('production'), atMs: world.context.clock.nowMs() };
}

describe('a last known good version that fails its probe everywhere', () => {
  beforeEach(async () => {
    world.told = { v1: { probe: probe('ok') }, v2: { probe: probe('failed', 'expected 6, got 7') } };
    await look();
  });

  it('is passed over, with the reason in the journal and the log, and the older one is loaded beside it', async () => {
    const [passed, ...others] = (await getModel(world.context, MODEL)).passedOver ?? [];
    expect(others).toEqual([]);
    expect(passed).toMatchObject({ version: 'v2', reason: 'v2 fails its probe on gateway "g1" (expected 6, got 7)' });
    expect(warned).toEqual(['standbys.changed']);
    const [compiled] = compileSnapshot(await loadEnvironment(world.context)).models;
    expect(compiled?.standbys).toEqual(['v1', 'v2']);
    expect(compiled?.versions.map(({ version }) => version)).toEqual(ALL);
    const entries = await world.store.journal('production', { limit: 100 });
    expect(entries.at(-1)).toMatchObject({ action: 'model.standbys-noted', actor: 'engine' });
  });

  it('is not what a rollback goes to', async () => {
    await rollBackModel(world.context, { actor: 'engine' }, { model: MODEL, version: 'v3', reason: 'slow' });
    expect((await getModel(world.context, MODEL)).champion).toBe('v1');
  });

  it('is noted once', async () => {
    const before = await world.store.revision('production');
    await look();
    await look();
    expect(await world.store.revision('production')).toBe(before);
  });

  it('is the target again when it passes', async () => {
    world.told = { v1: { probe: probe('ok') }, v2: { probe: probe('ok') } };
    await look();
    expect(await getModel(world.context, MODEL)).not.toHaveProperty('passedOver');
    await rollBackModel(world.context, { actor: 'engine' }, { model: MODEL, version: 'v3', reason: 'slow' });
    expect((await getModel(world.context, MODEL)).champion).toBe('v2');
  });

  it('stays passed over while it is loading again', async () => {
    world.told = { v2: { state: 'loading' } };
    await look();
    expect((await getModel(world.context, MODEL)).passedOver).toHaveLength(1);
  });
});

describe('a drill', () => {
  /** What is different in the store after something was done. */
  async function changesOf(act: () => Promise<unknown>): Promise<readonly string[]> {
    const picture = async (): Promise<Readonly<Record<string, string>>> => ({
      documents: JSON.stringify(await world.store.readAll('production')),
      journal: JSON.stringify(await world.store.journal('production', { limit: 100 })),
      gateways: JSON.stringify(await world.store.gateways('production')),
    });
    const before = await picture();
    await act();
    const after = await picture();
    return Object.keys(before).filter((part) => before[part] !== after[part]);
  }

  it('never changes anything, whatever it finds', async () => {
    for (const told of [{}, { v2: { probe: probe('ok') } }, { v2: { state: 'failed' as const, probe: probe('failed') } }]) {
      world.told = told;
      await world.report(ALL, []);
      expect(await changesOf(async () => drill(await wayBack()))).toEqual([]);
    }
  });

  // The test above must bite: a drill that tries the rollback for real is planted here.
  it('that rolls back for real is found out', async () => {
    const planted = (): Promise<unknown> => rollBackModel(world.context, HUMAN, { model: MODEL, version: 'v3', reason: 'drill' });
    expect(await changesOf(planted)).toEqual(['documents', 'journal']);
  });

  it('says where a rollback then goes', async () => {
    world.told = { v2: { probe: probe('ok') } };
    await world.report(ALL, []);
    const found = drill(await wayBack());
    expect(found).toMatchObject({ outcome: 'works', target: 'v2' });
    await rollBackModel(world.context, HUMAN, { model: MODEL, version: 'v3', reason: 'slow' });
    expect((await getModel(world.context, MODEL)).champion).toBe(found.target);
  });
});

it('gives gateways the golden requests', async () => {
  const requests = [{ body: { features: [1] }, expect: [2] }];
  await setGolden(world.context, HUMAN, { model: MODEL, protocol: 'predict', requests });
  const [compiled] = compileSnapshot(await loadEnvironment(world.context)).models;
  expect(compiled).toMatchObject({ standbys: ['v2'], golden: { protocol: 'predict', requests, setBy: HUMAN.actor } });
});
