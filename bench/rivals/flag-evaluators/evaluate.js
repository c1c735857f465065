// A rival: `node evaluate.js NAME CASE_FILE ROUNDS SECONDS` prints the result of the loop as JSON. Without events, metrics and network.
import { readFileSync } from 'node:fs';
import { init, integrations } from '@launchdarkly/node-server-sdk';
import { FlagdCore } from '@openfeature/flagd-core';
import { openFlagsmith } from './flagsmith.js';
import { InMemStorageProvider, Unleash } from 'unleash-client';
import { loop } from './loop.ts';

const [name, caseFile, rounds, secondsPerRound] = process.argv.slice(2);
const { key, users, documents } = JSON.parse(readFileSync(caseFile, 'utf8'));

const RIVALS = {
  async unleash() {
    const unleash = new Unleash({
      appName: 'bench',
      url: 'http://127.0.0.1:9',
      refreshInterval: 0,
      disableMetrics: true,
      skipInstanceCountWarning: true,
      storageProvider: new InMemStorageProvider(),
      bootstrap: { data: documents.unleash.features },
    });
    unleash.on('error', () => {});
    unleash.on('warn', () => {});
    await new Promise((resolve) => unleash.once('ready', resolve));
    const contexts = users.map(({ id, ...properties }) => ({ userId: id, properties }));
    return { contexts, ask: (context) => unleash.getVariant(key, context).name };
  },
  async launchdarkly() {
    const data = new integrations.TestData();
    await data.usePreconfiguredFlag(documents.launchdarkly.flags[key]);
    const logger = { error() {}, warn() {}, info() {}, debug() {} };
    const client = init('sdk-key', { updateProcessor: data.getFactory(), sendEvents: false, logger });
    await client.waitForInitialization({ timeout: 10 });
    const contexts = users.map(({ id, ...attributes }) => ({ kind: 'user', key: id, ...attributes }));
    return { contexts, ask: (context) => client.variation(key, context, 'v0') };
  },
  async flagsmith() {
    const flagsmith = openFlagsmith(documents.flagsmith);
    const contexts = users.map(({ id, ...traits }) => ({ id, traits }));
    return { contexts, ask: async ({ id, traits }) => (await flagsmith.getIdentityFlags(id, traits)).getFeatureValue(key) };
  },
  async flagd() {
    const logger = { error() {}, warn() {}, info() {}, debug() {} };
    const core = new FlagdCore(undefined, logger);
    core.setConfigurations(JSON.stringify(documents.flagd));
    const contexts = users.map(({ id, ...attributes }) => ({ targetingKey: id, ...attributes }));
    return { contexts, ask: (context) => core.resolveStringEvaluation(key, 'v0', context, logger).value };
  },
};

const { ask, contexts } = await RIVALS[name]();
const options = { rounds: Number(rounds), secondsPerRound: Number(secondsPerRound) };
process.stdout.write(JSON.stringify(await loop(ask, contexts, options)), () => process.exit(0));
