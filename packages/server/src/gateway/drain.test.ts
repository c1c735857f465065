import { once } from 'node:events';
import { connect } from 'node:net';
import { Agent, request } from 'undici';
import { expect, it } from 'vitest';
import { modelOf, openRig, type Rig, snapshotOf, type SumRun, sumOf, sumRuntime, until } from './gateway-rig.contract.ts';

const BODY = { features: [1, 2, 3] };

/** A rig whose model answers when the gate opens. */
async function openGated(): Promise<{ rig: Rig; open: () => void }> {
  const gate = Promise.withResolvers<void>();
  const run: SumRun = async (inputs) => {
    await gate.promise;
    return [sumOf(inputs, 0)];
  };
  const rig = await openRig({ snapshot: snapshotOf(1, [modelOf()]), openRuntime: () => Promise.resolve(sumRuntime(0, run)) });
  return { rig, open: () => gate.resolve() };
}

it('says 503 on /readyz first, and serves on for the grace', async () => {
  const rig = await openRig({ snapshot: snapshotOf(1, [modelOf()]) });
  const drained = rig.gateway.drain();
  expect((await rig.get('/readyz')).status).toBe(503);
  const answer = await rig.post('/predict/sum', BODY);
  expect([answer.status, answer.headers['connection']]).toEqual([200, 'keep-alive']);
  rig.time.advance(5000);
  rig.time.advance(200);
  expect(await drained).toBe(true);
  await expect(rig.get('/readyz')).rejects.toThrow();
});

it('drops no request that is in work, reports it, and closes its connection', async () => {
  const { rig, open } = await openGated();
  const agent = new Agent({ connections: 50 });
  const answers = Array.from({ length: 50 }, () =>
    request(`${rig.url}/predict/sum`, {
      method: 'POST',
      body: JSON.stringify(BODY),
      headers: { 'content-type': 'application/json' },
      dispatcher: agent,
    }),
  );
  await until(() => rig.gateway.stats().inFlight === 50, 'all in work');
  const drained = rig.gateway.drain();
  rig.time.advance(5000);
  await expect(rig.get('/readyz')).rejects.toThrow();
  open();
  const seen = await Promise.all(
    answers.map(async (answer) => {
      const { statusCode, body } = await answer;
      await body.dump();
      return statusCode;
    }),
  );
  expect(new Set(seen)).toEqual(new Set([200]));
  rig.time.advance(200);
  expect(await drained).toBe(true);
  const requests = rig.reports.flatMap(({ blocks }) => blocks).reduce((sum, { tally }) => sum + tally.requests, 0);
  expect(requests).toBe(50);
  await agent.close();
});

it('says `Connection: close` once it is closing', async () => {
  const { rig, open } = await openGated();
  const agent = new Agent();
  const kept = await request(`${rig.url}/healthz`, { dispatcher: agent });
  await kept.body.dump();
  const waiting = rig.post('/predict/sum', BODY);
  await until(() => rig.gateway.stats().inFlight === 1, 'in work');
  const drained = rig.gateway.drain();
  rig.time.advance(5000);
  open();
  expect((await waiting).status).toBe(200);
  rig.time.advance(200);
  expect(await drained).toBe(true);
  await agent.close();
});

it('cuts off what does not end', async () => {
  const { rig } = await openGated();
  const waiting = rig.post('/predict/sum', BODY);
  const outcome = expect(waiting).rejects.toThrow();
  await until(() => rig.gateway.stats().inFlight === 1, 'in work');
  const drained = rig.gateway.drain();
  rig.time.advance(5000);
  await expect(rig.get('/readyz')).rejects.toThrow();
  rig.time.advance(30_000);
  await outcome;
  // The version is still in its run and cannot be closed; the gateway ends all the same.
  expect(await drained).toBe(false);
});

it('does not wait for a connection that was opened ahead of a request', async () => {
  const rig = await openRig({ snapshot: snapshotOf(1, [modelOf()]) });
  const silent = connect({ port: Number(new URL(rig.url).port), host: '127.0.0.1' });
  silent.on('error', () => undefined);
  await once(silent, 'connect');
  await rig.get('/readyz');
  const cut = once(silent, 'close');
  const drained = rig.gateway.drain();
  rig.time.advance(5000);
  rig.time.advance(200);
  expect(await drained).toBe(true);
  await cut;
});
