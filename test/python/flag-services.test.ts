// The FastAPI services of examples/python with the SDKs they come with: split, targeting, ramp, kill switch, outage, rollback.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Flag } from '@understudy/core/flags/flag';
import { beforeAll, describe, expect, it } from 'vitest';
import { until } from '../running-understudy.ts';
import { evaluatedHere, predict, type Served, SERVICES } from './flag-services.ts';
import { describeWithPython, startService } from './python-process.ts';
import { type ByFamily, openServiceWorld, type ServiceWorld } from './service-world.ts';

const FAMILIES = SERVICES.map(({ family }) => ({ family }));
const KEEPING_FLAGS = SERVICES.filter(({ keepsFlags }) => keepsFlags);
const FORGETTING_FLAGS = SERVICES.filter(({ keepsFlags }) => !keepsFlags);
const KEEPING_OUTCOMES = SERVICES.filter(({ keepsOutcomes }) => keepsOutcomes);
const USERS = Array.from({ length: 300 }, (_, index) => `user-${index}`);
const FEW_USERS = USERS.slice(0, 40);
// Four SDK processes, a server and their asker share what may be two cores.
const PATIENCE_MS = 60_000;

let world: ServiceWorld;

function shareOf(version: string, versions: readonly unknown[]): number {
  return versions.filter((one) => one === version).length / versions.length;
}

function kindsOf(served: readonly Served[] | undefined): ReadonlySet<string> {
  return new Set(served?.map(({ status, version }) => `${status} ${version}`));
}

describeWithPython('a FastAPI service with the SDK of', { timeout: PATIENCE_MS }, () => {
  beforeAll(async () => {
    world = await openServiceWorld();
    return () => world.close();
  }, PATIENCE_MS);

  it.each(FAMILIES)('$family is ready with its flags, and serves the champion', async ({ family }) => {
    const { service } = world.serviceOf(family);
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
    expect(kindsOf(await world.serve(family, FEW_USERS))).toEqual(new Set(['200 v1']));
  });

  it.each(FAMILIES)('$family logs what a shadow would have said, to users of the champion', async ({ family }) => {
    await saveShadowFlag(family);
    const { service } = world.serviceOf(family);
    const comparedOf = (isWanted: (user: string) => boolean): readonly Comparison[] =>
      comparisonsIn(service.log).filter(({ user_id }) => isWanted(user_id));
    await until(
      async () => {
        await world.serve(family, [PROBE]);
        return comparedOf((user) => user === PROBE).length;
      },
      (count) => count > 0,
      `the shadow flag to reach the service of ${family}`,
    );
    const decisions = await evaluatedHere(
      world.running,
      FEW_USERS.map((key) => ({ key })),
    );
    const shadowed = FEW_USERS.filter((_, index) => decisions.get(`${family}.shadow`)?.[index] === true);
    expect(shadowed.length).toBeGreaterThan(10);
    const served = await world.serve(family, FEW_USERS);
    expect(kindsOf(served)).toEqual(new Set(['200 v1']));
    const compared = await until(
      () => Promise.resolve(comparedOf((user) => user !== PROBE)),
      ({ length }) => length >= shadowed.length,
      'the comparisons',
    );
    expect(compared.map(({ user_id }) => user_id).toSorted()).toEqual(shadowed.toSorted());
    for (const { user_id, served: champion, shadow, difference } of compared) {
      expect([champion.version, shadow.version]).toEqual(['v1', 'v2']);
      expect(champion.prediction).toBe(served[FEW_USERS.indexOf(user_id)]?.prediction);
      expect(difference).toBe(Math.abs(champion.prediction - shadow.prediction));
      expect(Math.min(champion.latency_ms, shadow.latency_ms)).toBeGreaterThan(0);
    }
    expect(Math.max(...compared.map(({ difference }) => difference))).toBeGreaterThan(1);
  });

  describe('in a rollout', () => {
    const first = new Map<string, readonly string[]>();
    let rollouts: ByFamily<string>;
    let expected: ByFamily<readonly unknown[]>;
    beforeAll(async () => {
      rollouts = await world.rollOut('v2');
      await world.waitUntilInStep(FEW_USERS);
      expected = await world.expected(USERS);
    }, PATIENCE_MS);

    it.each(FAMILIES)('$family gives every user the version that Understudy gives, again and again', async ({ family }) => {
      const versions = await world.versionsFor(family, USERS);
      first.set(family, versions);
      expect(versions).toEqual(expected.get(family));
      expect(shareOf('v2', versions)).toBeGreaterThan(0.15);
      expect(shareOf('v2', versions)).toBeLessThan(0.35);
      expect(await world.versionsFor(family, USERS.slice(0, 100))).toEqual(versions.slice(0, 100));
    });

    it.each(FAMILIES)('$family targets by an attribute, and nobody else', async ({ family }) => {
      expect(new Set(await world.versionsFor(family, FEW_USERS, 'eu-north'))).toEqual(new Set(['v2']));
      expect(await world.versionsFor(family, FEW_USERS, 'eu-west')).toEqual(expected.get(family)?.slice(0, FEW_USERS.length));
    });

    describe('whose share grows', () => {
      beforeAll(async () => {
        await Promise.all([...rollouts.values()].map((rollout) => world.climb(rollout)));
        await world.waitUntilInStep(FEW_USERS);
        expected = await world.expected(USERS);
      }, PATIENCE_MS);

      it.each(FAMILIES)('$family has reported enough for it, and moves nobody back', async ({ family }) => {
        const versions = await world.versionsFor(family, USERS);
        expect(versions).toEqual(expected.get(family));
        const moves = first.get(family)?.map((version, index) => `${version} → ${versions[index]}`);
        expect(new Set(moves)).toEqual(new Set(['v1 → v1', 'v1 → v2', 'v2 → v2']));
        expect(shareOf('v2', versions)).toBeGreaterThan(0.5);
        expect(shareOf('v2', versions)).toBeLessThan(0.7);
      });
    });

    it.each(FAMILIES)('$family puts everybody on the champion at the kill switch', async ({ family }) => {
      expect(await world.versionsFor(family, FEW_USERS)).toContain('v2');
      await world.running.admin('killModel', { params: { model: family }, body: { reason: 'test' } });
      await until(
        () => world.versionsFor(family, FEW_USERS),
        (versions) => shareOf('v1', versions) === 1,
        `the kill switch to reach the service of ${family}`,
      );
      expect(kindsOf(await world.serve(family, USERS))).toEqual(new Set(['200 v1']));
      expect(kindsOf(await world.serve(family, FEW_USERS, { region: 'eu-north' }))).toEqual(new Set(['200 v1']));
      await world.running.admin('unkillModel', { params: { model: family }, body: { reason: 'over' } });
    });
  });

  describe('while Understudy is away', () => {
    const known = new Map<string, readonly string[]>();
    const away = new Map<string, readonly Served[]>();
    const counted = new Map<string, number>();
    let rollouts: ByFamily<string>;
    beforeAll(async () => {
      rollouts = await world.rollOut('v5');
      await world.waitUntilInStep(FEW_USERS);
      await Promise.all(
        FAMILIES.map(async ({ family }) => {
          known.set(family, (await world.versionsFor(family, USERS)).slice(0, FEW_USERS.length));
          counted.set(family, await settled(() => world.requestsIn(rollouts.get(family) ?? '')));
        }),
      );
      await world.running.stop();
      await Promise.all(FAMILIES.map(async ({ family }) => away.set(family, await world.serve(family, FEW_USERS))));
      await world.running.start();
    }, PATIENCE_MS);

    it.each(KEEPING_FLAGS)('$family goes on with the flags it has', ({ family }) => {
      expect(known.get(family)).toContain('v5');
      expect(away.get(family)?.map(({ status, version }) => `${status} ${version}`)).toEqual(
        known.get(family)?.map((version) => `200 ${version}`),
      );
    });

    it.each(FORGETTING_FLAGS)('$family, which asks at each request, gives everybody the fallback', ({ family }) => {
      expect(known.get(family)).toContain('v5');
      expect(kindsOf(away.get(family))).toEqual(new Set(['200 v1']));
    });

    it.each(KEEPING_OUTCOMES)('$family reports afterwards what happened meanwhile', async ({ family, keepsFlags }) => {
      const before = counted.get(family) ?? 0;
      // The fallback is no evidence about users whom the rollout gives the challenger.
      const comparable = FEW_USERS.filter((_, index) => keepsFlags || known.get(family)?.[index] === 'v1').length;
      expect(before).toBeGreaterThan(0);
      const total = await until(
        () => world.requestsIn(rollouts.get(family) ?? ''),
        (requests) => requests >= before + comparable,
        `the outcomes of ${family}`,
      );
      expect(total).toBe(before + comparable);
    });

    describe('and comes back', () => {
      beforeAll(async () => {
        await Promise.all([...rollouts.values()].map((rollout) => world.climb(rollout)));
        await world.waitUntilInStep(FEW_USERS);
      }, PATIENCE_MS);

      it.each(FAMILIES)('$family follows again', async ({ family }) => {
        const versions = await world.versionsFor(family, FEW_USERS);
        expect(shareOf('v5', versions)).toBeGreaterThan(shareOf('v5', known.get(family) ?? []));
        expect((await fetch(`${world.serviceOf(family).service.url}/readyz`)).status).toBe(200);
      });
    });
  });

  describe('whose challenger starts to fail', () => {
    it.each(FAMILIES)('$family reports it, Understudy rolls back, and everybody is safe', async ({ family }) => {
      const [view] = await world.running.admin('listRollouts', { query: { model: family } });
      const id = view?.rollout.id ?? '';
      const served: Served[] = [];
      await until(
        async () => {
          served.push(...(await world.serve(family, USERS.slice(0, 100), { isShifted: true })));
          return world.stateOf(id);
        },
        ({ phase }) => phase === 'rolled-back',
        `the rollback of ${id}`,
      );
      expect(kindsOf(served)).toContain('200 v5');
      expect(served.map(({ status }) => status)).toContain(500);
      expect(await world.stateOf(id)).toMatchObject({ by: 'engine', reason: expect.stringContaining('error') });
      await until(
        () => world.versionsFor(family, FEW_USERS),
        (versions) => shareOf('v1', versions) === 1,
        `the rollback to reach the service of ${family}`,
      );
      expect(kindsOf(await world.serve(family, USERS.slice(0, 100), { isShifted: true }))).toEqual(new Set(['200 v1']));
      const { version } = await world.running.admin('getVersion', { params: { model: family, version: 'v5' } });
      expect(version.health.state).toBe('unhealthy');
    });
  });
});

describeWithPython('a FastAPI service that never reached Understudy, with the SDK of', { timeout: PATIENCE_MS }, () => {
  it.concurrent.each(KEEPING_FLAGS)(
    '$family says that it has no flags, and serves the fallback',
    async ({ family, keyVariable }) => {
      const directory = await mkdtemp(join(tmpdir(), 'understudy-python-'));
      const service = await startService(`${family}_service`, {
        // Nobody listens on this port.
        UNDERSTUDY_URL: 'http://127.0.0.1:9',
        START_WAIT_SECONDS: '0.1',
        UNLEASH_CACHE_DIRECTORY: directory,
        [keyVariable]: 'sdk-key',
      });
      try {
        expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
        expect(service.log.filter((line) => line.includes('no flags yet'))).toHaveLength(1);
        expect(
          await predict(service.url, { user: 'ana', features: [60, 1, 23.4, 76.67, 247, 148, 65, 3.8, 5.1358, 77] }),
        ).toMatchObject({
          status: 200,
          version: 'v1',
        });
      } finally {
        // It has nothing to send and nobody to send it to.
        await service.stop('SIGKILL');
        await rm(directory, { recursive: true, force: true });
      }
    },
  );
});

// Pinned to the shadow, so that its comparison tells that the flag has arrived.
const PROBE = 'probe';

async function saveShadowFlag(family: string): Promise<void> {
  const key = `${family}.shadow`;
  const flag: Flag = {
    key,
    type: 'boolean',
    on: true,
    offVariant: 'off',
    variants: [
      { name: 'on', value: true },
      { name: 'off', value: false },
    ],
    prerequisites: [],
    pins: [{ variant: 'on', keys: [PROBE] }],
    rules: [],
    fallthrough: { split: { slices: ['on', 'off'].map((variant) => ({ variant, weight: 50_000 })) } },
    bucketing: { profile: family === 'launchdarkly' ? 'launchdarkly' : 'unleash', salt: `${key}.salt` },
  };
  await world.running.admin('saveFlag', { params: { flag: key }, body: { flag, revision: 0, reason: 'test' } });
}

interface Comparison {
  readonly user_id: string;
  readonly served: { readonly version: string; readonly prediction: number; readonly latency_ms: number };
  readonly shadow: { readonly version: string; readonly prediction: number; readonly latency_ms: number };
  readonly difference: number;
}

function comparisonsIn(log: readonly string[]): readonly Comparison[] {
  return log
    .filter((line) => line.includes('"event": "shadow.compared"'))
    .map((line): Comparison => JSON.parse(line.slice(line.indexOf('{'))));
}

/** The number once nothing has come for longer than any SDK waits between two reports. */
async function settled(ask: () => Promise<number>): Promise<number> {
  const answers: number[] = [];
  await until(
    async () => {
      answers.push(await ask());
      await new Promise((resolve) => setTimeout(resolve, 250));
      return answers.slice(-9);
    },
    (newest) => newest.length === 9 && newest.every((answer) => answer === newest[0]),
    'the last reports',
  );
  return answers.at(-1) ?? 0;
}
