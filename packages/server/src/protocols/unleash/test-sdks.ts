/** Unleash's own SDKs against a served world, and waiting for what they say: for the tests of this folder. */
import { EventEmitter } from 'node:events';
import { fastify, type FastifyInstance } from 'fastify';
import { InMemStorageProvider, Unleash, type UnleashConfig } from 'unleash-client';
import { onTestFinished } from 'vitest';
import { openProtocolWorld, type ProtocolWorld } from '../test-world.ts';
import { unleashProtocol, type UnleashOptions } from './unleash-protocol.ts';

export const SERVER_KEY = 'default:production.server-secret';
export const CLIENT_KEY = 'default:production.client-secret';

/** Long enough for a machine that is busy; what waits for it has failed. */
const DEADLINE_MS = 10_000;

/** A world with a key of each use. */
export function openWorld(): ProtocolWorld {
  const world = openProtocolWorld();
  world.keys.set(SERVER_KEY, { outcome: 'known', name: 'payments', use: 'server' });
  world.keys.set(CLIENT_KEY, { outcome: 'known', name: 'shop', use: 'client' });
  return world;
}

export interface Served {
  readonly app: FastifyInstance;
  /** Without a path. */
  readonly origin: string;
  /** What SDKs are given as their address. */
  readonly api: string;
  /** Each request, by method and path. */
  readonly requests: EventEmitter;
}

export interface ServeOptions extends UnleashOptions {
  /** One that was used before, to come back after an outage. */
  readonly port?: number;
  /** As a proxy does that knows only some paths. */
  readonly refusesStreams?: boolean;
}

/** Serves the protocol until the test ends. */
export async function serve(world: ProtocolWorld, options: ServeOptions = {}): Promise<Served> {
  const app = fastify({ forceCloseConnections: true });
  const requests = new EventEmitter();
  app.addHook('onRequest', async ({ method, url }, reply) => {
    requests.emit(`${method} ${url.split('?', 1)[0]}`);
    if (options.refusesStreams === true && url.endsWith('/streaming')) await reply.status(404).send();
  });
  await app.register(unleashProtocol(world.ports, options), { prefix: '/unleash' });
  const origin = await app.listen({ port: options.port ?? 0, host: '127.0.0.1' });
  onTestFinished(() => app.close());
  return { app, origin, api: `${origin}/unleash/api`, requests };
}

export function portOf({ origin }: Served): number {
  return Number(new URL(origin).port);
}

/** Node's SDK as an application has it, but with a quiet log and without flags of earlier tests on the disk. */
export function startSdk({ api }: Pick<Served, 'api'>, config: Partial<UnleashConfig> = {}): Unleash {
  const sdk = new Unleash({
    url: api,
    appName: 'payments',
    customHeaders: { Authorization: SERVER_KEY },
    refreshInterval: 100,
    disableMetrics: true,
    skipInstanceCountWarning: true,
    storageProvider: new InMemStorageProvider(),
    ...config,
  });
  sdk.on('error', () => undefined);
  onTestFinished(() => sdk.destroy());
  return sdk;
}

/** Events of Node, and those that SDKs for browsers bring. */
interface Emitter {
  once(event: string, listener: (...values: readonly unknown[]) => void): unknown;
}

/** The next event of a name. */
export async function next(source: Emitter, event: string): Promise<readonly unknown[]> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error(`no event "${event}" within ${DEADLINE_MS} ms`)), DEADLINE_MS);
    source.once(event, (...values: readonly unknown[]) => {
      clearTimeout(deadline);
      resolve(values);
    });
  });
}

/** Waits, from change to change, until something is so. */
export async function until(sdk: Unleash, isSo: () => boolean): Promise<void> {
  while (!isSo()) await next(sdk, 'changed');
}

export const IDS = Array.from({ length: 10_000 }, (_, index) => `user-${index}`);

/** What Node's SDK gives each subject. */
export function variantsOf(sdk: Unleash, flag: string): readonly (string | undefined)[] {
  return IDS.map((userId) => sdk.getVariant(flag, { userId }).name);
}

/** What our evaluator gives each subject. */
export function evaluatedVariants({ ports }: ProtocolWorld, flag: string): readonly (string | undefined)[] {
  const evaluator = ports.world.now()?.evaluator;
  return IDS.map((key) => evaluator?.evaluate(flag, { user: { key } }, { atMs: 0, random: () => 0 }).variant);
}
