// Copies of requests go to real model servers over real sockets, and nothing that those do reaches the user.
import { type RequestListener, type ServerResponse } from 'node:http';
import type { PairTally } from '@understudy/core/pairs';
import type { SnapshotModel, SnapshotShadow, SnapshotVersion } from '@understudy/core/snapshot';
import { describe, expect, it } from 'vitest';
import type { UpstreamRuntime } from '../runtimes/runtime.ts';
import { openUpstream } from '../runtimes/upstream-runtime.ts';
import type { OpenRuntime } from './ports.ts';
import {
  modelOf,
  onnxVersion,
  openRig,
  type Rig,
  type RigOptions,
  rolloutOf,
  snapshotOf,
  sumRuntime,
  until,
} from './gateway-rig.contract.ts';
import { serve } from './test-model-server.ts';

function answerJson(res: ServerResponse, value: unknown, status = 200): void {
  const text = JSON.stringify(value);
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text);
}

function upstreamVersion(version: string, url: string): SnapshotVersion {
  return { version, source: { kind: 'upstream', url, protocol: 'predict', remoteModel: 'remote' } };
}

/** Upstreams are real; ONNX versions are doubles that add, v2 a thousand more. */
const openRuntime: OpenRuntime = (_model, { version, source }) =>
  source.kind === 'upstream' ? openUpstream(source) : Promise.resolve(sumRuntime(version === 'v1' ? 0 : 1000));

const SHADOW: SnapshotShadow = {
  version: 'v2',
  boundary: 100_000,
  salt: 'sum-shadow',
  rules: [],
  lines: [{ ratio: 1.2, plusMs: 0 }],
  comparison: { absolute: 0.001, relative: 0, keepRequests: false, redact: [] },
};

function shadowed(versions: readonly SnapshotVersion[], overrides: Partial<SnapshotModel> = {}): RigOptions {
  return { openRuntime, snapshot: snapshotOf(1, [modelOf({ versions, shadow: SHADOW, ...overrides })]) };
}

const BODY = { features: [1, 2, 3] };

/** So many copies have been made and have ended, and so have the requests. */
async function copied(rig: Rig, copies: number): Promise<void> {
  const totals = () => rig.gateway.stats().shadows[0];
  await until(() => totals()?.delivered === copies && totals()?.inFlight === 0, `${copies} copies`);
  await until(() => rig.gateway.stats().inFlight === 0, 'the end of the requests');
}

/** The pairs reported so far. */
async function pairsOf(rig: Rig): Promise<PairTally> {
  const { pairs } = await rig.tally('v2', 'shadow');
  if (pairs === undefined) throw new Error('no pairs were reported');
  return pairs;
}

/** What users get from a champion that is a real server, with a shadow or without one. */
async function championAnswers(shadowUrl: string | undefined): Promise<{ rig: Rig; seen: string[]; answers: unknown[] }> {
  const seen: string[] = [];
  const championUrl = await serve((req, res) => {
    seen.push(String(req.headers['x-understudy-shadow']));
    req.resume().on('end', () => answerJson(res, { prediction: 6, extra: 'ü'.repeat(40) }));
  });
  const versions = [upstreamVersion('v1', championUrl), ...(shadowUrl === undefined ? [] : [upstreamVersion('v2', shadowUrl)])];
  const model = modelOf({ versions, ...(shadowUrl === undefined ? {} : { shadow: SHADOW }) });
  const rig = await openRig({ openRuntime, snapshot: snapshotOf(1, [model]) });
  const answers: unknown[] = [];
  for (let index = 0; index < 40; index += 1) {
    const { status, text, headers } = await rig.post('/predict/sum', BODY);
    answers.push({
      status,
      text,
      version: headers['x-understudy-version'],
      arm: headers['x-understudy-arm'],
      type: headers['content-type'],
    });
  }
  return { rig, seen, answers };
}

describe('a copy', () => {
  it('carries the body and the headers of the request, marked, and the user hears of none of it', async () => {
    const copies: { marked: unknown; user: unknown; token: unknown; body: string }[] = [];
    const url = await serve((req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => {
        const { 'x-understudy-shadow': marked, 'x-user-id': user, authorization: token } = req.headers;
        copies.push({ marked, user, token, body: Buffer.concat(chunks).toString() });
        answerJson(res, { prediction: 7 });
      });
    });
    await using rig = await openRig(shadowed([onnxVersion('v1'), upstreamVersion('v2', url)]));
    const answer = await rig.post('/predict/sum', BODY, { 'x-user-id': 'ana', 'x-understudy-shadow': 'forged' });
    expect(answer.headers).toMatchObject({
      'x-understudy-version': 'v1',
      'x-understudy-arm': 'champion',
      'x-understudy-reason': 'default',
    });
    await until(() => copies.length === 1, 'the copy');
    expect(copies).toEqual([{ marked: 'true', user: 'ana', token: undefined, body: JSON.stringify(BODY) }]);
    await copied(rig, 1);
    const pairs = await pairsOf(rig);
    expect(pairs).toMatchObject({ count: 1, compared: 1, agreed: 0, difference: { count: 1, sum: 1, sumSquares: 1 } });
    expect(pairs.worst[0]).toMatchObject({
      champion: { version: 'v1', prediction: 6 },
      shadow: { version: 'v2', prediction: 7 },
      difference: 1,
    });
    expect(pairs.worst[0]?.requestId).toBe(answer.headers['x-understudy-request-id']);
  });

  it('is not made of requests beyond the share, by rule, and of those that a person forced', async () => {
    const shadow = { ...SHADOW, boundary: 50_000 };
    await using rig = await openRig({ ...shadowed([onnxVersion('v1'), onnxVersion('v2')], { shadow }), random: () => 0.6 });
    await rig.post('/predict/sum', BODY);
    expect(rig.gateway.stats().shadows[0]?.delivered ?? 0).toBe(0);
    const rules = [
      { id: 'r', serve: 'challenger', all: [{ field: { from: 'header', name: 'x-beta' }, operator: 'present', values: [] }] },
    ] as const;
    rig.apply(
      snapshotOf(2, [modelOf({ versions: [onnxVersion('v1'), onnxVersion('v2')], shadow: { ...shadow, boundary: 0, rules } })]),
    );
    await rig.post('/predict/sum', BODY);
    await rig.post('/predict/sum', BODY, { 'x-beta': 'yes' });
    await copied(rig, 1);
  });

  it('of a model in this process runs after the user has the answer', async () => {
    const order: string[] = [];
    const runtime: OpenRuntime = (_model, { version }) =>
      Promise.resolve(
        sumRuntime(0, (inputs) => {
          order.push(version);
          return Promise.resolve([{ name: 'prediction', dataType: 'FP64', shape: [1], data: new Float64Array([inputs.length]) }]);
        }),
      );
    await using rig = await openRig({ ...shadowed([onnxVersion('v1'), onnxVersion('v2')]), openRuntime: runtime });
    await Promise.all(Array.from({ length: 5 }, () => rig.post('/predict/sum', BODY)));
    await copied(rig, 5);
    expect(order.filter((version) => version === 'v2')).toHaveLength(5);
    expect(order[0]).toBe('v1');
    expect((await pairsOf(rig)).count).toBe(5);
  });

  it('counts in the rollout while its step is one of shadow, and so does all of the champion; rules send nobody over', async () => {
    const rules = [
      { id: 'r', serve: 'challenger', all: [{ field: { from: 'header', name: 'x-beta' }, operator: 'present', values: [] }] },
    ] as const;
    const { routing } = modelOf();
    const model = rolloutOf(0, { shadow: { ...SHADOW, rollout: 'sum-1', step: 0 }, routing: { ...routing, rules } });
    await using rig = await openRig({ openRuntime, snapshot: snapshotOf(1, [model]) });
    const answer = await rig.post('/predict/sum', BODY, { 'x-beta': 'yes', 'x-user-id': 'ana' });
    expect(answer.headers['x-understudy-version']).toBe('v1');
    await copied(rig, 1);
    await until(() => rig.gateway.stats().inFlight === 0, 'the end');
    expect(await rig.counts()).toEqual({ 'v1 champion sum-1': 1, 'v2 shadow sum-1': 1 });
  });

  it('ends with a kill switch, at once', async () => {
    await using rig = await openRig(shadowed([onnxVersion('v1'), onnxVersion('v2')]));
    rig.apply(snapshotOf(2, [modelOf({ shadow: SHADOW, isKilled: true })]));
    await rig.post('/predict/sum', BODY);
    expect(rig.gateway.stats().shadows[0]?.delivered ?? 0).toBe(0);
  });

  it('hides in examples what people asked to hide', async () => {
    const comparison = { ...SHADOW.comparison, keepRequests: true, redact: ['user.name', 'tags.*'] };
    await using rig = await openRig(shadowed([onnxVersion('v1'), onnxVersion('v2')], { shadow: { ...SHADOW, comparison } }));
    await rig.post('/predict/sum', { ...BODY, user: { name: 'Ana', age: 3 }, tags: ['a', 'b'] });
    await copied(rig, 1);
    const [example] = (await pairsOf(rig)).worst;
    expect(JSON.parse(example?.request ?? '')).toEqual({
      ...BODY,
      user: { name: '[redacted]', age: 3 },
      tags: ['[redacted]', '[redacted]'],
    });
  });
});

/** What can be wrong with a shadow's server. */
const SICK: readonly {
  readonly name: string;
  readonly server: RequestListener;
  readonly ends: (rig: Rig) => void;
  readonly count: object;
}[] = [
  { name: 'hangs', server: () => {}, ends: (rig) => rig.time.advance(6000), count: { timeouts: 32, failed: 0 } },
  { name: 'resets', server: (req) => req.socket.resetAndDestroy(), ends: () => {}, count: { timeouts: 0 } },
  {
    name: 'trickles',
    server: (_req, res) => {
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 }).write('{');
    },
    ends: (rig) => rig.time.advance(6000),
    count: { timeouts: 32, failed: 0 },
  },
  {
    name: 'answers far too much',
    server: (_req, res) => {
      res.writeHead(200, { 'content-type': 'application/json' });
      const pour = (): void => {
        while (res.write('x'.repeat(65_536)));
        res.once('drain', pour);
      };
      pour();
    },
    ends: () => {},
    count: { timeouts: 0, failed: 0 },
  },
  {
    name: 'refuses',
    server: (_req, res) => answerJson(res, { error: 'no' }, 422),
    ends: () => {},
    count: { timeouts: 0, failed: 40 },
  },
];

describe('a shadow that is sick', () => {
  it.each(SICK)('because it $name leaves every byte of the user as it was', async ({ server, ends, count }) => {
    const alone = await championAnswers(undefined);
    await alone.rig[Symbol.asyncDispose]();
    const { rig, answers, seen } = await championAnswers(
      await serve((req, res) => {
        req.on('error', () => {});
        res.on('error', () => {});
        server(req, res);
      }),
    );
    await using _rig = rig;
    expect(answers).toEqual(alone.answers);
    expect(seen).toEqual(Array.from({ length: 40 }, () => 'undefined'));
    ends(rig);
    const totals = (): NonNullable<ReturnType<Rig['gateway']['stats']>['shadows'][number]> | undefined =>
      rig.gateway.stats().shadows[0];
    const dropped = (): number => Object.values(totals()?.dropped ?? {}).reduce((sum, one) => sum + one, 0);
    await until(() => (totals()?.delivered ?? 0) + dropped() === 40, 'every copy accounted for');
    await until(
      () => {
        const { failed = 0, timeouts = 0 } = totals() ?? {};
        return Object.entries(count).every(([name, wanted]) => ({ failed, timeouts })[name] === wanted);
      },
      `the counts ${JSON.stringify(count)} of ${JSON.stringify(totals())}`,
    );
  });

  it('gets few copies while none of them comes to anything, and all of them again once one does', async () => {
    let isWell = false;
    const url = await serve((req, res) => {
      if (isWell) answerJson(res, { prediction: 6 });
      else req.socket.resetAndDestroy();
    });
    await using rig = await openRig(shadowed([onnxVersion('v1'), upstreamVersion('v2', url)]));
    const totals = () => rig.gateway.stats().shadows[0];
    for (let index = 0; index < 10; index += 1) {
      await rig.post('/predict/sum', BODY);
      await until(() => totals()?.inFlight === 0, 'the end of the copy');
    }
    // The clock stands still, so after five in vain one more is tried.
    expect(totals()).toMatchObject({ delivered: 6, failed: 6, dropped: { sick: 4 } });
    isWell = true;
    rig.time.advance(100);
    for (let index = 0; index < 5; index += 1) {
      await rig.post('/predict/sum', BODY);
      await until(() => totals()?.inFlight === 0, 'the end of the copy');
    }
    expect(totals()).toMatchObject({ delivered: 11, failed: 6, dropped: { sick: 4 } });
  });

  it('holds no more than its share of copies and bytes; the newest is dropped', async () => {
    const url = await serve(() => {});
    const options = { shadowMaxInFlight: 3, shadowMaxBytes: 100 };
    await using rig = await openRig({ ...shadowed([onnxVersion('v1'), upstreamVersion('v2', url)]), options });
    for (let index = 0; index < 5; index += 1) await rig.post('/predict/sum', BODY);
    expect(rig.gateway.stats().shadows[0]).toMatchObject({ delivered: 3, dropped: { busy: 2, bytes: 0 } });
    rig.time.advance(6000);
    await until(() => rig.gateway.stats().shadows[0]?.timeouts === 3, 'the deadline');
    await rig.post('/predict/sum', { features: [1, 2, 3], padding: 'x'.repeat(200) });
    expect(rig.gateway.stats().shadows[0]).toMatchObject({ delivered: 3, dropped: { busy: 2, bytes: 1 } });
    expect((await pairsOf(rig)).dropped).toEqual({ busy: 2, bytes: 1 });
  });

  it('would take the user with it if anybody waited for it: the planted bug', async () => {
    const hanging = await openUpstream({
      kind: 'upstream',
      url: await serve(() => {}),
      protocol: 'predict',
      remoteModel: 'remote',
    });
    // A champion that mirrors by itself and waits, as proxies did.
    const awaited: OpenRuntime = async (_model, { source }) => {
      if (source.kind !== 'upstream') return sumRuntime();
      const champion = await openUpstream(source);
      const send: UpstreamRuntime['send'] = (call, handler) =>
        hanging.send(call, { ...handler, onEnd: () => champion.send(call, handler) });
      return { ...champion, send };
    };
    const url = await serve((_req, res) => answerJson(res, { prediction: 1 }));
    await using rig = await openRig({
      openRuntime: awaited,
      snapshot: snapshotOf(1, [modelOf({ versions: [upstreamVersion('v1', url)] })]),
    });
    const answer = rig.post('/predict/sum', BODY);
    await until(() => rig.gateway.stats().inFlight === 1, 'the request');
    rig.time.advance(6000);
    expect((await answer).status).toBe(504);
    await hanging.close();
  });
});

describe('pairs', () => {
  it('charge a shadow that does not take what the champion can read, and nobody for what neither can', async () => {
    const url = await serve((_req, res) => answerJson(res, { error: 'no' }, 422));
    await using rig = await openRig(shadowed([onnxVersion('v1'), upstreamVersion('v2', url)]));
    await rig.post('/predict/sum', BODY);
    expect((await rig.post('/predict/sum', { features: 'none' })).status).toBe(400);
    await copied(rig, 2);
    expect(await pairsOf(rig)).toMatchObject({ count: 1, failed: { shadow: 1, champion: 0, both: 0 }, compared: 0 });
    expect(await rig.tally('v2', 'shadow')).toMatchObject({ requests: 1, errors: 1 });
  });

  it('are counted apart by the field that the model names', async () => {
    const comparison = { ...SHADOW.comparison, segment: { from: 'header', name: 'x-region' } } as const;
    await using rig = await openRig(shadowed([onnxVersion('v1'), onnxVersion('v2')], { shadow: { ...SHADOW, comparison } }));
    for (const region of ['eu', 'eu', 'us']) await rig.post('/predict/sum', BODY, { 'x-region': region });
    await copied(rig, 3);
    const { segments } = await pairsOf(rig);
    expect(segments).toMatchObject({ eu: { count: 2, agreed: 0, difference: { sum: 2000 } }, us: { count: 1 } });
  });

  it('leave a stream of events to the user as it comes, and compare what can be compared of it', async () => {
    const stream: RequestListener = (req, res) => {
      req.resume().on('end', () => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write('data: a\n\n');
        res.end('data: b\n\n');
      });
    };
    const [champion, copy] = [await serve(stream), await serve(stream)];
    await using rig = await openRig(shadowed([upstreamVersion('v1', champion), upstreamVersion('v2', copy)]));
    expect((await rig.post('/predict/sum', BODY)).text).toBe('data: a\n\ndata: b\n\n');
    await copied(rig, 1);
    await until(() => rig.gateway.stats().inFlight === 0, 'the end');
    expect(await pairsOf(rig)).toMatchObject({ count: 1, compared: 0, failed: { shadow: 0, champion: 0, both: 0 } });
  });
});
