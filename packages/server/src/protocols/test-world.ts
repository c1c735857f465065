/** A flag world to turn by hand, served on a real port: for tests of protocols with real SDKs. */
import { compileFlags, type FlagDocuments } from '@understudy/core/flags/evaluator';
import type { Flag } from '@understudy/core/flags/flag';
import { fastify, type FastifyInstance, type FastifyPluginCallback } from 'fastify';
import { deriveSecrets } from '../derived-secret.ts';
import { compileRegex } from '../regex.ts';
import type { FlagOutcome, FlagState, KeyCheck, ProtocolPorts, SdkSighting } from './flag-world.ts';

export interface ProtocolWorld {
  readonly ports: ProtocolPorts;
  /** Replaces all documents: the next revision. */
  set(documents: Partial<FlagDocuments>): void;
  /** Before the first `set` there is no state; this goes back there. */
  forget(): void;
  /** What `keys.check` says; every key that is not listed is unknown. */
  readonly keys: Map<string, KeyCheck>;
  readonly outcomes: FlagOutcome[];
  readonly sightings: SdkSighting[];
}

export function openProtocolWorld(): ProtocolWorld {
  let state: FlagState | undefined;
  let revision = 0;
  const listeners = new Set<(state: FlagState) => void>();
  const keys = new Map<string, KeyCheck>();
  const outcomes: FlagOutcome[] = [];
  const sightings: SdkSighting[] = [];
  return {
    keys,
    outcomes,
    sightings,
    set({ flags = [], segments = [] }) {
      revision += 1;
      const documents = { flags, segments };
      state = { environment: 'production', revision, documents, evaluator: compileFlags(documents, { compileRegex }) };
      for (const listener of listeners) listener(state);
    },
    forget() {
      state = undefined;
    },
    ports: {
      world: {
        now: () => state,
        onChange(listener) {
          listeners.add(listener);
          return () => void listeners.delete(listener);
        },
      },
      keys: { check: (secret) => Promise.resolve(keys.get(secret) ?? { outcome: 'unknown' }) },
      outcomes: {
        report: (reported) => {
          outcomes.push(...reported);
          return Promise.resolve();
        },
      },
      clock: { nowMs: () => Date.now() },
      log: { info: () => undefined, warn: () => undefined },
      sighted: (sdk) => void sightings.push(sdk),
      secretFor: deriveSecrets(new Uint8Array(32)),
    },
  };
}

/** Serves a protocol under its prefix on a free port. */
export async function serveProtocol(
  prefix: string,
  plugin: FastifyPluginCallback,
): Promise<{ readonly app: FastifyInstance; readonly url: string }> {
  const app = fastify({ forceCloseConnections: true });
  await app.register(plugin, { prefix });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { app, url: `${url}${prefix}` };
}

/** A two-variant flag with a split, as rollouts have. */
export function splitFlag(key: string, weight: number, more: Partial<Flag> = {}): Flag {
  return {
    key,
    type: 'string',
    on: true,
    offVariant: 'v1',
    variants: [
      { name: 'v2', value: 'v2' },
      { name: 'v1', value: 'v1' },
    ],
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: {
      split: {
        slices: [
          { variant: 'v2', weight },
          { variant: 'v1', weight: 100_000 - weight },
        ].filter((slice) => slice.weight > 0),
      },
    },
    bucketing: { profile: 'unleash', salt: key, whenMissing: 'random' },
    ...more,
  };
}
