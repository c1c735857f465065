import { request as httpRequest } from 'node:http';
import { type EndpointName, ENDPOINTS } from '@understudy/contract/endpoints';
import { Problem } from '@understudy/contract/problems';
import { allows, type Scope, SCOPES } from '@understudy/core/token';
import { fastify } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatToken } from '../token-secret.ts';
import { guardAccess } from './access.ts';
import { openTestControl, type TestControl } from './test-control.ts';

const NAMES = Object.keys(ENDPOINTS) as EndpointName[];

let control: TestControl;
let address: string;

beforeAll(async () => {
  control = await openTestControl();
  address = await control.api.listen({ host: '127.0.0.1', port: 0 });
});

afterAll(async () => {
  await control[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly message: string;
}

/** Sends a path exactly as it is written; `fetch` would tidy it up first. */
async function send(method: string, path: string, authorization: string | undefined): Promise<Answer> {
  const { hostname, port } = new URL(address);
  const headers = authorization === undefined ? {} : { authorization };
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ hostname, port, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const problem = (response.statusCode ?? 0) < 400 ? undefined : Problem.parse(JSON.parse(text));
        resolve({ status: response.statusCode ?? 0, code: problem?.error.code, message: problem?.error.message ?? '' });
      });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** The address of an endpoint, with a name that does not exist for each parameter. */
function pathOf(name: EndpointName): string {
  return `/api/v1${ENDPOINTS[name].path.replaceAll(/:[a-z]+/g, 'nothing')}`;
}

const TRICKS: readonly { readonly trick: string; readonly spell: (path: string) => string }[] = [
  { trick: 'as it is', spell: (path) => path },
  { trick: 'with a trailing slash', spell: (path) => `${path}/` },
  { trick: 'with a double slash in front', spell: (path) => `/${path}` },
  { trick: 'with a double slash inside', spell: (path) => path.replace('/v1/', '/v1//') },
  { trick: 'with a dot segment', spell: (path) => path.replace('/v1/', '/v1/./') },
  { trick: 'with an encoded dot segment', spell: (path) => path.replace('/v1/', '/v1/%2e/') },
  { trick: 'through a public prefix', spell: (path) => `/healthz/..${path}` },
  { trick: 'through an encoded public prefix', spell: (path) => `/docs/%2e%2e${path}` },
  { trick: 'through a path parameter', spell: (path) => `/docs/..;${path}` },
  { trick: 'in capitals', spell: (path) => path.toUpperCase() },
  { trick: 'with an encoded letter', spell: (path) => path.replace('/api/', '/%61pi/') },
  { trick: 'with a query that looks public', spell: (path) => `${path}?/healthz` },
];

const UNKNOWN = formatToken('nobody', 'x'.repeat(43));

describe('every endpoint and every spelling of its address', () => {
  it('is closed without a valid token', async () => {
    const expired = await control.addToken('expired', ['admin'], 1000);
    control.clock.pass(2000);
    const wrongSecret = `${control.tokenFor('admin').slice(0, -4)}AAAA`;
    const principals = [
      { authorization: undefined, codes: ['auth.missing_token'] },
      ...['', 'Bearer', 'garbage', 'Bearer garbage', `Basic ${UNKNOWN}`, `Bearer ${UNKNOWN}`].map((authorization) => ({
        authorization,
        codes: ['auth.invalid_token', 'request.overloaded'],
      })),
      { authorization: `Bearer ${wrongSecret}`, codes: ['auth.invalid_token', 'request.overloaded'] },
      { authorization: `Bearer ${expired}`, codes: ['auth.invalid_token', 'request.overloaded'] },
    ];
    const open: string[] = [];
    for (const name of NAMES) {
      for (const { trick, spell } of TRICKS) {
        for (const { authorization, codes } of principals) {
          const answer = await send(ENDPOINTS[name].method, spell(pathOf(name)), authorization);
          if (!codes.includes(answer.code ?? '')) {
            open.push(`${name} ${trick} as "${String(authorization)}": ${answer.status} ${String(answer.code)}`);
          }
        }
      }
    }
    expect(open).toEqual([]);
  }, 120_000);

  it('is open to exactly the scopes that it declares, and names the one that is missing', async () => {
    const wrong: string[] = [];
    for (const name of NAMES) {
      for (const scope of SCOPES) {
        const { method, scope: needed } = ENDPOINTS[name];
        const answer = await send(method, pathOf(name), `Bearer ${control.tokenFor(scope)}`);
        const isLetIn = answer.status !== 401 && answer.status !== 403;
        const isNamed = answer.code === 'auth.forbidden' && answer.message.includes(`"${needed}"`);
        if (allows([scope], needed) ? !isLetIn : !isNamed) wrong.push(`${name} as ${scope}: ${answer.status} ${answer.message}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('gives a scope that is not enough nothing but a refusal or an unknown address', async () => {
    const refused = new Set(['auth.forbidden', 'request.not_found', 'request.method_not_allowed']);
    const open: string[] = [];
    for (const name of NAMES) {
      for (const scope of SCOPES.filter((one) => !allows([one], ENDPOINTS[name].scope))) {
        for (const { trick, spell } of TRICKS) {
          const answer = await send(ENDPOINTS[name].method, spell(pathOf(name)), `Bearer ${control.tokenFor(scope)}`);
          if (!refused.has(answer.code ?? '')) open.push(`${name} ${trick} as ${scope}: ${answer.status} ${String(answer.code)}`);
        }
      }
    }
    expect(open).toEqual([]);
  }, 120_000);

  it.each(['HEAD', 'OPTIONS', 'TRACE', 'PROPFIND'])('is closed to %s as well', async (method) => {
    const status = await new Promise((resolve, reject) => {
      const outgoing = httpRequest(`${address}/api/v1/tokens`, { method }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      outgoing.on('error', reject);
      outgoing.end();
    });
    expect(status).toBe(401);
  });
});

describe('what is open to everybody', () => {
  it('is the probes, the description of the API and its page, and nothing else', async () => {
    const { api } = control;
    const paths = ['/healthz', '/readyz', '/openapi.json', '/docs', '/docs/', '/docs/static/swagger-ui.css', '/docs/json'];
    for (const path of paths) expect([path, (await api.inject(path)).statusCode]).toEqual([path, 200]);
    for (const path of ['/', '/metrics', '/api', '/favicon.ico', '/docsx', '/healthz/x']) {
      expect([path, (await api.inject(path)).statusCode]).toEqual([path, 401]);
    }
  });

  it('is the metrics page too when asked for', async () => {
    await using open = await openTestControl({ openMetrics: true });
    expect((await open.api.inject('/metrics')).body).toBe('understudy_up 1\n');
    const headers = { authorization: `Bearer ${control.tokenFor('read')}` };
    expect((await control.api.inject({ url: '/metrics', headers })).body).toBe('understudy_up 1\n');
  });
});

describe('a route', () => {
  it('that declares no access stops the program at its start', async () => {
    const app = fastify();
    guardAccess(app, { ...control.context, sdkPrefixes: [] });
    expect(() => app.get('/secret', async () => 'secret')).toThrow('route GET /secret declares no access');
    await app.close();
  });

  it('that declares its access in another plugin is guarded all the same', async () => {
    const app = fastify();
    guardAccess(app, { ...control.context, sdkPrefixes: [] });
    app.setErrorHandler((error, _request, reply) => reply.send({ name: error instanceof Error ? error.message : '' }));
    await app.register(async (inner) => {
      inner.get('/inner', { config: { access: 'admin' } }, async () => 'secret');
    });
    expect((await app.inject('/inner')).json()).toEqual({ name: expect.stringContaining('a token is needed') as string });
    await app.close();
  });
});

describe('a flag protocol', () => {
  const openWithProtocol = async (): Promise<ReturnType<typeof fastify>> => {
    const app = fastify();
    guardAccess(app, { ...control.context, sdkPrefixes: ['/unleash'] });
    app.setErrorHandler((error, _request, reply) =>
      reply.status(401).send({ name: error instanceof Error ? error.message : '' }),
    );
    await app.register(async (inner) => void inner.get('/api/client/features', async () => 'by a key'), { prefix: '/unleash' });
    app.get('/unleashed', { config: { access: 'admin' } }, async () => 'secret');
    return app;
  };

  it.each([
    { name: 'asks for keys itself', url: '/unleash/api/client/features', status: 200 },
    { name: 'never tells an SDK that its key is wrong where there is no address', url: '/unleash/api/nothing', status: 404 },
    { name: 'opens nothing beside it', url: '/unleashed', status: 401 },
    { name: 'opens no other unknown address', url: '/elsewhere', status: 401 },
  ])('$name', async ({ url, status }) => {
    const app = await openWithProtocol();
    expect((await app.inject(url)).statusCode).toBe(status);
    await app.close();
  });
});

describe('a refusal', () => {
  const ask = async (authorization: string) => control.api.inject({ url: '/api/v1/models', headers: { authorization } });

  it('is the same for an unknown id, a wrong secret, an expired and a revoked token', async () => {
    await using fresh = await openTestControl();
    const expired = await fresh.addToken('expired', ['read'], 10);
    fresh.clock.pass(20);
    const wrongSecret = `${fresh.tokenFor('read').slice(0, -4)}AAAA`;
    const bodies = await Promise.all(
      [UNKNOWN, wrongSecret, expired, 'garbage'].map(async (token) => {
        const answer = await fresh.api.inject({ url: '/api/v1/models', headers: { authorization: `Bearer ${token}` } });
        const { error } = Problem.parse(answer.json());
        return [answer.statusCode, answer.headers['www-authenticate'], error.code, error.message];
      }),
    );
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
    expect(bodies[0]?.slice(0, 3)).toEqual([401, 'Bearer realm="understudy"', 'auth.invalid_token']);
  });

  it('turns into "wait" after twenty a minute, while valid tokens of the same address are let in', async () => {
    await using fresh = await openTestControl();
    const headers = { authorization: `Bearer ${UNKNOWN}` };
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 25; attempt += 1) {
      statuses.push((await fresh.api.inject({ url: '/api/v1/models', headers })).statusCode);
    }
    expect(statuses).toEqual([...Array<number>(20).fill(401), ...Array<number>(5).fill(503)]);
    const spent = await fresh.api.inject({ url: '/api/v1/models', headers });
    expect([spent.headers['retry-after'], Problem.parse(spent.json()).error.code]).toEqual(['3', 'request.overloaded']);
    const valid = { authorization: `Bearer ${fresh.tokenFor('read')}` };
    expect((await fresh.api.inject({ url: '/api/v1/models', headers: valid })).statusCode).toBe(200);
    fresh.clock.pass(3000);
    expect((await fresh.api.inject({ url: '/api/v1/models', headers })).statusCode).toBe(401);
  });

  it('never repeats the token', async () => {
    const token = control.tokenFor('predict');
    const answer = await ask(`Bearer ${token}`);
    expect(answer.statusCode).toBe(403);
    expect(answer.body).not.toContain(token);
    expect(JSON.stringify(control.log)).not.toContain(token);
  });
});

describe('a token', () => {
  it.each<{ readonly scope: Scope; readonly status: number }>([
    { scope: 'read', status: 200 },
    { scope: 'operate', status: 200 },
    { scope: 'admin', status: 200 },
    { scope: 'predict', status: 403 },
    { scope: 'feedback', status: 403 },
  ])('that may $scope gets $status from a page to read', async ({ scope, status }) => {
    const headers = { authorization: `bearer ${control.tokenFor(scope)}` };
    expect((await control.api.inject({ url: '/api/v1/models', headers })).statusCode).toBe(status);
  });
});
