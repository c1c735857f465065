/** SDKs that ask the server to decide: each question is a call, or they hold the answers for one user at a time. */
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature as ServerFeature } from '@openfeature/server-sdk';
import { OpenFeature as WebFeature, type Provider as PageProvider } from '@openfeature/web-sdk';
import { Flagsmith } from 'flagsmith-nodejs';
import { openLog } from '../../../packages/server/src/log.ts';
import { InMemoryStorageProvider, UnleashClient } from 'unleash-proxy-client';
import { openAnswerCheck } from '../../../packages/server/src/protocols/ofrep/published-schema.contract.ts';
import { defaultFlag } from './default-flag.ts';
import { known, NO_VALUE, type SdkAdapter, type SdkUser } from './sdk-adapter.ts';

const remote = { keeps: 'nothing', sharesRolloutHash: true, recovers: true } as const;

/** Every answer of OFREP, of every scenario, against the published OpenAPI. */
export const OFREP_ANSWERS = openAnswerCheck();

let domains = 0;

const flagsmithRemote: SdkAdapter = {
  ...remote,
  name: 'flagsmith-nodejs, remote evaluation',
  async start({ controlUrl, keys }) {
    const client = new Flagsmith({
      environmentKey: keys.flagsmith,
      apiUrl: `${controlUrl}/flagsmith/api/v1/`,
      retries: 0,
      logger: openLog('silent'),
      defaultFlagHandler: defaultFlag,
    });
    const ask = ({ key, attributes }: SdkUser) => client.getIdentityFlags(key, { ...attributes });
    return {
      valueOf: async (flag, user) => known((await ask(user)).getFeatureValue(flag)),
      isOn: async (flag, user) => (await ask(user)).isFeatureEnabled(flag),
      close: () => client.close(),
    };
  },
};

const ofrepServer: SdkAdapter = {
  ...remote,
  name: '@openfeature/server-sdk, OFREP',
  async start({ controlUrl, keys }) {
    const headers: [string, string][] = [['Authorization', `Bearer ${keys.openfeature}`]];
    const domain = `service-${(domains += 1)}`;
    const provider = new OFREPProvider({ baseUrl: controlUrl, headers, fetchImplementation: OFREP_ANSWERS.fetch });
    await ServerFeature.setProviderAndWait(domain, provider);
    const client = ServerFeature.getClient(domain);
    const contextOf = ({ key, attributes }: SdkUser) => ({ targetingKey: key, ...attributes });
    return {
      valueOf: async (flag, user) => known(await client.getStringValue(flag, NO_VALUE, contextOf(user))),
      isOn: async (flag, user) => await client.getBooleanValue(flag, false, contextOf(user)),
      close: async () => {},
    };
  },
};

/** A page has one user: each user gets a page, which stays open. */
function pages<Page>(open: (user: SdkUser) => Promise<Page>) {
  const opened = new Map<string, Promise<Page>>();
  return {
    of(user: SdkUser): Promise<Page> {
      const name = JSON.stringify([user.key, user.attributes]);
      const page = opened.get(name) ?? open(user);
      opened.set(name, page);
      return page;
    },
    async closeAll(close: (page: Page) => Promise<void>): Promise<void> {
      for (const page of opened.values()) await close(await page);
    },
  };
}

const ofrepWeb: SdkAdapter = {
  ...remote,
  name: '@openfeature/web-sdk, OFREP',
  keeps: 'answers',
  // The provider gives up when its first call fails; a page sets it again.
  recovers: false,
  async start({ controlUrl, keys }) {
    const headers: [string, string][] = [['X-API-Key', keys.openfeature]];
    const { fetch } = OFREP_ANSWERS;
    const open = pages(async ({ key, attributes }) => {
      const domain = `page-${(domains += 1)}`;
      const provider = new OFREPWebProvider({
        baseUrl: controlUrl,
        headers,
        cacheMode: 'disabled',
        fetchImplementation: fetch,
      });
      await WebFeature.setContext(domain, { targetingKey: key, ...attributes });
      // Its optional properties are typed less strictly than ours. It gives up when its first call fails.
      await WebFeature.setProviderAndWait(domain, provider as PageProvider).catch(() => undefined);
      return { client: WebFeature.getClient(domain), provider };
    });
    return {
      valueOf: async (flag, user) => known((await open.of(user)).client.getStringValue(flag, NO_VALUE)),
      isOn: async (flag, user) => (await open.of(user)).client.getBooleanValue(flag, false),
      close: () => open.closeAll(async ({ provider }) => await provider.onClose?.()),
    };
  },
};

const unleashFrontend: SdkAdapter = {
  ...remote,
  name: 'unleash-proxy-client',
  keeps: 'answers',
  async start({ controlUrl, keys }) {
    const open = pages(async ({ key, attributes = {} }) => {
      const properties = Object.fromEntries(Object.entries(attributes).map(([attribute, value]) => [attribute, String(value)]));
      const client = new UnleashClient({
        url: `${controlUrl}/unleash/api/frontend`,
        clientKey: keys.unleashClient,
        appName: 'scenarios',
        disableMetrics: true,
        refreshInterval: 1,
        storageProvider: new InMemoryStorageProvider(),
        context: { userId: key, properties },
      });
      client.on('error', () => undefined);
      await client.start();
      return client;
    });
    return {
      valueOf: async (flag, user) => known((await open.of(user)).getVariant(flag).payload?.value),
      isOn: async (flag, user) => (await open.of(user)).isEnabled(flag),
      close: () => open.closeAll(async (client) => client.stop()),
    };
  },
};

export const REMOTE_SDKS: readonly SdkAdapter[] = [flagsmithRemote, ofrepServer, ofrepWeb, unleashFrontend];
