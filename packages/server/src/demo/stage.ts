/** Sets the stage through the API, as anybody would: tokens, models, versions with their baselines, first champions, traffic. */
import { type Client, createClient } from '@understudy/contract/client';
import type { ModelAsset, VersionAsset } from './assets.ts';
import { WATCH } from './demo-plans.ts';
import type { Screen } from './screen.ts';
import { openTraffic, type Traffic } from './traffic.ts';
import { waitFor } from './waiting.ts';

/** A server that runs in this process. */
export interface StartedServer {
  readonly controlUrl: string;
  readonly gatewayUrl: string;
  readonly adminToken: string;
  close(): Promise<void>;
}

/** Everything a story plays on. */
export interface Stage {
  /** Calls the control API with a token that may read and operate. */
  readonly client: Client;
  readonly traffic: Traffic;
  readonly screen: Screen;
  readonly signal: AbortSignal;
  readonly assets: Readonly<Record<'digits' | 'diabetes', ModelAsset>>;
}

export interface Tokens {
  readonly operate: string;
  readonly predict: string;
}

export const FIRST_CHAMPION = 'v1';

const READY_WITHIN_MS = 30_000;
const ANSWERS_WITHIN_MS = 20_000;
const LOOK_EVERY_MS = 100;
// The gateway has answered so many of each model's users before the first story begins.
const WARM_ANSWERS = 200;

/** One token for each purpose; the first one, which may do everything, is not used again. */
export async function createTokens(server: StartedServer, signal: AbortSignal): Promise<Tokens> {
  const client = createClient({ url: server.controlUrl, token: server.adminToken });
  const operate = await client('createToken', { body: { name: 'demo-operator', scopes: ['read', 'operate'] }, signal });
  const predict = await client('createToken', { body: { name: 'demo-users', scopes: ['predict'] }, signal });
  return { operate: operate.secret, predict: predict.secret };
}

/** Creates a model, registers its versions and makes the first one champion. */
export async function bringUp(client: Client, asset: ModelAsset, signal: AbortSignal): Promise<void> {
  const { model } = asset;
  await client('createModel', { body: { name: model, watch: WATCH }, signal });
  for (const version of asset.versions) await register(client, model, { version, signal });
  const reason = 'the version that was in production before';
  await client('promoteVersion', { params: { model, version: FIRST_CHAMPION }, body: { reason }, signal });
}

async function register(
  client: Client,
  model: string,
  { version, signal }: { readonly version: VersionAsset; readonly signal: AbortSignal },
): Promise<void> {
  const { sha256 } = await client('uploadArtifact', { query: { name: version.fileName }, body: version.bytes, signal });
  const body = {
    version: version.version,
    artifact: sha256,
    baseline: { predictions: [...version.baseline] },
    note: version.note,
  };
  await client('registerVersion', { params: { model }, body, signal });
}

/** Waits until a gateway has the version loaded, warmed up and probed. */
export async function waitUntilReady(
  client: Client,
  version: { readonly model: string; readonly version: string },
  signal: AbortSignal,
): Promise<void> {
  const what = `${version.model} ${version.version} to be ready on the gateway`;
  await waitFor({ what, withinMs: READY_WITHIN_MS, everyMs: LOOK_EVERY_MS, signal }, async () => {
    const { readiness } = await client('getVersion', { params: version, signal });
    const gateways = Object.values(readiness);
    const unready = gateways.find(({ state }) => state !== 'ready');
    if (gateways.length > 0 && unready === undefined) return { found: undefined };
    return { insteadOf: unready === undefined ? 'no gateway has reported it' : `it is ${unready.state} (${unready.detail})` };
  });
}

/** Opens the traffic and waits until both models have answered. */
export async function openBusyTraffic(
  stage: Omit<Stage, 'traffic'>,
  plan: { readonly gatewayUrl: string; readonly token: string },
  onFailure: (error: Error) => void,
): Promise<Traffic> {
  const models = Object.values(stage.assets).map(({ traffic }) => traffic);
  const traffic = openTraffic({ ...plan, models }, onFailure);
  try {
    for (const { model } of models) await waitUntilAnswered(traffic, model, stage.signal);
    return traffic;
  } catch (error) {
    await traffic.close();
    throw error;
  }
}

async function waitUntilAnswered(traffic: Traffic, model: string, signal: AbortSignal): Promise<void> {
  const what = `the gateway to answer ${WARM_ANSWERS} requests of ${model}`;
  await waitFor({ what, withinMs: ANSWERS_WITHIN_MS, everyMs: LOOK_EVERY_MS, signal }, () => {
    const { answers, errors, problems } = traffic.measureOf(model);
    if (answers >= WARM_ANSWERS) return { found: undefined };
    return { insteadOf: `${answers} answers and ${errors} errors (${Object.keys(problems).join(', ')})` };
  });
}
