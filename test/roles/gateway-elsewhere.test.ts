// A gateway by itself, on a control plane elsewhere: routing, evidence, feedback, changes, tokens, standing.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createClient } from '@understudy/contract/client';
import { rowsOf, send, UNHURRIED, until } from '../running-understudy.ts';
import { openSplitGateway, openSplitWorld, type SplitGateway, type SplitWorld } from './split-world.ts';

let world: SplitWorld;
let gateway: SplitGateway;
let row: readonly number[];
beforeAll(async () => {
  world = await openSplitWorld();
  gateway = await world.addGateway('eu-1');
  row = (await rowsOf('digits'))[0] ?? [];
}, 60_000);
afterAll(() => world[Symbol.asyncDispose]());

const predict = (user: string): ReturnType<typeof send> =>
  send({ gatewayUrl: gateway.url, token: world.token }, '/predict/digits', {
    body: { features: row },
    headers: { 'x-user-id': user },
  });

const gatewayView = async () => (await world.admin('listGateways', {})).find((one) => one.gateway === 'eu-1');

it('serves a model whose file it got from the control plane, and is known there', async () => {
  expect(await predict('anna')).toMatchObject({ status: 200, version: 'v1', arm: 'champion' });
  const view = await until(gatewayView, (found) => found?.readiness[0]?.state === 'ready', 'the gateway in the list');
  expect(view).toMatchObject({ isConnected: true, standing: { origin: 'control-plane', kills: [] } });
  expect(view?.readiness).toMatchObject([{ model: 'digits', version: 'v1', state: 'ready' }]);
});

it('takes in a change within a second, and reports evidence that a rollout climbs on', async () => {
  await world.admin('startRollout', {
    body: {
      model: 'digits',
      challenger: 'v2',
      plan: {
        name: 'fast',
        steps: [{ traffic: 50, hold: '10m' }, { traffic: 100 }],
        policy: UNHURRIED,
        checkEvery: '200ms',
      },
    },
  });
  await until(
    () => predict('b'),
    ({ reason }) => reason === 'split',
    'a split',
  );
  const armOf = new Map<string, string | null>();
  for (let user = 0; user < 100; user += 1) armOf.set(`user-${user}`, (await predict(`user-${user}`)).arm);
  expect(new Set(armOf.values())).toEqual(new Set(['challenger', 'champion']));
  const [rollout] = await world.admin('listRollouts', {});
  const counted = await until(
    () => world.admin('getRollout', { params: { rollout: rollout?.rollout.id ?? '' } }),
    ({ arms: counts }) => counts.reduce((sum, { requests }) => sum + requests, 0) >= 100,
    'evidence of the gateway',
  );
  expect(counted.arms.map(({ arm }) => arm)).toContain('challenger');
  const [challenged = ''] = [...armOf].find(([, arm]) => arm === 'challenger') ?? [];
  const began = performance.now();
  await world.admin('killModel', { params: { model: 'digits' }, body: { reason: 'test' } });
  await until(
    () => predict(challenged),
    ({ arm }) => arm === 'champion',
    'the kill',
  );
  expect(performance.now() - began).toBeLessThan(1000);
  await world.admin('unkillModel', { params: { model: 'digits' }, body: { reason: 'test' } });
});

it('signs request ids that any control plane can read, so that feedback finds its version', async () => {
  const { requestId } = await predict('carl');
  const answer = await world.admin('giveFeedback', {
    body: { feedback: [{ requestId: requestId ?? '', correct: true }] },
  });
  expect(answer).toMatchObject({ accepted: 1, ignored: [] });
});

it('speaks for no other gateway, and is told so', async () => {
  const stranger = await openSplitGateway(world, 'us-1');
  try {
    const body = { gateway: 'us-1', boot: 'b', sequence: 0, revision: 0, readiness: [], blocks: [] };
    const post = (token: string, sent: object): Promise<Response> =>
      fetch(`${world.controlUrl}/gateways/v1/reports`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(sent),
      });
    const refused = await post(world.gatewayToken, body);
    expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining('--gateway-name eu-1')]);
    expect((await world.admin('listGateways', {})).map((one) => one.gateway)).toEqual(['eu-1']);
    const unknown = await post(world.gatewayToken, { ...body, gateway: 'eu-2', more: 1 });
    expect([unknown.status, await unknown.text()]).toEqual([400, expect.stringContaining('unknown field')]);
    expect((await post('us_x_0123456789abcdef', body)).status).toBe(401);
  } finally {
    await stranger.stop();
  }
});

it.each(['snapshot', 'stream', `artifacts/${'0'.repeat(64)}`])('keeps %s from everybody without the scope', async (path) => {
  const { secret } = await world.admin('createToken', {
    body: { name: `no-${path.slice(0, 5)}`, scopes: ['operate', 'predict'] },
  });
  const ask = async (token?: string): Promise<number> => {
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(`${world.controlUrl}/gateways/v1/${path}`, { headers });
    await response.body?.cancel();
    return response.status;
  };
  expect([await ask(), await ask(secret)]).toEqual([401, 403]);
});

it('is cut off when its token is revoked, and goes on serving', async () => {
  const own = await world.admin('createToken', { body: { name: 'asia', scopes: ['gateway'] } });
  const asia = await openSplitGateway({ ...world, gatewayToken: own.secret }, 'asia-1');
  try {
    const standing = async () => (await world.admin('listGateways', {})).find(({ gateway: name }) => name === 'asia-1');
    await until(standing, (found) => found?.readiness[0]?.state === 'ready', 'asia-1');
    await world.admin('revokeToken', { params: { token: own.token.id } });
    const client = createClient({ url: world.controlUrl, token: own.secret });
    await expect(client('whoAmI', {})).rejects.toMatchObject({ code: 'auth.invalid_token' });
    const answer = await send({ gatewayUrl: asia.url, token: world.token }, '/predict/digits', { body: { features: row } });
    expect(answer.status).toBe(200);
  } finally {
    await asia.stop();
  }
});
