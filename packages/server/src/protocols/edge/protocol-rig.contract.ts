/** A protocol on a real port that can go away and come back there, and questions about many users. Tests with real SDKs depend on it. */
import type { Context, JsonValue } from '@understudy/core/flags/context';
import type { Evaluation } from '@understudy/core/flags/evaluation';
import type { Flag } from '@understudy/core/flags/flag';
import { fastify, type FastifyInstance, type FastifyPluginCallback } from 'fastify';
import { expect, vi } from 'vitest';
import { openProtocolWorld, type ProtocolWorld, splitFlag } from '../test-world.ts';

export const SERVER_KEY = 'server-key';
export const CLIENT_KEY = 'client-key';

export interface ProtocolRig extends ProtocolWorld {
  /** Without the prefix. */
  readonly origin: string;
  readonly prefix: string;
  stop(): Promise<void>;
  /** On the same port, as a new process: what the protocol held in memory is gone. */
  start(): Promise<void>;
  /** What our evaluator says. */
  evaluate(flag: string, context: Context): Evaluation;
}

export async function openProtocolRig(
  prefix: string,
  protocol: (world: ProtocolWorld) => FastifyPluginCallback,
): Promise<ProtocolRig> {
  const world = openProtocolWorld();
  world.keys.set(SERVER_KEY, { outcome: 'known', name: 'backend', use: 'server' });
  world.keys.set(CLIENT_KEY, { outcome: 'known', name: 'pages', use: 'client' });
  let app: FastifyInstance | undefined;
  let port = 0;
  const start = async (): Promise<void> => {
    app = fastify({ forceCloseConnections: true });
    await app.register(protocol(world), { prefix });
    port = Number(new URL(await app.listen({ port, host: '127.0.0.1' })).port);
  };
  await start();
  return {
    ...world,
    origin: `http://127.0.0.1:${port}`,
    prefix,
    start,
    async stop() {
      await app?.close();
    },
    evaluate(flag, context) {
      const state = world.ports.world.now();
      if (state === undefined) throw new Error('the rig has no state');
      return state.evaluator.evaluate(flag, context, { atMs: Date.now(), random: () => 0.5 });
    },
  };
}

/** Asks for many things, some at a time, and keeps their order. */
export async function askAll<Item, Answer>(items: readonly Item[], ask: (item: Item) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let start = 0; start < items.length; start += 50) {
    answers.push(...(await Promise.all(items.slice(start, start + 50).map(ask))));
  }
  return answers;
}

/** Tries again until it holds, at most 5 s. */
export async function eventually(check: () => unknown): Promise<void> {
  await vi.waitFor(async () => expect(await check()).toBeTruthy(), { timeout: 5000, interval: 5 });
}

/** The time of the fastest of three turns, in milliseconds: what the server needs, not what else this machine does. */
export async function fastestOfThree(turn: (number: number) => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (const number of [1, 2, 3]) {
    const startedAt = performance.now();
    await turn(number);
    times.push(performance.now() - startedAt);
  }
  return Math.min(...times);
}

/** How often each answer was given. */
export function tally(answers: readonly JsonValue[]): Readonly<Record<string, number>> {
  return Object.fromEntries(Array.from(Map.groupBy(answers, String), ([answer, same]) => [answer, same.length]));
}

/** A boolean that is true for the users whose version is v2. */
export function derivedFlag(key: string, parent: string): Flag {
  return {
    ...splitFlag(key, 0),
    type: 'boolean',
    offVariant: 'off',
    variants: [
      { name: 'on', value: true },
      { name: 'off', value: false },
    ],
    prerequisites: [{ flag: parent, variants: ['v2'] }],
    fallthrough: { variant: 'on' },
  };
}

/** A split that Flagsmith's SDKs hash as our evaluator does, in the environment "production". */
export const FLAGSMITH_BUCKETING = {
  profile: 'flagsmith',
  salt: '4711',
  prefix: 'production_',
  whenMissing: 'none',
} as const satisfies Flag['bucketing'];
