// What a gateway does with its control plane, and everything behind it, gone: it serves, starts from its disk, and can be killed.
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LocalOutcome, LocalStatus } from '@understudy/contract/local-socket';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askLocally } from '../../packages/server/src/cli/local-gateway.ts';
import { until } from '../running-understudy.ts';
import { armsOf, keptModel, type Predict, predictorOf, routesOf, startHalfRollout } from './half-rollout.ts';
import { openSplitGateway, openSplitWorld, type SplitGateway, type SplitWorld } from './split-world.ts';

const USERS = 300;
const SUBJECTS = 1_000_000;

let world: SplitWorld;
let gateway: SplitGateway;
let predict: Predict;
beforeAll(async () => {
  world = await openSplitWorld();
  gateway = await world.addGateway('eu-1');
  await startHalfRollout(world, gateway);
  predict = await predictorOf(world, gateway);
}, 60_000);
afterAll(() => world[Symbol.asyncDispose]());

const arms = (): Promise<readonly string[]> => armsOf(predict, USERS);

const status = (): Promise<LocalStatus> => askLocally(gateway.socket, { path: '/status' }, LocalStatus);

describe('with the control plane and its database gone', () => {
  it('answers everybody as before, and so it does when it starts again on its own', async () => {
    await until(status, ({ revision }) => revision !== undefined, 'a snapshot');
    const before = await arms();
    expect(new Set(before)).toEqual(new Set(['200 v1', '200 v2']));
    const routed = routesOf(await keptModel(gateway), SUBJECTS);
    expect(routed.challenged / SUBJECTS).toBeCloseTo(0.5, 2);
    await world.stopControl();
    try {
      expect(await arms()).toEqual(before);
      await gateway.stop();
      const began = performance.now();
      await gateway.start();
      await until(
        () => fetch(`${gateway.url}/readyz`).then((response) => response.status),
        (code) => code === 200,
        'a gateway that is ready',
      );
      expect(performance.now() - began).toBeLessThan(2000);
      expect(await arms()).toEqual(before);
      expect(routesOf(await keptModel(gateway), SUBJECTS)).toEqual(routed);
      expect(await status()).toMatchObject({ standing: { origin: 'last-known-good' } });
    } finally {
      await world.startControl();
    }
    await until(status, ({ standing }) => standing?.origin === 'control-plane', 'the control plane');
    expect(await arms()).toEqual(before);
  }, 30_000);

  it('puts everybody on the champion by its socket, over a restart too, and tells the journal later', async () => {
    await world.stopControl();
    try {
      const body = { model: 'digits', by: 'anna', reason: 'wrong answers' };
      const began = performance.now();
      expect(await askLocally(gateway.socket, { path: '/kill', body }, LocalOutcome)).toMatchObject({ outcome: 'done' });
      const killed = await arms();
      expect(performance.now() - began).toBeLessThan(2000);
      expect(new Set(killed)).toEqual(new Set(['200 v1']));
      expect(await askLocally(gateway.socket, { path: '/kill', body }, LocalOutcome)).toMatchObject({ outcome: 'already-done' });
      await gateway.stop();
      await gateway.start();
      await until(
        () => predict('user-1'),
        ({ status: code }) => code === 200,
        'a gateway that is ready',
      );
      expect(new Set(await arms())).toEqual(new Set(['200 v1']));
    } finally {
      await world.startControl();
    }
    const journal = await until(
      () => world.admin('readJournal', { query: { limit: 20 } }),
      (entries) => entries.some(({ action }) => action === 'gateway.killed'),
      'the kill in the journal',
    );
    expect(journal.find(({ action }) => action === 'gateway.killed')).toMatchObject({
      actor: 'gateway:eu-1',
      reason: expect.stringContaining('anna: wrong answers'),
    });
    const [rollout] = await world.admin('listRollouts', {});
    const held = await until(
      () => world.admin('getRollout', { params: { rollout: rollout?.rollout.id ?? '' } }),
      ({ now }) => now?.reason.includes('killed') === true,
      'a rollout that waits',
    );
    expect(held.now?.reason).toContain('anna has killed digits on gateway eu-1');
    await askLocally(gateway.socket, { path: '/unkill', body: { model: 'digits' } }, LocalOutcome);
    await until(
      () => world.admin('readJournal', { query: { limit: 5 } }),
      (entries) => entries.some(({ action }) => action === 'gateway.unkilled'),
      'the end of the kill in the journal',
    );
    expect(new Set(await arms())).toEqual(new Set(['200 v1', '200 v2']));
  }, 30_000);

  it.each([
    {
      name: 'a model that it does not serve',
      path: '/kill',
      body: { model: 'fraud', by: 'a', reason: 'r' },
      says: /serves: digits/,
    },
    {
      name: 'a field that nobody knows',
      path: '/kill',
      body: { model: 'digits', by: 'a', reason: 'r', x: 1 },
      says: /unknown field "x"/,
    },
    { name: 'no reason', path: '/kill', body: { model: 'digits', by: 'a' }, says: /reason/ },
    { name: 'an address that there is not', path: '/other', body: {}, says: /POST \/kill/ },
  ])('refuses $name on its socket', async ({ path, body, says }) => {
    await expect(askLocally(gateway.socket, { path, body }, LocalOutcome)).rejects.toThrow(says);
  });

  it.each([
    { name: 'the generation before, when the newest is cut', damage: ['snapshot.snapshot'], isServing: true },
    { name: 'nothing, when both are', damage: ['snapshot.snapshot', 'snapshot.previous.snapshot'], isServing: false },
  ])(
    'starts from $name, and never from what it cannot verify',
    async ({ damage, isServing }) => {
      await until(status, ({ standing }) => standing?.origin === 'control-plane', 'the control plane');
      await world.admin('createModel', { body: { name: `m${damage.length}` } });
      const present = (await world.admin('getStatus', {})).revision;
      await until(status, ({ revision = 0 }) => revision >= present, 'the newest snapshot');
      await world.stopControl();
      // The rollout goes on by itself: what came last may be newer than the model.
      const { revision: newest = 0 } = await status();
      await gateway.stop();
      try {
        for (const file of damage) {
          const path = join(gateway.data, 'gateway', file);
          const bytes = await readFile(path);
          await (damage.length === 1 ? truncate(path, bytes.length - 7) : writeFile(path, bytes.fill(88, 200, 210)));
        }
        await gateway.start();
        if (isServing) {
          await until(
            () => predict('user-1'),
            ({ status: code }) => code === 200,
            'the generation before',
          );
          expect((await status()).revision).toBeLessThan(newest);
        } else {
          const ready = await fetch(`${gateway.url}/readyz`);
          const answer = await predict('user-1');
          expect([ready.status, answer.status, answer.body]).toMatchObject([503, 503, { error: { code: 'snapshot.missing' } }]);
        }
      } finally {
        await world.startControl();
      }
      await until(
        () => predict('user-1'),
        ({ status: code }) => code === 200,
        'the control plane',
      );
      await until(status, ({ revision = 0 }) => revision >= present, 'the newest snapshot');
    },
    30_000,
  );
});

it('says what is missing when it cannot start', async () => {
  const start = (settings: Readonly<Record<string, unknown>>): Promise<unknown> =>
    openSplitGateway(world, 'eu-9', settings).then((opened) => opened.stop());
  await expect(start({ controlUrl: undefined })).rejects.toThrow('--control-url http://control-1:7070');
  await expect(start({ controlUrl: 'control:7070' })).rejects.toThrow('which is no address');
  await expect(start({ controlTokenFile: join(world.folder, 'none') })).rejects.toThrow('cannot read the token');
  await expect(start({ socket: gateway.socket })).rejects.toThrow('another gateway listens');
  await expect(start({ socket: join(world.folder, 'x'.repeat(120)) })).rejects.toThrow('longer than 107 bytes');
});
