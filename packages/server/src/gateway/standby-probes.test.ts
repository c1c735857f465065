import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { GoldenRequest, GoldenSet } from '@understudy/core/golden';
import { AppError } from '@understudy/core/errors';
import type { UpstreamProtocol } from '@understudy/core/model-version';
import type { Probe } from '@understudy/core/standby';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { modelOf, openExample, openRig, type Rig, snapshotOf, sumOf, sumRuntime, until } from './gateway-rig.contract.ts';
import { PROBE_EVERY_MS } from './standby-probes.ts';

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

const FIRST_LOOK_MS = 5000;

function setOf(requests: readonly GoldenRequest[], protocol: UpstreamProtocol = 'predict', setAtMs = 1): GoldenSet {
  return { protocol, requests, setAtMs, setBy: 'ana' };
}

const RIGHT: GoldenRequest = { body: { features: [1, 2, 3] }, expect: [6] };

function probeOf(rig: Rig): Probe | undefined {
  return rig.gateway.readiness().find(({ version }) => version === 'v2')?.probe;
}

/** Waits for the next try of v2 to end, `ms` from now. */
async function nextProbe(rig: Rig, ms: number): Promise<Probe> {
  const before = probeOf(rig)?.atMs;
  rig.time.advance(ms);
  await until(() => probeOf(rig) !== undefined && probeOf(rig)?.atMs !== before, 'a probe');
  const probe = probeOf(rig);
  if (probe === undefined) throw new Error('there is no probe');
  return probe;
}

describe('a model in this process', () => {
  const open = (golden: GoldenSet | undefined, run = sumRuntime()) =>
    openRig({
      snapshot: snapshotOf(1, [modelOf({ standbys: ['v2'], ...(golden === undefined ? {} : { golden }) })]),
      openRuntime: (_model, { version }) => Promise.resolve(version === 'v2' ? run : sumRuntime()),
    });

  it('is tried soon after it is loaded, and then once a minute', async () => {
    await using rig = await open(setOf([RIGHT]));
    expect(probeOf(rig)).toBeUndefined();
    const first = await nextProbe(rig, FIRST_LOOK_MS);
    expect(first).toMatchObject({ outcome: 'ok', detail: 'golden request 1 of 1' });
    rig.time.advance(PROBE_EVERY_MS - FIRST_LOOK_MS);
    await rig.get('/healthz');
    expect(probeOf(rig)?.atMs).toBe(first.atMs);
    expect((await nextProbe(rig, FIRST_LOOK_MS)).atMs).toBe(first.atMs + PROBE_EVERY_MS);
    expect(rig.gateway.stats().standbys).toEqual([{ model: 'sum', version: 'v2', outcome: 'ok' }]);
  });

  it('counts no probe as a request of anybody, and tries neither the champion nor who is not kept for a rollback', async () => {
    await using rig = await open(setOf([RIGHT]));
    await nextProbe(rig, FIRST_LOOK_MS);
    expect(rig.gateway.stats().requests.filter(({ outcomes }) => Object.values(outcomes).some((count) => count > 0))).toEqual([]);
    expect(rig.gateway.readiness().find(({ version }) => version === 'v1')).not.toHaveProperty('probe');
  });

  it('is asked a failed request again until it passes, and says so in the log once', async () => {
    let offset = 1;
    const run = sumRuntime(0, (inputs) => Promise.resolve([sumOf(inputs, offset)]));
    await using rig = await open(setOf([{ body: { features: [1, 1, 1] } }, RIGHT]), run);
    expect(await nextProbe(rig, FIRST_LOOK_MS)).toMatchObject({ outcome: 'ok' });
    const wrong = { outcome: 'failed', detail: 'golden request 2 of 2: expected 6, got 7' };
    expect(await nextProbe(rig, PROBE_EVERY_MS)).toMatchObject(wrong);
    expect(await nextProbe(rig, PROBE_EVERY_MS)).toMatchObject(wrong);
    offset = 0;
    expect(await nextProbe(rig, PROBE_EVERY_MS)).toMatchObject({ outcome: 'ok', detail: 'golden request 2 of 2' });
    const events = rig.logged.map(({ event }) => event).filter((event) => event.startsWith('standby.'));
    expect(events).toEqual(['standby.probe_failed', 'standby.probe_passed']);
  });

  it.each([
    { name: 'within the tolerance', request: { ...RIGHT, expect: [6.5], tolerance: 0.5 }, outcome: 'ok' },
    { name: 'beyond it', request: { ...RIGHT, expect: [6.5], tolerance: 0.4 }, outcome: 'failed' },
    { name: 'for fewer rows', request: { ...RIGHT, expect: [6, 6] }, outcome: 'failed' },
    { name: 'with anything valid', request: { body: RIGHT.body }, outcome: 'ok' },
    { name: 'that cannot be asked', request: { body: { feature: [1] } }, outcome: 'failed' },
  ])('is judged by an answer $name', async ({ request, outcome }) => {
    await using rig = await open(setOf([request]));
    expect(await nextProbe(rig, FIRST_LOOK_MS)).toMatchObject({ outcome });
  });

  it('is run on a made-up row without golden requests, which says nothing when it is refused', async () => {
    const picky = sumRuntime(0, () => Promise.reject(new AppError('model.run_failed', 'no such category')));
    await using rig = await open(undefined);
    expect(await nextProbe(rig, FIRST_LOOK_MS)).toMatchObject({ outcome: 'ok', detail: expect.stringContaining('made-up row') });
    await using other = await open(undefined, picky);
    expect(await nextProbe(other, FIRST_LOOK_MS)).toMatchObject({ outcome: 'unproven' });
  });

  it('that is too busy keeps what it had', async () => {
    let isBusy = false;
    const run = sumRuntime(0, (inputs) =>
      isBusy ? Promise.reject(new AppError('request.overloaded', 'later')) : Promise.resolve([sumOf(inputs, 0)]),
    );
    await using rig = await open(setOf([RIGHT]), run);
    const first = await nextProbe(rig, FIRST_LOOK_MS);
    isBusy = true;
    rig.time.advance(PROBE_EVERY_MS);
    await rig.get('/healthz');
    expect(probeOf(rig)).toEqual(first);
    isBusy = false;
    expect((await nextProbe(rig, FIRST_LOOK_MS)).outcome).toBe('ok');
  });

  it('is tried anew with another set', async () => {
    await using rig = await open(setOf([RIGHT]));
    await nextProbe(rig, FIRST_LOOK_MS);
    rig.apply(snapshotOf(2, [modelOf({ standbys: ['v2'], golden: setOf([{ ...RIGHT, expect: [9] }], 'predict', 2) })]));
    expect(await nextProbe(rig, FIRST_LOOK_MS)).toMatchObject({ outcome: 'failed' });
  });

  it('is not tried any more when the gateway closes', async () => {
    const rig = await open(setOf([RIGHT]));
    await rig[Symbol.asyncDispose]();
    expect(rig.time.waiting).toBe(0);
  });
});

describe('a model server', () => {
  let handle: Handle;
  let seen: string[];
  const server = createServer((request, response) => {
    seen.push(`${request.method ?? ''} ${request.url ?? ''} ${String(request.headers['x-understudy-golden'])}`);
    request.resume().on('end', () => handle(request, response));
  });
  beforeEach(async () => {
    handle = (_request, response) => response.end();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  async function open(golden: GoldenSet | undefined, protocol: UpstreamProtocol = 'predict'): Promise<Rig> {
    seen = [];
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the server has no port');
    const source = { kind: 'upstream', url: `http://127.0.0.1:${address.port}`, protocol, remoteModel: 'm' } as const;
    const base = modelOf({ standbys: ['v2'], ...(golden === undefined ? {} : { golden }) });
    const versions = base.versions.map((one) => (one.version === 'v2' ? { version: 'v2', source } : one));
    return openRig({
      snapshot: snapshotOf(1, [{ ...base, versions }]),
      openRuntime: (model, version) => (version.version === 'v2' ? openExample(model, version) : Promise.resolve(sumRuntime())),
    });
  }

  const answering =
    (status: number, body: string): Handle =>
    (_request, response) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);

  it.each([
    { name: 'right', status: 200, body: '{"predictions":[6]}', outcome: 'ok', detail: 'golden request 1 of 1' },
    { name: 'wrong', status: 200, body: '{"predictions":[7]}', outcome: 'failed', detail: 'expected 6, got 7' },
    { name: 'no answer of its protocol', status: 200, body: '<html>', outcome: 'failed', detail: 'no valid answer' },
    { name: 'an error', status: 503, body: '{}', outcome: 'failed', detail: 'answered 503' },
    { name: 'endless', status: 200, body: `"${'x'.repeat(70_000)}"`, outcome: 'failed', detail: 'which is not read' },
  ])('is judged by its answer: $name', async ({ status, body, outcome, detail }) => {
    await using rig = await open(setOf([RIGHT]));
    handle = answering(status, body);
    expect(await nextProbe(rig, FIRST_LOOK_MS)).toMatchObject({ outcome, detail: expect.stringContaining(detail) });
    expect(seen).toEqual(['GET / undefined', 'POST /predict/m 1']);
  });

  it('that hangs fails when its time is over, and holds no other probe up for longer', async () => {
    await using rig = await open(setOf([RIGHT]));
    handle = () => {};
    rig.time.advance(FIRST_LOOK_MS);
    await until(() => seen.length === 2, 'the request');
    expect(await nextProbe(rig, 5000)).toMatchObject({ outcome: 'failed', detail: expect.stringContaining('within 5000 ms') });
  });

  it('is asked whether it is there, without golden requests', async () => {
    await using rig = await open(undefined, 'open-inference');
    expect(await nextProbe(rig, FIRST_LOOK_MS)).toMatchObject({ outcome: 'ok' });
    expect(seen).toEqual(['GET /v2/models/m/ready undefined', 'GET /v2/models/m/ready undefined']);
    handle = answering(503, '{}');
    expect(await nextProbe(rig, PROBE_EVERY_MS)).toMatchObject({
      outcome: 'failed',
      detail: expect.stringContaining('answers 503'),
    });
  });

  it('of another protocol proves nothing by being there', async () => {
    await using rig = await open(setOf([RIGHT]), 'open-inference');
    expect(await nextProbe(rig, FIRST_LOOK_MS)).toMatchObject({
      outcome: 'unproven',
      detail: expect.stringContaining('golden requests are in "predict" and the model server speaks "open-inference"'),
    });
  });
});
