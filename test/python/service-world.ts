/** Four services of `examples/python` beside one real Understudy, each with a model and rollouts of its own. Tests of the services depend on it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PlanFile } from '@understudy/contract/plan-file';
import type { RolloutState } from '@understudy/core/rollout';
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
import { assertPython } from './python-process.ts';

/** Something for each service, by its family. */
export type ByFamily<Value> = ReadonlyMap<string, Value>;

// Steps only when told to.
const PLAN: PlanFile = {
  ...FAST_PLAN,
  steps: [
    { traffic: 25, hold: '1h', minSamples: 0 },
    { traffic: 60, hold: '1h', minSamples: 0 },
    { traffic: 100, hold: '1h', minSamples: 0 },
  ],
};

export interface ServiceWorld {
  readonly running: Running;
  serviceOf(family: string): FlagService;
  /** Asks a service for predictions; `shifted` rows make v5 fail now and then. */
  serve(
    family: string,
    users: readonly string[],
    options?: { readonly region?: string; readonly isShifted?: boolean },
  ): Promise<readonly Served[]>;
  versionsFor(family: string, users: readonly string[], region?: string): Promise<readonly string[]>;
  /** What Understudy says that the users of each service get. */
  expected(users: readonly string[]): Promise<ByFamily<readonly unknown[]>>;
  /** Waits until every SDK gives what Understudy gives; for SDKs that hold flags that is when the news has arrived. */
  waitUntilInStep(users: readonly string[]): Promise<void>;
  /** Starts a rollout of every service's model, of which nobody passes a step by himself. @returns ids */
  rollOut(challenger: string): Promise<ByFamily<string>>;
  stateOf(rollout: string): Promise<RolloutState>;
  /** Passes the hold of the first step as soon as the service has reported enough. */
  climb(rollout: string): Promise<void>;
  /** Requests that count in a rollout, of both arms. */
  requestsIn(rollout: string): Promise<number>;
  close(): Promise<void>;
}

/** Starts everything, with v1 as the champion of every model. */
export async function openServiceWorld(): Promise<ServiceWorld> {
  assertPython();
  const running = await startForTest();
  const { admin } = running;
  const directory = await mkdtemp(join(tmpdir(), 'understudy-python-'));
  await Promise.all(SERVICES.map(({ family }) => createModel(running, family)));
  const started = await Promise.all(SERVICES.map((kind) => startFlagService(running, kind, join(directory, kind.family))));
  const services = new Map<string, FlagService>(started.map((service) => [service.family, service]));
  const rows = { plain: await rowsOf('diabetes'), shifted: await rowsOf('diabetes', 'requests-shifted') };

  const world: Omit<ServiceWorld, 'waitUntilInStep' | 'rollOut'> = {
    running,
    serviceOf(family) {
      const service = services.get(family);
      if (service === undefined) throw new Error(`there is no service for ${family}`);
      return service;
    },
    serve(family, users, { region, isShifted = false } = {}) {
      const features = isShifted ? rows.shifted : rows.plain;
      return askAll([...users.entries()], ([index, user]) => {
        const asked = { user, features: features[index % features.length] ?? [] };
        return world.serviceOf(family).ask(region === undefined ? asked : { ...asked, region });
      });
    },
    async versionsFor(family, users, region) {
      const served = await world.serve(family, users, region === undefined ? {} : { region });
      return served.map(({ version = 'none' }) => version);
    },
    async expected(users) {
      const subjects = users.map((key): FlagSubject => ({ key, region: 'eu-south' }));
      const here = await evaluatedHere(running, subjects);
      const flag = 'launchdarkly-version';
      const there = await evaluatedAsLaunchDarkly(running, world.serviceOf('launchdarkly').key, { flag, subjects });
      return new Map(
        SERVICES.map(({ family }) => [family, family === 'launchdarkly' ? there : (here.get(`${family}-version`) ?? [])]),
      );
    },
    async stateOf(rollout) {
      return (await admin('getRollout', { params: { rollout } })).rollout.state;
    },
    async climb(rollout) {
      await until(
        async () => {
          await admin('stepRollout', { params: { rollout }, body: { skipHold: true } });
          return world.stateOf(rollout);
        },
        (state) => state.phase === 'stepping' && state.step === 1,
        `the second step of ${rollout}`,
      );
    },
    async requestsIn(rollout) {
      const { arms } = await admin('getRolloutEvidence', { params: { rollout } });
      return arms.reduce((sum, { tally }) => sum + tally.requests, 0);
    },
    async close() {
      await Promise.all(started.map(({ service }) => service.stop()));
      await running.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  const waitUntilInStep = (users: readonly string[]): Promise<void> => inStep(world, users);
  return { ...world, waitUntilInStep, rollOut: (challenger) => rollOut(world, challenger) };
}

async function createModel({ admin }: Running, model: string): Promise<void> {
  const field = { from: 'json' as const, path: 'region' };
  const north = { id: 'north', all: [{ field, operator: 'in' as const, values: ['eu-north'] }], serve: 'challenger' as const };
  await admin('createModel', { body: { name: model, routing: { rules: [north] } } });
  for (const version of ['v1', 'v2', 'v5']) {
    await admin('registerVersion', { params: { model }, body: { version, external: true } });
  }
  await admin('promoteVersion', { params: { model, version: 'v1' }, body: { reason: 'first' } });
}

async function inStep(world: Pick<ServiceWorld, 'expected' | 'versionsFor'>, users: readonly string[]): Promise<void> {
  const expected = await world.expected(users);
  await Promise.all(
    SERVICES.map(({ family }) =>
      until(
        () => world.versionsFor(family, users),
        (versions) => versions.every((version, index) => version === expected.get(family)?.[index]),
        `the service of ${family} to follow`,
      ),
    ),
  );
}

async function rollOut({ running, stateOf }: Pick<ServiceWorld, 'running' | 'stateOf'>, challenger: string) {
  const started = await Promise.all(
    SERVICES.map(async ({ family }): Promise<[string, string]> => {
      const { rollout } = await running.admin('startRollout', { body: { model: family, challenger, plan: PLAN } });
      await until(
        () => stateOf(rollout.id),
        ({ phase }) => phase === 'stepping',
        `the first step of ${rollout.id}`,
      );
      return [family, rollout.id];
    }),
  );
  return new Map(started);
}
