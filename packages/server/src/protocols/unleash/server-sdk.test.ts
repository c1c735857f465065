// Node's SDK of Unleash, unmodified, on a real port.
import type { Flag } from '@understudy/core/flags/flag';
import type { Context } from 'unleash-client';
import { describe, expect, it } from 'vitest';
import { splitFlag } from '../test-world.ts';
import { evaluatedVariants, IDS, next, openWorld, portOf, serve, SERVER_KEY, startSdk, until, variantsOf } from './test-sdks.ts';

const STREAMING = { experimentalMode: { type: 'streaming' } } as const;
/** Whose news can come by the stream alone. */
const NEVER_POLLS = { ...STREAMING, refreshInterval: 3_600_000 } as const;
const DELTA = { experimentalMode: { type: 'polling', format: 'delta' } } as const;
const MODES = [
  { mode: 'polling', config: {} },
  { mode: 'polling for changes', config: DELTA },
  { mode: 'streaming', config: STREAMING },
];

const TARGETED: Flag = splitFlag('ml', 10_000, {
  pins: [{ variant: 'v2', keys: ['pinned'] }],
  rules: [
    { all: [{ type: 'attribute', attribute: 'region', operator: 'in', values: ['eu'] }], serve: { variant: 'v2' } },
    { all: [{ type: 'segment', segments: ['adults'] }], serve: { variant: 'v1' } },
  ],
});
const ADULTS = {
  key: 'adults',
  included: [],
  excluded: [],
  rules: [{ all: [{ type: 'attribute', attribute: 'age', operator: 'greater-than', values: [17] } as const] }],
};

describe.each(MODES)('an SDK that is $mode', ({ config }) => {
  it('starts, and divides 10,000 users as our evaluator does', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 10_000)] });
    const sdk = startSdk(await serve(world), config);
    await next(sdk, 'synchronized');
    const variants = variantsOf(sdk, 'ml');
    expect(variants).toEqual(evaluatedVariants(world, 'ml'));
    expect(variants.filter((name) => name === 'v2').length).toBeGreaterThan(900);
    expect(world.sightings).toContainEqual({
      family: 'unleash',
      sdk: 'unleash-node-sdk:6.12.1',
      application: 'payments',
      isLocal: true,
    });
  });

  it('follows the kill switch, targeting, a new flag, a removed one, and segments', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 100_000), splitFlag('old', 0)] });
    const sdk = startSdk(await serve(world), config);
    await next(sdk, 'synchronized');
    expect(sdk.getVariant('ml', { userId: 'a' }).payload?.value).toBe('v2');
    const news = until(sdk, () => sdk.getVariant('ml', { userId: 'a' }).name === 'v1');
    world.set({ flags: [splitFlag('ml', 100_000, { on: false }), splitFlag('old', 0)] });
    await news;
    expect(sdk.getVariant('ml', { userId: 'a' })).toMatchObject({ name: 'v1', payload: { type: 'string', value: 'v1' } });

    const more = until(sdk, () => sdk.isEnabled('new', { userId: 'a' }));
    world.set({ flags: [TARGETED, splitFlag('new', 0)], segments: [ADULTS] });
    await more;
    const variant = (context: Context): string | undefined => sdk.getVariant('ml', context).name;
    const inNeither = IDS.find((userId) => variant({ userId }) === 'v2') ?? '';
    expect(variant({ userId: 'pinned', properties: { age: '30' } })).toBe('v2');
    expect(variant({ userId: 'a', properties: { region: 'eu', age: '30' } })).toBe('v2');
    expect(variant({ userId: inNeither, properties: { age: '30' } })).toBe('v1');
    expect(variant({ userId: inNeither, properties: { age: '3' } })).toBe('v2');
    expect(sdk.isEnabled('old', { userId: 'a' })).toBe(false);
  });

  it('moves only those whom a ramp must move', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 10_000)] });
    const sdk = startSdk(await serve(world), config);
    await next(sdk, 'synchronized');
    const before = variantsOf(sdk, 'ml');
    const news = next(sdk, 'changed');
    world.set({ flags: [splitFlag('ml', 20_000)] });
    await news;
    const after = variantsOf(sdk, 'ml');
    expect(after).toEqual(evaluatedVariants(world, 'ml'));
    const moves = new Set(
      IDS.flatMap((_, index) => (before[index] === after[index] ? [] : `${before[index]} → ${after[index]}`)),
    );
    expect([...moves]).toEqual(['v1 → v2']);
  });

  it('keeps its flags through an outage and follows again afterwards', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 0)] });
    const first = await serve(world);
    const sdk = startSdk(first, config);
    await next(sdk, 'synchronized');
    await first.app.close();
    expect(sdk.getVariant('ml', { userId: 'a' }).name).toBe('v1');
    world.set({ flags: [splitFlag('ml', 100_000)] });
    const news = until(sdk, () => sdk.getVariant('ml', { userId: 'a' }).name === 'v2');
    await serve(world, { port: portOf(first) });
    await news;
  });

  it('waits for a server that is starting', async () => {
    const world = openWorld();
    const served = await serve(world);
    const sdk = startSdk(served, config);
    const ready = next(sdk, 'synchronized');
    const refused = await fetch(`${served.api}/client/features`, { headers: { authorization: SERVER_KEY } });
    expect(refused.status).toBe(503);
    world.set({ flags: [splitFlag('ml', 100_000)] });
    await ready;
    expect(sdk.getVariant('ml', { userId: 'a' }).name).toBe('v2');
  });
});

describe('streaming', () => {
  it('brings a change without a poll', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 0)] });
    const sdk = startSdk(await serve(world), NEVER_POLLS);
    await next(sdk, 'synchronized');
    const news = until(sdk, () => sdk.getVariant('ml', { userId: 'a' }).name === 'v2');
    world.set({ flags: [splitFlag('ml', 100_000)] });
    await news;
  });

  it('is where a polling SDK with flags is asked to go, and where changes reach it at once', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 0)] });
    const served = await serve(world);
    const streamed = next(served.requests, 'GET /unleash/api/client/streaming');
    const sdk = startSdk(served);
    await next(sdk, 'synchronized');
    expect(sdk.getVariant('ml', { userId: 'a' }).name).toBe('v1');
    await streamed;
    await next(sdk, 'changed');
    let polls = 0;
    served.requests.on('GET /unleash/api/client/features', () => (polls += 1));
    const news = until(sdk, () => sdk.getVariant('ml', { userId: 'a' }).name === 'v2');
    world.set({ flags: [splitFlag('ml', 100_000)] });
    await news;
    expect(polls).toBe(0);
  });

  it('is not asked of SDKs when that is switched off', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 0)] });
    const served = await serve(world, { invitesToStream: false });
    let hasStreamed = false;
    served.requests.on('GET /unleash/api/client/streaming', () => (hasStreamed = true));
    const sdk = startSdk(served);
    await next(sdk, 'synchronized');
    for (let polls = 0; polls < 3; polls += 1) await next(sdk, 'unchanged');
    expect(hasStreamed).toBe(false);
  });

  it('is asked for once, not again and again, where something on the way refuses it', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 0)] });
    const served = await serve(world, { refusesStreams: true });
    let streams = 0;
    served.requests.on('GET /unleash/api/client/streaming', () => (streams += 1));
    const sdk = startSdk(served, { refreshInterval: 20 });
    await next(sdk, 'synchronized');
    for (let polls = 0; polls < 10; polls += 1) await next(sdk, 'unchanged');
    expect(streams).toBe(1);
    const news = until(sdk, () => sdk.getVariant('ml', { userId: 'a' }).name === 'v2');
    world.set({ flags: [splitFlag('ml', 100_000)] });
    await news;
  });

  it('is left for polling at once when there are too many streams', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 0)] });
    const served = await serve(world, { maxStreams: 0 });
    const polled = next(served.requests, 'GET /unleash/api/client/features');
    const sdk = startSdk(served, STREAMING);
    await next(sdk, 'synchronized');
    await polled;
    await next(sdk, 'unchanged');
    expect(sdk.getVariant('ml', { userId: 'a' }).name).toBe('v1');
  });
});

describe('keys', () => {
  it.each([
    { name: 'stops for good with an unknown key', key: 'nobody', status: 401 },
    { name: 'stops for good with a key of browsers', key: 'default:production.client-secret', status: 403 },
  ])('$name, which its log says', async ({ key, status }) => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 0)] });
    const sdk = startSdk(await serve(world), { customHeaders: { Authorization: key } });
    const [error] = await next(sdk, 'error');
    expect(String(error)).toContain(`responded ${status} which means your API key is not allowed to connect`);
  });

  it('waits while keys cannot be looked up', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 0)] });
    world.keys.set('default:production.late', { outcome: 'unavailable' });
    const served = await serve(world);
    const sdk = startSdk(served, { customHeaders: { Authorization: 'default:production.late' } });
    const ready = next(sdk, 'synchronized');
    const refused = await fetch(`${served.api}/client/features`, { headers: { authorization: 'default:production.late' } });
    expect(refused.status).toBe(503);
    world.keys.set('default:production.late', { outcome: 'known', name: 'late', use: 'server' });
    await ready;
  });
});

it('gives only the flags with the prefix that the SDK wants, and still tells it of changes', async () => {
  const world = openWorld();
  world.set({ flags: [splitFlag('ml.a', 0), splitFlag('shop.b', 0)] });
  const served = await serve(world);
  const polling = startSdk(served, { namePrefix: 'ml.', projectName: 'payments', tags: [{ name: 'team', value: 'ml' }] });
  const delta = startSdk(served, { ...DELTA, namePrefix: 'ml.' });
  const ready = [next(polling, 'synchronized'), next(delta, 'synchronized')];
  await Promise.all(ready);
  for (const sdk of [polling, delta]) expect(sdk.getFeatureToggleDefinitions().map(({ name }) => name)).toEqual(['ml.a']);
  const news = [polling, delta].map((sdk) => until(sdk, () => sdk.getVariant('ml.a', { userId: 'a' }).name === 'v2'));
  world.set({ flags: [splitFlag('ml.a', 100_000), splitFlag('shop.b', 50_000)] });
  await Promise.all(news);
  expect(delta.getFeatureToggleDefinitions().map(({ name }) => name)).toEqual(['ml.a']);
});
