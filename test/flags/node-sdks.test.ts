// Unmodified SDKs for Node of four ecosystems against one running process: the same scenarios for all of them.
import { EventSource } from 'eventsource';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { until } from '../running-understudy.ts';
import { LOCAL_SDKS } from './sdks/local-sdks.ts';
import { OFREP_ANSWERS, REMOTE_SDKS } from './sdks/remote-sdks.ts';
import {
  CHALLENGER_FLAG,
  choiceFlag,
  climb,
  MODEL,
  openScenarioWorld,
  type ScenarioWorld,
  VERSION_FLAG,
} from './sdks/scenario-world.ts';
import type { OpenSdk, SdkAdapter, SdkUser } from './sdks/sdk-adapter.ts';
import { shortenPolls } from './sdks/short-polls.ts';

const ADAPTERS: readonly SdkAdapter[] = [...LOCAL_SDKS, ...REMOTE_SDKS];
const USERS: readonly SdkUser[] = Array.from({ length: 60 }, (_, index) => ({ key: `user-${index}` }));
const ANA: SdkUser = { key: 'ana' };
const SWEDE: SdkUser = { key: 'user-3', attributes: { country: 'SE' } };
const DANE: SdkUser = { key: 'user-3', attributes: { country: 'DK' } };

let world: ScenarioWorld;
let restoreTimers: () => void;
const sdks = new Map<SdkAdapter, OpenSdk>();

beforeAll(async () => {
  vi.stubGlobal('EventSource', EventSource);
  restoreTimers = shortenPolls();
  world = await openScenarioWorld();
  await world.save(choiceFlag('choice', 20, { profile: 'unleash', salt: 'choice' }));
  for (const adapter of ADAPTERS) sdks.set(adapter, await adapter.start(world));
}, 60_000);

afterAll(async () => {
  for (const sdk of sdks.values()) await sdk.close();
  await world.server.close();
  restoreTimers();
  vi.unstubAllGlobals();
});

function sdkOf(adapter: SdkAdapter): OpenSdk {
  const sdk = sdks.get(adapter);
  if (sdk === undefined) throw new Error(`${adapter.name} was not started`);
  return sdk;
}

async function valuesOf(sdk: OpenSdk, flag: string): Promise<readonly (string | undefined)[]> {
  const values: (string | undefined)[] = [];
  for (const user of USERS) values.push(await sdk.valueOf(flag, user));
  return values;
}

const on = (values: readonly (string | undefined)[]): number => values.filter((value) => value === 'v2').length;

/** Waits until an SDK gives a user what is expected; who polls gets there with its next poll. */
async function untilValue(adapter: SdkAdapter, [flag, user]: readonly [string, SdkUser], expected: string): Promise<void> {
  const what = `${adapter.name} to give ${user.key} ${expected} by "${flag}"`;
  await until(
    () => sdkOf(adapter).valueOf(flag, user),
    (value) => value === expected,
    what,
  );
}

describe.each(ADAPTERS.map((adapter) => ({ name: adapter.name, adapter })))('$name', ({ adapter }) => {
  it('starts with the flags of the server', async () => {
    expect(['v1', 'v2']).toContain(await sdkOf(adapter).valueOf(VERSION_FLAG, { key: 'user-0' }));
    expect(await sdkOf(adapter).valueOf('there is no such flag', { key: 'user-0' })).toBeUndefined();
  });

  it('splits users as the step says, and the same way each time', async () => {
    const first = await valuesOf(sdkOf(adapter), VERSION_FLAG);
    expect(new Set(first)).toEqual(new Set(['v1', 'v2']));
    expect(await valuesOf(sdkOf(adapter), VERSION_FLAG)).toEqual(first);
  });

  it('gives every user a boolean that agrees with the version', async () => {
    for (const user of USERS) {
      const version = await sdkOf(adapter).valueOf(VERSION_FLAG, user);
      expect(await sdkOf(adapter).isOn(CHALLENGER_FLAG, user), user.key).toBe(version === 'v2');
    }
  });

  it('targets by attributes', async () => {
    expect(await sdkOf(adapter).valueOf('choice', SWEDE)).toBe('v2');
    expect(await sdkOf(adapter).valueOf('choice', DANE)).toBe(await sdkOf(adapter).valueOf('choice', { key: 'user-3' }));
  });

  it('keeps who is pinned', async () => {
    expect(await sdkOf(adapter).valueOf('choice', ANA)).toBe('v2');
  });

  it('starts a second time with the same users', async () => {
    const second = await adapter.start(world);
    try {
      expect(await valuesOf(second, VERSION_FLAG)).toEqual(await valuesOf(sdkOf(adapter), VERSION_FLAG));
    } finally {
      await second.close();
    }
  });
});

describe('a change reaches every SDK', () => {
  it('a ramp of a flag moves users to the challenger only', async () => {
    const before = new Map<SdkAdapter, readonly (string | undefined)[]>();
    for (const adapter of ADAPTERS) before.set(adapter, await valuesOf(sdkOf(adapter), 'choice'));
    await world.server.admin('rampFlag', {
      params: { flag: 'choice' },
      body: { variant: 'v2', percent: 70, reason: 'scenario' },
    });
    for (const adapter of ADAPTERS) {
      const was = before.get(adapter) ?? [];
      const after = await until(
        () => valuesOf(sdkOf(adapter), 'choice'),
        (values) => on(values) > on(was) + 10,
        `${adapter.name} to hear of the ramp`,
      );
      for (const [index, value] of was.entries()) {
        if (value === 'v2') expect(after[index], `${adapter.name}, user-${index}`).toBe('v2');
      }
    }
  }, 60_000);

  it('a step of a rollout moves users to the challenger only, version and boolean together', async () => {
    const before = new Map<SdkAdapter, readonly (string | undefined)[]>();
    for (const adapter of ADAPTERS) before.set(adapter, await valuesOf(sdkOf(adapter), VERSION_FLAG));
    await climb(world);
    for (const adapter of ADAPTERS) {
      const was = before.get(adapter) ?? [];
      const after = await until(
        () => valuesOf(sdkOf(adapter), VERSION_FLAG),
        (values) => on(values) > on(was) + 5,
        `${adapter.name} to hear of the step`,
      );
      for (const [index, user] of USERS.entries()) {
        if (was[index] === 'v2') expect(after[index], `${adapter.name}, ${user.key}`).toBe('v2');
        expect(await sdkOf(adapter).isOn(CHALLENGER_FLAG, user), `${adapter.name}, ${user.key}`).toBe(after[index] === 'v2');
      }
    }
  }, 60_000);

  it('the kill switch of a flag puts everybody on the off variant, targeted and pinned users too', async () => {
    await world.server.admin('switchFlag', { params: { flag: 'choice' }, body: { on: false, reason: 'scenario' } });
    for (const adapter of ADAPTERS) {
      await untilValue(adapter, ['choice', SWEDE], 'v1');
      await untilValue(adapter, ['choice', ANA], 'v1');
      // SDKs of pages hold a client for each user, and each hears of it by itself.
      await until(
        () => valuesOf(sdkOf(adapter), 'choice'),
        (values) => values.every((value) => value === 'v1'),
        `${adapter.name} to give everybody the off variant`,
      );
    }
    await world.server.admin('switchFlag', { params: { flag: 'choice' }, body: { on: true, reason: 'scenario' } });
    for (const adapter of ADAPTERS) await untilValue(adapter, ['choice', ANA], 'v2');
  }, 60_000);

  it('killing the model puts everybody on the champion, version and boolean together', async () => {
    await world.server.admin('killModel', { params: { model: MODEL }, body: { reason: 'scenario' } });
    for (const adapter of ADAPTERS) {
      await until(
        () => valuesOf(sdkOf(adapter), VERSION_FLAG),
        (values) => values.every((value) => value === 'v1'),
        `${adapter.name} to put everybody on the champion`,
      );
      for (const user of USERS) expect(await sdkOf(adapter).isOn(CHALLENGER_FLAG, user), adapter.name).toBe(false);
    }
  }, 60_000);
});

it('has checked every answer of OFREP against the published OpenAPI', () => {
  expect(OFREP_ANSWERS.violations).toEqual([]);
});
