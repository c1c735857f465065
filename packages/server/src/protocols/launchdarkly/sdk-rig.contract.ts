/** The real SDK against a world to turn by hand. For the tests of this folder. */
import { init, type LDClient, type LDOptions } from '@launchdarkly/node-server-sdk';
import type { Context, JsonValue } from '@understudy/core/flags/context';
import { fastify, type FastifyInstance } from 'fastify';
import type { FlagOutcome } from '../flag-world.ts';
import { openProtocolWorld, type ProtocolWorld, serveProtocol } from '../test-world.ts';
import { launchdarklyProtocol } from './launchdarkly.ts';
import { STREAM_LIMITS, type StreamLimits } from './streams.ts';

export const SERVER_KEY = 'sdk-server';
export const CLIENT_KEY = 'sdk-client';

export interface SdkRig {
  readonly world: ProtocolWorld;
  readonly url: string;
  /** A new SDK, closed with the rig. */
  sdk(options?: LDOptions, key?: string): LDClient;
  /** Asks the server without an SDK. */
  ask(path: string, options?: Question): Promise<Response>;
  stop(): Promise<void>;
  /** Serves another world, or the same one, on the same port. */
  restart(next?: ProtocolWorld): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A request with plain headers. */
export type Question = Omit<RequestInit, 'headers'> & { readonly headers?: Readonly<Record<string, string>> };

/** Reconnects soon, so that tests do not wait. */
const QUICK: StreamLimits = { ...STREAM_LIMITS, retryMs: [20, 40] };

export function keyedWorld(): ProtocolWorld {
  const world = openProtocolWorld();
  world.keys.set(SERVER_KEY, { outcome: 'known', name: 'scoring', use: 'server' });
  world.keys.set(CLIENT_KEY, { outcome: 'known', name: 'shop', use: 'client' });
  return world;
}

export async function openSdkRig(limits: Partial<StreamLimits> = {}): Promise<SdkRig> {
  const world = keyedWorld();
  const all = { ...QUICK, ...limits };
  let served: { readonly app: FastifyInstance; readonly url: string } = await serveProtocol(
    '/launchdarkly',
    launchdarklyProtocol(world.ports, all),
  );
  const { url } = served;
  const clients: LDClient[] = [];
  return {
    world,
    url,
    sdk(options = {}, key = SERVER_KEY) {
      const logger = { error() {}, warn() {}, info() {}, debug() {} };
      const uris = { baseUri: url, streamUri: url, eventsUri: url };
      const quick = { streamInitialReconnectDelay: 0.05, diagnosticOptOut: true, flushInterval: 3600 };
      const client = init(key, { ...uris, ...quick, logger, ...options });
      client.on('error', () => undefined);
      clients.push(client);
      return client;
    },
    ask: async (path, options = {}) => {
      return await fetch(`${url}${path}`, { ...options, headers: { authorization: SERVER_KEY, ...options.headers } });
    },
    stop: async () => await served.app.close(),
    async restart(next = world) {
      await served.app.close();
      const app = fastify({ forceCloseConnections: true });
      await app.register(launchdarklyProtocol(next.ports, all), { prefix: '/launchdarkly' });
      await app.listen({ port: Number(new URL(url).port), host: '127.0.0.1' });
      served = { app, url };
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      await served.app.close();
    },
  };
}

export async function ready(client: LDClient): Promise<LDClient> {
  await client.waitForInitialization({ timeout: 5 });
  return client;
}

/** Resolves with the time it took when the SDK has told of a change of a flag. To be called before the change. */
export async function updateOf(client: LDClient, flag: string, deadlineMs = 5000): Promise<number> {
  const begin = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const late = setTimeout(() => reject(new Error(`no update of "${flag}" within ${deadlineMs} ms`)), deadlineMs);
  client.on(`update:${flag}`, () => resolve(performance.now() - begin));
  return await promise.finally(() => clearTimeout(late));
}

/** Waits for something to become true, looking often. */
export async function until(isTrue: () => boolean, deadlineMs = 5000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`not true within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Ids as they occur, also outside of ASCII. */
export function ids(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => (index % 10 === 0 ? `användare-${index}-ö` : `user-${index}`));
}

export function evaluated(world: ProtocolWorld, flag: string, context: Context): JsonValue | undefined {
  const evaluation = world.ports.world.now()?.evaluator.evaluate(flag, context, { atMs: Date.now(), random: () => 0 });
  return evaluation?.value;
}

/** Outcomes without what differs from run to run. */
export function plain(outcomes: readonly FlagOutcome[]): readonly object[] {
  return outcomes
    .map(({ batch: _batch, atMs: _atMs, ...rest }) => rest)
    .toSorted((a, b) => `${a.flag} ${a.variant}`.localeCompare(`${b.flag} ${b.variant}`));
}
