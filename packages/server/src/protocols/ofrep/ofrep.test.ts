// OpenFeature's own SDKs and OFREP providers, unmodified, against our server.
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { OpenFeature as ServerFeature, type Client, type EvaluationContext, type Provider } from '@openfeature/server-sdk';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import {
  type EvaluationContext as PageContext,
  type Provider as PageProvider,
  OpenFeature as WebFeature,
  ProviderEvents,
} from '@openfeature/web-sdk';
import type { Flag } from '@understudy/core/flags/flag';
import { EventSource } from 'eventsource';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
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
import { ofrepProtocol } from './ofrep.ts';
import { ABSENT, openAnswerCheck } from './published-schema.contract.ts';
import { WINDOW_MS } from './stream-token.ts';

// Its package has no types that Node's resolution finds.
const { OFREPProvider } = createRequire(import.meta.url)('@openfeature/ofrep-provider') as {
  readonly OFREPProvider: new (options: object) => Provider;
};

const USERS = Array.from({ length: 3000 }, (_, index) => `user-${index}`);
const FEW_USERS = USERS.slice(0, 500);

const check = openAnswerCheck();
let rig: ProtocolRig;
let nowMs: number;
let domains = 0;
let pageStreams: EventSource[] = [];

const streamsOpen = (): Promise<void> => eventually(() => pageStreams.at(-1)?.readyState === EventSource.OPEN);

beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  pageStreams = [];
  const WatchedEventSource = class extends EventSource {
    constructor(url: string) {
      super(url);
      pageStreams.push(this);
    }
  };
  vi.stubGlobal('EventSource', WatchedEventSource);
  rig = await openProtocolRig('/ofrep', ({ ports }) => {
    return ofrepProtocol({ ...ports, clock: { nowMs: () => nowMs } }, { maxStreams: 2 });
  });
});

afterEach(async () => {
  await ServerFeature.clearProviders();
  await WebFeature.clearProviders();
  await rig.stop();
  expect(check.violations).toEqual([]);
});

afterAll(() => vi.unstubAllGlobals());

async function openServerClient(headers: readonly string[] = ['Authorization', `Bearer ${SERVER_KEY}`]): Promise<Client> {
  const domain = `server-${(domains += 1)}`;
  const provider = new OFREPProvider({ baseUrl: rig.origin, headers: [headers], fetchImplementation: check.fetch });
  await ServerFeature.setProviderAndWait(domain, provider);
  return ServerFeature.getClient(domain);
}

interface Post {
  readonly body?: string | Buffer;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function post(path: string, { body = '{}', key = SERVER_KEY, headers = {} }: Post = {}): Promise<Response> {
  const init = { method: 'POST', body, headers: { 'content-type': 'application/json', 'x-api-key': key, ...headers } };
  return check.fetch(`${rig.origin}/ofrep/v1/evaluate/flags${path}`, init);
}

const contextBody = (context: object): string => JSON.stringify({ context });

function valuesOf(client: Client, flag: string, users: readonly string[]): Promise<string[]> {
  return askAll(users, (targetingKey) => client.getStringValue(flag, 'default', { targetingKey }));
}

function expectedOf(flag: string, users: readonly string[]): string[] {
  return users.map((user) => rig.evaluate(flag, { user: { key: user } }).variant ?? 'none');
}

function valueFlag(key: string, type: Flag['type'], ...values: readonly Flag['variants'][number]['value'][]): Flag {
  const variants = values.map((value, index) => ({ name: `v${index + 1}`, value }));
  return splitFlag(key, 0, { type, variants, fallthrough: { variant: 'v1' } });
}

describe('a provider for servers', () => {
  it('gives every user what our evaluator gives', async () => {
    rig.set({ flags: [splitFlag('model', 10_000), splitFlag('hashed', 30_000, { bucketing: FLAGSMITH_BUCKETING })] });
    const client = await openServerClient();
    const values = await valuesOf(client, 'model', USERS);
    expect(values).toEqual(expectedOf('model', USERS));
    expect(tally(values)['v2']).toBeGreaterThan(200);
    expect(await valuesOf(client, 'hashed', FEW_USERS)).toEqual(expectedOf('hashed', FEW_USERS));
    expect(rig.sightings[0]).toMatchObject({ family: 'ofrep', application: 'backend', isLocal: false });
  });

  it('targets by attributes, and says what decided', async () => {
    const inSweden = { type: 'attribute', attribute: '/address/country', operator: 'in', values: ['SE'] } as const;
    const pins = [{ variant: 'v2', keys: ['anna'] }];
    const rules = [{ id: 'swedes', all: [inSweden], serve: { variant: 'v2' } }];
    rig.set({ flags: [splitFlag('model', 0, { pins, rules, fallthrough: { variant: 'v1' } })] });
    const client = await openServerClient();
    const detailsFor = async (context: EvaluationContext): Promise<object> => {
      const { value, reason, variant, flagMetadata } = await client.getStringDetails('model', 'default', context);
      return { value, reason, variant, ...flagMetadata };
    };
    const swede = { address: { country: 'SE' } };
    const byRule = { value: 'v2', variant: 'v2', reason: 'TARGETING_MATCH', decidedBy: 'rule', rule: 'swedes', revision: 1 };
    expect(await detailsFor({ targetingKey: 'bo', ...swede })).toEqual(byRule);
    expect(await detailsFor(swede)).toEqual(byRule);
    expect(await detailsFor({ targetingKey: 'anna' })).toMatchObject({ value: 'v2', decidedBy: 'pin' });
    expect(await detailsFor({ targetingKey: 'bo', key: 'anna' })).toMatchObject({
      value: 'v1',
      reason: 'UNKNOWN',
      decidedBy: 'fallthrough',
    });
    expect(await detailsFor({ key: 'anna' })).toMatchObject({ value: 'v1' });
  });

  it('follows the kill switch and a derived boolean', async () => {
    rig.set({ flags: [splitFlag('model', 30_000), derivedFlag('model-v2', 'model')] });
    const client = await openServerClient();
    const agreements = await askAll(FEW_USERS, async (targetingKey) => {
      const isOn = await client.getBooleanValue('model-v2', false, { targetingKey });
      return isOn === ((await client.getStringValue('model', '', { targetingKey })) === 'v2');
    });
    expect(agreements).not.toContain(false);
    rig.set({ flags: [splitFlag('model', 30_000, { on: false }), derivedFlag('model-v2', 'model')] });
    const killed = await client.getStringDetails('model', 'default', { targetingKey: 'user-1' });
    expect(killed).toMatchObject({ value: 'v1', reason: 'DISABLED', variant: 'v1' });
    expect(await client.getBooleanValue('model-v2', true, {})).toBe(false);
  });

  it('moves nobody back when a ramp grows', async () => {
    rig.set({ flags: [splitFlag('model', 10_000)] });
    const client = await openServerClient();
    const before = await valuesOf(client, 'model', FEW_USERS);
    rig.set({ flags: [splitFlag('model', 40_000)] });
    const after = await valuesOf(client, 'model', FEW_USERS);
    const moves = before.map((value, index) => `${value} → ${after[index]}`);
    expect(new Set(moves)).toEqual(new Set(['v1 → v1', 'v1 → v2', 'v2 → v2']));
  });

  it('gets values of every type', async () => {
    const flags = [
      valueFlag('text', 'string', 'x'),
      valueFlag('yes', 'boolean', true),
      valueFlag('object', 'json', { a: [1.5] }),
    ];
    rig.set({ flags: [...flags, valueFlag('whole', 'number', 3), valueFlag('part', 'number', 1, 0.5)] });
    const client = await openServerClient(['X-API-Key', CLIENT_KEY]);
    expect(await client.getStringValue('text', '')).toBe('x');
    expect(await client.getBooleanValue('yes', false)).toBe(true);
    expect(await client.getObjectValue('object', {})).toEqual({ a: [1.5] });
    expect(await client.getNumberValue('whole', 0)).toBe(3);
    expect(await client.getNumberValue('part', 0)).toBe(1);
  });

  it('gets its default and the right code when there is no answer', async () => {
    const keyless = splitFlag('off', 0, { on: false });
    const { offVariant: _offVariant, ...withoutOff } = keyless;
    const broken = splitFlag('broken', 0, { fallthrough: { variant: 'nowhere' } });
    rig.set({ flags: [splitFlag('model', 50_000), withoutOff, broken] });
    const client = await openServerClient();
    const codeOf = async (flag: string, context: EvaluationContext = {}): Promise<unknown> =>
      (await client.getStringDetails(flag, 'default', context)).errorCode;
    expect(await codeOf('model')).toBe('TARGETING_KEY_MISSING');
    expect(await codeOf('nothing', { targetingKey: 'anna' })).toBe('FLAG_NOT_FOUND');
    expect(await codeOf('broken', { targetingKey: 'anna' })).toBe('PARSE_ERROR');
    expect(await client.getStringValue('off', 'default', { targetingKey: 'anna' })).toBe('default');
  });

  it.each([
    { name: 'while nothing is loaded', before: () => rig.forget() },
    { name: 'while keys cannot be looked up', before: () => void rig.keys.set(SERVER_KEY, { outcome: 'unavailable' }) },
  ])('gets 503 $name, and recovers', async ({ before }) => {
    rig.set({ flags: [splitFlag('model', 100_000)] });
    before();
    const refused = await post('/model');
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    const client = await openServerClient();
    expect(await valuesOf(client, 'model', ['anna'])).toEqual(['default']);
    rig.keys.set(SERVER_KEY, { outcome: 'known', name: 'backend', use: 'server' });
    rig.set({ flags: [splitFlag('model', 100_000)] });
    expect(await valuesOf(client, 'model', ['anna'])).toEqual(['v2']);
  });

  it('gets defaults during an outage and flags after it', async () => {
    rig.set({ flags: [splitFlag('model', 100_000)] });
    const client = await openServerClient();
    expect(await valuesOf(client, 'model', ['anna'])).toEqual(['v2']);
    await rig.stop();
    expect(await valuesOf(client, 'model', ['anna'])).toEqual(['default']);
    await rig.start();
    await eventually(async () => (await valuesOf(client, 'model', ['anna']))[0] === 'v2');
  });
});

describe('a provider for pages', () => {
  async function openPage(context: PageContext): Promise<ReturnType<typeof WebFeature.getClient>> {
    const domain = `page-${(domains += 1)}`;
    const provider = new OFREPWebProvider({
      baseUrl: rig.origin,
      headers: [['X-API-Key', CLIENT_KEY]],
      cacheMode: 'disabled',
      fetchImplementation: check.fetch,
    });
    await WebFeature.setContext(domain, context);
    // Its optional properties are typed less strictly than ours.
    await WebFeature.setProviderAndWait(domain, provider as PageProvider);
    return WebFeature.getClient(domain);
  }

  const pageOf = (targetingKey: string): ReturnType<typeof openPage> => openPage({ targetingKey });

  it('gives every user what our evaluator gives, also when the context changes', async () => {
    const flags = [
      splitFlag('model', 30_000),
      derivedFlag('model-v2', 'model'),
      splitFlag('fixed', 0, { fallthrough: { variant: 'v2' } }),
    ];
    rig.set({ flags });
    const page = await openPage({});
    expect(page.getStringDetails('model', 'default')).toMatchObject({ value: 'default', errorCode: 'TARGETING_KEY_MISSING' });
    expect(page.getBooleanDetails('model-v2', true)).toMatchObject({ value: true, errorCode: 'TARGETING_KEY_MISSING' });
    expect(page.getStringDetails('fixed', 'default')).toMatchObject({ value: 'v2', reason: 'STATIC' });
    const { domain = '' } = page.metadata;
    const values: string[] = [];
    for (const targetingKey of FEW_USERS.slice(0, 100)) {
      await WebFeature.setContext(domain, { targetingKey });
      values.push(page.getStringValue('model', 'default'));
      expect(page.getBooleanValue('model-v2', false)).toBe(values.at(-1) === 'v2');
    }
    expect(values).toEqual(expectedOf('model', FEW_USERS.slice(0, 100)));
  });

  it('does not take an answer for one context as that for another', async () => {
    const rules: Flag['rules'] = [
      { all: [{ type: 'attribute', attribute: 'plan', operator: 'in', values: ['gold'] }], serve: { variant: 'v2' } },
    ];
    rig.set({ flags: [splitFlag('model', 0, { rules })] });
    const page = await openPage({ targetingKey: 'anna', plan: 'free' });
    expect(page.getStringValue('model', 'default')).toBe('v1');
    // The provider sends the old entity tag, as the targeting key is the same.
    await WebFeature.setContext(page.metadata.domain ?? '', { targetingKey: 'anna', plan: 'gold' });
    expect(page.getStringValue('model', 'default')).toBe('v2');
  });

  it('hears of a change in less than 250 ms, and only the changed flags are called changed', async () => {
    rig.set({ flags: [splitFlag('model', 0), splitFlag('other', 0)] });
    const page = await pageOf('anna');
    await eventually(() => rig.sightings.length === 1);
    const changes: unknown[] = [];
    page.addHandler(ProviderEvents.ConfigurationChanged, (event) => void changes.push(event?.flagsChanged));
    await streamsOpen();
    const fastestMs = await fastestOfThree(async (turn) => {
      rig.set({ flags: [splitFlag('model', turn % 2 === 0 ? 0 : 100_000), splitFlag('other', 0)] });
      await eventually(() => page.getStringValue('model', 'default') === (turn % 2 === 0 ? 'v1' : 'v2'));
    });
    expect(fastestMs).toBeLessThan(250);
    await eventually(() => changes.length === 3);
    expect(changes).toEqual([['model'], ['model'], ['model']]);
  });

  it('starts without the server as soon as it is there, and finds its stream again after a restart', async () => {
    await expect(pageOf('anna')).rejects.toThrow();
    rig.set({ flags: [splitFlag('model', 0)] });
    const page = await pageOf('anna');
    await streamsOpen();
    await rig.stop();
    expect(page.getStringValue('model', 'default')).toBe('v1');
    rig.set({ flags: [splitFlag('model', 100_000)] });
    await rig.start();
    // The old address is not signed by the new process: the provider asks for the flags, and gets a new one.
    await vi.waitFor(() => expect(page.getStringValue('model', 'default')).toBe('v2'), { timeout: 10_000, interval: 20 });
    await streamsOpen();
    rig.set({ flags: [splitFlag('model', 0)] });
    await eventually(() => page.getStringValue('model', 'default') === 'v1');
  });

  it('fails for good only with an unknown key', async () => {
    rig.set({ flags: [] });
    rig.keys.delete(CLIENT_KEY);
    await expect(pageOf('anna')).rejects.toThrow('Initialization failed');
  });
});

interface Bulk {
  readonly flags: readonly { readonly key: string; readonly value?: unknown; readonly errorCode?: string }[];
  readonly eventStreams: readonly [{ readonly endpoint: { readonly requestUri: string } }];
}

async function bulk(body: string): Promise<Bulk> {
  const response = await post('', { body });
  expect(response.status).toBe(200);
  return (await response.json()) as Bulk;
}

async function streamUrl(): Promise<string> {
  const { eventStreams } = await bulk(contextBody({ targetingKey: 'anna' }));
  return `${rig.origin}${eventStreams[0].endpoint.requestUri}`;
}

const tryStream = (url: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> => fetch(url, { headers });

describe('answers', () => {
  it('write whole numbers and fractions as such, and leave out a value that is null', async () => {
    const { offVariant: _offVariant, ...off } = splitFlag('off', 0, { on: false });
    rig.set({
      flags: [off, valueFlag('whole', 'number', 1, 2), valueFlag('part', 'number', 1, 0.5), valueFlag('null', 'json', null)],
    });
    const textOf = async (path: string): Promise<string> => (await post(path)).text();
    expect(await textOf('/whole')).toContain('"value":1,');
    expect(await textOf('/part')).toContain('"value":1.0,');
    expect(await textOf('/null')).not.toContain('value":');
    // The provider for Python cannot do without a variant.
    expect(await textOf('/off')).toContain('"reason":"DISABLED","variant":"","metadata"');
    expect(await textOf('')).toContain('"value":1.0,');
  });

  it.each([
    { name: 'an unknown flag', path: '/nothing', status: 404, errorCode: 'FLAG_NOT_FOUND' },
    { name: 'no targeting key for a split', path: '/model', status: 400, errorCode: 'TARGETING_KEY_MISSING' },
    {
      name: 'an empty targeting key',
      path: '/model',
      body: contextBody({ targetingKey: '' }),
      status: 400,
      errorCode: 'TARGETING_KEY_MISSING',
    },
    { name: 'no body', path: '/model', body: '', status: 400, errorCode: 'TARGETING_KEY_MISSING' },
    {
      name: 'a targeting key that is a number',
      path: '/model',
      body: contextBody({ targetingKey: 7 }),
      status: 400,
      errorCode: 'INVALID_CONTEXT',
    },
    { name: 'a context that is a list', path: '', body: contextBody([]), status: 400, errorCode: 'INVALID_CONTEXT' },
    { name: 'a body that is a text', path: '', body: '"context"', status: 400, errorCode: 'INVALID_CONTEXT' },
    { name: 'a broken body', path: '/model', body: '{"context":', status: 400, errorCode: 'PARSE_ERROR' },
    { name: 'a body that is too large', path: '/model', body: ' '.repeat(300_000), status: 400, errorCode: 'PARSE_ERROR' },
    {
      name: 'a body that is too large unpacked',
      path: '',
      body: gzipSync(' '.repeat(9_000_000)),
      status: 400,
      errorCode: 'PARSE_ERROR',
    },
    { name: 'an unknown key', path: '', key: 'nobody', status: 401, errorCode: 'GENERAL' },
    { name: 'no key', path: '/model', key: '', status: 401, errorCode: 'GENERAL' },
    { name: 'a key with a slash', path: '/a/b', status: 200, errorCode: undefined },
    { name: 'a key with a slash that is escaped', path: '/a%2Fb', status: 200, errorCode: undefined },
  ])('$status to $name', async ({ path, body = '{}', key = SERVER_KEY, status, errorCode }) => {
    rig.set({ flags: [splitFlag('model', 50_000), valueFlag('a/b', 'string', 'x')] });
    const response = await post(path, { body, key, headers: Buffer.isBuffer(body) ? { 'content-encoding': 'gzip' } : {} });
    expect(response.status).toBe(status);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    const answer = (await response.json()) as { errorCode?: string; errorDetails?: string; key?: string };
    expect(answer.errorCode).toBe(errorCode);
    expect(answer.key).toBe(path === '' ? undefined : decodeURIComponent(path.slice(1)));
    if (errorCode !== undefined) expect(answer.errorDetails).toMatch(/^[^\n]+$/);
    expect(answer.errorDetails ?? '').not.toContain('.ts');
  });

  it('takes compressed bodies and unknown fields', async () => {
    rig.set({ flags: [splitFlag('model', 100_000)] });
    const body = gzipSync(JSON.stringify({ context: { targetingKey: 'anna', news: { of: [1] } }, news: true }));
    const response = await post('/model', { body, headers: { 'content-encoding': 'gzip' } });
    expect(await response.json()).toMatchObject({ key: 'model', value: 'v2', variant: 'v2', metadata: { revision: 1 } });
  });

  it('need a targeting key only where the bucket decides', async () => {
    const share = (weight: number): Flag['rules'][number] => ({
      all: [{ type: 'share', weight, bucketing: { profile: 'unleash', salt: 's' } }],
      serve: { variant: 'v2' },
    });
    const byCompany = splitFlag('by-company', 50_000).bucketing;
    const gold = {
      all: [{ type: 'attribute', attribute: 'plan', operator: 'in', values: ['gold'] }],
      serve: { variant: 'v2' },
    } as const;
    rig.set({
      flags: [
        splitFlag('split', 50_000),
        splitFlag('everybody', 100_000),
        splitFlag('killed', 50_000, { on: false }),
        splitFlag('ended', 50_000, { schedule: { untilMs: 1 } }),
        splitFlag('gold-first', 50_000, { rules: [gold] }),
        splitFlag('share', 0, { rules: [share(50_000)] }),
        splitFlag('share-in-segment', 0, {
          rules: [{ all: [{ type: 'segment', segments: ['half'] }], serve: { variant: 'v2' } }],
        }),
        splitFlag('by-company', 50_000, { bucketing: { ...byCompany, by: [{ attribute: 'company' }] } }),
        splitFlag('by-company-or-key', 50_000, {
          bucketing: { ...byCompany, by: [{ attribute: 'company' }, { attribute: 'key' }] },
        }),
        derivedFlag('derived', 'split'),
        derivedFlag('derived-killed', 'killed'),
      ],
      segments: [
        {
          key: 'half',
          included: [],
          excluded: [],
          rules: [{ all: share(50_000).all }],
        },
      ],
    });
    const missingIn = async (context: object): Promise<readonly string[]> => {
      const { flags } = await bulk(contextBody(context));
      return flags.filter(({ errorCode }) => errorCode === 'TARGETING_KEY_MISSING').map(({ key }) => key);
    };
    const always = ['split', 'share', 'share-in-segment', 'derived'];
    expect(new Set(await missingIn({}))).toEqual(new Set([...always, 'gold-first', 'by-company-or-key']));
    expect(new Set(await missingIn({ plan: 'gold', company: 'acme' }))).toEqual(new Set(always));
    expect(await missingIn({ targetingKey: 'anna' })).toEqual([]);
  });
});

describe('entity tags', () => {
  it('change with the revision, the context and the address of the stream, and with nothing else', async () => {
    const flags = [splitFlag('model', 30_000)];
    rig.set({ flags });
    const body = contextBody({ targetingKey: 'anna' });
    const tagOf = async (asked: string): Promise<string> => (await post('', { body: asked })).headers.get('etag') ?? '';
    const statusOf = async (tag: string, asked = body): Promise<number> =>
      (await post('', { body: asked, headers: { 'if-none-match': tag } })).status;
    const tag = await tagOf(body);
    expect(tag).toMatch(/^"[\w-]{22}"$/);
    expect(await statusOf(tag)).toBe(304);
    expect(await statusOf(`W/${tag}, "other"`)).toBe(304);
    expect(await statusOf(tag, contextBody({ targetingKey: 'anna', plan: 'gold' }))).toBe(200);
    nowMs += WINDOW_MS;
    expect(await statusOf(tag)).toBe(200);
    const later = await tagOf(body);
    rig.set({ flags });
    expect(await statusOf(later)).toBe(200);
  });

  it('change when a schedule begins, although the revision does not', async () => {
    rig.set({ flags: [splitFlag('model', 100_000, { schedule: { fromMs: nowMs + 1000 } })] });
    const body = contextBody({ targetingKey: 'anna' });
    const tag = (await post('', { body })).headers.get('etag') ?? '';
    nowMs += 1000;
    const response = await post('', { body, headers: { 'if-none-match': tag } });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ flags: [{ value: 'v2' }] });
  });
});

describe('event streams', () => {
  const events = (source: EventSource): object[] => {
    const heard: object[] = [];
    source.addEventListener('message', ({ data, lastEventId }) => {
      const parsed = JSON.parse(String(data)) as object;
      expect(check.against('sseEventData', parsed)).toBeUndefined();
      expect(check.against('sseEvent', { data, event: 'message', id: lastEventId })).toBeUndefined();
      heard.push({ ...parsed, id: lastEventId });
    });
    return heard;
  };

  it('say what is new, and say it at once to who has seen something older', async () => {
    rig.set({ flags: [] });
    const url = await streamUrl();
    const source = new EventSource(url);
    const heard = events(source);
    await eventually(() => source.readyState === EventSource.OPEN);
    rig.set({ flags: [] });
    await eventually(() => heard.length === 1);
    expect(heard).toEqual([{ type: 'refetchEvaluation', etag: '2.0', lastModified: nowMs / 1000, id: '2.0' }]);
    source.close();
    const late = new EventSource(url);
    const heardLate = events(late);
    await eventually(() => heardLate.length === 1);
    late.close();
    const again = await tryStream(url, { 'last-event-id': '2.0' });
    const { value } = (await again.body?.getReader().read()) ?? {};
    expect(Buffer.from(value ?? []).toString()).toMatch(/^retry: \d+\n\n$/);
  });

  it.each([
    { name: 'a token that was changed', change: (url: string) => url.replace(/token=\d/, 'token=9') },
    { name: 'no token', change: (url: string) => url.replace('token', 'tokens') },
    { name: 'two tokens', change: (url: string) => `${url}&token=x` },
  ])('do not open with $name', async ({ change }) => {
    rig.set({ flags: [] });
    const response = await tryStream(change(await streamUrl()));
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ errorCode: 'GENERAL' });
  });

  it('open for five to ten minutes with the same address', async () => {
    rig.set({ flags: [] });
    const url = await streamUrl();
    nowMs += WINDOW_MS;
    const response = await tryStream(url);
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    await response.body?.cancel();
    nowMs += WINDOW_MS;
    expect((await tryStream(url)).status).toBe(401);
  });

  it('open with an address that was given out before a restart, or by another process', async () => {
    rig.set({ flags: [] });
    const url = await streamUrl();
    await rig.stop();
    await rig.start();
    const response = await tryStream(url);
    expect(response.status).toBe(200);
    await response.body?.cancel();
  });

  it('have room for so many, and wait for the first state', async () => {
    rig.set({ flags: [] });
    const url = await streamUrl();
    const open = [await tryStream(url), await tryStream(url)];
    const refused = await tryStream(url);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    for (const stream of open) await stream.body?.cancel();
    await eventually(async () => {
      const stream = await tryStream(url);
      await stream.body?.cancel();
      return stream.status === 200;
    });
    rig.forget();
    expect((await tryStream(url)).status).toBe(503);
  });
});

it('lets pages of other origins ask', async () => {
  const headers = { origin: 'https://shop.example', 'access-control-request-headers': 'authorization,if-none-match' };
  const response = await fetch(`${rig.origin}/ofrep/v1/evaluate/flags`, { method: 'OPTIONS', headers });
  expect(response.status).toBe(204);
  expect(response.headers.get('access-control-allow-headers')).toBe('authorization,if-none-match');
  expect(response.headers.get('access-control-allow-methods')).toBe('GET, POST');
});

it.skipIf(ABSENT !== undefined)(`has answered as published${ABSENT === undefined ? '' : ` (not checked: ${ABSENT})`}`, () => {
  expect(check.checked()).toBeGreaterThan(100);
});
