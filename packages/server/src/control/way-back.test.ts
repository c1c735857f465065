import { type Client, createClient } from '@understudy/contract/client';
import type { Readiness } from '@understudy/contract/report';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ONNX_SHA256, openTestControl, type TestControl } from './test-control.ts';

let control: TestControl;
let call: Client;
let url: string;
let sequence = 0;

const OF_FRAUD = { params: { model: 'fraud' } };
const WHY = { reason: 'test' };

/** v1, then v2 as champion; both are model servers. v3 is an uploaded file. */
beforeEach(async () => {
  control = await openTestControl();
  url = await control.api.listen({ host: '127.0.0.1', port: 0 });
  call = createClient({ url, token: control.tokenFor('admin') });
  await call('createModel', { body: { name: 'fraud' } });
  for (const version of ['v1', 'v2']) {
    const upstream = { url: 'http://10.0.0.7:8080/', protocol: 'predict', remoteModel: version } as const;
    await call('registerVersion', { ...OF_FRAUD, body: { version, upstream } });
    await call('promoteVersion', { params: { model: 'fraud', version }, body: WHY });
  }
  await call('registerVersion', { ...OF_FRAUD, body: { version: 'v3', artifact: ONNX_SHA256 } });
});

afterEach(async () => {
  await control[Symbol.asyncDispose]();
});

async function report(probe: Readiness['probe']): Promise<void> {
  const v1 = { model: 'fraud', version: 'v1', state: 'ready' as const, detail: 'upstream' };
  const readiness = [probe === undefined ? v1 : { ...v1, probe }];
  const body = { gateway: 'g1', boot: 'b', sequence, revision: 1, readiness, blocks: [] };
  sequence += 1;
  await control.context.store.appendReport('production', body, control.clock.nowMs());
}

describe('a drill', () => {
  it('says that nobody has heard of the target, then that it answers; the model says the same', async () => {
    expect(await call('drillRollback', OF_FRAUD)).toMatchObject({ outcome: 'fails', target: 'v1' });
    await report({ outcome: 'ok', detail: 'golden request 1 of 1', atMs: control.clock.nowMs() });
    const drill = await call('drillRollback', OF_FRAUD);
    expect(drill).toMatchObject({ model: 'fraud', outcome: 'works', target: 'v1' });
    expect(await call('getModel', OF_FRAUD)).toMatchObject({ wayBack: { outcome: 'works', warnings: [] } });
  });

  it('warns of a failed probe wherever the model or the version is shown', async () => {
    await report({ outcome: 'failed', detail: 'expected 6, got 7', atMs: control.clock.nowMs() });
    const warning = 'v1 fails its probe on gateway "g1" (expected 6, got 7)';
    expect((await call('getModel', OF_FRAUD)).wayBack).toEqual({ outcome: 'fails', warnings: [warning] });
    expect((await call('getStatus', {})).models[0]?.wayBack?.warnings).toEqual([warning]);
    const version = await call('getVersion', { params: { model: 'fraud', version: 'v1' } });
    expect(version.readiness['g1']?.probe).toMatchObject({ outcome: 'failed' });
    expect((await call('listGateways', {}))[0]?.readiness[0]?.probe?.detail).toBe('expected 6, got 7');
  });

  it('may be read by who may read', async () => {
    const reader = createClient({ url, token: control.tokenFor('read') });
    expect(await reader('drillRollback', OF_FRAUD)).toMatchObject({ outcome: 'fails' });
    await expect(reader('clearGolden', OF_FRAUD)).rejects.toMatchObject({ code: 'auth.forbidden' });
  });
});

describe('golden requests', () => {
  const requests = [{ body: { features: [1, 2] }, expect: [3], tolerance: 0.5 }];

  it('are set, shown, counted beside the model and cleared', async () => {
    await call('setGolden', { ...OF_FRAUD, body: { requests } });
    expect((await call('getGolden', OF_FRAUD)).golden).toMatchObject({ protocol: 'predict', requests });
    const view = await call('getModel', OF_FRAUD);
    expect(view.goldenRequests).toBe(1);
    expect(view.model).not.toHaveProperty('golden');
    expect(await call('clearGolden', OF_FRAUD)).toEqual({ model: 'fraud' });
    expect(await call('getModel', OF_FRAUD)).not.toHaveProperty('goldenRequests');
  });

  it('take the answers of an uploaded version, and of no other', async () => {
    const features = [[4], [9]];
    const { golden } = await call('setGolden', { ...OF_FRAUD, body: { answersOf: 'v3', features, tolerance: 0.1 } });
    expect(golden?.requests).toEqual(features.map(([x = 0]) => ({ body: { features: [x] }, expect: [x], tolerance: 0.1 })));
    await expect(call('setGolden', { ...OF_FRAUD, body: { answersOf: 'v1', features } })).rejects.toThrow('only uploaded ONNX');
  });

  it.each([
    { name: 'none', given: [] },
    { name: 'too many', given: Array.from({ length: 51 }, () => ({ body: {} })) },
    { name: 'too large', given: [{ body: { text: 'x'.repeat(65_536) } }] },
    { name: 'with fields that nobody knows', given: [{ body: {}, expected: [1] }] },
  ])('are refused: $name', async ({ given }) => {
    await expect(call('setGolden', { ...OF_FRAUD, body: { requests: given } })).rejects.toMatchObject({
      code: 'request.invalid',
    });
  });
});

describe('quarantine', () => {
  const again = { ...OF_FRAUD, body: { version: 'v4', artifact: ONNX_SHA256 } };
  const v3 = { params: { model: 'fraud', version: 'v3' } };

  it('refuses the file of an unhealthy version until it is released', async () => {
    await call('setVersionHealth', { ...v3, body: { state: 'unhealthy', reason: 'wrong' } });
    await expect(call('registerVersion', again)).rejects.toMatchObject({ code: 'version.quarantined' });
    expect(await call('releaseArtifact', { ...v3, body: WHY })).toMatchObject({ outcome: 'done' });
    expect(await call('registerVersion', again)).toMatchObject({ version: { version: 'v4' } });
  });

  it('warns of the address of an unhealthy version', async () => {
    await call('rollBackModel', { ...OF_FRAUD, body: WHY });
    const upstream = { url: 'http://10.0.0.7:8080/', protocol: 'predict', remoteModel: 'v2' } as const;
    const view = await call('registerVersion', { ...OF_FRAUD, body: { version: 'v5', upstream } });
    expect(view.warnings).toEqual([expect.stringContaining('v2 of "fraud" has the same address and was marked unhealthy')]);
  });
});
