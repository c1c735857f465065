// What a service with an unmodified SDK sees while Understudy is restarted or away.
import { isDeepStrictEqual } from 'node:util';
import { EventSource } from 'eventsource';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { until } from '../running-understudy.ts';
import { LOCAL_SDKS } from './sdks/local-sdks.ts';
import { REMOTE_SDKS } from './sdks/remote-sdks.ts';
import { choiceFlag, openScenarioWorld, type ScenarioWorld, VERSION_FLAG } from './sdks/scenario-world.ts';
import type { OpenSdk, SdkAdapter, SdkUser } from './sdks/sdk-adapter.ts';
import { shortenPolls } from './sdks/short-polls.ts';

const ADAPTERS: readonly SdkAdapter[] = [...LOCAL_SDKS, ...REMOTE_SDKS];
const USERS: readonly SdkUser[] = Array.from({ length: 20 }, (_, index) => ({ key: `user-${index}` }));

let world: ScenarioWorld;
let restoreTimers: () => void;
const before = new Map<SdkAdapter, OpenSdk>();
const during = new Map<SdkAdapter, OpenSdk>();
let values = new Map<SdkAdapter, readonly (string | undefined)[]>();

beforeAll(async () => {
  vi.stubGlobal('EventSource', EventSource);
  // SDKs for pages write each call that fails to the console, whatever they are configured with.
  vi.spyOn(console, 'error').mockReturnValue();
  restoreTimers = shortenPolls();
  world = await openScenarioWorld();
  await world.save(choiceFlag('choice', 20, { profile: 'unleash', salt: 'choice' }));
  for (const adapter of ADAPTERS) before.set(adapter, await adapter.start(world));
}, 60_000);

afterAll(async () => {
  for (const sdk of [...before.values(), ...during.values()]) await sdk.close();
  await world.server.close();
  restoreTimers();
  vi.unstubAllGlobals();
});

async function valuesOf(sdk: OpenSdk | undefined, flag = VERSION_FLAG): Promise<readonly (string | undefined)[]> {
  const all: (string | undefined)[] = [];
  for (const user of USERS) all.push(await sdk?.valueOf(flag, user));
  return all;
}

async function allValues(): Promise<Map<SdkAdapter, readonly (string | undefined)[]>> {
  const all = new Map<SdkAdapter, readonly (string | undefined)[]>();
  for (const [adapter, sdk] of before) all.set(adapter, await valuesOf(sdk));
  return all;
}

/** A change that reaches an SDK shows that it listens again, and not only that it remembers. */
async function hearsOf(sdks: ReadonlyMap<SdkAdapter, OpenSdk>, isOn: boolean): Promise<void> {
  await world.server.admin('switchFlag', { params: { flag: 'choice' }, body: { on: isOn, reason: 'scenario' } });
  for (const [adapter, sdk] of sdks) {
    await until(
      () => sdk.valueOf('choice', { key: 'ana' }),
      (value) => value === (isOn ? 'v2' : 'v1'),
      `${adapter.name} to hear that the flag is ${isOn ? 'on' : 'off'}`,
    );
  }
}

it('every SDK recovers by itself from a restart on the same port and data', async () => {
  values = await allValues();
  await world.server.stop();
  await world.server.start();
  await hearsOf(before, false);
  await hearsOf(before, true);
  expect(await allValues()).toEqual(values);
}, 90_000);

it('SDKs that hold flags go on with them during an outage; the others give the defaults of their callers', async () => {
  await world.server.stop();
  for (const [adapter, sdk] of before) {
    const expected = adapter.keeps === 'nothing' ? USERS.map(() => undefined) : values.get(adapter);
    expect(await valuesOf(sdk), adapter.name).toEqual(expected);
  }
});

it('an SDK that starts during the outage is started all the same, and gives the defaults of its caller', async () => {
  const started = ADAPTERS.map(async (adapter) => during.set(adapter, await adapter.start(world)));
  await Promise.all(started);
  for (const [adapter, sdk] of during) {
    expect(await valuesOf(sdk), adapter.name).toEqual(USERS.map(() => undefined));
  }
}, 60_000);

it('has the flags soon after the outage, whenever it was started', async () => {
  await world.server.start();
  const recovering = new Map([...during].filter(([{ recovers }]) => recovers));
  await hearsOf(before, false);
  await hearsOf(recovering, false);
  await hearsOf(new Map([...before, ...recovering]), true);
  for (const [adapter, sdk] of recovering) {
    await until(
      () => valuesOf(sdk),
      (present) => isDeepStrictEqual(present, values.get(adapter)),
      `${adapter.name} to give what it gave before`,
    );
  }
  expect(await allValues()).toEqual(values);
}, 90_000);
