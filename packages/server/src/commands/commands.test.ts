import { BUILT_IN_PLANS, type Plan } from '@understudy/core/plan';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CommandContext } from './command.ts';
import { killModel, promoteVersion, rollBackModel, unkillModel, updateModel } from './models.ts';
import { getModel, getRollout, getVersions } from './queries.ts';
import type { Receipt } from './receipt.ts';
import {
  abortRollout,
  pauseRollout,
  promoteRollout,
  resumeRollout,
  retryRollout,
  rollBackRollout,
  startRollout,
} from './rollouts.ts';
import { HUMAN, openTestWorld, type TestWorld } from './test-world.ts';
import { createFirstToken, createToken, listTokens, revokeToken } from './tokens.ts';
import { registerVersion, setBaseline, setVersionHealth } from './versions.ts';

const MODEL = 'fraud';
const [STANDARD] = BUILT_IN_PLANS;
if (STANDARD === undefined) throw new Error('there is no built-in plan');
const plan: Plan = STANDARD;

let world: TestWorld;
beforeEach(async () => {
  world = await openTestWorld();
});

async function start(challenger = 'v2'): Promise<string> {
  return (await startRollout(world.context, HUMAN, { model: MODEL, challenger, plan, reason: 'try it' })).id;
}

async function healthOf(version: string): Promise<string | undefined> {
  return (await getVersions(world.context, MODEL)).find((one) => one.version === version)?.health.state;
}

/** Where something else happens right before or after a rollout is read for the first time. */
function meanwhile(place: 'before' | 'after', happens: () => Promise<void>): CommandContext {
  let isOver = false;
  return {
    ...world.context,
    store: {
      ...world.store,
      async read(environment, kind, id) {
        const isFirst = kind === 'rollout' && !isOver;
        isOver ||= isFirst;
        if (isFirst && place === 'before') await happens();
        const document = await world.store.read(environment, kind, id);
        if (isFirst && place === 'after') await happens();
        return document;
      },
    },
  };
}

async function champion(): Promise<string | undefined> {
  return (await getModel(world.context, MODEL)).champion;
}

describe('promotion and rollback of a champion', () => {
  it('is one commit: champion, former term, record and health change at the same revision', async () => {
    await promoteVersion(world.context, HUMAN, { model: MODEL, version: 'v2', reason: 'better' });
    const receipt = await rollBackModel(world.context, HUMAN, { model: MODEL, reason: 'errors' });
    const [entry] = await world.store.journal('production', { order: 'newest-first', limit: 1 });
    expect(entry).toMatchObject({
      revision: receipt.revision,
      action: 'model.rolled-back',
      actor: 'token:ana',
      reason: 'errors',
    });
    expect(entry?.changes.map((change) => `${change.kind} ${change.id}`).toSorted()).toEqual([
      'model fraud',
      'version fraud/v1',
      'version fraud/v2',
    ]);
    expect(await champion()).toBe('v1');
    expect(await healthOf('v2')).toBe('unhealthy');
  });

  it('walks the chain backwards, never onto a version that was marked unhealthy', async () => {
    await promoteVersion(world.context, HUMAN, { model: MODEL, version: 'v2', reason: 'better' });
    await promoteVersion(world.context, HUMAN, { model: MODEL, version: 'v3', reason: 'better still' });
    await rollBackModel(world.context, HUMAN, { model: MODEL, version: 'v3', reason: 'slow' });
    expect(await champion()).toBe('v2');
    await rollBackModel(world.context, HUMAN, { model: MODEL, version: 'v2', reason: 'slow too' });
    expect(await champion()).toBe('v1');
  });

  it('keeps the present champion and raises an alarm when nobody is left', async () => {
    await expect(rollBackModel(world.context, HUMAN, { model: MODEL, reason: 'errors' })).rejects.toMatchObject({
      code: 'rollback.no_target',
    });
    const model = await getModel(world.context, MODEL);
    expect(model.champion).toBe('v1');
    expect(model.alarm?.code).toBe('no-last-known-good');
    await setVersionHealth(world.context, HUMAN, { model: MODEL, version: 'v1', state: 'healthy', reason: 'it was the network' });
    expect((await getModel(world.context, MODEL)).alarm).toBeUndefined();
  });

  it('never falls back to a version that has not served, unless told to', async () => {
    const toV3 = { model: MODEL, to: 'v3', reason: 'errors' };
    await expect(rollBackModel(world.context, HUMAN, toV3)).rejects.toMatchObject({ code: 'rollback.unsafe_target' });
    await rollBackModel(world.context, HUMAN, { ...toV3, force: true });
    expect(await champion()).toBe('v3');
  });

  it('has one effect when people and engine roll the same version back at once', async () => {
    await promoteVersion(world.context, HUMAN, { model: MODEL, version: 'v2', reason: 'better' });
    await promoteVersion(world.context, HUMAN, { model: MODEL, version: 'v3', reason: 'better still' });
    const before = await world.store.revision('production');
    const wish = { model: MODEL, version: 'v3', reason: 'errors' };
    const receipts = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        rollBackModel(world.context, { actor: index % 2 === 0 ? 'engine' : 'token:ana' }, wish),
      ),
    );
    expect(receipts.filter((receipt) => receipt.outcome === 'done')).toHaveLength(1);
    expect(await world.store.revision('production')).toBe(before + 1);
    expect(await champion()).toBe('v2');
  });

  it('does nothing for somebody who presses the button just after the engine did', async () => {
    await promoteVersion(world.context, HUMAN, { model: MODEL, version: 'v2', reason: 'better' });
    await promoteVersion(world.context, HUMAN, { model: MODEL, version: 'v3', reason: 'better still' });
    await rollBackModel(world.context, { actor: 'engine' }, { model: MODEL, version: 'v3', reason: 'errors' });
    world.wait(3000);
    const receipt = await rollBackModel(world.context, HUMAN, { model: MODEL, reason: 'errors!' });
    expect(receipt).toMatchObject({ outcome: 'already-done' });
    expect(receipt.message).toContain('v3 was rolled back to v2 3 s ago by engine');
    expect(await champion()).toBe('v2');
  });

  it('refuses to crown an unhealthy version, and one on trial', async () => {
    await setVersionHealth(world.context, HUMAN, { model: MODEL, version: 'v2', state: 'unhealthy', reason: 'garbage' });
    const promote = (version: string) => promoteVersion(world.context, HUMAN, { model: MODEL, version, reason: 'please' });
    await expect(promote('v2')).rejects.toMatchObject({ code: 'rollback.unsafe_target' });
    await start('v3');
    await expect(promote('v3')).rejects.toMatchObject({ code: 'version.in_use' });
    await expect(promote('v9')).rejects.toMatchObject({ code: 'version.not_found' });
  });
});

describe('rollouts', () => {
  it.each([
    { name: 'the champion itself', challenger: 'v1', code: 'rollout.unfit_challenger' },
    { name: 'a version that does not exist', challenger: 'v9', code: 'version.not_found' },
  ])('cannot start with $name', async ({ challenger, code }) => {
    await expect(start(challenger)).rejects.toMatchObject({ code });
  });

  it('are one at a time for each model, also when two start at once', async () => {
    const results = await Promise.allSettled([start('v2'), start('v3')]);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(results.find((result) => result.status === 'rejected')).toMatchObject({ reason: { code: 'rollout.already_live' } });
  });

  it('absorb: nothing but a retry leads on from a rollback, and the retry is a new rollout for the same subjects', async () => {
    const id = await start();
    await rollBackRollout(world.context, HUMAN, { rollout: id, reason: 'garbage' });
    for (const act of [pauseRollout, resumeRollout, promoteRollout, abortRollout]) {
      await expect(act(world.context, HUMAN, { rollout: id, reason: 'no' })).rejects.toMatchObject({
        code: 'rollout.invalid_transition',
      });
    }
    await expect(start('v2')).rejects.toMatchObject({ code: 'rollout.unfit_challenger' });
    const retried = await retryRollout(world.context, HUMAN, { rollout: id, challenger: 'v3', reason: 'fixed' });
    const [first, second] = [await getRollout(world.context, id), await getRollout(world.context, retried.id)];
    expect(second).toMatchObject({ challenger: 'v3', salt: first.salt, retryOf: id, state: { phase: 'preparing' } });
    expect(first.state.phase).toBe('rolled-back');
  });

  it('may be retried with the same challenger, which is a word for its health', async () => {
    const id = await start();
    await rollBackRollout(world.context, HUMAN, { rollout: id, reason: 'garbage' });
    expect(await healthOf('v2')).toBe('unhealthy');
    await retryRollout(world.context, HUMAN, { rollout: id, reason: 'it was the feature store' });
    expect(await healthOf('v2')).toBe('healthy');
  });

  it('abort without blame, and roll back the champion they made', async () => {
    const id = await start();
    await abortRollout(world.context, HUMAN, { rollout: id, reason: 'holiday' });
    expect(await healthOf('v2')).toBe('healthy');
    const again = await start();
    await promoteRollout(world.context, HUMAN, { rollout: again, reason: 'sure' });
    expect(await champion()).toBe('v2');
    const receipt = await rollBackRollout(world.context, HUMAN, { rollout: again, reason: 'not so sure' });
    expect(receipt.id).toBe(again);
    expect([await champion(), await healthOf('v2')]).toEqual(['v1', 'unhealthy']);
  });

  it('roll back although they are promoted at the same moment', async () => {
    const id = await start();
    const context = meanwhile('after', async () => {
      await promoteRollout(world.context, { actor: 'engine' }, { rollout: id, reason: 'healthy' });
    });
    await rollBackRollout(context, HUMAN, { rollout: id, reason: 'stop' });
    expect([await champion(), await healthOf('v2')]).toEqual(['v1', 'unhealthy']);
  });

  it('end when the model is killed, and killing twice does nothing', async () => {
    const id = await start();
    await killModel(world.context, HUMAN, { model: MODEL, reason: 'fire' });
    expect((await getRollout(world.context, id)).state).toMatchObject({ phase: 'killed', by: 'token:ana', reason: 'fire' });
    expect(await killModel(world.context, HUMAN, { model: MODEL, reason: 'fire' })).toMatchObject({ outcome: 'already-done' });
    await expect(start()).rejects.toMatchObject({ code: 'model.killed' });
    await unkillModel(world.context, HUMAN, { model: MODEL, reason: 'out' });
    await expect(unkillModel(world.context, HUMAN, { model: MODEL, reason: 'out' })).rejects.toMatchObject({
      code: 'model.not_killed',
    });
    expect((await getRollout(world.context, await start())).state.phase).toBe('preparing');
  });

  it('end with their champion when that is rolled back', async () => {
    await promoteVersion(world.context, HUMAN, { model: MODEL, version: 'v2', reason: 'better' });
    const id = await start('v3');
    await rollBackModel(world.context, HUMAN, { model: MODEL, version: 'v2', reason: 'errors' });
    expect((await getRollout(world.context, id)).state.phase).toBe('aborted');
    expect((await getModel(world.context, MODEL)).liveRollout).toBeUndefined();
  });
});

describe('versions and settings', () => {
  it('registers a name once and for all', async () => {
    const again = registerVersion(world.context, HUMAN, {
      model: MODEL,
      version: 'v1',
      source: { kind: 'upstream', url: 'http://127.0.0.1:1', protocol: 'predict', remoteModel: 'x' },
      note: '',
    });
    await expect(again).rejects.toMatchObject({ code: 'version.already_exists' });
  });

  it('replaces a baseline and keeps the former one in the journal', async () => {
    const baseline = { count: 30, mean: 1, standardDeviation: 1, source: 'live', setAtMs: 5 } as const;
    await setBaseline(world.context, HUMAN, { model: MODEL, version: 'v2', baseline });
    const [entry] = await world.store.journal('production', { order: 'newest-first', limit: 1 });
    expect(entry?.changes[0]).toMatchObject({ before: { baseline: { mean: 10 } }, after: { baseline: { mean: 1 } } });
  });

  it('changes what is named and keeps the rest', async () => {
    await updateModel(world.context, HUMAN, {
      model: MODEL,
      watch: { limits: { errorRate: 0.5 } },
      routing: { deadlineMs: 90 },
      reason: 'r',
    });
    const { watch, routing } = await getModel(world.context, MODEL);
    expect([watch.limits.errorRate, watch.limits.p95LatencyMs, routing.deadlineMs, routing.subject]).toEqual([
      0.5,
      500,
      90,
      [{ from: 'header', name: 'x-user-id' }],
    ]);
  });
});

describe('a repeated call with the same idempotency key', () => {
  const caller = { ...HUMAN, idempotency: { key: 'k1', request: 'digest-of-request' } };

  it('gets the first receipt and changes nothing', async () => {
    const input = { model: MODEL, challenger: 'v2', plan, reason: 'try' };
    const first = await startRollout(world.context, caller, input);
    const revision = await world.store.revision('production');
    const second = await startRollout(world.context, caller, input);
    expect([second.id, second.message, second.outcome]).toEqual([first.id, first.message, 'done']);
    expect(await world.store.revision('production')).toBe(revision);
  });

  it('gets the first receipt of a rollback, too, and not the words for somebody else who asks', async () => {
    await promoteVersion(world.context, HUMAN, { model: MODEL, version: 'v2', reason: 'better' });
    const first = await rollBackModel(world.context, caller, { model: MODEL, reason: 'errors' });
    expect(await rollBackModel(world.context, caller, { model: MODEL, reason: 'errors' })).toEqual(first);
  });

  it('gets the first receipt when the first call is still under way and makes the second impossible', async () => {
    const input = { rollout: await start(), reason: 'look' };
    let first: Receipt | undefined;
    const context = meanwhile('before', async () => {
      first = await abortRollout(world.context, caller, input);
    });
    expect(await abortRollout(context, caller, input)).toEqual(first);
    const [entry] = await world.store.journal('production', { order: 'newest-first', limit: 1 });
    expect([entry?.action, entry?.revision]).toEqual(['rollout.aborted', first?.revision]);
  });

  it('is refused for another request', async () => {
    await killModel(world.context, caller, { model: MODEL, reason: 'r' });
    const other = { ...HUMAN, idempotency: { key: 'k1', request: 'another digest' } };
    await expect(unkillModel(world.context, other, { model: MODEL, reason: 'r' })).rejects.toMatchObject({
      code: 'idempotency.key_reused',
    });
  });

  it('never gives a token away twice', async () => {
    const input = { name: 'ci', scopes: ['read'] } as const;
    await createToken(world.context, caller, input);
    await expect(createToken(world.context, caller, input)).rejects.toMatchObject({ code: 'idempotency.key_reused' });
    expect(await listTokens(world.context)).toHaveLength(1);
  });
});

describe('tokens', () => {
  it('are stored as digests, and the first admin is made once', async () => {
    const secret = await createFirstToken(world.context);
    expect(secret).toMatch(/^us_/);
    expect(await createFirstToken(world.context)).toBeUndefined();
    const stored = JSON.stringify([
      await world.store.readAll('production'),
      await world.store.journal('production', { limit: 100 }),
    ]);
    // A secret may hold a "_" itself.
    expect(stored).not.toContain(secret?.split('_').slice(2).join('_'));
  });

  it('are gone when revoked', async () => {
    const { token } = await createToken(world.context, HUMAN, { name: 'ci', scopes: ['predict'] });
    await revokeToken(world.context, HUMAN, { token: token.id });
    expect(await listTokens(world.context)).toEqual([]);
    await expect(revokeToken(world.context, HUMAN, { token: token.id })).rejects.toMatchObject({ code: 'token.not_found' });
  });
});
