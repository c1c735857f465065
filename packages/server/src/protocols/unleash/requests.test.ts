// What every request gets, whatever SDK sends it.
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { splitFlag } from '../test-world.ts';
import { CLIENT_KEY, openWorld, serve, SERVER_KEY } from './test-sdks.ts';

const SERVER = { authorization: SERVER_KEY };
const CLIENT = { authorization: CLIENT_KEY };
const CLIENT_API = ['/client/features', '/client/delta', '/client/streaming'];

async function serveFlags() {
  const world = openWorld();
  world.set({ flags: [splitFlag('ml', 10_000)] });
  return { world, ...(await serve(world)) };
}

describe('a key', () => {
  it.each([
    { name: 'that is missing', headers: {}, status: 401, message: 'the request has no SDK key' },
    { name: 'that is unknown', headers: { authorization: 'nobody' }, status: 401, message: 'the SDK key is unknown' },
    { name: 'that cannot be looked up', headers: { authorization: 'later' }, status: 503, message: 'at the moment' },
    { name: 'for browsers', headers: CLIENT, status: 403, message: 'the key "shop" is a client key' },
  ])('$name gets $status from the client API', async ({ headers, status, message }) => {
    const { world, app } = await serveFlags();
    world.keys.set('later', { outcome: 'unavailable' });
    for (const path of CLIENT_API) {
      const answer = await app.inject({ url: `/unleash/api${path}`, headers });
      expect(answer.statusCode).toBe(status);
      expect(answer.json<{ message: string }>().message).toContain(message);
      expect(answer.headers['retry-after']).toBe(status === 503 ? '5' : undefined);
    }
  });

  it('whose look-up fails is not called unknown', async () => {
    const world = openWorld();
    world.set({ flags: [] });
    const check = () => Promise.reject(new Error('the store is locked'));
    const { app } = await serve({ ...world, ports: { ...world.ports, keys: { check } } });
    const answer = await app.inject({ url: '/unleash/api/client/features', headers: SERVER });
    expect(answer.statusCode).toBe(503);
    expect(answer.body).not.toContain('locked');
  });

  it.each([
    { name: 'a key for browsers', headers: { ...CLIENT, origin: 'https://shop.example' }, status: 200 },
    { name: 'a key for servers, from a server', headers: SERVER, status: 200 },
    { name: 'a key for servers, from a browser', headers: { ...SERVER, origin: 'https://shop.example' }, status: 403 },
    { name: 'an unknown key', headers: { authorization: 'nobody' }, status: 401 },
    { name: 'a key behind "Bearer"', headers: { authorization: `Bearer ${CLIENT_KEY}` }, status: 200 },
  ])('may ask the frontend API: $name gets $status, which pages may read', async ({ headers, status }) => {
    const { app } = await serveFlags();
    const answer = await app.inject({ url: '/unleash/api/frontend?userId=a', headers });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['access-control-allow-origin']).toBe('*');
  });
});

it('answers 503 to everybody until the flags are loaded, and again when they are not', async () => {
  const world = openWorld();
  const { app } = await serve(world);
  const statusOf = async (path: string) =>
    (await app.inject({ url: `/unleash${path}`, headers: { authorization: 'nobody' } })).statusCode;
  const paths = [...CLIENT_API.map((path) => `/api${path}`), '/api/frontend', '/health'];
  for (const path of paths) expect(await statusOf(path), path).toBe(503);
  world.set({ flags: [] });
  expect(await statusOf('/health')).toBe(200);
  expect(await statusOf('/api/client/features')).toBe(401);
  world.forget();
  for (const path of paths) expect(await statusOf(path), path).toBe(503);
});

describe.each(['/api/client/features', '/api/client/delta', '/api/frontend?userId=a'])('%s', (path) => {
  it('is not sent again to who has it, until a flag changes', async () => {
    const { world, app } = await serveFlags();
    const get = async (tag?: string) => {
      return app.inject({
        url: `/unleash${path}`,
        headers: { ...SERVER, ...(tag === undefined ? {} : { 'if-none-match': tag }) },
      });
    };
    const etag = String((await get()).headers.etag);
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`]) expect((await get(tag)).statusCode).toBe(304);
    world.set({ flags: [splitFlag('ml', 10_000)] });
    expect((await get(etag)).statusCode).toBe(304);
    world.set({ flags: [splitFlag('ml', 100_000)] });
    expect((await get(etag)).statusCode).toBe(200);
  });
});

it('has another tag for another context, and for another prefix', async () => {
  const { app } = await serveFlags();
  const tagOf = async (path: string) => (await app.inject({ url: `/unleash/api${path}`, headers: SERVER })).headers['etag'];
  const moved = Array.from({ length: 100 }, (_, index) => `/frontend?userId=user-${index}`);
  expect(new Set(await Promise.all(moved.map(tagOf))).size).toBe(2);
  expect(await tagOf('/client/features?namePrefix=m')).not.toBe(await tagOf('/client/features'));
});

it('sends to a poll for changes only what changed since, and everything to who was away too long', async () => {
  const { world, app } = await serveFlags();
  const poll = async (tag: string) =>
    app.inject({ url: '/unleash/api/client/delta', headers: { ...SERVER, 'if-none-match': tag } });
  const { etag } = (await poll('')).headers;
  world.set({ flags: [splitFlag('ml', 20_000), splitFlag('new', 0)] });
  world.set({ flags: [splitFlag('new', 0)] });
  const types = async (tag: string) => {
    const { events } = (await poll(tag)).json<{ events: readonly { type: string; eventId: number }[] }>();
    return events.map(({ type, eventId }) => `${eventId} ${type}`);
  };
  expect(await types(String(etag))).toEqual(['2 feature-updated', '2 feature-updated', '3 feature-removed']);
  expect(await types('"of another time"')).toEqual(['3 hydration']);
});

it('reads contexts from the query and from a body alike', async () => {
  const world = openWorld();
  const all = [
    { type: 'attribute', attribute: 'region', operator: 'in', values: ['eu'] } as const,
    { type: 'attribute', attribute: 'age', operator: 'greater-than', values: [17] } as const,
    { type: 'attribute', attribute: 'beta', operator: 'in', values: [true] } as const,
    { type: 'attribute', attribute: 'remoteAddress', operator: 'in', values: ['127.0.0.1'] } as const,
    { type: 'attribute', attribute: 'appName', operator: 'in', values: ['shop'] } as const,
  ];
  world.set({ flags: [splitFlag('ml', 0, { rules: [{ all, serve: { variant: 'v2' } }] })] });
  const { app } = await serve(world);
  const properties = { region: 'eu', age: '30', beta: 'true' };
  const url = '/unleash/api/frontend';
  const query = 'userId=a&appName=shop&properties[region]=eu&properties[age]=30&properties[beta]=true';
  const answers = [
    await app.inject({ url: `${url}?${query}`, headers: CLIENT }),
    await app.inject({
      method: 'POST',
      url,
      headers: CLIENT,
      payload: { context: { userId: 'a', appName: 'shop', properties } },
    }),
    await app.inject({
      method: 'POST',
      url,
      headers: CLIENT,
      payload: { context: { userId: 'a', appName: 'shop', ...properties, age: 30 } },
    }),
  ];
  for (const answer of answers) expect(answer.body).toContain('"name":"v2"');
  expect((await app.inject({ url: `${url}?userId=a`, headers: CLIENT })).body).toContain('"name":"v1"');
  expect((await app.inject({ method: 'POST', url, headers: CLIENT })).statusCode).toBe(200);
});

it('lets any page ask before it asks', async () => {
  const { app } = await serveFlags();
  const headers = { origin: 'https://shop.example', 'access-control-request-headers': 'authorization,x-own' };
  for (const path of ['/api/frontend', '/api/frontend/client/metrics']) {
    const answer = await app.inject({ method: 'OPTIONS', url: `/unleash${path}`, headers });
    expect(answer.statusCode).toBe(204);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'authorization,x-own',
    });
  }
});

describe('a report', () => {
  const body = JSON.stringify({ bucket: { toggles: { ml: { yes: 1, no: 0, variants: { v1: 1 } } } }, unheardOf: 1 });
  it.each([
    { name: 'as JSON', payload: body, headers: { 'content-type': 'application/json' }, status: 202 },
    { name: 'as a beacon', payload: body, headers: { 'content-type': 'text/plain' }, status: 202 },
    { name: 'compressed', payload: gzipSync(body), headers: { 'content-encoding': 'gzip' }, status: 202 },
    { name: 'that is not what it says', payload: body, headers: { 'content-encoding': 'gzip' }, status: 400 },
    { name: 'in an unknown compression', payload: body, headers: { 'content-encoding': 'zip' }, status: 415 },
    { name: 'that is not JSON', payload: '{', headers: {}, status: 400 },
    { name: 'that is a list', payload: '[]', headers: {}, status: 400 },
    { name: 'that is too long', payload: ' '.repeat(5 * 1024 * 1024 + 1), headers: {}, status: 413 },
    {
      name: 'that inflates to too much',
      payload: gzipSync(Buffer.alloc(30_000_000)),
      headers: { 'content-encoding': 'gzip' },
      status: 413,
    },
  ])('$name gets $status', async ({ payload, headers, status }) => {
    const { world, app } = await serveFlags();
    const answer = await app.inject({
      method: 'POST',
      url: '/unleash/api/client/metrics',
      headers: { ...SERVER, ...headers },
      payload,
    });
    expect(answer.statusCode).toBe(status);
    expect(world.outcomes.map(({ exposures }) => exposures)).toEqual(status === 202 ? [1] : []);
    if (status !== 202)
      expect(answer.json()).toMatchObject({ message: expect.any(String), details: [{ message: expect.any(String) }] });
  });

  it('that comes twice has the same batch, and another one another', async () => {
    const { world, app } = await serveFlags();
    const send = async (payload: string, connection: string) => {
      const headers = { ...SERVER, 'unleash-connection-id': connection };
      await app.inject({ method: 'POST', url: '/unleash/api/client/metrics', headers, payload });
    };
    for (const connection of ['a', 'a', 'b']) await send(body, connection);
    await send(`${body} `, 'a');
    const [first, second, ...others] = world.outcomes.map(({ batch }) => batch);
    expect(first).toBe(second);
    expect(new Set([first, ...others]).size).toBe(3);
  });
});

it('says what there is where there is nothing', async () => {
  const { app } = await serveFlags();
  const answer = await app.inject({ url: '/unleash/api/admin/projects?x=1', headers: SERVER });
  expect(answer.statusCode).toBe(404);
  expect(answer.json<{ message: string }>().message).toMatch(/^there is no GET \/unleash\/api\/admin\/projects; there are GET/);
});
