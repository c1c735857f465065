// The kill switch reaches a hundred gateways by their streams, again and again, all of them within a second (F25).
import { SYSTEM_PORTS } from '@understudy/feed/ports';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openControlLink, type ControlLink } from '../../packages/server/src/remote/control-link.ts';
import { until } from '../running-understudy.ts';
import { openSplitWorld, type SplitWorld } from './split-world.ts';

const GATEWAYS = 100;
const KILLS = 20;
const WITHIN_MS = 1000;

let world: SplitWorld;
let links: readonly ControlLink[];
/** When each gateway took in that the model is killed, or is not any more. */
let heardAtMs: Map<number, number>;
let isKilled = false;
beforeAll(async () => {
  world = await openSplitWorld();
  heardAtMs = new Map();
  const nothing = { read: () => Promise.resolve({ texts: [], problems: [] }), write: () => Promise.resolve() };
  links = await Promise.all(
    Array.from({ length: GATEWAYS }, async (_, place) => {
      const options = { urls: [world.controlUrl], token: world.gatewayToken, release: 'test', forget: false, log: () => {} };
      const link = await openControlLink({ ...options, storage: nothing, ports: SYSTEM_PORTS });
      link.subscribe({
        take(snapshot) {
          if (snapshot.models[0]?.isKilled === isKilled) heardAtMs.set(place, performance.now());
          return undefined;
        },
        present: () => undefined,
        refuse: (reason) => expect.fail(reason),
      });
      return link;
    }),
  );
}, 60_000);
afterAll(async () => {
  await Promise.all(links.map((link) => link.close()));
  await world[Symbol.asyncDispose]();
});

it(`is heard of by ${GATEWAYS} gateways within ${WITHIN_MS} ms, ${KILLS} times on and off`, { timeout: 60_000 }, async () => {
  const everybody = (): Promise<unknown> =>
    until(
      () => Promise.resolve(heardAtMs.size),
      (count) => count === GATEWAYS,
      'every gateway to hear of it',
    );
  await everybody();
  const tookMs: number[] = [];
  const change = async (next: boolean): Promise<void> => {
    isKilled = next;
    heardAtMs.clear();
    const beganMs = performance.now();
    const request = { params: { model: 'digits' }, body: { reason: 'drill' } };
    await (next ? world.admin('killModel', request) : world.admin('unkillModel', request));
    await everybody();
    for (const atMs of heardAtMs.values()) tookMs.push(atMs - beganMs);
  };
  for (let kill = 0; kill < KILLS; kill += 1) {
    await change(true);
    await change(false);
  }
  const ordered = tookMs.toSorted((a, b) => a - b);
  expect(ordered).toHaveLength(2 * KILLS * GATEWAYS);
  const p99 = ordered[Math.floor(ordered.length * 0.99)] ?? Infinity;
  if (process.env['UNDERSTUDY_CRASH_SHOW'] === '1') console.log({ p50: ordered[ordered.length / 2], p99, worst: ordered.at(-1) });
  expect(p99).toBeLessThan(WITHIN_MS);
});
