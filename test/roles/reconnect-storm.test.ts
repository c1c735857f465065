// Two hundred gateways whose control plane goes away and comes back: all are up to date again soon, and not all at one moment (F26).
import { SYSTEM_PORTS } from '@understudy/feed/ports';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openControlLink, type ControlLink } from '../../packages/server/src/remote/control-link.ts';
import { until } from '../running-understudy.ts';
import { openSplitWorld, type SplitWorld } from './split-world.ts';

const GATEWAYS = 200;

interface Follower {
  readonly link: ControlLink;
  revision: number;
  /** When a control plane last said that its snapshot is the present one. */
  heardAtMs: number;
}

let world: SplitWorld;
let followers: readonly Follower[];
beforeAll(async () => {
  world = await openSplitWorld();
  const nothing = { read: () => Promise.resolve({ texts: [], problems: [] }), write: () => Promise.resolve() };
  followers = await Promise.all(
    Array.from({ length: GATEWAYS }, async (): Promise<Follower> => {
      const options = { urls: [world.controlUrl], token: world.gatewayToken, release: 'test', forget: false, log: () => {} };
      const link = await openControlLink({ ...options, storage: nothing, ports: SYSTEM_PORTS });
      const follower: Follower = { link, revision: -1, heardAtMs: 0 };
      link.subscribe({
        take(snapshot) {
          follower.revision = snapshot.revision;
          return undefined;
        },
        present() {
          follower.heardAtMs = performance.now();
        },
        refuse: (reason) => expect.fail(reason),
      });
      return follower;
    }),
  );
}, 60_000);
afterAll(async () => {
  await Promise.all(followers.map(({ link }) => link.close()));
  await world[Symbol.asyncDispose]();
});

it('comes to rest: everybody has the newest revision, and they came back spread over time', async () => {
  const all = (isSo: (follower: Follower) => boolean, what: string): Promise<unknown> =>
    until(
      () => Promise.resolve(followers.filter((follower) => !isSo(follower)).length),
      (missing) => missing === 0,
      what,
    );
  await all(({ heardAtMs }) => heardAtMs > 0, 'a first snapshot for everybody');
  await world.stopControl();
  await world.startControl();
  const upAtMs = performance.now();
  const { revision } = await world.admin('createModel', { body: { name: 'new' } }).then(() => world.admin('getStatus', {}));
  const back = new Map<Follower, number>();
  for (const follower of followers) {
    const note = (): void => {
      if (!back.has(follower) && follower.revision >= revision) back.set(follower, performance.now() - upAtMs);
    };
    const timer = setInterval(note, 5);
    timer.unref();
  }
  await all((follower) => back.has(follower), 'the newest revision everywhere');
  const times = [...back.values()].toSorted((a, b) => a - b);
  expect(times.at(-1)).toBeLessThan(30_000);
  // Half of the time that a second of patience spreads them over, were it all at once.
  expect((times[Math.floor(GATEWAYS * 0.9)] ?? 0) - (times[Math.floor(GATEWAYS * 0.1)] ?? 0)).toBeGreaterThan(200);
}, 60_000);
