// The FastAPI services of examples/python with the SDKs they come with: split, targeting, ramp, kill switch, outage, rollback.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PlanFile } from '@understudy/contract/plan-file';
import type { Flag } from '@understudy/core/flags/flag';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FAST_PLAN, type Running, rowsOf, startForTest, until } from '../running-understudy.ts';
import {
  askAll,
  evaluatedAsLaunchDarkly,
  evaluatedHere,
  type FlagService,
  type FlagSubject,
  type Served,
  SERVICES,
  startFlagService,
} from './flag-services.ts';
import { describeWithPython } from './python-process.ts';

const FAMILIES = SERVICES.map(({ family }) => ({ family }));
const KEEPING_FLAGS = SERVICES.filter(({ keepsFlags }) => keepsFlags);
const FORGETTING_FLAGS = SERVICES.filter(({ keepsFlags }) => !keepsFlags);
const KEEPING_OUTCOMES = SERVICES.filter(({ keepsOutcomes }) => keepsOutcomes);
const USERS = Array.from({ length: 300 }, (_, index) => `user-${index}`);
const FEW_USERS = USERS.slice(0, 60);

// Steps only when told to; errors decide, never the speed of this machine.
const PLAN: PlanFile = {
  ...FAST_PLAN,
  steps: [
    { traffic: 25, hold: '1h', minSamples: 0 },
    { traffic: 60, hold: '1h', minSamples: 0 },
    { traffic: 100, hold: '1h', minSamples: 0 },
  ],
  policy: { kind: 'thresholds', ignoreLatencyBelowMs: 10_000, health: { p95LatencyMs: 10_000 } },
};

let running: Running;
let directory: string;
let services: ReadonlyMap<string, FlagService>;
let rows: readonly (readonly number[])[];

function serviceOf(family: string): FlagService {
  const service = services.get(family);
  if (service === undefined) throw new Error(`there is no service for ${family}`);
  return service;
}

function rowFor(index: number): readonly number[] {
  return rows[index % rows.length] ?? [];
}

function serve(family: string, users: readonly string[], region?: string): Promise<Served[]> {
  const service = serviceOf(family);
  return askAll([...users.entries()], ([index, user]) => {
    return service.ask({ user, features: rowFor(index), ...(region === undefined ? {} : { region }) });
  });
}

async function versionsFor(family: string, users: readonly string[], region?: string): Promise<readonly unknown[]> {
  return (await serve(family, users, region)).map(({ version }) => version);
}

/** What Understudy says that the users of a service get. */
async function expectedFor(family: string, users: readonly string[]): Promise<readonly unknown[]> {
  const subjects = users.map((key): FlagSubject => ({ key, region: 'eu-south' }));
  const flag = `${family}-version`;
  if (family === 'launchdarkly') return evaluatedAsLaunchDarkly(running, serviceOf(family).key, { flag, subjects });
  return (await evaluatedHere(running, subjects)).get(flag) ?? [];
}

/** Waits until the SDK gives what Understudy gives; for SDKs that hold flags that is when the news has arrived. */
async function isInStep(family: string): Promise<void> {
  const expected = await expectedFor(family, FEW_USERS);
  await until(
    () => versionsFor(family, FEW_USERS),
    (versions) => versions.every((version, index) => version === expected[index]),
    `the service of ${family} to follow`,
  );
}

/** Starts a rollout of every service's model. @returns its id by service */
async function rollOut(challenger: string): Promise<ReadonlyMap<string, string>> {
  const ids = new Map<string, string>();
  for (const { family } of SERVICES) {
    const { rollout } = await running.admin('startRollout', { body: { model: family, challenger, plan: PLAN } });
    await until(
      () => running.admin('getRollout', { params: { rollout: rollout.id } }),
      ({ rollout: { state } }) => state.phase === 'stepping',
      `the first step of ${rollout.id}`,
    );
    ids.set(family, rollout.id);
  }
  await Promise.all(SERVICES.map(({ family }) => isInStep(family)));
  return ids;
}

async function stateOf(rollout: string) {
  return (await running.admin('getRollout', { params: { rollout } })).rollout.state;
}

/** Passes a hold as soon as the service has reported enough, which it does meanwhile. */
async function climb(family: string, rollout: string, step: number): Promise<void> {
  await until(
    async () => {
      await serve(family, USERS.slice(0, 100));
      await running.admin('stepRollout', { params: { rollout }, body: { skipHold: true } });
      return stateOf(rollout);
    },
    (state) => state.phase === 'stepping' && state.step === step,
    `step ${step + 1} of ${rollout}`,
  );
}

/** Requests that count in a rollout, of both arms. */
async function requestsIn(rollout: string): Promise<number> {
  const { arms } = await running.admin('getRolloutEvidence', { params: { rollout } });
  return arms.reduce((sum, { tally }) => sum + tally.requests, 0);
}

async function openWorld(): Promise<void> {
  running = await startForTest();
  directory = await mkdtemp(join(tmpdir(), 'understudy-python-'));
  rows = await rowsOf('diabetes');
  const { admin } = running;
  const field = { from: 'json' as const, path: 'region' };
  const north = { id: 'north', all: [{ field, operator: 'in' as const, values: ['eu-north'] }], serve: 'challenger' as const };
  for (const { family: model } of SERVICES) {
    await admin('createModel', { body: { name: model, routing: { rules: [north] } } });
    for (const version of ['v1', 'v2', 'v5']) {
      await admin('registerVersion', { params: { model }, body: { version, external: true } });
    }
    await admin('promoteVersion', { params: { model, version: 'v1' }, body: { reason: 'first' } });
  }
  const started = await Promise.all(SERVICES.map((kind) => startFlagService(running, kind, join(directory, kind.family))));
  services = new Map(started.map((service) => [service.family, service]));
}

describeWithPython('a FastAPI service with the SDK of', () => {
  beforeAll(openWorld, 90_000);
  afterAll(async () => {
    await Promise.all([...services.values()].map(({ service }) => service.stop()));
    await running.close();
    await rm(directory, { recursive: true, force: true });
  });

  it.each(FAMILIES)('$family is ready with its flags, and serves the champion', async ({ family }) => {
    const { service } = serviceOf(family);
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
    const served = await serve(family, FEW_USERS);
    expect(new Set(served.map(({ status, version }) => `${status} ${version}`))).toEqual(new Set(['200 v1']));
  });

  describe('with a shadow for half of the users', () => {
    beforeAll(async () => {
      for (const { family } of SERVICES) await saveShadowFlag(family);
    });

    it.each(FAMILIES)('$family: both versions predict, the user gets the champion, and the log has both', async ({ family }) => {
      const decisions = await evaluatedHere(
        running,
        FEW_USERS.map((key) => ({ key })),
      );
      const shadowed = FEW_USERS.filter((_, index) => decisions.get(`${family}.shadow`)?.[index] === true);
      expect(shadowed.length).toBeGreaterThan(15);
      const { service } = serviceOf(family);
      const comparedOf = (isWanted: (user: string) => boolean): readonly Comparison[] =>
        comparisonsIn(service.log).filter(({ user_id }) => isWanted(user_id));
      await until(
        async () => {
          await serve(family, [PROBE]);
          return comparedOf((user) => user === PROBE).length;
        },
        (count) => count > 0,
        `the shadow flag to reach the service of ${family}`,
      );
      const served = await serve(family, FEW_USERS);
      expect(new Set(served.map(({ version }) => version))).toEqual(new Set(['v1']));
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
  });

  describe('in a rollout', () => {
    let rollouts: ReadonlyMap<string, string>;
    beforeAll(async () => {
      rollouts = await rollOut('v2');
    }, 60_000);

    it.each(FAMILIES)('$family gives every user the version that Understudy gives, again and again', async ({ family }) => {
      const expected = await expectedFor(family, USERS);
      const share = expected.filter((version) => version === 'v2').length / USERS.length;
      expect(share).toBeGreaterThan(0.15);
      expect(share).toBeLessThan(0.35);
      expect(await versionsFor(family, USERS)).toEqual(expected);
      expect(await versionsFor(family, USERS)).toEqual(expected);
    });

    it.each(FAMILIES)('$family targets by an attribute, and nobody else', async ({ family }) => {
      expect(new Set(await versionsFor(family, FEW_USERS, 'eu-north'))).toEqual(new Set(['v2']));
      expect(await versionsFor(family, FEW_USERS, 'eu-west')).toEqual(await expectedFor(family, FEW_USERS));
    });

    it.each(FAMILIES)(
      '$family reports what lets the share grow, and nobody on the challenger moves back',
      async ({ family }) => {
        const before = await versionsFor(family, USERS);
        await climb(family, rollouts.get(family) ?? '', 1);
        await isInStep(family);
        const after = await versionsFor(family, USERS);
        expect(after).toEqual(await expectedFor(family, USERS));
        const moves = before.map((version, index) => `${String(version)} → ${String(after[index])}`);
        expect(new Set(moves)).toEqual(new Set(['v1 → v1', 'v1 → v2', 'v2 → v2']));
        const share = after.filter((version) => version === 'v2').length / USERS.length;
        expect(share).toBeGreaterThan(0.5);
        expect(share).toBeLessThan(0.7);
      },
      30_000,
    );

    it.each(FAMILIES)('$family puts everybody on the champion at the kill switch', async ({ family }) => {
      expect(await versionsFor(family, FEW_USERS)).toContain('v2');
      await running.admin('killModel', { params: { model: family }, body: { reason: 'test' } });
      await until(
        () => versionsFor(family, FEW_USERS),
        (versions) => versions.every((version) => version === 'v1'),
        `the kill switch to reach the service of ${family}`,
      );
      expect(new Set(await versionsFor(family, USERS))).toEqual(new Set(['v1']));
      expect(new Set(await versionsFor(family, FEW_USERS, 'eu-north'))).toEqual(new Set(['v1']));
      await running.admin('unkillModel', { params: { model: family }, body: { reason: 'over' } });
    });
  });

  describe('while Understudy is away', () => {
    const known = new Map<string, readonly unknown[]>();
    const away = new Map<string, readonly Served[]>();
    const counted = new Map<string, number>();
    let rollouts: ReadonlyMap<string, string>;
    beforeAll(async () => {
      rollouts = await rollOut('v5');
      for (const { family } of SERVICES) {
        known.set(family, await versionsFor(family, FEW_USERS));
        counted.set(family, await settled(() => requestsIn(rollouts.get(family) ?? '')));
      }
      await running.stop();
      for (const { family } of SERVICES) away.set(family, await serve(family, FEW_USERS));
      await running.start();
    }, 90_000);

    it.each(KEEPING_FLAGS)('$family goes on with the flags it has', ({ family }) => {
      expect(known.get(family)).toContain('v5');
      expect(away.get(family)?.map(({ status, version }) => `${status} ${version}`)).toEqual(
        known.get(family)?.map((version) => `200 ${String(version)}`),
      );
    });

    it.each(FORGETTING_FLAGS)('$family, which asks at each request, gives everybody the fallback', ({ family }) => {
      expect(known.get(family)).toContain('v5');
      expect(new Set(away.get(family)?.map(({ status, version }) => `${status} ${version}`))).toEqual(new Set(['200 v1']));
    });

    it.each(KEEPING_OUTCOMES)(
      '$family reports afterwards what happened meanwhile',
      async ({ family, keepsFlags }) => {
        const before = counted.get(family) ?? 0;
        // The fallback is no evidence for users whom the rollout gives the challenger.
        const comparable = FEW_USERS.filter((_, index) => keepsFlags || known.get(family)?.[index] === 'v1').length;
        expect(before).toBeGreaterThan(0);
        const total = await until(
          () => requestsIn(rollouts.get(family) ?? ''),
          (requests) => requests >= before + comparable,
          `the outcomes of ${family}`,
        );
        expect(total).toBe(before + comparable);
      },
      30_000,
    );

    it.each(FAMILIES)(
      '$family follows again, as before',
      async ({ family }) => {
        const rollout = rollouts.get(family) ?? '';
        expect(await stateOf(rollout)).toMatchObject({ phase: 'stepping', step: 0 });
        await isInStep(family);
        await climb(family, rollout, 1);
        await isInStep(family);
        expect(await versionsFor(family, FEW_USERS)).not.toEqual(known.get(family));
      },
      40_000,
    );
  });

  describe('when the challenger starts to fail', () => {
    beforeAll(async () => {
      rows = await rowsOf('diabetes', 'requests-shifted');
    });

    it.each(FAMILIES)(
      '$family: what the service reports makes Understudy roll back, and users are safe',
      async ({ family }) => {
        const [rollout] = await running.admin('listRollouts', { query: { model: family } });
        const id = rollout?.rollout.id ?? '';
        const failures: Served[] = [];
        await until(
          async () => {
            const served = await serve(family, USERS.slice(0, 100));
            failures.push(...served.filter(({ status }) => status !== 200));
            return stateOf(id);
          },
          ({ phase }) => phase === 'rolled-back',
          `the rollback of ${id}`,
        );
        expect(failures.map(({ status }) => status)).toContain(500);
        expect(await stateOf(id)).toMatchObject({ phase: 'rolled-back', by: 'engine', reason: expect.stringContaining('error') });
        await isInStep(family);
        const safe = await serve(family, USERS);
        expect(new Set(safe.map(({ status, version }) => `${status} ${version}`))).toEqual(new Set(['200 v1']));
        const { version } = await running.admin('getVersion', { params: { model: family, version: 'v5' } });
        expect(version.health.state).toBe('unhealthy');
      },
      40_000,
    );
  });
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
  await running.admin('saveFlag', { params: { flag: key }, body: { flag, revision: 0, reason: 'test' } });
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
