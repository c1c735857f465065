// One user, one version: gateway and SDKs of every family, asked about the same users, and the warning where they cannot agree.
import { bucketOf } from '@understudy/core/bucketing';
import type { Bucketing } from '@understudy/core/flags/bucketing-profile';
import { EventSource } from 'eventsource';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { run } from '../../packages/server/src/cli/test-cli.ts';
import { rowsOf, send } from '../running-understudy.ts';
import { LOCAL_SDKS } from './sdks/local-sdks.ts';
import { REMOTE_SDKS } from './sdks/remote-sdks.ts';
import { choiceFlag, MODEL, openScenarioWorld, type ScenarioWorld, VERSION_FLAG } from './sdks/scenario-world.ts';
import type { SdkAdapter, SdkUser } from './sdks/sdk-adapter.ts';

const ADAPTERS: readonly SdkAdapter[] = [...LOCAL_SDKS, ...REMOTE_SDKS];
// What a service sends when it buckets by itself: any number that is fixed for its user.
const USERS: readonly SdkUser[] = Array.from({ length: 500 }, (_, index) => {
  const key = `user-${index}`;
  return { key, attributes: { mlBucket: bucketOf('any salt', key) } };
});
const AT_ONCE = 25;

let world: ScenarioWorld;
const FLAGS = [VERSION_FLAG, 'by-launchdarkly', 'by-flagsmith', 'by-attribute'];
/** What each SDK gave each user, by flag. Each is asked once and closed: a thousand pages that stay open would only wait for each other. */
const given = new Map<string, readonly (string | undefined)[]>();

const saved = (key: string, bucketing: Bucketing): Promise<unknown> => world.save(choiceFlag(key, 30, bucketing));

beforeAll(async () => {
  vi.stubGlobal('EventSource', EventSource);
  world = await openScenarioWorld();
  await saved('by-launchdarkly', { profile: 'launchdarkly', salt: 'by-launchdarkly.s1' });
  await saved('by-flagsmith', { profile: 'flagsmith', salt: '4711', prefix: 'production_', whenMissing: 'none' });
  await saved('by-attribute', { profile: 'attribute', salt: 'by-attribute', by: [{ attribute: 'mlBucket' }] });
  for (const adapter of ADAPTERS) await askOnce(adapter);
}, 180_000);

afterAll(async () => {
  await world.server.close();
  vi.unstubAllGlobals();
});

async function askAll<Answer>(ask: (user: SdkUser) => Promise<Answer>): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (let start = 0; start < USERS.length; start += AT_ONCE) {
    answers.push(...(await Promise.all(USERS.slice(start, start + AT_ONCE).map(ask))));
  }
  return answers;
}

async function askOnce(adapter: SdkAdapter): Promise<void> {
  const sdk = await adapter.start(world);
  const rows = await askAll((user) => Promise.all(FLAGS.map((flag) => sdk.valueOf(flag, user))));
  await sdk.close();
  for (const [column, flag] of FLAGS.entries()) {
    given.set(
      `${adapter.name} ${flag}`,
      rows.map((row) => row[column]),
    );
  }
}

function valuesOf(adapter: SdkAdapter, flag: string): readonly (string | undefined)[] {
  return given.get(`${adapter.name} ${flag}`) ?? [];
}

/** How many of the users two lists agree about. */
function agreeing(some: readonly unknown[], others: readonly unknown[]): number {
  return some.filter((value, index) => value === others[index]).length;
}

function share(values: readonly unknown[]): number {
  return values.filter((value) => value === 'v2').length / values.length;
}

describe('a rollout', () => {
  let gateway: readonly (string | null)[];

  beforeAll(async () => {
    const [features] = await rowsOf(MODEL);
    const path = `/predict/${MODEL}`;
    gateway = await askAll(async ({ key }) => {
      return (await send(world.server, path, { body: { features }, headers: { 'x-user-id': key } })).version;
    });
    expect(share(gateway)).toBeGreaterThan(0.2);
    expect(share(gateway)).toBeLessThan(0.4);
  }, 60_000);

  const same = ADAPTERS.filter(({ sharesRolloutHash }) => sharesRolloutHash);
  const others = ADAPTERS.filter(({ sharesRolloutHash }) => !sharesRolloutHash);

  it.each(same.map((adapter) => ({ name: adapter.name, adapter })))(
    'gives 500 users the version of real predictions through $name',
    ({ adapter }) => {
      expect(valuesOf(adapter, VERSION_FLAG)).toEqual(gateway);
    },
  );

  it.each(others.map((adapter) => ({ name: adapter.name, adapter })))(
    'gives as many users, but other ones, the challenger through $name, as the warning says',
    ({ adapter }) => {
      const values = valuesOf(adapter, VERSION_FLAG);
      expect(Math.abs(share(values) - 0.3)).toBeLessThan(0.1);
      expect(agreeing(values, gateway)).toBeLessThan(USERS.length);
    },
  );
});

describe.each([
  { flag: 'by-launchdarkly', families: ['@launchdarkly'] },
  { flag: 'by-flagsmith', families: ['flagsmith-nodejs'] },
  { flag: 'by-attribute', families: ['@launchdarkly', 'flagsmith-nodejs', 'unleash-client'] },
])('the flag $flag', ({ flag, families }) => {
  const local = LOCAL_SDKS.filter(({ name }) => families.some((family) => name.startsWith(family)));

  it('gives 500 users the same variant in every SDK that the server decides for and in those of its family', () => {
    const [first, ...rest] = [...REMOTE_SDKS, ...local];
    if (first === undefined) throw new Error('there is no SDK');
    const expected = valuesOf(first, flag);
    expect(Math.abs(share(expected) - 0.3)).toBeLessThan(0.1);
    for (const adapter of rest) expect(valuesOf(adapter, flag), adapter.name).toEqual(expected);
  });
});

describe('the list of SDKs', () => {
  // Flagsmith's SDK looks for its version where an ES module has none, and then calls itself "unknown".
  const KNOWN = [
    { family: 'unleash', sdk: 'unleash-node-sdk:6.12.1', isLocal: true, differs: ['by-launchdarkly', 'by-flagsmith'] },
    { family: 'launchdarkly', sdk: 'NodeJSClient/9.13.7', isLocal: true, differs: [VERSION_FLAG, 'by-flagsmith'] },
    { family: 'flagsmith', sdk: 'unknown', isLocal: true, differs: [VERSION_FLAG, 'by-launchdarkly'] },
    { family: 'flagsmith', sdk: 'unknown', isLocal: false, differs: [] },
    { family: 'unleash', sdk: 'unleash-js-sdk:3.8.2', isLocal: false, differs: [] },
    { family: 'ofrep', sdk: 'node', isLocal: false, differs: [] },
  ] as const;

  it.each(KNOWN)(
    'names $family (by itself: $isLocal), and warns of the flags that it hashes otherwise',
    async ({ family, sdk, isLocal, differs }) => {
      const list = await world.server.admin('listSdks', {});
      const found = list.find((one) => one.family === family && one.sdk === sdk && one.isLocal === isLocal);
      expect(found, JSON.stringify(list)).toBeDefined();
      const warning = found?.warnings.join() ?? '';
      for (const flag of FLAGS) {
        const named = differs.some((other) => other === flag);
        expect(warning.includes(`"${flag}"`), `${flag} in ${warning}`).toBe(named);
      }
    },
  );

  it('is shown by the command line, with the warnings', async () => {
    const { controlUrl: url, token } = world.server;
    const { code, stdout, stderr } = await run(['sdk', 'list'], { url, env: { UNDERSTUDY_TOKEN: token } });
    expect(code).toBe(0);
    for (const name of ['unleash-node-sdk:6.12.1', 'NodeJSClient/9.13.7']) expect(stdout).toContain(name);
    expect(stderr).toMatch(/warning: NodeJSClient\/9\.13\.7 .*"digits-version"/);
  });
});
