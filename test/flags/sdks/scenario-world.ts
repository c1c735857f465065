/** One installation with a rollout under way, flags of people, and a key for every family. The scenarios are played in it. */
import type { FlagView } from '@understudy/contract/flag-views';
import type { Bucketing } from '@understudy/core/flags/bucketing-profile';
import type { Flag, Slice } from '@understudy/core/flags/flag';
import type { PlanFile } from '@understudy/contract/plan-file';
import { registerExample, rowsOf, send, UNHURRIED, until } from '../../running-understudy.ts';
import type { SdkPlace } from './sdk-adapter.ts';
import { openServerProcess, type ServerProcess } from './server-process.ts';

export const MODEL = 'digits';
export const VERSION_FLAG = `${MODEL}-version`;
export const CHALLENGER_FLAG = `${MODEL}-v2`;

/** Waits at each step until it is told to go on, and rolls nothing back. */
const PLAN: PlanFile = {
  name: 'scenarios',
  steps: [
    { traffic: 30, hold: '24h', minSamples: 20 },
    { traffic: 60, hold: '24h', minSamples: 20 },
    { traffic: 100, hold: '24h', minSamples: 20 },
  ],
  policy: UNHURRIED,
  checkEvery: '200ms',
};

export interface ScenarioWorld extends SdkPlace {
  readonly server: ServerProcess;
  readonly rollout: string;
  save(flag: Flag): Promise<FlagView>;
}

/** Opens everything; the rollout has taken its first step. */
export async function openScenarioWorld(): Promise<ScenarioWorld> {
  const server = await openServerProcess();
  try {
    const { admin } = server;
    await admin('createModel', { body: { name: MODEL } });
    for (const version of ['v1', 'v2']) await registerExample(admin, MODEL, version);
    await admin('promoteVersion', { params: { model: MODEL, version: 'v1' }, body: { reason: 'first' } });
    const { rollout } = await admin('startRollout', { body: { model: MODEL, challenger: 'v2', plan: PLAN } });
    await until(
      () => admin('getRollout', { params: { rollout: rollout.id } }),
      (view) => view.rollout.state.phase === 'stepping',
      'the first step',
    );
    const keyFor = async (sdk: 'unleash' | 'launchdarkly' | 'flagsmith' | 'openfeature', scope: 'flags' | 'flags-client') =>
      (await admin('createToken', { body: { name: `${sdk} ${scope}`, scopes: [scope], sdk } })).secret;
    const keys = {
      unleash: await keyFor('unleash', 'flags'),
      unleashClient: await keyFor('unleash', 'flags-client'),
      launchdarkly: await keyFor('launchdarkly', 'flags'),
      flagsmith: await keyFor('flagsmith', 'flags'),
      openfeature: await keyFor('openfeature', 'flags'),
    };
    const save = (flag: Flag): Promise<FlagView> =>
      admin('saveFlag', { params: { flag: flag.key }, body: { flag: { ...flag }, revision: 0, reason: 'scenario' } });
    return { server, controlUrl: server.controlUrl, keys, rollout: rollout.id, save };
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** Sends real predictions until the evidence is enough for the next step, and takes it. */
export async function climb({ server, rollout }: ScenarioWorld): Promise<void> {
  const rows = await rowsOf(MODEL);
  await until(
    async () => {
      const batch = rows.slice(0, 100).map((features, index) => {
        return send(server, `/predict/${MODEL}`, { body: { features }, headers: { 'x-user-id': `climber-${index}` } });
      });
      await Promise.all(batch);
      return await server.admin('stepRollout', { params: { rollout }, body: { skipHold: true } });
    },
    ({ rollout: { state } }) => 'step' in state && state.step > 0,
    'the next step',
  );
}

/** A text flag: who is pinned gets v2, so do Swedes, and of all others a share. */
export function choiceFlag(key: string, percent: number, bucketing: Bucketing): Flag {
  const slices: Slice[] = [
    { variant: 'v2', weight: percent * 1000 },
    { variant: 'v1', weight: 100_000 - percent * 1000 },
  ];
  return {
    key,
    type: 'string',
    on: true,
    offVariant: 'v1',
    variants: ['v1', 'v2'].map((name) => ({ name, value: name })),
    prerequisites: [],
    pins: [{ variant: 'v2', keys: ['ana'] }],
    rules: [
      {
        id: 'swedes',
        all: [{ type: 'attribute', attribute: 'country', operator: 'in', values: ['SE'] }],
        serve: { variant: 'v2' },
      },
    ],
    fallthrough: { split: { slices } },
    bucketing,
  };
}
