// Five Python SDKs, unmodified, without a service around them: every decision equals Understudy's own, user by user.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bucketing } from '@understudy/core/flags/bucketing-profile';
import type { Flag } from '@understudy/core/flags/flag';
import type { SdkFamily } from '@understudy/core/token';
import { beforeAll, expect, it } from 'vitest';
import { FAST_PLAN, type Running, startForTest, until } from '../running-understudy.ts';
import { evaluatedAsLaunchDarkly, evaluatedHere } from './flag-services.ts';
import { assertPython, describeWithPython, type PythonDriver, startDriver } from './python-process.ts';

interface Sdk {
  readonly name: string;
  readonly family: SdkFamily;
  /** The hash with which the SDK and the server agree. */
  readonly bucketing: Bucketing;
  /** Whether flags of rollouts give the same users as on the server. */
  readonly agreesOnRollouts: boolean;
}

const UNLEASH: Bucketing = { profile: 'unleash', salt: 'group', whenMissing: 'random' };

const SDKS: readonly Sdk[] = [
  {
    name: 'launchdarkly',
    family: 'launchdarkly',
    bucketing: { profile: 'launchdarkly', salt: 'of-launchdarkly.salt' },
    agreesOnRollouts: false,
  },
  { name: 'unleash', family: 'unleash', bucketing: UNLEASH, agreesOnRollouts: true },
  { name: 'flagsmith', family: 'flagsmith', bucketing: UNLEASH, agreesOnRollouts: true },
  {
    name: 'flagsmith-local',
    family: 'flagsmith',
    bucketing: { profile: 'flagsmith', salt: '4711', prefix: 'production_', whenMissing: 'none' },
    agreesOnRollouts: false,
  },
  { name: 'openfeature', family: 'openfeature', bucketing: UNLEASH, agreesOnRollouts: true },
];

// Letters beyond ASCII are hashed as UTF-8 by every Python SDK.
const SUBJECTS = Array.from({ length: 300 }, (_, index) => ({
  key: index % 10 === 0 ? `användare-${index}` : `user-${index}`,
  region: index % 7 === 0 ? 'eu-north' : 'eu-south',
  bucket: (index * 7919) % 100_000,
}));

let running: Running;
let directory: string;
const drivers = new Map<string, PythonDriver>();
const keys = new Map<SdkFamily, string>();
let decisions: ReadonlyMap<string, readonly unknown[]>;

function expectedOf(flag: string): readonly unknown[] {
  return decisions.get(flag) ?? [];
}

function flagOf(key: string, bucketing: Bucketing): Flag {
  return {
    key,
    type: 'string',
    on: true,
    offVariant: 'v1',
    variants: ['v1', 'v2', 'v3'].map((name) => ({ name, value: name })),
    prerequisites: [],
    pins: [{ variant: 'v3', keys: ['user-1', 'user-2'] }],
    rules: [
      {
        id: 'north',
        all: [{ type: 'attribute', attribute: 'region', operator: 'in', values: ['eu-north'] }],
        serve: { variant: 'v2' },
      },
    ],
    fallthrough: {
      split: {
        slices: [
          { variant: 'v2', weight: 12_500 },
          { variant: 'v3', weight: 30_000 },
          { variant: 'v1', weight: 57_500 },
        ],
      },
    },
    bucketing,
  };
}

function asked(name: string, flag: string, fallback: string | boolean): Promise<unknown> {
  const driver = drivers.get(name);
  if (driver === undefined) throw new Error(`there is no driver ${name}`);
  return driver.ask({ flag, default: fallback, users: SUBJECTS });
}

async function openWorld(): Promise<void> {
  running = await startForTest();
  directory = await mkdtemp(join(tmpdir(), 'understudy-python-'));
  const { admin } = running;
  await admin('createModel', { body: { name: 'fraud' } });
  for (const version of ['v1', 'v2']) {
    await admin('registerVersion', { params: { model: 'fraud' }, body: { version, external: true } });
  }
  await admin('promoteVersion', { params: { model: 'fraud', version: 'v1' }, body: { reason: 'first' } });
  const plan = { ...FAST_PLAN, steps: [{ traffic: 25, hold: '1h', minSamples: 0 }, { traffic: 100 }] };
  const { rollout } = await admin('startRollout', { body: { model: 'fraud', challenger: 'v2', plan } });
  const flags = [
    ...SDKS.map(({ name, bucketing }) => flagOf(`of-${name}`, bucketing)),
    flagOf('of-everybody', { profile: 'attribute', salt: 'turn', by: [{ attribute: 'bucket' }] }),
  ];
  for (const flag of flags) {
    await admin('saveFlag', { params: { flag: flag.key }, body: { flag, revision: 0, reason: 'test' } });
  }
  await until(
    () => admin('getRollout', { params: { rollout: rollout.id } }),
    (view) => view.rollout.state.phase === 'stepping',
    'the first step',
  );
}

describeWithPython('the Python SDK', () => {
  beforeAll(async () => {
    assertPython();
    await openWorld();
    for (const { name, family } of SDKS) {
      const body = { name, scopes: ['flags' as const], sdk: family };
      const { secret } = await running.admin('createToken', { body });
      keys.set(family, secret);
      drivers.set(name, startDriver('sdk_driver.py', [name, running.controlUrl, secret, directory]));
    }
    decisions = await evaluatedHere(running, SUBJECTS);
    return async () => {
      await Promise.all([...drivers.values()].map((driver) => driver.stop()));
      await running.close();
      await rm(directory, { recursive: true, force: true });
    };
  }, 60_000);

  it.each(SDKS)('$name decides a flag with pins, a rule and three slices as the server does', async ({ name }) => {
    const expected = expectedOf(`of-${name}`);
    expect(new Set(expected)).toEqual(new Set(['v1', 'v2', 'v3']));
    expect(await asked(name, `of-${name}`, 'none')).toEqual(expected);
  });

  it.each(SDKS)('$name agrees with every other SDK when the caller brings the bucket', async ({ name }) => {
    const expected = expectedOf('of-everybody');
    expect(new Set(expected)).toEqual(new Set(['v1', 'v2', 'v3']));
    expect(await asked(name, 'of-everybody', 'none')).toEqual(expected);
  });

  it.each(SDKS.filter((sdk) => sdk.agreesOnRollouts))(
    '$name gives the rollout’s challenger to the same users',
    async ({ name }) => {
      const expected = expectedOf('fraud-version');
      expect(new Set(expected)).toEqual(new Set(['v1', 'v2']));
      expect(await asked(name, 'fraud-version', 'none')).toEqual(expected);
    },
  );

  it('launchdarkly gives the rollout’s challenger to the share that it is sent, by its own hash', async () => {
    const key = keys.get('launchdarkly') ?? '';
    const expected = await evaluatedAsLaunchDarkly(running, key, { flag: 'fraud-version', subjects: SUBJECTS });
    expect(new Set(expected)).toEqual(new Set(['v1', 'v2']));
    expect(await asked('launchdarkly', 'fraud-version', 'none')).toEqual(expected);
  });

  it.each(SDKS)('$name: the boolean of the challenger is true for whom the version is the challenger', async ({ name }) => {
    const versions = await asked(name, 'fraud-version', 'none');
    const isChallenger = Array.isArray(versions) ? versions.map((version) => version === 'v2') : [];
    expect(isChallenger).toContain(true);
    expect(await asked(name, 'fraud-v2', false)).toEqual(isChallenger);
  });
});
