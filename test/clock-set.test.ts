// A control plane on SQLite that is stopped, killed and started again while somebody sets the machine's clock (F16).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '@understudy/contract/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HAS_FAKETIME, startControlPlane } from './control-plane-process.ts';
import type { ServingProgram } from './serving-program.ts';

const HOLD_MS = 12_000;
// A tick of the engine, a second of evidence, and a busy machine: nothing beside the hour by which the clock is set.
const LATE_MS = 15_000;
const TIMEOUT_MS = 90_000;
const HOUR_S = 3600;
const YEAR_S = 365 * 24 * HOUR_S;

const PLAN = {
  name: 'baked',
  steps: [
    { traffic: 10, hold: `${HOLD_MS / 1000}s`, minSamples: 20 },
    { traffic: 50, hold: '1h', minSamples: 20 },
    { traffic: 100, hold: '0s', minSamples: 0 },
  ],
  policy: { kind: 'thresholds' as const },
  checkEvery: '200ms',
};

describe.runIf(HAS_FAKETIME)('a control plane on SQLite whose machine’s clock is set', () => {
  let data: string;
  let plane: ServingProgram;
  let token: string;

  const clockFile = (): string => join(data, 'clock');
  const start = (): Promise<ServingProgram> =>
    startControlPlane({ store: `sqlite:${data}`, data, name: 'g1', clockFile: clockFile() });
  const ask: Client = (name, input) => createClient({ url: plane.controlUrl, token, timeoutMs: 3000 })(name, input);
  const setClock = (seconds: number): void => writeFileSync(clockFile(), `${seconds < 0 ? '' : '+'}${seconds}\n`);

  /** Starts it again with another clock. */
  async function restart(seconds: number, end: 'kill' | 'stop' = 'stop'): Promise<void> {
    await plane[end]();
    setClock(seconds);
    plane = await start();
  }

  /** How far its time is ahead of the right one. */
  async function aheadMs(name: string): Promise<number> {
    const beganMs = Date.now();
    await ask('createModel', { body: { name } });
    const endedMs = Date.now();
    const { createdAtMs } = (await ask('getModel', { params: { model: name } })).model;
    return createdAtMs - Math.min(Math.max(createdAtMs, beganMs), endedMs);
  }

  async function beginRollout(): Promise<string> {
    await ask('createModel', { body: { name: 'digits' } });
    for (const version of ['v1', 'v2']) {
      await ask('registerVersion', { params: { model: 'digits' }, body: { version, external: true } });
    }
    await ask('promoteVersion', { params: { model: 'digits', version: 'v1' }, body: { reason: 'first' } });
    return (await ask('startRollout', { body: { model: 'digits', challenger: 'v2', plan: PLAN } })).rollout.id;
  }

  beforeEach(async () => {
    data = mkdtempSync(join(tmpdir(), 'understudy-clock-'));
    plane = await start();
    token = plane.firstToken();
  }, TIMEOUT_MS);
  afterEach(async () => {
    await plane.kill();
    rmSync(data, { recursive: true });
  });

  it('holds a step for as long as really passes', { timeout: TIMEOUT_MS }, async () => {
    const rollout = await beginRollout();
    let sequence = 0;
    /** Good news of both arms. @returns the step that the rollout is at */
    const report = async (): Promise<number | undefined> => {
      const arms = { model: 'digits', requests: 40, errors: 0, latencies: [[15, 40] satisfies [number, number]] };
      const counts = ['v1', 'v2'].map((version) => ({ ...arms, version }));
      await ask('reportObservations', { body: { reporter: 'web', boot: 'b', sequence: sequence++, observations: [], counts } });
      const { state } = (await ask('getRollout', { params: { rollout } })).rollout;
      return 'step' in state ? state.step : undefined;
    };
    await expect.poll(report, { timeout: LATE_MS }).toBe(0);
    const beganMs = performance.now();
    const sets = [
      { seconds: HOUR_S, end: 'stop' },
      { seconds: -YEAR_S, end: 'kill' },
      { seconds: YEAR_S, end: 'kill' },
      { seconds: -HOUR_S, end: 'stop' },
    ] as const;
    for (const { seconds, end } of sets) {
      await restart(seconds, end);
      // And again while it runs.
      setClock(-2 * seconds);
      const step = await report();
      // Where starts are slow, the hold may be over before the last ones.
      if (performance.now() - beganMs < HOLD_MS - 1000) expect(step, `set by ${seconds} s`).toBe(0);
    }
    while ((await report()) === 0 && performance.now() - beganMs < HOLD_MS + LATE_MS) await sleep(50);
    const heldMs = performance.now() - beganMs;
    expect(heldMs).toBeGreaterThan(HOLD_MS - 1000);
    expect(heldMs).toBeLessThan(HOLD_MS + LATE_MS);
    const decisions = await ask('listDecisions', { params: { rollout }, query: {} });
    const actions = decisions.map(({ decision }) => decision.action);
    expect(actions.filter((action) => action !== 'hold')).toEqual(['advance', 'begin']);
  });

  it('knows the time all along, and follows the clock ahead once nothing is on trial', { timeout: TIMEOUT_MS }, async () => {
    const rollout = await beginRollout();
    await restart(HOUR_S);
    expect(Math.abs(await aheadMs('one'))).toBeLessThan(1000);
    await ask('abortRollout', { params: { rollout }, body: { reason: 'enough' } });
    await restart(HOUR_S);
    expect(Math.abs((await aheadMs('two')) - HOUR_S * 1000)).toBeLessThan(1000);
    await restart(0);
    expect(Math.abs((await aheadMs('three')) - HOUR_S * 1000)).toBeLessThan(1000);
  });

  it('would jump without the note of the process before (the planted bug)', { timeout: TIMEOUT_MS }, async () => {
    await beginRollout();
    rmSync(join(data, 'understudy.db.time'));
    await restart(HOUR_S);
    expect(await aheadMs('one')).toBeGreaterThan(HOUR_S * 1000 - 1000);
  });
});
