/** SDKs that hold all rules and decide by themselves. */
import { init } from '@launchdarkly/node-server-sdk';
import { Flagsmith } from 'flagsmith-nodejs';
import { openLog } from '../../../packages/server/src/log.ts';
import { InMemStorageProvider, Unleash, type UnleashConfig } from 'unleash-client';
import { defaultFlag } from './default-flag.ts';
import { known, NO_VALUE, type OpenSdk, type SdkAdapter, type SdkPlace, type SdkUser } from './sdk-adapter.ts';

const START_MS = 3000;
const silent = { error() {}, warn() {}, info() {}, debug() {} };

const local = { keeps: 'flags', recovers: true } as const;

/** Waits for an SDK, but no longer than a service would. */
async function waitAtMost(ready: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, START_MS);
  await Promise.race([ready, late]).catch(() => undefined);
  clearTimeout(timer);
}

function unleashAdapter(name: string, config: Partial<UnleashConfig>): SdkAdapter {
  return {
    ...local,
    name,
    sharesRolloutHash: true,
    async start({ controlUrl, keys }: SdkPlace): Promise<OpenSdk> {
      const sdk = new Unleash({
        url: `${controlUrl}/unleash/api`,
        appName: 'scenarios',
        customHeaders: { Authorization: keys.unleash },
        refreshInterval: 100,
        disableMetrics: true,
        skipInstanceCountWarning: true,
        // Nothing of another process on the disk.
        storageProvider: new InMemStorageProvider(),
        ...config,
      });
      sdk.on('error', () => undefined);
      sdk.on('warn', () => undefined);
      await waitAtMost(new Promise((resolve) => sdk.once('synchronized', resolve)));
      const contextOf = ({ key, attributes = {} }: SdkUser) => ({
        userId: key,
        properties: Object.fromEntries(Object.entries(attributes).map(([attribute, value]) => [attribute, String(value)])),
      });
      return {
        valueOf: async (flag, user) => known(sdk.getVariant(flag, contextOf(user)).payload?.value),
        isOn: async (flag, user) => sdk.isEnabled(flag, contextOf(user)),
        close: async () => sdk.destroy(),
      };
    },
  };
}

function launchdarklyAdapter(name: string, options: { readonly stream: boolean }): SdkAdapter {
  return {
    ...local,
    name,
    sharesRolloutHash: false,
    async start({ controlUrl, keys }) {
      const url = `${controlUrl}/launchdarkly`;
      const uris = { baseUri: url, streamUri: url, eventsUri: url };
      const client = init(keys.launchdarkly, { ...uris, ...options, diagnosticOptOut: true, logger: silent });
      client.on('error', () => undefined);
      await waitAtMost(client.waitForInitialization({ timeout: START_MS / 1000 }));
      const contextOf = ({ key, attributes = {} }: SdkUser) => ({ kind: 'user', key, ...attributes });
      return {
        valueOf: async (flag, user) => known(await client.variation(flag, contextOf(user), NO_VALUE)),
        isOn: async (flag, user) => Boolean(await client.variation(flag, contextOf(user), false)),
        close: async () => client.close(),
      };
    },
  };
}

const flagsmithLocal: SdkAdapter = {
  ...local,
  name: 'flagsmith-nodejs, local evaluation',
  sharesRolloutHash: false,
  async start({ controlUrl, keys }) {
    const client = new Flagsmith({
      environmentKey: keys.flagsmith,
      apiUrl: `${controlUrl}/flagsmith/api/v1/`,
      enableLocalEvaluation: true,
      environmentRefreshIntervalSeconds: 0.1,
      retries: 0,
      logger: openLog('silent'),
      defaultFlagHandler: defaultFlag,
    });
    await waitAtMost(client.getEnvironmentFlags());
    return {
      valueOf: async (flag, { key, attributes }) => {
        const flags = await client.getIdentityFlags(key, { ...attributes });
        return known(flags.getFeatureValue(flag));
      },
      isOn: async (flag, { key, attributes }) => (await client.getIdentityFlags(key, { ...attributes })).isFeatureEnabled(flag),
      close: () => client.close(),
    };
  },
};

export const LOCAL_SDKS: readonly SdkAdapter[] = [
  unleashAdapter('unleash-client, polling', {}),
  unleashAdapter('unleash-client, streaming', { experimentalMode: { type: 'streaming' } }),
  launchdarklyAdapter('@launchdarkly/node-server-sdk, streaming', { stream: true }),
  launchdarklyAdapter('@launchdarkly/node-server-sdk, polling', { stream: false }),
  flagsmithLocal,
];
