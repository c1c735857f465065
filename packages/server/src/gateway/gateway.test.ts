import { AppError } from '@understudy/core/errors';
import type { Route } from '@understudy/core/routing';
import { describe, expect, it } from 'vitest';
import {
  openRig,
  REQUEST_ID_KEY,
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
