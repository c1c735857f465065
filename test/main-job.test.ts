// The main job on real models, real sockets and a real database: climb, roll back, fall back, and survive a restart.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  FAST_PLAN,
  registerExample,
  rowsOf,
  type Running,
  send,
  startForTest,
  startTraffic,
  until,
} from './running-understudy.ts';

let running: Running;
beforeAll(async () => {
  running = await startForTest();
  for (const model of ['digits', 'diabetes']) {
    const watch = { checkEveryMs: 200, cooldownMs: 1000 };
    await running.admin('createModel', { body: { name: model, watch } });
    for (const version of ['v1', 'v2', 'v3', 'v4', 'v5']) await registerExample(running.admin, model, version);
    await running.admin('promoteVersion', { params: { model, version: 'v1' }, body: { reason: 'first' } });
    await serves(model, 'v1');
  }
}, 60_000);
afterAll(async () => {
  await running.close();
});

async function serves(model: string, version: string): Promise<void> {
  const [row] = await rowsOf(model);
  await until(
    () => send(running, `/predict/${model}`, { body: { features: row } }),
    (answer) => answer.status === 200 && answer.version === version,
    `${model} to be served by ${version}`,
  );
}

async function championOf(model: string): Promise<string | undefined> {
  return (await running.admin('getModel', { params: { model } })).model.champion;
}

async function rollOut(model: string, challenger: string, plan = FAST_PLAN): Promise<string> {
  return (await running.admin('startRollout', { body: { model, challenger, plan } })).rollout.id;
}

async function ended(rollout: string): Promise<{ phase: string; reason: string }> {
  const view = await until(
    () => running.admin('getRollout', { params: { rollout } }),
    ({ rollout: { state } }) => ['promoted', 'rolled-back', 'aborted', 'killed'].includes(state.phase),
    `the end of ${rollout}`,
  );
  const { state } = view.rollout;
  return { phase: state.phase, reason: 'reason' in state ? state.reason : '' };
}

describe('the main job', () => {
  it('promotes a better challenger step by step, without an error for any user', async () => {
    const traffic = startTraffic(running, 'digits', await rowsOf('digits'));
    const id = await rollOut('digits', 'v2');
    expect(await ended(id)).toMatchObject({ phase: 'promoted' });
    await serves('digits', 'v2');
    const answers = await traffic.stop();
    expect(answers.filter((answer) => answer.status !== 200)).toEqual([]);
    const decisions = await running.admin('listDecisions', { params: { rollout: id } });
    expect(decisions.map(({ decision }) => decision.action).filter((action) => action !== 'hold')).toEqual([
      'promote',
      'advance',
      'begin',
    ]);
  });

  it('keeps every user on one side while the share grows', async () => {
    const plan = { ...FAST_PLAN, steps: [{ traffic: 30, hold: '1h', minSamples: 0 }, { traffic: 100 }] };
    const id = await rollOut('diabetes', 'v2', plan);
    await until(
      () => running.admin('getRollout', { params: { rollout: id } }),
      (view) => view.rollout.state.phase === 'stepping',
      'the first step',
    );
    const [row] = await rowsOf('diabetes');
    const armsOf = async (): Promise<readonly (string | null)[]> =>
      Promise.all(
        Array.from({ length: 200 }, async (_, user) => {
          const headers = { 'x-user-id': `user-${user}` };
          return (await send(running, '/predict/diabetes', { body: { features: row }, headers })).arm;
        }),
      );
    const first = await until(armsOf, (arms) => arms.includes('challenger'), 'the challenger to get users');
    expect(await armsOf()).toEqual(first);
    const share = first.filter((arm) => arm === 'challenger').length;
    expect(share).toBeGreaterThan(35);
    expect(share).toBeLessThan(85);
    await running.admin('abortRollout', { params: { rollout: id }, body: { reason: 'seen enough' } });
    expect((await armsOf()).every((arm) => arm === 'champion')).toBe(true);
  });

  it('rolls back a challenger that answers garbage quickly and with 200, and a retry with the fix is one call', async () => {
    const traffic = startTraffic(running, 'diabetes', await rowsOf('diabetes'));
    const id = await rollOut('diabetes', 'v3');
    const end = await ended(id);
    expect(end).toMatchObject({ phase: 'rolled-back' });
    expect(end.reason).toContain('baseline standard deviations');
    expect(await championOf('diabetes')).toBe('v1');
    const retried = await running.admin('retryRollout', { params: { rollout: id }, body: { challenger: 'v2' } });
    expect(await ended(retried.rollout.id)).toMatchObject({ phase: 'promoted' });
    expect(await championOf('diabetes')).toBe('v2');
    const answers = await traffic.stop();
    expect(answers.every((answer) => answer.status === 200)).toBe(true);
  }, 30_000);

  it('rolls back a challenger that is right but slow', async () => {
    const traffic = startTraffic(running, 'diabetes', await rowsOf('diabetes'));
    const id = await rollOut('diabetes', 'v4', { ...FAST_PLAN, policy: { kind: 'thresholds', ignoreLatencyBelowMs: 4 } });
    const end = await ended(id);
    await traffic.stop();
    expect(end.phase).toBe('rolled-back');
    expect(end.reason).toMatch(/(p50|p95) .*exceeds/);
  }, 30_000);

  it('rescues users from a challenger that throws, and charges it', async () => {
    const traffic = startTraffic(running, 'digits', await rowsOf('digits', 'requests-shifted'));
    const id = await rollOut('digits', 'v5');
    expect(await ended(id)).toMatchObject({ phase: 'rolled-back' });
    const answers = await traffic.stop();
    expect(answers.every((answer) => answer.status === 200)).toBe(true);
    expect(answers.some((answer) => answer.reason === 'rescued' && answer.version === 'v2')).toBe(true);
  }, 30_000);

  it('sends a champion that fails later back to the last known good version', async () => {
    await running.admin('setVersionHealth', {
      params: { model: 'digits', version: 'v5' },
      body: { state: 'healthy', reason: 'try again' },
    });
    const clean = startTraffic(running, 'digits', await rowsOf('digits'));
    const id = await rollOut('digits', 'v5');
    expect(await ended(id)).toMatchObject({ phase: 'promoted' });
    await clean.stop();
    const shifted = startTraffic(running, 'digits', await rowsOf('digits', 'requests-shifted'));
    await until(
      () => championOf('digits'),
      (champion) => champion === 'v2',
      'the fall back to v2',
    );
    await serves('digits', 'v2');
    await shifted.stop();
    const { model } = await running.admin('getModel', { params: { model: 'digits' } });
    expect(model.lastRollback).toMatchObject({ failed: 'v5', restored: 'v2', by: 'engine' });
    expect(model.terms.map((term) => term.version)).toEqual(['v1', 'v2', 'v5', 'v2']);
    const [, , late] = model.terms;
    const at = new Date((late?.fromMs ?? 0) + 1).toISOString();
    expect(await running.admin('getChampion', { params: { model: 'digits' }, query: { at } })).toMatchObject({ champion: 'v5' });
  }, 40_000);

  it('puts everybody on the champion within a second of the kill switch', async () => {
    const traffic = startTraffic(running, 'digits', await rowsOf('digits'));
    const plan = { ...FAST_PLAN, steps: [{ traffic: 50, hold: '1h', minSamples: 0 }, { traffic: 100 }] };
    await rollOut('digits', 'v4', plan);
    const [row] = await rowsOf('digits');
    const armsNow = async (): Promise<readonly (string | null)[]> =>
      Promise.all(
        Array.from({ length: 20 }, async (_, user) => {
          const headers = { 'x-user-id': `user-${user}` };
          return (await send(running, '/predict/digits', { body: { features: row }, headers })).arm;
        }),
      );
    await until(armsNow, (arms) => arms.includes('challenger'), 'the challenger to get users');
    const killedAtMs = performance.now();
    await running.admin('killModel', { params: { model: 'digits' }, body: { reason: 'test' } });
    await until(armsNow, (arms) => arms.every((arm) => arm === 'champion'), 'everybody to be on the champion');
    expect(performance.now() - killedAtMs).toBeLessThan(1000);
    await running.admin('unkillModel', { params: { model: 'digits' }, body: { reason: 'over' } });
    expect((await traffic.stop()).every((answer) => answer.status === 200)).toBe(true);
  }, 30_000);

  it('survives a restart: same champion, intact journal, no second admin token', async () => {
    await running.restart();
    await serves('digits', 'v2');
    expect(await running.admin('verifyJournal', {})).toMatchObject({ intact: true });
  });
});
