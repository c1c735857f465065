import { isAppError } from '@understudy/core/errors';
import { BUILT_IN_PLANS, type Plan } from '@understudy/core/plan';
import type { VersionSource } from '@understudy/core/model-version';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Json, Store } from '../storage/store.ts';
import type { CommandContext } from './command.ts';
import { promoteVersion, rollBackModel } from './models.ts';
import { getVersions } from './queries.ts';
import { startRollout } from './rollouts.ts';
import { HUMAN, openTestWorld, type TestWorld } from './test-world.ts';
import { registerVersion, releaseArtifact, setVersionHealth } from './versions.ts';

const MODEL = 'fraud';
const [STANDARD] = BUILT_IN_PLANS;
if (STANDARD === undefined) throw new Error('there is no built-in plan');
const plan: Plan = STANDARD;
const FILE: VersionSource = {
  kind: 'onnx',
  sha256: 'a'.repeat(64),
  bytes: 1,
  signature: { inputs: [], outputs: [], prediction: 'y' },
};

let world: TestWorld;

/** `bad` and `twin` are made of one file; `bad` was champion and was rolled back. */
beforeEach(async () => {
  world = await openTestWorld();
  for (const version of ['bad', 'twin']) await register(world.context, version);
  await promoteVersion(world.context, HUMAN, { model: MODEL, version: 'bad', reason: 'try' });
  await rollBackModel(world.context, { actor: 'engine' }, { model: MODEL, version: 'bad', reason: 'p95 900 ms' });
});

async function register(context: CommandContext, version: string): Promise<void> {
  await registerVersion(context, HUMAN, { model: MODEL, version, source: FILE, note: '' });
}

/** Every way in which a rolled-back file could come back; which of them are open. */
async function openWays(context: CommandContext): Promise<readonly string[]> {
  const ways: Readonly<Record<string, () => Promise<unknown>>> = {
    register: () => register(context, 'again'),
    start: () => startRollout(context, HUMAN, { model: MODEL, challenger: 'twin', plan, reason: 'try' }),
    promote: () => promoteVersion(context, HUMAN, { model: MODEL, version: 'twin', reason: 'try' }),
    'roll back to': () => rollBackModel(context, HUMAN, { model: MODEL, version: 'v1', to: 'twin', reason: 'try' }),
  };
  const open: string[] = [];
  for (const [way, go] of Object.entries(ways)) {
    try {
      await go();
      open.push(way);
    } catch (error) {
      if (!isAppError(error)) throw error;
      if (error.code !== 'version.quarantined') open.push(`${way}: ${error.code}`);
    }
  }
  return open;
}

describe('a file that was rolled back', () => {
  it('comes back in no way under another name', async () => {
    expect(await openWays(world.context)).toEqual([]);
  });

  // The test above must bite: a registry that forgets the health of other versions is planted here.
  it('does when the registry forgets who was unhealthy', async () => {
    const list: Store['list'] = async (environment, kind, prefix) =>
      (await world.store.list(environment, kind, prefix)).map((document) => ({ ...document, body: forgetful(document.body) }));
    const store: Store = { ...world.store, list };
    expect(await openWays({ ...world.context, store })).toEqual([
      'register',
      'start',
      'promote: version.in_use',
      'roll back to: rollback.unsafe_target',
    ]);
  });

  it('may be used again when a person says that it is not to blame; its version stays unhealthy', async () => {
    const input = { model: MODEL, version: 'bad', reason: 'the features were broken' };
    expect(await releaseArtifact(world.context, HUMAN, input)).toMatchObject({ outcome: 'done' });
    expect(await releaseArtifact(world.context, HUMAN, input)).toMatchObject({ outcome: 'already-done' });
    await register(world.context, 'again');
    const bad = (await getVersions(world.context, MODEL)).find(({ version }) => version === 'bad');
    expect(bad?.health).toMatchObject({ state: 'unhealthy', reason: 'p95 900 ms', released: { by: HUMAN.actor } });
    await expect(promoteVersion(world.context, HUMAN, { model: MODEL, version: 'bad', reason: 'r' })).rejects.toMatchObject({
      code: 'rollback.unsafe_target',
    });
  });

  it('is free when its version is marked healthy', async () => {
    await setVersionHealth(world.context, HUMAN, { model: MODEL, version: 'bad', state: 'healthy', reason: 'wrong alarm' });
    await register(world.context, 'again');
  });

  it('can only be released where there is one', async () => {
    const input = { model: MODEL, version: 'v1', reason: 'r' };
    await expect(releaseArtifact(world.context, HUMAN, input)).rejects.toThrow('it has none, it is upstream');
  });
});

function forgetful(body: Json): Json {
  if (typeof body !== 'object' || body === null || !('health' in body)) return body;
  return { ...body, health: { state: 'healthy' } };
}
