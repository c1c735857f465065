// Flagsmith's own SDK for Node, unmodified, against our server.
import { request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { Flag } from '@understudy/core/flags/flag';
import { EventSource } from 'eventsource';
import { Flagsmith, DefaultFlag, type Flags } from 'flagsmith-nodejs';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  askAll,
  CLIENT_KEY,
  derivedFlag,
  eventually,
  fastestOfThree,
  FLAGSMITH_BUCKETING,
  openProtocolRig,
  type ProtocolRig,
  SERVER_KEY,
  tally,
} from '../edge/protocol-rig.contract.ts';
import { splitFlag } from '../test-world.ts';
import { flagsmithProtocol } from './flagsmith.ts';

const logger = pino({ level: 'silent' });
const USERS = Array.from({ length: 3000 }, (_, index) => `user-${index}`);
const FEW_USERS = USERS.slice(0, 500);

let rig: ProtocolRig;
const clients: Flagsmith[] = [];

beforeEach(async () => {
  rig = await openProtocolRig('/flagsmith', (world) => flagsmithProtocol(world.ports, { maxStreams: 2 }));
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await rig.stop();
});

type Options = Partial<ConstructorParameters<typeof Flagsmith>[0]>;

function openClient(options: Options = {}): Flagsmith {
  const client = new Flagsmith({
    environmentKey: SERVER_KEY,
    apiUrl: `${rig.origin}/flagsmith/api/v1/`,
    retries: 0,
    logger,
    ...options,
  });
  clients.push(client);
  return client;
}

function openLocalClient(): Flagsmith {
  return openClient({
    environmentKey: `ser.${SERVER_KEY}`,
    enableLocalEvaluation: true,
    environmentRefreshIntervalSeconds: 3600,
  });
}

async function valuesOf(client: Flagsmith, flag: string, users: readonly string[]): Promise<string[]> {
  return askAll(users, async (user) => String((await client.getIdentityFlags(user)).getFeatureValue(flag)));
}

function expectedOf(flag: string, users: readonly string[]): string[] {
  return users.map((user) => rig.evaluate(flag, { user: { key: user } }).variant ?? 'none');
}

const localFlag = (key: string, weight: number, more: Partial<Flag> = {}): Flag =>
  splitFlag(key, weight, { bucketing: FLAGSMITH_BUCKETING, ...more });

const countryRule: Flag['rules'][number] = {
  id: 'swedes',
  all: [{ type: 'attribute', attribute: 'country', operator: 'in', values: ['SE'] }],
  serve: { variant: 'v2' },
};

type Headings = Readonly<Record<string, string>>;

async function ask(
  path: string,
  init: { key?: string; method?: string; body?: string | Buffer; headers?: Headings } = {},
): Promise<Response> {
  const { key = SERVER_KEY, ...rest } = init;
  return fetch(`${rig.origin}/flagsmith${path}`, { ...rest, headers: { 'x-environment-key': key, ...rest.headers } });
}

/** The environment's key, as the document has it. */
async function ownKey(): Promise<string> {
  const { api_key: key } = z.object({ api_key: z.string() }).parse(await (await ask('/api/v1/environment-document/')).json());
  return key;
}

const identify = (identity: object, headers: Headings = {}): Promise<Response> =>
  ask('/api/v1/identities/', { method: 'POST', body: JSON.stringify(identity), headers });

describe('remote evaluation', () => {
  it('gives every user what our evaluator gives', async () => {
    rig.set({ flags: [splitFlag('model', 10_000), localFlag('hashed', 30_000)] });
    const client = openClient();
    const answers = await askAll(USERS, (user) => client.getIdentityFlags(user));
    const read = (flag: string) => answers.map((flags: Flags) => String(flags.getFeatureValue(flag)));
    expect(read('model')).toEqual(expectedOf('model', USERS));
    expect(read('hashed')).toEqual(expectedOf('hashed', USERS));
    expect(tally(read('model'))['v2']).toBeGreaterThan(200);
    expect(rig.sightings[0]).toMatchObject({ family: 'flagsmith', application: 'backend', isLocal: false });
  });

  it('targets by traits of every type, and the identifier beats a trait called "key"', async () => {
    const adults = { type: 'attribute', attribute: 'age', operator: 'greater-than', values: [17] } as const;
    const known = { type: 'attribute', attribute: 'key', operator: 'in', values: ['anna'] } as const;
    const flag = splitFlag('model', 0, { rules: [countryRule, { all: [adults, known], serve: { variant: 'v2' } }] });
    rig.set({ flags: [flag] });
    const client = openClient();
    const valueFor = async (user: string, traits: Parameters<Flagsmith['getIdentityFlags']>[1]): Promise<unknown> =>
      (await client.getIdentityFlags(user, traits)).getFeatureValue('model');
    expect(await valueFor('bo', { country: 'SE' })).toBe('v2');
    expect(await valueFor('bo', { country: { value: 'SE', transient: true } })).toBe('v2');
    expect(await valueFor('bo', { country: 'NO', age: 18 })).toBe('v1');
    expect(await valueFor('anna', { age: 18, key: 'bo' })).toBe('v2');
    expect(await valueFor('anna', { age: 17 })).toBe('v1');
    expect(await valueFor('bo', { age: 18, key: 'anna' })).toBe('v1');
  });

  it('follows pins, the kill switch and a derived boolean', async () => {
    const pins = [{ variant: 'v2', keys: ['anna'] }];
    rig.set({ flags: [splitFlag('model', 30_000, { pins }), derivedFlag('model-v2', 'model')] });
    const client = openClient();
    const users = ['anna', ...FEW_USERS];
    const agreements = await askAll(users, async (user) => {
      const flags = await client.getIdentityFlags(user);
      return flags.isFeatureEnabled('model-v2') === (flags.getFeatureValue('model') === 'v2');
    });
    expect(agreements).not.toContain(false);
    expect(await valuesOf(client, 'model', ['anna'])).toEqual(['v2']);
    rig.set({ flags: [splitFlag('model', 30_000, { pins, on: false }), derivedFlag('model-v2', 'model')] });
    const killed = await client.getIdentityFlags('anna');
    expect(killed.getFlag('model')).toMatchObject({ enabled: false, value: 'v1' });
    expect(killed.getFlag('model-v2')).toMatchObject({ enabled: false, value: false });
  });

  it('moves nobody back when a ramp grows', async () => {
    rig.set({ flags: [splitFlag('model', 10_000)] });
    const client = openClient();
    const before = await valuesOf(client, 'model', FEW_USERS);
    rig.set({ flags: [splitFlag('model', 40_000)] });
    const after = await valuesOf(client, 'model', FEW_USERS);
    const moves = before.map((value, index) => `${value} → ${after[index]}`);
    expect(new Set(moves)).toEqual(new Set(['v1 → v1', 'v1 → v2', 'v2 → v2']));
  });

  it('gives the control value to who has no identity', async () => {
    rig.set({ flags: [splitFlag('model', 99_000), localFlag('hashed', 99_000)] });
    const [remote, local] = await Promise.all([openClient().getEnvironmentFlags(), openLocalClient().getEnvironmentFlags()]);
    for (const flag of ['model', 'hashed']) {
      expect(remote.getFeatureValue(flag)).toBe('v1');
      expect(local.getFeatureValue(flag)).toBe('v1');
    }
  });

  it('writes values that Flagsmith does not have as the environment document does', async () => {
    const values = ['text', 7, 1.5, { a: [1] }, null, ''];
    const flags = values.map((value, index) =>
      splitFlag(`flag-${index}`, 0, { type: 'json', variants: [{ name: 'v1', value }], fallthrough: { variant: 'v1' } }),
    );
    rig.set({ flags });
    const [remote, local] = [await openClient().getIdentityFlags('anna'), await openLocalClient().getIdentityFlags('anna')];
    const read = (all: Flags) => flags.map(({ key }) => all.getFeatureValue(key) ?? null);
    expect(read(remote)).toEqual(['text', 7, '1.5', '{"a":[1]}', null, '']);
    expect(read(local)).toEqual(read(remote));
  });

  it('leaves a broken flag to the default of its caller', async () => {
    rig.set({ flags: [splitFlag('broken', 0, { fallthrough: { variant: 'nowhere' } })] });
    const client = openClient({ defaultFlagHandler: () => new DefaultFlag('mine', true) });
    expect((await client.getIdentityFlags('anna')).getFlag('broken')).toMatchObject({ value: 'mine', isDefault: true });
  });
});

describe('local evaluation', () => {
  it('agrees with the server when the flag is hashed as Flagsmith does: split, ramp, pins, targeting, derived boolean', async () => {
    const more = { pins: [{ variant: 'v2', keys: ['anna', 'bo,carl'] }], rules: [countryRule] };
    rig.set({ flags: [localFlag('model', 10_000, more), derivedFlag('model-v2', 'model')] });
    const client = openLocalClient();
    const users = ['anna', 'bo,carl', 'bo', 'carl', ...USERS];
    const before = await valuesOf(client, 'model', users);
    expect(before).toEqual(expectedOf('model', users));
    expect(before.slice(0, 2)).toEqual(['v2', 'v2']);
    rig.set({ flags: [localFlag('model', 40_000, more), derivedFlag('model-v2', 'model')] });
    await client.updateEnvironment();
    const after = await valuesOf(client, 'model', users);
    expect(after).toEqual(expectedOf('model', users));
    expect(new Set(before.map((value, index) => `${value} → ${after[index]}`))).not.toContain('v2 → v1');
    const derived = await askAll(users, async (user) => (await client.getIdentityFlags(user)).isFeatureEnabled('model-v2'));
    expect(derived).toEqual(after.map((value) => value === 'v2'));
    const swede = await client.getIdentityFlags('user-1', { country: 'SE' });
    expect(swede.getFlag('model')).toMatchObject({ enabled: true, value: 'v2' });
    expect(rig.sightings.at(-1)).toMatchObject({ isLocal: true });
  });

  it('is killed as the server is', async () => {
    rig.set({ flags: [localFlag('model', 10_000, { on: false }), derivedFlag('model-v2', 'model')] });
    for (const client of [openLocalClient(), openClient()]) {
      const flags = await client.getIdentityFlags('anna');
      expect(flags.getFlag('model')).toMatchObject({ enabled: false, value: 'v1' });
      expect(flags.getFlag('model-v2')).toMatchObject({ enabled: false });
    }
  });

  it('has an environment key that is the same after a restart and in every process, and that nobody guesses', async () => {
    rig.set({ flags: [splitFlag('model', 30_000)] });
    const before = await ownKey();
    await rig.stop();
    await rig.start();
    expect(await ownKey()).toBe(before);
    expect(before).toMatch(/^[\w-]{22}$/);
  });

  it('keeps the environment key of flags that were imported, as it is part of every hash', async () => {
    const bucketing = { ...FLAGSMITH_BUCKETING, prefix: 'AbCdEf_' };
    rig.set({ flags: [splitFlag('other', 50_000), localFlag('model', 30_000, { bucketing })] });
    const document: unknown = await (await ask('/api/v1/environment-document/')).json();
    expect(document).toMatchObject({ api_key: 'AbCdEf', name: 'production' });
    expect(await valuesOf(openLocalClient(), 'model', FEW_USERS)).toEqual(expectedOf('model', FEW_USERS));
  });

  it('has the same ids for ever', async () => {
    rig.set({ flags: [splitFlag('ml-model-version', 10_000), localFlag('model', 10_000, { rules: [countryRule] })] });
    expect(await (await ask('/api/v1/environment-document/')).json()).toMatchObject({
      feature_states: [
        { django_id: 1_011_793_574, feature: { id: 1_011_793_574, name: 'ml-model-version' } },
        { django_id: 4711, feature: { id: 586_191_809, name: 'model' } },
      ],
      project: { segments: [{ id: 1_313_872_066, feature_states: [{ django_id: 4711 }] }] },
    });
  });

  it('goes on without the server, and follows it again when it is back', async () => {
    rig.set({ flags: [localFlag('model', 0)] });
    const client = openLocalClient();
    expect(await valuesOf(client, 'model', ['anna'])).toEqual(['v1']);
    await rig.stop();
    await client.updateEnvironment();
    expect(await valuesOf(client, 'model', ['anna'])).toEqual(['v1']);
    rig.set({ flags: [localFlag('model', 100_000)] });
    await rig.start();
    await client.updateEnvironment();
    expect(await valuesOf(client, 'model', ['anna'])).toEqual(['v2']);
  });
});

describe('starting and failing', () => {
  it.each([
    { name: 'while nothing is loaded', before: () => rig.forget() },
    { name: 'while keys cannot be looked up', before: () => void rig.keys.set(SERVER_KEY, { outcome: 'unavailable' }) },
  ])('answers 503 $name, and SDKs recover', async ({ before }) => {
    rig.set({ flags: [splitFlag('model', 100_000)] });
    before();
    const response = await ask('/api/v1/flags/');
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
    const client = openClient({ defaultFlagHandler: () => new DefaultFlag('default', false) });
    const local = openLocalClient();
    expect(await valuesOf(client, 'model', ['anna'])).toEqual(['default']);
    await expect(local.getIdentityFlags('anna')).rejects.toThrow('getIdentityFlags failed');
    rig.keys.set(SERVER_KEY, { outcome: 'known', name: 'backend', use: 'server' });
    rig.set({ flags: [splitFlag('model', 100_000)] });
    expect(await valuesOf(client, 'model', ['anna'])).toEqual(['v2']);
    expect(await valuesOf(local, 'model', ['anna'])).toEqual(['v2']);
  });

  it('gives defaults during an outage and flags after it', async () => {
    rig.set({ flags: [splitFlag('model', 100_000)] });
    const client = openClient({ defaultFlagHandler: () => new DefaultFlag('default', false) });
    expect(await valuesOf(client, 'model', ['anna'])).toEqual(['v2']);
    await rig.stop();
    expect(await valuesOf(client, 'model', ['anna'])).toEqual(['default']);
    await rig.start();
    await eventually(async () => (await valuesOf(client, 'model', ['anna']))[0] === 'v2');
  });

  it.each([
    { name: 'an unknown key', path: '/api/v1/flags/', key: 'nobody', status: 401 },
    { name: 'no key', path: '/api/v1/flags/', key: '', status: 401 },
    { name: 'a client key that asks for flags', path: '/api/v1/flags/', key: CLIENT_KEY, status: 200 },
    { name: 'a client key that asks for all rules', path: '/api/v1/environment-document/', key: CLIENT_KEY, status: 403 },
    { name: 'a client key in disguise', path: '/api/v1/environment-document/', key: `ser.${CLIENT_KEY}`, status: 403 },
    { name: 'an address without its last slash', path: '/api/v1/flags', key: SERVER_KEY, status: 200 },
    { name: 'an identity in the address', path: '/api/v1/identities/?identifier=anna', key: CLIENT_KEY, status: 200 },
    { name: 'an identity that is missing', path: '/api/v1/identities/', key: CLIENT_KEY, status: 400 },
    { name: 'an address that is not there', path: '/api/v2/flags/', key: SERVER_KEY, status: 404 },
  ])('answers $status to $name', async ({ path, key, status }) => {
    rig.set({ flags: [] });
    const response = await ask(path, { key });
    expect(response.status).toBe(status);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    if (status >= 400) expect(Object.keys((await response.json()) as object)).toEqual(['detail']);
  });

  it('takes bodies that are compressed or have unknown fields, and refuses those that are too large or broken', async () => {
    rig.set({ flags: [splitFlag('model', 100_000)] });
    const post = (body: string | Buffer, headers: Headings = {}): Promise<Response> =>
      ask('/api/v1/identities/', { method: 'POST', body, headers });
    const identity = JSON.stringify({ identifier: 'anna', traits: [], news: { of: ['tomorrow'] } });
    const answer = await (await post(gzipSync(identity), { 'content-encoding': 'gzip' })).json();
    expect(answer).toMatchObject({ identifier: 'anna', flags: [{ feature_state_value: 'v2', feature: { name: 'model' } }] });
    expect((await post(identity, { 'content-type': 'text/plain' })).status).toBe(200);
    expect((await post('x'.repeat(300_000))).status).toBe(413);
    expect((await post(gzipSync('x'.repeat(30_000_000)), { 'content-encoding': 'gzip' })).status).toBe(413);
    expect((await post('not gzip', { 'content-encoding': 'gzip' })).status).toBe(400);
    expect((await post('{}', { 'content-encoding': 'zstd' })).status).toBe(415);
    const broken = await post('{"identifier":');
    expect(broken.status).toBe(400);
    expect(JSON.stringify(await broken.json())).not.toContain('.ts');
    expect((await identify({ transient: true, traits: 'none' })).status).toBe(200);
  });

  it('answers the preflight of a browser', async () => {
    const headers = { origin: 'https://shop.example', 'access-control-request-headers': 'x-environment-key' };
    const response = await fetch(`${rig.origin}/flagsmith/api/v1/identities/`, { method: 'OPTIONS', headers });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-headers')).toBe('x-environment-key');
  });
});

describe('live updates', () => {
  const openStream = (key: string): EventSource => new EventSource(`${rig.origin}/flagsmith/sse/environments/${key}/stream`);

  it('tells of every change at once, with a time that is later than the document it replaces', async () => {
    rig.set({ flags: [splitFlag('model', 0)] });
    const document = (await (await ask('/api/v1/environment-document/')).json()) as { api_key: string; updated_at: string };
    const times: number[] = [];
    const source = openStream(document.api_key);
    source.addEventListener('environment_updated', ({ data }) => void times.push(JSON.parse(String(data)).updated_at as number));
    try {
      await eventually(() => times.length === 1);
      // Nothing has changed, so nobody fetches the document again.
      expect(times[0]).toBe(Date.parse(document.updated_at) / 1000);
      const fastestMs = await fastestOfThree(async (turn) => {
        rig.set({ flags: [splitFlag('model', turn * 10_000)] });
        await eventually(() => times.length === turn + 1);
      });
      expect(fastestMs).toBeLessThan(250);
      // Two in the same millisecond.
      rig.set({ flags: [] });
      rig.set({ flags: [] });
      await eventually(() => times.length === 6);
      expect(times).toEqual([...new Set(times)].toSorted((a, b) => a - b));
      const newer = (await (await ask('/api/v1/environment-document/')).json()) as { updated_at: string };
      expect(Date.parse(newer.updated_at) / 1000).toBe(times[5]);
    } finally {
      source.close();
    }
  });

  it('takes an SDK key as well, refuses an unknown one, and 503 before anything is loaded', async () => {
    const statusOf = (key: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const request = httpRequest(`${rig.origin}/flagsmith/sse/environments/${key}/stream`, (response) => {
          resolve(response.statusCode ?? 0);
          request.destroy();
        });
        request.on('error', reject).end();
      });
    expect(await statusOf(SERVER_KEY)).toBe(503);
    rig.set({ flags: [] });
    expect(await statusOf(SERVER_KEY)).toBe(200);
    expect(await statusOf(CLIENT_KEY)).toBe(200);
    expect(await statusOf(await ownKey())).toBe(200);
    expect(await statusOf('nobody')).toBe(401);
  });

  it('has room for so many and tells the next one to come back', async () => {
    rig.set({ flags: [] });
    const sources = [openStream(await ownKey()), openStream(await ownKey())];
    await eventually(() => sources.every(({ readyState }) => readyState === EventSource.OPEN));
    const refused = await ask(`/sse/environments/${await ownKey()}/stream`);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    for (const source of sources) source.close();
    await eventually(async () => {
      const source = openStream(await ownKey());
      const outcome = await new Promise((resolve) => {
        source.addEventListener('open', () => resolve(true));
        source.addEventListener('error', () => resolve(false));
      });
      source.close();
      return outcome;
    });
  });
});

describe('usage counts', () => {
  it('count as exposure only where everybody has the same variant', async () => {
    const killed = splitFlag('killed', 50_000, { on: false });
    rig.set({ flags: [splitFlag('split', 50_000), splitFlag('fixed', 0, { fallthrough: { variant: 'v2' } }), killed] });
    const client = openClient({ enableAnalytics: true });
    const flags = await client.getIdentityFlags('anna');
    for (const flag of ['split', 'fixed', 'fixed', 'killed', 'unknown']) flags.getFeatureValue(flag);
    await client['analyticsProcessor']?.flush();
    // Only the question for flags: a report does not say whether the SDK evaluates by itself.
    expect(rig.sightings).toHaveLength(1);
    expect(rig.outcomes.map(({ flag, variant, exposures, requests }) => [flag, variant, exposures, requests])).toEqual([
      ['fixed', 'v2', 2, 0],
      ['killed', 'v1', 1, 0],
    ]);
  });

  it('that make no sense are left out', async () => {
    rig.set({ flags: [splitFlag('fixed', 0)] });
    const body = JSON.stringify({ fixed: -1, __proto__: 3, other: 'many' });
    expect((await ask('/api/v1/analytics/flags/', { method: 'POST', body })).status).toBe(200);
    expect((await ask('/api/v1/analytics/flags/', { method: 'POST', body: '[]' })).status).toBe(200);
    expect(rig.outcomes).toEqual([]);
  });
});
