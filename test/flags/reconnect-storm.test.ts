// Streams of all families break at once: everybody is back with the present state, and nothing was written more than once for it.
import { get } from 'node:http';
import { renderFlagsmith } from '@understudy/core/flags/render-flagsmith';
import { renderLaunchDarkly } from '@understudy/core/flags/render-launchdarkly';
import { renderUnleash } from '@understudy/core/flags/render-unleash';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EventStream } from '../../bench/streaming/event-stream.ts';
import { ON_VARIANT, OPEN_CLIENT, PINNED_USER } from '../../bench/streaming/family-clients.ts';
import { FAMILIES } from '../../bench/streaming/messages.ts';
import { openProtocolRig, type ProtocolRig, SERVER_KEY } from '../../packages/server/src/protocols/edge/protocol-rig.contract.ts';
import { flagsmithProtocol } from '../../packages/server/src/protocols/flagsmith/flagsmith.ts';
import { launchdarklyProtocol } from '../../packages/server/src/protocols/launchdarkly/launchdarkly.ts';
import { ofrepProtocol } from '../../packages/server/src/protocols/ofrep/ofrep.ts';
import { type ProtocolWorld, splitFlag } from '../../packages/server/src/protocols/test-world.ts';
import { unleashProtocol } from '../../packages/server/src/protocols/unleash/unleash-protocol.ts';

vi.mock('@understudy/core/flags/render-unleash', { spy: true });
vi.mock('@understudy/core/flags/render-launchdarkly', { spy: true });
vi.mock('@understudy/core/flags/render-flagsmith', { spy: true });

const FLAG = 'model';
const CLIENTS_PER_FAMILY = 40;
const ALL = CLIENTS_PER_FAMILY * FAMILIES.length;

interface Client {
  readonly name: string;
  readonly stream: EventStream;
}

let rig: ProtocolRig;
let clients: Client[];
let problems: string[];
/** Who has seen which state since it was last forgotten. */
let seen: Map<string, boolean>;

/** All families on one port. */
function allProtocols({ ports }: ProtocolWorld): ReturnType<typeof unleashProtocol> {
  return (app, _options, done) => {
    void app.register(unleashProtocol(ports), { prefix: '/unleash' });
    void app.register(launchdarklyProtocol(ports), { prefix: '/launchdarkly' });
    void app.register(flagsmithProtocol(ports), { prefix: '/flagsmith' });
    void app.register(ofrepProtocol(ports), { prefix: '/ofrep' });
    done();
  };
}

function put(on: boolean): void {
  rig.set({ flags: [splitFlag(FLAG, 10_000, { on, pins: [{ variant: ON_VARIANT, keys: [PINNED_USER] }] })] });
}

function openAll(): void {
  for (let number = 0; number < CLIENTS_PER_FAMILY; number += 1) {
    for (const family of FAMILIES) {
      const name = `${family} ${number}`;
      const stream = OPEN_CLIENT[family](
        { origin: rig.origin, flag: FLAG, key: SERVER_KEY },
        { saw: (on) => void seen.set(name, on), problem: (text) => void problems.push(`${name}: ${text}`) },
      );
      clients.push({ name, stream });
    }
  }
}

async function untilAllKnow(on: boolean): Promise<void> {
  const know = (): number => [...seen.values()].filter((state) => state === on).length;
  await vi.waitFor(() => expect(know()).toBe(ALL), { timeout: 12_000, interval: 20 });
}

/** How often the flags were written for each family that gets all of them. */
function renderings(): readonly number[] {
  return [renderUnleash, renderLaunchDarkly, renderFlagsmith].map((render) => vi.mocked(render).mock.calls.length);
}

beforeEach(async () => {
  rig = await openProtocolRig('', allProtocols);
  clients = [];
  problems = [];
  seen = new Map();
  vi.clearAllMocks();
  put(true);
});

afterEach(async () => {
  for (const { stream } of clients) stream.close();
  await rig.stop();
});

describe(`a storm of ${ALL} clients`, () => {
  it('is answered from what was written once for the revision, again and again', async () => {
    openAll();
    await untilAllKnow(true);
    expect(renderings()).toEqual([1, 1, 1]);
    for (let storm = 0; storm < 3; storm += 1) {
      seen.clear();
      for (const { stream } of clients) stream.breakAndReturn();
      await untilAllKnow(true);
    }
    expect(renderings()).toEqual([1, 1, 1]);
    put(false);
    await untilAllKnow(false);
    expect(renderings()).toEqual([2, 2, 2]);
    expect(problems).toEqual([]);
  });

  it('is over soon after a restart, with what changed meanwhile and without an error', async () => {
    openAll();
    await untilAllKnow(true);
    await rig.stop();
    put(false);
    vi.clearAllMocks();
    await rig.start();
    await untilAllKnow(false);
    expect(renderings()).toEqual([1, 1, 1]);
    expect(problems).toEqual([]);
  });
});

describe('the time after which to come back', () => {
  const bulk = async (): Promise<string> => {
    const headers = { 'x-api-key': SERVER_KEY, 'content-type': 'application/json' };
    const response = await fetch(`${rig.origin}/ofrep/v1/evaluate/flags`, { method: 'POST', headers, body: '{"context":{}}' });
    const answer: { eventStreams: { endpoint: { requestUri: string } }[] } = JSON.parse(await response.text());
    return answer.eventStreams[0]?.endpoint.requestUri ?? '';
  };

  it.each([
    { family: 'unleash', path: async () => '/unleash/api/client/streaming', least: 1000, most: 2000 },
    { family: 'launchdarkly', path: async () => '/launchdarkly/all', least: 1000, most: 4000 },
    { family: 'flagsmith', path: async () => `/flagsmith/sse/environments/${SERVER_KEY}/stream`, least: 500, most: 1500 },
    { family: 'ofrep', path: bulk, least: 500, most: 1500 },
  ])('is told by $family, and another one to each client', async ({ path, least, most }) => {
    const url = rig.origin + (await path());
    const told = await Promise.all(Array.from({ length: 30 }, () => retryToldBy(url)));
    expect(Math.min(...told)).toBeGreaterThanOrEqual(least);
    expect(Math.max(...told)).toBeLessThanOrEqual(most);
    expect(new Set(told).size).toBeGreaterThan(20);
  });
});

/** The first thing that a stream says. */
async function retryToldBy(url: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const request = get(url, { agent: false, headers: { authorization: SERVER_KEY } }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const [, ms] = /^retry: (\d+)\n/.exec(text) ?? [];
      if (ms !== undefined) resolve(Number(ms));
    });
    response.on('error', () => undefined);
  });
  return await promise.finally(() => request.destroy());
}
