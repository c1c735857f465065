import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { type EndpointName, ENDPOINTS } from '@understudy/contract/endpoints';
import { Problem } from '@understudy/contract/problems';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openTestControl, type TestControl } from './test-control.ts';

let control: TestControl;

beforeAll(async () => {
  control = await openTestControl();
});

afterAll(async () => {
  await control[Symbol.asyncDispose]();
});

interface Sent {
  readonly method: string;
  readonly url: string;
  readonly payload?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Got {
  readonly status: number;
  readonly code: string | undefined;
  readonly message: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

async function send({ method, url, payload, headers }: Sent): Promise<Got> {
  const answer = await control.api.inject({
    method: method as 'GET',
    url,
    headers: {
      authorization: `Bearer ${control.tokenFor('admin')}`,
      ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(payload === undefined ? {} : { payload }),
  });
  const problem = answer.statusCode < 400 ? undefined : Problem.parse(answer.json()).error;
  return { status: answer.statusCode, code: problem?.code, message: problem?.message ?? '', headers: answer.headers };
}

async function createModel(payload: string | Buffer, headers: Readonly<Record<string, string>> = {}): Promise<Got> {
  return send({ method: 'POST', url: '/api/v1/models', payload, headers });
}

const NAMES = Object.keys(ENDPOINTS) as EndpointName[];

function urlOf(name: EndpointName): string {
  return `/api/v1${ENDPOINTS[name].path.replaceAll(/:[a-z]+/g, 'nothing')}`;
}

describe('unknown fields', () => {
  it.each(NAMES)('in the query of %s are refused by name', async (name) => {
    const got = await send({ method: ENDPOINTS[name].method, url: `${urlOf(name)}?surprise=1`, payload: '{}' });
    // The body is looked at first, so that an endpoint whose body is wrong too says that.
    if (got.message.startsWith('the query')) expect(got.message).toContain('unknown field "surprise"');
    expect([got.status, got.code]).toEqual(
      name === 'uploadArtifact' ? [415, 'request.unsupported_media_type'] : [400, 'request.invalid'],
    );
  });

  it.each(NAMES.filter((name) => ENDPOINTS[name].body instanceof z.ZodType))(
    'in the body of %s are refused by name',
    async (name) => {
      const got = await send({ method: ENDPOINTS[name].method, url: urlOf(name), payload: '{"surprise":1}' });
      expect([got.status, got.code]).toEqual([400, 'request.invalid']);
      expect(got.message).toContain('unknown field "surprise"');
    },
  );

  it.each([
    { name: 'in a nested object', body: { name: 'm', routing: { surprise: 1 } } },
    { name: 'in a list', body: { name: 'm', routing: { subject: [{ from: 'header', name: 'x', surprise: 1 }] } } },
  ])('$name are refused with their place', async ({ body }) => {
    const { message } = await createModel(JSON.stringify(body));
    expect(message).toMatch(/routing.*unknown field "surprise"/);
  });

  it('in one alternative of several are refused by name', async () => {
    const plan = { name: 'p', steps: [{ traffic: 100 }], surprise: 1 };
    const payload = JSON.stringify({ model: 'm', challenger: 'v', plan });
    const { message } = await send({ method: 'POST', url: '/api/v1/rollouts', payload });
    expect(message).toBe('the body cannot be used: plan: unknown field "surprise"');
  });

  it('are refused where nothing is expected at all', async () => {
    const got = await send({ method: 'DELETE', url: '/api/v1/tokens/x', payload: '{"surprise":1}' });
    expect([got.code, got.message]).toEqual(['request.invalid', 'DELETE /tokens/:token takes no body; leave it out']);
  });
});

describe('prototype pollution', () => {
  const before = JSON.stringify(Object.getOwnPropertyNames(Object.prototype).toSorted());

  it.each([
    '{"name":"m","__proto__":{"polluted":1}}',
    '{"__proto__":{"polluted":1}}',
    '{"name":"m","constructor":{"prototype":{"polluted":1}}}',
    '{"name":"m","routing":{"__proto__":{"polluted":1}}}',
    '{"name":"m","\\u005f_proto__":{"polluted":1}}',
  ])('is refused: %s', async (payload) => {
    const got = await createModel(payload);
    expect([got.status, got.code]).toEqual([400, 'request.invalid']);
    expect(Object.getOwnPropertyNames(Object.prototype).toSorted()).toEqual(JSON.parse(before));
  });

  it.each(['__proto__=1', '__proto__[polluted]=1', 'constructor.prototype.polluted=1'])(
    'is refused in the query: %s',
    async (query) => {
      const got = await send({ method: 'GET', url: `/api/v1/journal?${query}` });
      expect([got.status, got.code]).toEqual([400, 'request.invalid']);
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    },
  );

  it.each(['__proto__', 'constructor', 'toString'])('finds no model called %s', async (name) => {
    expect((await send({ method: 'GET', url: `/api/v1/models/${name}` })).status).toBeGreaterThanOrEqual(400);
  });
});

describe('a body', () => {
  it.each([
    { name: 'that is missing', payload: '', message: 'the body is missing' },
    { name: 'that is not JSON', payload: '{name', message: 'is not valid JSON' },
    { name: 'that is cut off', payload: '{"name":"m"', message: 'is not valid JSON' },
    { name: 'that is not UTF-8', payload: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), message: 'not valid UTF-8' },
    { name: 'with half a character', payload: '{"name":"\\ud800"}', message: 'half of a surrogate pair' },
    { name: 'that is a list', payload: '[]', message: 'expected object' },
    { name: 'that is a number', payload: '1', message: 'expected object' },
    { name: 'that is null', payload: 'null', message: 'body' },
    {
      name: 'that is too deep',
      payload: `{"name":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      message: 'deeper than 64 levels',
    },
    {
      name: 'with a number beyond all numbers',
      payload: '{"name":"m","watch":{"cooldownMs":1e9999}}',
      message: 'watch.cooldownMs',
    },
    { name: 'with NaN', payload: '{"name":"m","watch":{"cooldownMs":NaN}}', message: 'is not valid JSON' },
  ])('$name is refused', async ({ payload, message }) => {
    const got = await createModel(payload);
    expect([got.status, got.code]).toEqual([400, 'request.invalid']);
    expect(got.message).toContain(message);
  });

  it('may have whole characters as escapes, and texts that look like half ones', async () => {
    const reason = '\\ud83d\\ude00 and \\\\ud800';
    const got = await send({ method: 'POST', url: '/api/v1/models/nothing/kill', payload: `{"reason":"${reason}"}` });
    expect(got.code).toBe('model.not_found');
  });

  it('of 1 MiB is read and of one byte more is not', async () => {
    const fill = (bytes: number): string => `{"name":"${'m'.repeat(bytes - 11)}"}`;
    const atLimit = await createModel(fill(1024 * 1024));
    expect([atLimit.status, atLimit.code]).toEqual([400, 'request.invalid']);
    const above = await createModel(fill(1024 * 1024 + 1));
    expect([above.status, above.code]).toEqual([413, 'request.body_too_large']);
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/octet-stream'])(
    'of content-type %s is refused',
    async (type) => {
      const got = await createModel('{"name":"m"}', { 'content-type': type });
      expect([got.status, got.code]).toEqual([415, 'request.unsupported_media_type']);
    },
  );

  it('larger than its announced length, or endless, is stopped at the limit', async () => {
    await using own = await openTestControl();
    const address = await own.api.listen({ host: '127.0.0.1', port: 0 });
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${own.tokenFor('admin')}`,
        'content-type': 'application/json',
        'transfer-encoding': 'chunked',
      };
      const outgoing = httpRequest(`${address}/api/v1/models`, { method: 'POST', headers }, (response) => {
        response.resume();
        clearInterval(feeding);
        resolve(response.statusCode);
        outgoing.destroy();
      });
      outgoing.on('error', reject);
      const feeding = setInterval(() => outgoing.write('x'.repeat(256 * 1024)), 1);
    });
    expect(status).toBe(413);
  });
});

describe('what is not HTTP', () => {
  it.each([
    { name: 'nonsense', text: 'hello\r\n\r\n', message: 'the request is not valid HTTP' },
    {
      name: 'two lengths',
      text: 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
      message: 'not valid HTTP',
    },
    {
      name: 'endless headers',
      text: `GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`,
      message: 'larger than 16 KiB',
    },
  ])('is answered like every other problem: $name', async ({ text, message }) => {
    await using own = await openTestControl();
    const { hostname, port } = new URL(await own.api.listen({ host: '127.0.0.1', port: 0 }));
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => socket.write(text));
      let seen = '';
      socket.on('data', (chunk) => {
        seen += chunk.toString();
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(seen));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(Problem.parse(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).error).toMatchObject({
      code: 'request.invalid',
      message: expect.stringContaining(message) as string,
    });
  });
});

describe('an idempotency key', () => {
  it.each([
    { name: 'of 200 characters', key: 'k'.repeat(200), isFine: true },
    { name: 'of 201 characters', key: 'k'.repeat(201), isFine: false },
    { name: 'that is empty', key: '', isFine: false },
    { name: 'with a space', key: 'a b', isFine: false },
    { name: 'with an umlaut', key: 'schlüssel', isFine: false },
  ])('$name is taken: $isFine', async ({ key, isFine }) => {
    const got = await send({
      method: 'POST',
      url: '/api/v1/models/nothing/kill',
      payload: '{"reason":"r"}',
      headers: { 'idempotency-key': key },
    });
    expect(got.code).toBe(isFine ? 'model.not_found' : 'request.invalid');
    if (!isFine) expect(got.message).toContain('the headers cannot be used: idempotency-key:');
  });
});

describe('an address', () => {
  it.each([
    { method: 'GET', url: '/api/v1/model', message: 'did you mean /api/v1/models?' },
    { method: 'GET', url: '/models/fraud/versions', message: 'did you mean /api/v1/models/fraud/versions?' },
    { method: 'GET', url: '/API/V1/models', message: 'did you mean /api/v1/models?' },
    { method: 'GET', url: '/api/v1/plan/', message: 'did you mean /api/v1/plans?' },
    { method: 'GET', url: '/health', message: 'did you mean /healthz?' },
    { method: 'GET', url: '/something/else/entirely', message: 'see /docs for all addresses' },
  ])('that nobody has says what may have been meant: $url', async ({ method, url, message }) => {
    const got = await send({ method, url });
    expect([got.status, got.code]).toEqual([404, 'request.not_found']);
    expect(got.message).toContain(message);
  });

  it('with another method says which ones it has', async () => {
    const got = await send({ method: 'DELETE', url: '/api/v1/models/fraud' });
    expect([got.status, got.code, got.headers['allow']]).toEqual([405, 'request.method_not_allowed', 'GET, HEAD, PATCH']);
  });

  it.each([
    { url: '/api/v1/models/%', problem: 'cannot be read' },
    { url: '/api/v1/models/%ff', problem: 'cannot be read' },
    { url: `/api/v1/models/${'m'.repeat(501)}`, problem: 'too long' },
    { url: `/api/v1/models/${'m'.repeat(64)}`, problem: 'use 1 to 63 letters' },
    { url: '/api/v1/models/', problem: 'use 1 to 63 letters' },
    { url: '/api/v1/models/..%2f..%2fetc', problem: 'use 1 to 63 letters' },
    { url: '/api/v1/models/a%00b', problem: 'use 1 to 63 letters' },
    { url: '/api/v1/journal?limit=0', problem: 'the query cannot be used: limit' },
    { url: '/api/v1/journal?limit=1001', problem: 'the query cannot be used: limit' },
    { url: '/api/v1/journal?limit=1&limit=2', problem: 'the query cannot be used: limit' },
    { url: '/api/v1/models/m/champion?at=yesterday', problem: 'the query cannot be used: at' },
  ])('that cannot be used says why: $url', async ({ url, problem }) => {
    const got = await send({ method: 'GET', url });
    expect([got.status, got.code]).toEqual([400, 'request.invalid']);
    expect(got.message).toContain(problem);
  });
});

describe('an error', () => {
  it('of ours is logged once and shown as nothing but a request id', async () => {
    await using broken = await openTestControl();
    broken.engineSays({ judgement: undefined as never });
    const failing = new Error('secret detail of the inside');
    const api = broken.context.store;
    Object.assign(api, { gateways: () => Promise.reject(failing) });
    const answer = await broken.api.inject({
      url: '/api/v1/gateways',
      headers: { authorization: `Bearer ${broken.tokenFor('read')}` },
    });
    const { error } = Problem.parse(answer.json());
    expect([answer.statusCode, error.code]).toEqual([500, 'internal.unexpected']);
    expect(answer.body).not.toContain('secret detail');
    expect(answer.body).not.toContain('.ts');
    expect(error.message).toContain(error.requestId);
    expect(answer.headers['x-request-id']).toBe(error.requestId);
    expect(broken.log).toEqual([
      {
        level: 'error',
        event: 'request.failed',
        fields: expect.objectContaining({ requestId: error.requestId, err: failing }) as object,
      },
    ]);
  });

  it('in what would be answered is one of ours, not a wrong answer', async () => {
    await using broken = await openTestControl();
    Object.assign(broken.context.store, { gateways: async () => [{ gateway: 'g', surprise: 1 }] });
    const answer = await broken.api.inject({
      url: '/api/v1/gateways',
      headers: { authorization: `Bearer ${broken.tokenFor('read')}` },
    });
    expect(Problem.parse(answer.json()).error.code).toBe('internal.unexpected');
    expect(broken.log).toHaveLength(1);
  });
});

describe('every answer', () => {
  it.each(['/healthz', '/api/v1/models', '/nothing', '/api/v1/models/%', '/openapi.json'])(
    'may not be sniffed, cached, framed or run: %s',
    async (url) => {
      const { headers } = await control.api.inject({ url });
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
        'content-security-policy': expect.stringContaining("default-src 'none'; frame-ancestors 'none'") as string,
      });
    },
  );

  it('lets only the page of the docs load its own files', async () => {
    const { headers } = await control.api.inject('/docs/');
    expect(headers['content-security-policy']).toContain("script-src 'self';");
    expect(headers['content-security-policy']).not.toContain('unsafe-eval');
  });
});

describe('the probes', () => {
  it('say when the store does not answer and when the process is about to stop', async () => {
    await using own = await openTestControl();
    expect((await own.api.inject('/readyz')).json()).toEqual({ status: 'ready' });
    own.api.drain();
    const draining = await own.api.inject('/readyz');
    expect([draining.statusCode, draining.headers['connection'], Problem.parse(draining.json()).error.code]).toEqual([
      503,
      'close',
      'request.shutting_down',
    ]);
    expect((await own.api.inject('/healthz')).json()).toEqual({ status: 'up' });
  });
});
