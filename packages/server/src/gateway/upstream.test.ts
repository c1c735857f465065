import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest, type RequestListener, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { UpstreamProtocol } from '@understudy/core/model-version';
import type { SnapshotModel, SnapshotVersion } from '@understudy/core/snapshot';
import { describe, expect, it } from 'vitest';
import { openUpstream } from '../runtimes/upstream-runtime.ts';
import type { OpenRuntime } from './ports.ts';
import {
  modelOf,
  onnxVersion,
  openRig,
  rolloutOf,
  type Rig,
  type RigOptions,
  snapshotOf,
  sumRuntime,
  tokenOf,
  until,
} from './gateway-rig.contract.ts';
import { serve } from './test-model-server.ts';

function upstreamVersion(version: string, url: string, protocol: UpstreamProtocol = 'predict'): SnapshotVersion {
  return { version, source: { kind: 'upstream', url, protocol, remoteModel: 'remote' } };
}

/** Upstreams are real; ONNX versions are doubles that add. */
const openRuntime: OpenRuntime = (_model, { source }) =>
  source.kind === 'upstream' ? openUpstream(source) : Promise.resolve(sumRuntime());

/** One upstream as champion. */
function championAt(url: string, overrides: Partial<SnapshotModel> = {}): RigOptions {
  return { openRuntime, snapshot: snapshotOf(1, [modelOf({ versions: [upstreamVersion('v1', url)], ...overrides })]) };
}

/** An upstream as challenger of everybody, a double as champion. */
function challengerAt(url: string): RigOptions {
  return {
    openRuntime,
    snapshot: snapshotOf(1, [rolloutOf(100_000, { versions: [onnxVersion('v1'), upstreamVersion('v2', url)] })]),
  };
}

const BODY = { features: [1, 2, 3] };

function answerJson(res: ServerResponse, value: unknown, status = 200): void {
  const text = JSON.stringify(value);
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text);
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

describe('passing on', () => {
  it('sends the body as it came to the remote model, and the answer back as it was', async () => {
    const seen: { url?: string | undefined; body?: string } = {};
    const url = await serve((req, res) => {
      void bodyOf(req).then((body) => {
        Object.assign(seen, { url: req.url, body });
        res.setHeader('x-model', 'm7');
        answerJson(res, { prediction: 4.5, extra: [1] });
      });
    });
    await using rig = await openRig(championAt(`${url}/base/`));
    const answer = await rig.post('/predict/sum', '{ "features": [1,2,3] }');
    expect(answer).toMatchObject({ status: 200, json: { prediction: 4.5, extra: [1] } });
    expect(answer.headers).toMatchObject({ 'x-model': 'm7', 'x-understudy-version': 'v1', 'x-understudy-arm': 'champion' });
    expect(seen).toEqual({ url: '/base/predict/remote', body: '{ "features": [1,2,3] }' });
    expect(await rig.tally('v1', 'champion')).toMatchObject({ requests: 1, errors: 0, predictions: { count: 1, sum: 4.5 } });
  });

  it.each<{ protocol: UpstreamProtocol; path: string; expected: string; answer: unknown; values: number }>([
    {
      protocol: 'open-inference',
      path: '/v2/models/sum/infer',
      expected: '/v2/models/remote/infer',
      answer: { outputs: [{ name: 'y', data: [1, 2] }] },
      values: 2,
    },
    {
      protocol: 'tensorflow',
      path: '/v1/models/sum:predict',
      expected: '/v1/models/remote:predict',
      answer: { predictions: [[1], [2]] },
      values: 2,
    },
    { protocol: 'mlflow', path: '/invocations', expected: '/invocations', answer: { predictions: [1, 2, 3] }, values: 3 },
  ])('finds the remote model by $protocol', async ({ protocol, path, expected, answer, values }) => {
    let target: string | undefined;
    const url = await serve((req, res) => {
      target = req.url;
      req.resume();
      answerJson(res, answer);
    });
    await using rig = await openRig(championAt(url, { versions: [upstreamVersion('v1', url, protocol)] }));
    expect((await rig.post(path, BODY)).json).toEqual(answer);
    expect(target).toBe(expected);
    expect((await rig.tally('v1', 'champion')).predictions.count).toBe(values);
  });

  it('passes on only the headers that are the other side’s to see', async () => {
    let seen: readonly string[] = [];
    const url = await serve((req, res) => {
      seen = req.rawHeaders;
      req.resume();
      res.writeHead(200, [
        ['content-type', 'application/json'],
        ['connection', 'x-secret-hop'],
        ['x-secret-hop', '1'],
        ['x-understudy-version', 'forged'],
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ]);
      res.end('{"prediction":1}');
    });
    const { token, text } = tokenOf('t', ['predict']);
    await using rig = await openRig({
      openRuntime,
      snapshot: snapshotOf(1, [modelOf({ versions: [upstreamVersion('v1', url)] })], [token]),
    });
    const reply = await rig.raw(
      [
        'POST /predict/sum HTTP/1.1',
        'Host: gateway',
        'Content-Type: application/json',
        'Content-Length: 2',
        `Authorization: ${text}`,
        'Connection: close, x-hop',
        'X-Hop: 1',
        'TE: trailers',
        'Keep-Alive: timeout=5',
        'Proxy-Authorization: Basic eA==',
        'X-Understudy-Reason: forged',
        'x_understudy_reason: forged',
        'X-Forwarded-For: 6.6.6.6',
        'Forwarded: for=6.6.6.6',
        'Accept-Encoding: gzip',
        'X-Tenant: acme',
        'Cookie: c=1',
        '',
        '{}',
      ].join('\r\n'),
    );
    const names = seen.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
    expect(names.toSorted()).toEqual([
      'connection',
      'content-length',
      'content-type',
      'cookie',
      'host',
      'x-forwarded-for',
      'x-tenant',
      'x-understudy-request-id',
    ]);
    expect(seen[seen.indexOf('x-forwarded-for') + 1]).toBe('127.0.0.1');
    expect(reply).toContain('x-understudy-version: v1\r\n');
    expect(reply).toContain('set-cookie: a=1\r\nset-cookie: b=2\r\n');
    expect(reply).not.toMatch(/forged|secret-hop/);
  });

  it('passes somebody else’s authorization on', async () => {
    let authorization: string | undefined;
    const url = await serve((req, res) => {
      authorization = req.headers.authorization;
      answerJson(res, { prediction: 1 });
    });
    await using rig = await openRig(championAt(url));
    await rig.post('/predict/sum', BODY, { authorization: 'Bearer sk-upstream' });
    expect(authorization).toBe('Bearer sk-upstream');
  });
});

describe('streaming', () => {
  it('passes an answer on while it is still being made', async () => {
    const upstream = Promise.withResolvers<ServerResponse>();
    const url = await serve((req, res) => {
      req.resume();
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write('data: 1\n\n');
      upstream.resolve(res);
    });
    await using rig = await openRig(championAt(url));
    const client = httpRequest(`${rig.url}/predict/sum`, { method: 'POST', headers: { 'content-type': 'application/json' } });
    client.end('{}');
    const [answer] = (await once(client, 'response')) as [IncomingMessage];
    const chunks = answer[Symbol.asyncIterator]();
    expect(String((await chunks.next()).value)).toBe('data: 1\n\n');
    (await upstream.promise).end('data: 2\n\n');
    expect(String((await chunks.next()).value)).toBe('data: 2\n\n');
    expect((await chunks.next()).done).toBe(true);
    expect(await rig.tally('v1', 'champion')).toMatchObject({ requests: 1, errors: 0 });
  });

  it('passes a large request on while it is still coming', async () => {
    const began = Promise.withResolvers<void>();
    let received = 0;
    const url = await serve((req, res) => {
      req.on('data', (chunk: Buffer) => {
        received += chunk.length;
        began.resolve();
      });
      req.on('end', () => answerJson(res, { prediction: received }));
    });
    await using rig = await openRig(championAt(url));
    const client = httpRequest(`${rig.url}/predict/sum`, { method: 'POST', headers: { 'content-type': 'application/json' } });
    client.write(Buffer.alloc(300 * 1024, 0x20));
    await began.promise;
    client.end(Buffer.alloc(100 * 1024, 0x20));
    const [answer] = (await once(client, 'response')) as [IncomingMessage];
    expect(JSON.parse(await bodyOf(answer))).toEqual({ prediction: 400 * 1024 });
  });

  it('does not take more from the upstream than a slow client reads', async () => {
    let sent = 0;
    const url = await serve((req, res) => {
      req.resume();
      res.writeHead(200, { 'content-type': 'application/octet-stream' });
      const chunk = Buffer.alloc(256 * 1024);
      const push = (): void => {
        while (sent < 200 * 1024 * 1024 && !res.destroyed) {
          sent += chunk.length;
          if (!res.write(chunk)) {
            res.once('drain', push);
            return;
          }
        }
      };
      push();
    });
    await using rig = await openRig(championAt(url));
    const socket = connect(rig.gateway.address.port, '127.0.0.1');
    socket.pause();
    socket.write('POST /predict/sum HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}');
    let before = -1;
    let quietTurns = 0;
    await until(() => {
      quietTurns = sent === before && sent > 0 ? quietTurns + 1 : 0;
      before = sent;
      return quietTurns > 2000;
    }, 'the upstream is held back');
    expect(sent).toBeLessThan(40 * 1024 * 1024);
    socket.destroy();
  });

  it('breaks the answer off when the upstream breaks off, and counts it', async () => {
    const url = await serve((req, res) => {
      req.resume();
      res.writeHead(200, { 'content-type': 'text/plain' });
      res.write('half', () => res.destroy());
    });
    await using rig = await openRig(championAt(url));
    await expect(rig.post('/predict/sum', BODY)).rejects.toThrow();
    expect(await rig.tally('v1', 'champion')).toMatchObject({ requests: 1, errors: 1 });
  });
});

describe('rescue', () => {
  it.each<{ name: string; predict: RequestListener; invalid?: number }>([
    { name: 'answers 500', predict: (_req, res) => answerJson(res, {}, 500) },
    { name: 'answers 404, which no caller can cause', predict: (_req, res) => answerJson(res, {}, 404) },
    { name: 'answers 429', predict: (_req, res) => answerJson(res, {}, 429) },
    { name: 'resets the connection', predict: (req) => req.socket.resetAndDestroy() },
    {
      name: 'answers NaN',
      predict: (_req, res) =>
        res.writeHead(200, { 'content-type': 'application/json', 'content-length': 18 }).end('{"prediction":NaN}'),
      invalid: 1,
    },
    {
      name: 'answers half of a document',
      predict: (_req, res) => res.writeHead(200, { 'content-type': 'application/json', 'content-length': 3 }).end('{"p'),
      invalid: 1,
    },
  ])('answers by the champion when the challenger $name', async ({ predict, invalid = 0 }) => {
    const url = await serve((req, res) => {
      req.resume();
      predict(req, res);
    });
    await using rig = await openRig(challengerAt(url));
    const answer = await rig.post('/predict/sum', BODY);
    expect(answer).toMatchObject({ status: 200, json: { prediction: 6, version: 'v1' } });
    expect(answer.headers['x-understudy-reason']).toBe('rescued');
    expect(await rig.tally('v2', 'challenger')).toMatchObject({ requests: 1, errors: 1, invalid, rescued: 1, timeouts: 0 });
    expect(await rig.tally('v1', 'champion')).toMatchObject({ requests: 0 });
  });

  it('answers by the champion after half of the deadline, and lets go of the upstream', async () => {
    const reached = Promise.withResolvers<void>();
    const freed = Promise.withResolvers<void>();
    const url = await serve((req, res) => {
      req.resume();
      res.on('close', () => freed.resolve());
      reached.resolve();
    });
    await using rig = await openRig(challengerAt(url));
    const answer = rig.post('/predict/sum', BODY);
    await reached.promise;
    rig.time.advance(2499);
    expect(rig.gateway.stats().inFlight).toBe(1);
    rig.time.advance(1);
    expect(await answer).toMatchObject({ status: 200, json: { prediction: 6 } });
    await freed.promise;
    expect(await rig.tally('v2', 'challenger')).toMatchObject({ requests: 1, errors: 1, timeouts: 1, rescued: 1 });
  });

  it('passes a refusal of the challenger on: it is the caller’s mistake', async () => {
    const url = await serve((req, res) => {
      req.resume();
      answerJson(res, { detail: 'bad features' }, 422);
    });
    await using rig = await openRig(challengerAt(url));
    expect(await rig.post('/predict/sum', BODY)).toMatchObject({ status: 422, json: { detail: 'bad features' } });
    expect(await rig.tally('v2', 'challenger')).toMatchObject({ requests: 1, errors: 0, rejected: 1 });
  });

  it('passes the champion’s own failure on as it is', async () => {
    const url = await serve((req, res) => {
      req.resume();
      answerJson(res, { detail: 'no memory' }, 500);
    });
    await using rig = await openRig(championAt(url));
    expect(await rig.post('/predict/sum', BODY)).toMatchObject({ status: 500, json: { detail: 'no memory' } });
    expect(await rig.tally('v1', 'champion')).toMatchObject({ requests: 1, errors: 1, rescued: 0 });
  });

  it('says 502 when the champion is gone', async () => {
    const url = await serve((req) => req.socket.destroy());
    await using rig = await openRig(championAt(url));
    expect(await rig.post('/predict/sum', BODY)).toMatchObject({
      status: 502,
      json: { error: { code: 'upstream.unreachable' } },
    });
  });
});

describe('time and room', () => {
  async function openHanging(): Promise<{ rig: Rig; reached: Promise<void>; freed: Promise<void> }> {
    const reached = Promise.withResolvers<void>();
    const freed = Promise.withResolvers<void>();
    const url = await serve((req, res) => {
      req.resume();
      res.on('close', () => freed.resolve());
      reached.resolve();
    });
    return { rig: await openRig(championAt(url)), reached: reached.promise, freed: freed.promise };
  }

  it('says 504 at the deadline and frees the upstream’s connection', async () => {
    const { rig, reached, freed } = await openHanging();
    await using _ = rig;
    const answer = rig.post('/predict/sum', BODY);
    await reached;
    rig.time.advance(5000);
    expect(await answer).toMatchObject({ status: 504, json: { error: { code: 'request.deadline_exceeded' } } });
    await freed;
    expect(await rig.tally('v1', 'champion')).toMatchObject({ requests: 1, errors: 1, timeouts: 1 });
    expect(rig.gateway.stats().inFlight).toBe(0);
  });

  it('frees the upstream when the client goes away', async () => {
    const { rig, reached, freed } = await openHanging();
    await using _ = rig;
    const socket = connect(rig.gateway.address.port, '127.0.0.1');
    socket.write('POST /predict/sum HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}');
    await reached;
    rig.time.advance(300);
    socket.destroy();
    await freed;
    await until(() => rig.gateway.stats().inFlight === 0, 'the place is free');
    expect(rig.gateway.stats().requests[0]?.outcomes.abandoned).toBe(1);
    expect(await rig.tally('v1', 'champion')).toMatchObject({ requests: 1, errors: 0 });
  });

  it('refuses more than an upstream may have, at once', async () => {
    const reached = Promise.withResolvers<void>();
    const url = await serve((req) => {
      req.resume();
      reached.resolve();
    });
    await using rig = await openRig({ ...championAt(url), options: { maxInFlightPerUpstream: 1 } });
    const first = rig.post('/predict/sum', BODY);
    await reached.promise;
    const second = await rig.post('/predict/sum', BODY);
    expect(second).toMatchObject({ status: 503, json: { error: { code: 'request.overloaded' } } });
    expect(second.headers['retry-after']).toBe('1');
    rig.time.advance(5000);
    expect((await first).status).toBe(504);
  });
});

describe('another protocol', () => {
  it('says which one a champion speaks', async () => {
    const url = await serve((_req, res) => res.end());
    await using rig = await openRig(championAt(url, { versions: [upstreamVersion('v1', url, 'tensorflow')] }));
    const answer = await rig.post('/predict/sum', BODY);
    expect(answer).toMatchObject({
      status: 406,
      json: { error: { code: 'protocol.unsupported', message: expect.stringContaining('"tensorflow"') } },
    });
    expect(await rig.tally('v1', 'champion')).toMatchObject({ requests: 0 });
  });

  it('is answered by the champion in the challenger’s place, outside of the rollout', async () => {
    const url = await serve((_req, res) => res.end());
    const versions = [onnxVersion('v1'), upstreamVersion('v2', url, 'tensorflow')];
    await using rig = await openRig({ openRuntime, snapshot: snapshotOf(1, [rolloutOf(100_000, { versions })]) });
    const answer = await rig.post('/predict/sum', BODY);
    expect(answer).toMatchObject({ status: 200, json: { prediction: 6 } });
    expect(answer.headers['x-understudy-reason']).toBe('protocol');
    expect(rig.gateway.stats().otherProtocol).toBe(1);
    expect(await rig.counts()).toEqual({ 'v1 champion outside': 1 });
  });

  it.each<{
    name: string;
    models: (url: string) => readonly SnapshotVersion[];
    path: string;
    body: unknown;
    expected: readonly string[];
  }>([
    {
      name: 'both, who count under the rollout',
      models: (url) => [onnxVersion('v1'), upstreamVersion('v2', url, 'tensorflow')],
      path: '/v1/models/sum:predict',
      body: { instances: [[1, 2, 3]] },
      expected: ['v1 champion sum-1', 'v2 challenger sum-1'],
    },
    {
      name: 'the champion only, who counts all of them outside',
      models: (url) => [onnxVersion('v1'), upstreamVersion('v2', url, 'tensorflow')],
      path: '/predict/sum',
      body: BODY,
      expected: ['v1 champion outside'],
    },
    {
      name: 'the challenger only, who counts its own outside',
      models: (url) => [upstreamVersion('v1', url, 'tensorflow'), onnxVersion('v2')],
      path: '/predict/sum',
      body: BODY,
      expected: ['v2 challenger outside'],
    },
  ])('is a comparison where chance could send it either way. Spoken by $name', async ({ models, path, body, expected }) => {
    const url = await serve((req, res) => {
      req.resume();
      answerJson(res, { predictions: [1] });
    });
    const rollout = rolloutOf(50_000, { versions: models(url) });
    await using rig = await openRig({ openRuntime, snapshot: snapshotOf(1, [rollout]) });
    for (let user = 0; user < 20; user++) await rig.post(path, body, { 'x-user-id': `user-${user}` });
    expect(Object.keys(await rig.counts()).toSorted()).toEqual(expected);
  });
});

describe('opening', () => {
  it('reports an upstream that is not there', async () => {
    await using rig = await openRig(championAt('http://127.0.0.1:1'));
    expect(rig.gateway.readiness()).toMatchObject([{ state: 'failed', detail: expect.stringContaining('upstream.unreachable') }]);
  });

  it.each([
    'http://169.254.169.254',
    'http://[fe80::1]',
    'http://100.100.100.200',
    'http://0.0.0.0',
    'http://[::ffff:169.254.169.254]',
    'http://2852039166',
  ])('never connects to %s', async (url) => {
    await using rig = await openRig(championAt(url));
    expect(rig.gateway.readiness()).toMatchObject([
      { state: 'failed', detail: expect.stringContaining('upstream.forbidden_address') },
    ]);
  });
});
