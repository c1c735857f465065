import { AppError } from '@understudy/core/errors';
import { countOf } from '@understudy/core/histogram';
import { DEFAULT_ROUTING } from '@understudy/core/model';
import { nameOfEdges } from '@understudy/core/prediction-bins';
import type { Route } from '@understudy/core/routing';
import type { SnapshotModel } from '@understudy/core/snapshot';
import type { RoutingRule } from '@understudy/core/targeting';
import { describe, expect, it } from 'vitest';
import type { Runtime } from '../runtimes/runtime.ts';
import {
  openRig,
  REQUEST_ID_KEY,
  type Rig,
  type RigOptions,
  modelOf,
  onnxVersion,
  rolloutOf,
  snapshotOf,
  type SumRun,
  sumOf,
  sumRuntime,
  tokenOf,
  until,
} from './gateway-rig.contract.ts';
import { openRequestId } from './request-id.ts';

const BODY = { features: [1, 2, 3] };

/** A challenger that does something of its own; the champion adds. */
function withChallenger(run: SumRun, snapshot = snapshotOf(1, [rolloutOf(100_000)])): RigOptions {
  return {
    snapshot,
    openRuntime: (_model, { version }) => Promise.resolve(version === 'v2' ? sumRuntime(0, run) : sumRuntime()),
  };
}

describe('routing', () => {
  it('answers with who answered and why', async () => {
    await using rig = await openRig({ snapshot: snapshotOf(42, [modelOf()]) });
    const answer = await rig.post('/predict/sum', BODY, { 'x-request-id': 'mine-1' });
    const id = answer.headers['x-understudy-request-id'] ?? '';
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      prediction: 6,
      outputs: { prediction: [6] },
      model: 'sum',
      version: 'v1',
      arm: 'champion',
      latencyMs: 0,
      requestId: id,
    });
    expect(answer.headers).toMatchObject({
      'x-understudy-version': 'v1',
      'x-understudy-arm': 'champion',
      'x-understudy-reason': 'default',
      'x-understudy-revision': '42',
      'x-request-id': 'mine-1',
      'server-timing': 'understudy;dur=0',
    });
    expect(openRequestId(REQUEST_ID_KEY, id)).toMatchObject({
      environment: 'production',
      model: 'sum',
      version: 'v1',
      arm: 'champion',
    });
  });

  it('keeps a subject on its side, and only ever moves it to the challenger while the share grows', async () => {
    await using rig = await openRig({ snapshot: snapshotOf(1, [rolloutOf(0)]) });
    const armsAt = async (revision: number, boundary: number): Promise<string[]> => {
      rig.apply(snapshotOf(revision, [rolloutOf(boundary)]));
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, index) => rig.post('/predict/sum', BODY, { 'x-user-id': `user-${index}` })),
      );
      return answers.map(({ headers }) => headers['x-understudy-arm'] ?? '');
    };
    const shares = [10_000, 25_000, 50_000, 100_000];
    let before = await armsAt(2, 0);
    expect(new Set(before)).toEqual(new Set(['champion']));
    for (const [index, share] of shares.entries()) {
      const now = await armsAt(3 + index, share);
      expect(now.filter((arm, user) => arm === 'champion' && before[user] === 'challenger')).toEqual([]);
      expect(await armsAt(3 + index, share)).toEqual(now);
      before = now;
    }
    expect(new Set(before)).toEqual(new Set(['challenger']));
  });

  it.each<{ name: string; headers: Record<string, string>; body: unknown; expected: Route }>([
    { name: 'a header', headers: { 'x-tier': 'gold' }, body: BODY, expected: { arm: 'challenger', reason: 'rule' } },
    { name: 'a cookie', headers: { cookie: 'a=b; tier="gold"' }, body: BODY, expected: { arm: 'challenger', reason: 'rule' } },
    {
      name: 'a field of the body',
      headers: {},
      body: { ...BODY, user: { tier: 7 } },
      expected: { arm: 'challenger', reason: 'rule' },
    },
    {
      name: 'nothing that a rule names',
      headers: { 'x-user-id': 'u' },
      body: BODY,
      expected: { arm: 'champion', reason: 'split' },
    },
  ])('sends by $name', async ({ headers, body, expected }) => {
    const rule = (id: string, field: object, value: string) =>
      ({ id, all: [{ field, operator: 'in', values: [value] }], serve: 'challenger' }) as never;
    const routing = {
      subject: [{ from: 'header', name: 'x-user-id' }] as const,
      deadlineMs: 5000,
      rules: [
        rule('a', { from: 'header', name: 'x-tier' }, 'gold'),
        rule('b', { from: 'cookie', name: 'tier' }, 'gold'),
        rule('c', { from: 'json', path: 'user.tier' }, '7'),
      ],
    };
    await using rig = await openRig({ snapshot: snapshotOf(1, [rolloutOf(0, { routing })]) });
    const answer = await rig.post('/predict/sum', body, headers);
    expect([answer.headers['x-understudy-arm'], answer.headers['x-understudy-reason']]).toEqual([expected.arm, expected.reason]);
  });

  it('takes the first field that a request has as its subject, the token at last', async () => {
    const { token, text } = tokenOf('t1', ['predict']);
    const routing = { subject: [{ from: 'json', path: 'user.id' }, { from: 'api-key' }] as const, deadlineMs: 5000, rules: [] };
    await using rig = await openRig({ snapshot: snapshotOf(1, [rolloutOf(50_000, { routing })], [token]) });
    const reasons = [
      await rig.post('/predict/sum', { ...BODY, user: { id: 'x' } }),
      await rig.post('/predict/sum', BODY, { authorization: text }),
      await rig.post('/predict/sum', BODY),
    ].map(({ headers }) => headers['x-understudy-reason']);
    expect(reasons).toEqual(['split', 'split', 'random']);
    expect(rig.gateway.stats().noSubject).toBe(1);
  });

  it('puts everybody on the champion while the kill switch is set', async () => {
    await using rig = await openRig({ snapshot: snapshotOf(1, [rolloutOf(100_000)]) });
    expect((await rig.post('/predict/sum', BODY)).headers['x-understudy-arm']).toBe('challenger');
    rig.apply(snapshotOf(2, [rolloutOf(100_000, { isKilled: true })]));
    expect((await rig.post('/predict/sum', BODY)).headers).toMatchObject({
      'x-understudy-arm': 'champion',
      'x-understudy-reason': 'killed',
    });
  });

  it('says which token may force a version, and which versions it may force', async () => {
    const tokens = [tokenOf('p', ['predict']), tokenOf('o', ['predict', 'operate'])] as const;
    const versions = ['v1', 'v2', 'v0'].map(onnxVersion);
    await using rig = await openRig({
      snapshot: snapshotOf(
        1,
        [modelOf({ versions })],
        tokens.map(({ token }) => token),
      ),
    });
    const force = (version: string, token?: string) =>
      rig.post('/predict/sum', BODY, {
        'x-understudy-force-version': version,
        ...(token === undefined ? {} : { authorization: token }),
      });
    expect((await force('v0')).status).toBe(403);
    expect((await force('v0', tokens[0].text)).json).toMatchObject({
      error: { code: 'auth.forbidden', message: expect.stringContaining('"operate"') },
    });
    expect((await force('v0', tokens[1].text)).headers).toMatchObject({
      'x-understudy-version': 'v0',
      'x-understudy-reason': 'forced',
    });
    expect((await force('v9', tokens[1].text)).json).toMatchObject({
      error: { code: 'version.not_loaded', message: expect.stringContaining('loaded: "v1", "v2", "v0"') },
    });
    expect((await rig.tally('v0', 'champion')).requests).toBe(0);
    expect(rig.gateway.stats().requests.find(({ version }) => version === 'v0')?.outcomes.forced).toBe(1);
  });
});

describe('evidence', () => {
  it('counts predictions and latencies of each arm under its step', async () => {
    await using rig = await openRig({ snapshot: snapshotOf(1, [rolloutOf(50_000)]) });
    for (let user = 0; user < 20; user++) await rig.post('/predict/sum', BODY, { 'x-user-id': `user-${user}` });
    const [champion, challenger] = [await rig.tally('v1', 'champion'), await rig.tally('v2', 'challenger')];
    expect(champion.requests + challenger.requests).toBe(20);
    expect(champion.predictions.sum).toBe(6 * champion.requests);
    expect(challenger.predictions.sum).toBe(1006 * challenger.requests);
    expect(rig.reports.flatMap(({ blocks }) => blocks).map(({ rollout, step }) => [rollout, step])).toContainEqual(['sum-1', 0]);
  });

  it('does not count what the caller got wrong', async () => {
    await using rig = await openRig({ snapshot: snapshotOf(1, [rolloutOf(100_000)]) });
    for (const body of ['{', { features: ['a', 1, 2] }, { features: [[1], [2, 3]] }, {}]) {
      expect((await rig.post('/predict/sum', body)).status).toBe(400);
    }
    expect(await rig.tally('v1', 'champion')).toMatchObject({ requests: 0 });
    expect(await rig.tally('v2', 'challenger')).toMatchObject({ requests: 0, errors: 0 });
  });

  it('counts a batch as one request of its first row, in the bins of the snapshot', async () => {
    const binEdges = [0, 100];
    await using rig = await openRig({ snapshot: snapshotOf(1, [rolloutOf(100_000, { binEdges })]) });
    await rig.post('/predict/sum', {
      features: [
        [1, 2, 3],
        [-9999, 0, 0],
        [-9999, 0, 0],
      ],
    });
    rig.apply(snapshotOf(2, [rolloutOf(0, { binEdges })]));
    await rig.post('/predict/sum', BODY);
    const name = nameOfEdges(binEdges);
    expect(await rig.tally('v2', 'challenger')).toMatchObject({ bins: { [name]: [0, 0, 1] }, predictions: { count: 3 } });
    expect(await rig.tally('v1', 'champion')).toMatchObject({ bins: { [name]: [0, 1, 0] }, predictions: { count: 1 } });
  });

  it('is named by the stratum of the gateway', async () => {
    await using rig = await openRig({ options: { stratum: 'eu-west' }, snapshot: snapshotOf(1, [modelOf()]) });
    await rig.post('/predict/sum', BODY);
    await rig.counts();
    expect(rig.reports.flatMap(({ blocks }) => blocks).map(({ stratum }) => stratum)).toEqual(['eu-west']);
  });

  it('counts in new bins as soon as the snapshot has them', async () => {
    await using rig = await openRig({ snapshot: snapshotOf(1, [modelOf()]) });
    for (const [revision, binEdges] of [undefined, [1], [7]].entries()) {
      rig.apply(snapshotOf(revision + 2, [modelOf(binEdges === undefined ? {} : { binEdges })]));
      await rig.post('/predict/sum', BODY);
    }
    expect(await rig.tally('v1', 'champion')).toMatchObject({
      requests: 3,
      bins: { [nameOfEdges([1])]: [0, 1], [nameOfEdges([7])]: [1, 0] },
    });
  });
});

describe('a comparison', () => {
  const goldRule = (serve: 'champion' | 'challenger'): RoutingRule => ({
    id: 'gold',
    all: [{ field: { from: 'header', name: 'x-tier' }, operator: 'in', values: ['gold'] }],
    serve,
  });
  const withRule = (serve: 'champion' | 'challenger'): Partial<SnapshotModel> => ({
    routing: { ...DEFAULT_ROUTING, rules: [goldRule(serve)] },
  });
  const onStep = (step: number, challenger = 'v2'): Partial<SnapshotModel> => ({
    rollout: { id: 'sum-1', challenger, step, boundary: step < 0 ? 0 : 100_000, salt: 's' },
    versions: [onnxVersion('v1'), onnxVersion(challenger)],
  });

  it.each<{ name: string; boundary: number; headers: Record<string, string>; expected: Record<string, number> }>([
    {
      name: 'the subject’s bucket, to the challenger',
      boundary: 100_000,
      headers: { 'x-user-id': 'u' },
      expected: { 'v2 challenger sum-1': 1 },
    },
    {
      name: 'the subject’s bucket, to the champion',
      boundary: 0,
      headers: { 'x-user-id': 'u' },
      expected: { 'v1 champion sum-1': 1 },
    },
    { name: 'chance, to the challenger', boundary: 100_000, headers: {}, expected: { 'v2 challenger sum-1': 1 } },
    { name: 'chance, to the champion', boundary: 0, headers: {}, expected: { 'v1 champion sum-1': 1 } },
  ])('is made of requests that were sent by $name', async ({ boundary, headers, expected }) => {
    await using rig = await openRig({ snapshot: snapshotOf(1, [rolloutOf(boundary)]) });
    await rig.post('/predict/sum', BODY, headers);
    expect(await rig.counts()).toEqual(expected);
  });

  it.each<{ name: string; model: SnapshotModel; expected: Record<string, number> }>([
    {
      name: 'a rule, to the challenger',
      model: rolloutOf(0, withRule('challenger')),
      expected: { 'v2 challenger outside': 1 },
    },
    { name: 'a rule, to the champion', model: rolloutOf(100_000, withRule('champion')), expected: { 'v1 champion outside': 1 } },
    { name: 'the kill switch', model: rolloutOf(100_000, { isKilled: true }), expected: { 'v1 champion outside': 1 } },
    {
      name: 'a challenger that is not ready here',
      model: modelOf(onStep(0, 'v9')),
      expected: { 'v1 champion outside': 1 },
    },
    { name: 'a rollout that has not begun to climb', model: modelOf(onStep(-1)), expected: { 'v1 champion outside': 1 } },
  ])('is not made of requests that were sent by $name', async ({ model, expected }) => {
    await using rig = await openRig({
      snapshot: snapshotOf(1, [model]),
      openRuntime: (_model, { version }) =>
        version === 'v9' ? Promise.reject(new Error('cannot be loaded')) : Promise.resolve(sumRuntime()),
    });
    expect((await rig.post('/predict/sum', BODY, { 'x-tier': 'gold' })).status).toBe(200);
    expect(await rig.counts()).toEqual(expected);
  });

  it.each<{ name: string; headers: Record<string, string>; expected: string }>([
    { name: 'chance', headers: {}, expected: 'v2 challenger sum-1' },
    { name: 'a rule', headers: { 'x-tier': 'gold' }, expected: 'v2 challenger outside' },
  ])('has a rescued request where $name had sent it, and the champion’s answer nowhere', async ({ headers, expected }) => {
    const snapshot = snapshotOf(1, [rolloutOf(100_000, withRule('challenger'))]);
    await using rig = await openRig(withChallenger(() => Promise.reject(new Error('no')), snapshot));
    const answer = await rig.post('/predict/sum', BODY, headers);
    expect(answer.headers['x-understudy-reason']).toBe('rescued');
    expect(await rig.counts()).toEqual({ [expected]: 1 });
    expect(await rig.tally('v2', 'challenger')).toMatchObject({ errors: 1, rescued: 1 });
  });

  it('goes on where it was after a request that was none', async () => {
    await using rig = await openRig({ snapshot: snapshotOf(1, [rolloutOf(100_000, withRule('challenger'))]) });
    for (const tier of ['gold', 'iron', 'gold', 'iron', 'iron']) await rig.post('/predict/sum', BODY, { 'x-tier': tier });
    expect(await rig.counts()).toEqual({ 'v2 challenger sum-1': 3, 'v2 challenger outside': 2 });
  });

  it.each<{ name: string; headers: Record<string, string>; rollout: string | undefined }>([
    { name: 'chance', headers: {}, rollout: 'sum-1' },
    { name: 'a rule', headers: { 'x-tier': 'gold' }, rollout: undefined },
    { name: 'the caller', headers: { 'x-understudy-force-version': 'v2' }, rollout: undefined },
  ])('is named in the ids of requests that were sent by $name: $rollout', async ({ headers, rollout }) => {
    const { token, text } = tokenOf('o', ['predict', 'operate']);
    await using rig = await openRig({ snapshot: snapshotOf(1, [rolloutOf(100_000, withRule('challenger'))], [token]) });
    const answer = await rig.post('/predict/sum', BODY, { ...headers, authorization: text });
    const opened = openRequestId(REQUEST_ID_KEY, answer.headers['x-understudy-request-id'] ?? '-');
    expect(opened).toMatchObject({ version: 'v2', arm: 'challenger' });
    expect(opened?.rollout).toBe(rollout);
  });

  it('is not named in the id of a request that the champion rescued', async () => {
    await using rig = await openRig(withChallenger(() => Promise.reject(new Error('no'))));
    const answer = await rig.post('/predict/sum', BODY);
    const opened = openRequestId(REQUEST_ID_KEY, answer.headers['x-understudy-request-id'] ?? '-');
    expect(opened).toMatchObject({ version: 'v1', arm: 'champion' });
    expect(opened?.rollout).toBeUndefined();
  });

  it('is over at once when its rollout is, while the next champion is still loading', async () => {
    const next = Promise.withResolvers<Runtime>();
    await using rig = await openRig({
      snapshot: snapshotOf(1, [rolloutOf(100_000)]),
      openRuntime: (_model, { version }) => (version === 'v3' ? next.promise : Promise.resolve(sumRuntime())),
    });
    rig.apply(snapshotOf(2, [modelOf({ champion: 'v3', versions: ['v1', 'v2', 'v3'].map(onnxVersion) })]));
    await rig.post('/predict/sum', BODY);
    expect(await rig.counts()).toEqual({ 'v1 champion outside': 1 });
    next.resolve(sumRuntime());
  });
});

describe('a cold instance', () => {
  const timesOf = async (rig: Rig, version: string, arm: string): Promise<readonly [cold: number, warm: number]> => {
    const { coldLatency, latency } = await rig.tally(version, arm);
    return [countOf(coldLatency), countOf(latency)];
  };
  const send = async (rig: Rig, times: number): Promise<void> => {
    for (let index = 0; index < times; index++) await rig.post('/predict/sum', BODY);
  };

  it('has the times of its first hundred requests apart, on whatever step and arm they came', async () => {
    await using rig = await openRig({ snapshot: snapshotOf(1, [rolloutOf(100_000)]) });
    await send(rig, 60);
    const rollout = { id: 'sum-1', challenger: 'v2', step: 1, boundary: 100_000, salt: 'sum-1' };
    rig.apply(snapshotOf(2, [modelOf({ rollout })]));
    await send(rig, 30);
    expect(await timesOf(rig, 'v2', 'challenger')).toEqual([90, 0]);
    rig.apply(snapshotOf(3, [modelOf({ champion: 'v2' })]));
    await send(rig, 30);
    expect(await timesOf(rig, 'v2', 'champion')).toEqual([10, 20]);
    rig.apply(snapshotOf(4, [modelOf()]));
    await send(rig, 1);
    expect(await timesOf(rig, 'v1', 'champion')).toEqual([1, 0]);
  });

  it('is warm a minute after its first request', async () => {
    await using rig = await openRig({ snapshot: snapshotOf(1, [modelOf()]) });
    for (const ms of [120_000, 59_999, 1]) {
      rig.time.advance(ms);
      await send(rig, 1);
    }
    expect(await timesOf(rig, 'v1', 'champion')).toEqual([2, 1]);
  });

  it('is warmed up by failures, and not by what it never saw', async () => {
    await using rig = await openRig({
      snapshot: snapshotOf(1, [modelOf()]),
      openRuntime: () => Promise.resolve(sumRuntime(0, () => Promise.reject(new Error('no')))),
    });
    for (let index = 0; index < 120; index++) {
      expect((await rig.post('/predict/sum', index % 2 === 0 ? '{' : { features: ['a', 1, 2] })).status).toBe(400);
    }
    await send(rig, 101);
    expect(await timesOf(rig, 'v1', 'champion')).toEqual([100, 1]);
  });

  it('is a new one when the version was loaded anew', async () => {
    await using rig = await openRig({ snapshot: snapshotOf(1, [modelOf()]) });
    await send(rig, 101);
    rig.apply(snapshotOf(2, []));
    rig.apply(snapshotOf(3, [modelOf()]));
    await until(() => rig.gateway.problems().length === 0, 'loaded again');
    await send(rig, 1);
    expect(await timesOf(rig, 'v1', 'champion')).toEqual([101, 1]);
  });
});

describe('rescue', () => {
  it.each([
    {
      name: 'throws',
      error: new AppError('model.run_failed', 'index out of bounds'),
      expected: { errors: 1, timeouts: 0, invalid: 0 },
    },
    { name: 'throws what it should not', error: new TypeError('oops'), expected: { errors: 1, timeouts: 0, invalid: 0 } },
    {
      name: 'times out',
      error: new AppError('request.deadline_exceeded', 'late'),
      expected: { errors: 1, timeouts: 1, invalid: 0 },
    },
    {
      name: 'does not take what clients send',
      error: new AppError('request.invalid', 'shape'),
      expected: { errors: 1, timeouts: 0, invalid: 0 },
    },
  ])('answers by the champion when the challenger $name', async ({ error, expected }) => {
    await using rig = await openRig(withChallenger(() => Promise.reject(error)));
    const answer = await rig.post('/predict/sum', BODY);
    expect(answer).toMatchObject({ status: 200, json: { prediction: 6, version: 'v1' } });
    expect(answer.headers).toMatchObject({ 'x-understudy-arm': 'champion', 'x-understudy-reason': 'rescued' });
    expect(await rig.tally('v2', 'challenger')).toMatchObject({ requests: 1, rescued: 1, ...expected });
    expect(await rig.tally('v1', 'champion')).toMatchObject({ requests: 0 });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('answers by the champion when the challenger predicts %s', async (value) => {
    await using rig = await openRig(
      withChallenger((inputs) => Promise.resolve([{ ...sumOf(inputs, 0), data: new Float64Array([value]) }])),
    );
    expect((await rig.post('/predict/sum', BODY)).json).toMatchObject({ prediction: 6, version: 'v1' });
    expect(await rig.tally('v2', 'challenger')).toMatchObject({ requests: 1, errors: 1, invalid: 1, rescued: 1 });
  });

  it('gives the challenger half of the deadline', async () => {
    const budgets: number[] = [];
    await using rig = await openRig(
      withChallenger((_inputs, deadlineMs) => {
        budgets.push(deadlineMs);
        return Promise.reject(new Error('no'));
      }),
    );
    await rig.post('/predict/sum', BODY);
    expect(budgets).toEqual([2500]);
  });

  it('tells of the champion’s own failure, which nobody can rescue', async () => {
    const failing = (): Promise<never> => Promise.reject(new AppError('model.run_failed', 'index out of bounds'));
    await using rig = await openRig({
      snapshot: snapshotOf(1, [modelOf()]),
      openRuntime: () => Promise.resolve(sumRuntime(0, failing)),
    });
    const answer = await rig.post('/predict/sum', BODY);
    expect(answer).toMatchObject({ status: 500, json: { error: { code: 'model.run_failed', message: 'index out of bounds' } } });
    expect(answer.headers).toMatchObject({ 'x-understudy-error': 'model.run_failed', 'x-understudy-version': 'v1' });
    expect(await rig.tally('v1', 'champion')).toMatchObject({ requests: 1, errors: 1, rescued: 0 });
  });

  it('does not call a failure rescued when the champion failed too', async () => {
    const failing = (): Promise<never> => Promise.reject(new AppError('model.run_failed', 'no'));
    await using rig = await openRig({
      snapshot: snapshotOf(1, [rolloutOf(100_000)]),
      openRuntime: () => Promise.resolve(sumRuntime(0, failing)),
    });
    expect((await rig.post('/predict/sum', BODY)).status).toBe(500);
    expect(await rig.tally('v2', 'challenger')).toMatchObject({ requests: 1, errors: 1, rescued: 0 });
    expect(await rig.tally('v1', 'champion')).toMatchObject({ requests: 0 });
  });
});

it('tells the control plane of itself with the first snapshot, not a second later', async () => {
  await using rig = await openRig();
  rig.apply(snapshotOf(5, [modelOf()]));
  await until(() => rig.reports.length > 0, 'a report');
  expect(rig.reports[0]).toMatchObject({
    gateway: 'g1',
    boot: 'b1',
    sequence: 0,
    revision: 5,
    readiness: [{ version: 'v1' }, { version: 'v2' }],
  });
});

describe('snapshots under load', () => {
  it('promotes without a gap: no request fails, and none goes to a closed version', async () => {
    const open = new Set<string>();
    await using rig = await openRig({
      snapshot: snapshotOf(1, [modelOf()]),
      openRuntime: async (_model, { version }) => {
        await Promise.resolve();
        open.add(version);
        const run: SumRun = async (inputs) => {
          if (!open.has(version)) throw new Error(`${version} is closed`);
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
          if (!open.has(version)) throw new Error(`${version} was closed during a run`);
          return [sumOf(inputs, 0)];
        };
        const close = (): Promise<void> => {
          open.delete(version);
          return Promise.resolve();
        };
        return { ...sumRuntime(0, run), close };
      },
    });
    const seen = new Set<string | undefined>();
    let isOver = false;
    const client = async (): Promise<void> => {
      while (!isOver) {
        const { status, headers } = await rig.post('/predict/sum', BODY);
        expect(status).toBe(200);
        seen.add(headers['x-understudy-version']);
      }
    };
    const clients = Array.from({ length: 8 }, client);
    for (let version = 2; version < 12; version++) {
      rig.apply(snapshotOf(version, [modelOf({ champion: `v${version}`, versions: [onnxVersion(`v${version}`)] })]));
      await until(() => seen.has(`v${version}`), `v${version} serves`);
    }
    isOver = true;
    await Promise.all(clients);
    expect(rig.gateway.stats().bugs).toBe(0);
    await until(() => open.size === 1, 'old versions closed');
    expect([...open]).toEqual(['v11']);
  });

  it('says so, and goes on, when a snapshot does not fit', async () => {
    await using rig = await openRig({ snapshot: snapshotOf(9, [modelOf()]) });
    rig.apply(snapshotOf(3, []));
    expect(rig.logged.map(({ event }) => event)).toEqual(['gateway.snapshot_refused']);
    expect(rig.gateway.stats()).toMatchObject({ revision: 9, refusedSnapshots: 1 });
    expect((await rig.post('/predict/sum', BODY)).status).toBe(200);
  });
});

describe('health', () => {
  it('is live at once and ready when every champion is', async () => {
    let finish = (): void => {};
    await using rig = await openRig({
      openRuntime: () =>
        new Promise((resolve) => {
          finish = () => resolve(sumRuntime());
        }),
    });
    const statuses = async (): Promise<number[]> =>
      Promise.all(
        ['/healthz', '/v2/health/live', '/readyz', '/v2/health/ready', '/ping', '/health'].map(
          async (path) => (await rig.get(path)).status,
        ),
      );
    expect(await statuses()).toEqual([200, 200, 503, 503, 503, 503]);
    expect((await rig.post('/predict/sum', BODY)).json).toMatchObject({ error: { code: 'snapshot.missing' } });
    rig.apply(snapshotOf(1, [modelOf({ versions: [onnxVersion('v1')] })]));
    expect((await rig.get('/readyz')).json).toEqual({ status: 'not ready', problems: ['1 of 1 models cannot be served yet'] });
    const early = await rig.post('/predict/sum', BODY);
    expect(early).toMatchObject({ status: 503, json: { error: { code: 'model.loading' } } });
    expect(early.headers['retry-after']).toBe('1');
    finish();
    await until(() => rig.gateway.problems().length === 0, 'ready');
    expect(await statuses()).toEqual([200, 200, 200, 200, 200, 200]);
  });

  it('shows metrics to those who may read', async () => {
    const { token, text } = tokenOf('r', ['read']);
    await using rig = await openRig({ snapshot: snapshotOf(1, [], [token]) });
    expect((await rig.get('/metrics')).status).toBe(401);
    expect((await rig.get('/metrics', { authorization: text })).status).toBe(404);
  });
});
