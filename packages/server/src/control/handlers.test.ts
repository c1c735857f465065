import { type Client, createClient } from '@understudy/contract/client';
import type { GatewayReport } from '@understudy/contract/report';
import { EMPTY_TALLY, momentsOf, type Tally } from '@understudy/core/evidence';
import { EMPTY_PAIRS } from '@understudy/core/pairs';
import { nameOfEdges } from '@understudy/core/prediction-bins';
import { SCOPES } from '@understudy/core/token';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CLASSIFIER_SHA256, NO_DATA, ONNX_SHA256, openTestControl, refusal, type TestControl } from './test-control.ts';

let control: TestControl;
let address: string;
let call: Client;

beforeEach(async () => {
  control = await openTestControl();
  address = await control.api.listen({ host: '127.0.0.1', port: 0 });
  call = createClient({ url: address, token: control.tokenFor('admin') });
});

afterEach(async () => {
  await control[Symbol.asyncDispose]();
});

const UPSTREAM = { url: 'http://10.0.0.7:8080/', protocol: 'predict' } as const;
const BASELINE = { predictions: [1, 2, 3] };
const WHY = { reason: 'test' };

async function register(version: string, more: object = { baseline: BASELINE }): Promise<void> {
  await call('registerVersion', { params: { model: 'fraud' }, body: { version, upstream: UPSTREAM, ...more } });
}

/** A model with champion v1 and a second version. */
async function openFraud(more?: object): Promise<void> {
  await call('createModel', { body: { name: 'fraud' } });
  await register('v1', more);
  await call('promoteVersion', { params: { model: 'fraud', version: 'v1' }, body: WHY });
  await register('v2', more);
}

async function startRollout(): Promise<string> {
  const { rollout } = await call('startRollout', { body: { model: 'fraud', challenger: 'v2' } });
  return rollout.id;
}

/** What a gateway says about v2. */
async function report(gateway: string, state: 'loading' | 'ready' | 'failed', sequence = 0): Promise<void> {
  const body: GatewayReport = {
    gateway,
    boot: 'b',
    sequence,
    revision: 1,
    readiness: [{ model: 'fraud', version: 'v2', state, detail: 'because' }],
    blocks: [],
  };
  await control.context.store.appendReport('production', body, control.clock.nowMs());
}

/** What a version did that predicted these. */
function liveOf(values: readonly number[]): Tally {
  return { ...EMPTY_TALLY, requests: values.length, predictions: momentsOf(values) };
}

describe('models', () => {
  it('are created with defaults, changed in part, and listed', async () => {
    const made = await call('createModel', { body: { name: 'fraud', routing: { deadlineMs: 900 } } });
    expect(made).toMatchObject({ model: { name: 'fraud', routing: { deadlineMs: 900, rules: [] } }, challengerPercent: 0 });
    const changed = await call('updateModel', { params: { model: 'fraud' }, body: { watch: { cooldownMs: 5 }, ...WHY } });
    expect(changed.model).toMatchObject({
      routing: { deadlineMs: 900 },
      watch: { cooldownMs: 5, checkEveryMs: 1000, method: 'detectors' },
    });
    expect(await call('listModels', {})).toEqual([changed]);
    expect(await call('getModel', { params: { model: 'fraud' } })).toEqual(changed);
    expect(await refusal(call('createModel', { body: { name: 'fraud' } }))).toMatch(/^model\.already_exists: /);
    expect(await refusal(call('getModel', { params: { model: 'froud' } }))).toMatch(/^model\.not_found: .*there are fraud/);
  });

  it('have a champion at each moment, and go back to the last known good', async () => {
    await openFraud();
    control.clock.pass(1000);
    const beforeMs = control.clock.nowMs();
    control.clock.pass(1000);
    await call('promoteVersion', { params: { model: 'fraud', version: 'v2' }, body: WHY });
    const at = new Date(beforeMs).toISOString();
    expect((await call('getChampion', { params: { model: 'fraud' }, query: { at } })).champion).toBe('v1');
    expect((await call('getChampion', { params: { model: 'fraud' } })).champion).toBe('v2');
    const early = await call('getChampion', { params: { model: 'fraud' }, query: { at: '2020-01-01T00:00:00Z' } });
    expect(early.champion).toBeNull();
    expect((await call('getModel', { params: { model: 'fraud' } })).lastKnownGood).toBe('v1');
    const back = await call('rollBackModel', { params: { model: 'fraud' }, body: { version: 'v2', ...WHY } });
    expect(back.outcome).toBe('done');
    const again = await call('rollBackModel', { params: { model: 'fraud' }, body: { version: 'v2', ...WHY } });
    expect(again).toMatchObject({ outcome: 'already-done', revision: back.revision });
    const model = await call('getModel', { params: { model: 'fraud' } });
    expect([model.model.champion, model.lastKnownGood]).toEqual(['v1', undefined]);
  });

  it('are killed: nobody is on the challenger any more', async () => {
    await openFraud();
    const rollout = await startRollout();
    const killed = await call('killModel', { params: { model: 'fraud' }, body: WHY });
    expect(killed.outcome).toBe('done');
    expect((await call('getModel', { params: { model: 'fraud' } })).challengerPercent).toBe(0);
    expect((await call('getRollout', { params: { rollout } })).rollout.state.phase).toBe('killed');
    expect(await refusal(startRollout())).toMatch(/^model\.killed: /);
    expect((await call('unkillModel', { params: { model: 'fraud' }, body: WHY })).outcome).toBe('done');
  });
});

describe('versions', () => {
  beforeEach(async () => {
    await call('createModel', { body: { name: 'fraud' } });
  });

  it('of a model server keep its address without the last slash, and are called there as they are here', async () => {
    await register('v1');
    const { version, role } = await call('getVersion', { params: { model: 'fraud', version: 'v1' } });
    expect(role).toBe('idle');
    expect(version).toMatchObject({
      source: { kind: 'upstream', url: 'http://10.0.0.7:8080', protocol: 'predict', remoteModel: 'fraud' },
      baseline: { count: 3, mean: 2, standardDeviation: 1, source: 'validation' },
      registeredBy: 'token:only-admin',
    });
  });

  it('of an uploaded file take its signature, and a baseline from inputs', async () => {
    const uploaded = await call('uploadArtifact', { query: { name: 'm.onnx' }, body: new Uint8Array(10) });
    expect(uploaded).toMatchObject({ sha256: ONNX_SHA256, bytes: 10 });
    const body = {
      version: 'v1',
      artifact: uploaded.sha256,
      baseline: {
        features: [
          [4, 9],
          [16, 9],
        ],
      },
    };
    const { version } = await call('registerVersion', { params: { model: 'fraud' }, body });
    expect(version).toMatchObject({
      source: { kind: 'onnx', sha256: ONNX_SHA256, signature: { prediction: 'y' } },
      baseline: { count: 2, mean: 10 },
    });
  });

  it.each([
    { name: 'no source', body: {}, refused: /^request\.invalid: .*exactly one of.*none is given/ },
    { name: 'two sources', body: { artifact: ONNX_SHA256, upstream: UPSTREAM }, refused: /^request\.invalid: .*2 are given/ },
    {
      name: 'an artifact that was never uploaded',
      body: { artifact: 'b'.repeat(64) },
      refused: /^artifact\.not_found: .*upload the file first/,
    },
    {
      name: 'inputs for a model server',
      body: { upstream: UPSTREAM, baseline: { features: [[1], [2]] } },
      refused: /^request\.invalid: .*send those as "predictions"/,
    },
    {
      name: 'a forbidden address',
      body: { upstream: { ...UPSTREAM, url: 'http://169.254.169.254' } },
      refused: /^upstream\.forbidden_address: /,
    },
    {
      name: 'predictions beyond all measure',
      body: { upstream: UPSTREAM, baseline: { predictions: [1e308, 1e308] } },
      refused: /^request\.invalid: .*finite/,
    },
    {
      name: 'inputs on which the model says NaN',
      body: { artifact: ONNX_SHA256, baseline: { features: [[1], [-1]] } },
      refused: /^request\.invalid: .*sum up to NaN/,
    },
  ])('with $name are answered with $refused', async ({ body, refused }) => {
    const answer = call('registerVersion', { params: { model: 'fraud' }, body: { version: 'v1', ...body } });
    expect(await refusal(answer)).toMatch(refused);
  });

  it('are ready where a connected gateway says so', async () => {
    await register('v2');
    await report('gate-1', 'ready');
    await report('gate-2', 'failed');
    const { readiness } = await call('getVersion', { params: { model: 'fraud', version: 'v2' } });
    expect([readiness['gate-1']?.state, readiness['gate-2']?.state]).toEqual(['ready', 'failed']);
    control.clock.pass(10_001);
    await report('gate-1', 'ready', 1);
    expect(await call('listVersions', { params: { model: 'fraud' } })).toMatchObject([{ readiness: { 'gate-1': {} } }]);
    const gateways = await call('listGateways', {});
    expect(gateways.map((one) => [one.gateway, one.isConnected])).toEqual([
      ['gate-1', true],
      ['gate-2', false],
    ]);
  });

  it('are marked by people and say who did it', async () => {
    await register('v1');
    const params = { model: 'fraud', version: 'v1' };
    const marked = await call('setVersionHealth', { params, body: { state: 'unhealthy', reason: 'wrong units' } });
    expect(marked.version.health).toMatchObject({ state: 'unhealthy', by: 'token:only-admin', reason: 'wrong units' });
    expect(
      await refusal(call('setVersionHealth', { params: { ...params, version: 'v9' }, body: { state: 'healthy', ...WHY } })),
    ).toMatch(/^version\.not_found: .*it has v1/);
  });

  it.each([
    {
      name: 'a model server, in bins of its own quantiles',
      body: { upstream: UPSTREAM, baseline: { predictions: [3, 1, 2, 2] } },
      expected: { bins: { kind: 'ordered', edges: [1.5, 2.5] }, counts: [1, 2, 1] },
    },
    {
      name: 'a file that predicts numbers, in bins of its own quantiles',
      body: { artifact: ONNX_SHA256, baseline: { features: [[4], [16]] } },
      expected: { bins: { kind: 'ordered', edges: [10] }, counts: [1, 1] },
    },
    {
      name: 'a file that predicts labels, by class',
      body: { artifact: CLASSIFIER_SHA256, baseline: { predictions: [7, 0, 7] } },
      expected: { bins: { kind: 'classes', classes: ['7', '0'] }, counts: [2, 1, 0] },
    },
    {
      name: 'a file that is run on inputs, by class',
      body: { artifact: CLASSIFIER_SHA256, baseline: { features: [[16], [16], [4]] } },
      expected: { bins: { kind: 'classes', classes: ['16', '4'] }, counts: [2, 1, 0] },
    },
  ])('have the distribution of the predictions of $name', async ({ body, expected }) => {
    const { version } = await call('registerVersion', { params: { model: 'fraud' }, body: { version: 'v1', ...body } });
    expect(version.baseline?.distribution).toEqual(expected);
  });

  it('get a baseline from a sample, or from thirty live predictions and no fewer', async () => {
    await register('v1', {});
    const params = { model: 'fraud', version: 'v1' };
    const set = await call('setBaseline', { params, body: { predictions: [4, 6] } });
    expect(set.version.baseline).toMatchObject({ count: 2, mean: 5 });
    control.engineSays({ live: liveOf(Array.from({ length: 29 }, () => 1)) });
    expect(await refusal(call('setBaseline', { params, body: { live: true } }))).toMatch(
      /^baseline\.not_enough_data: .*29 of at least 30/,
    );
    control.engineSays({ live: liveOf(Array.from({ length: 30 }, (_, index) => index % 2)) });
    const live = await call('setBaseline', { params, body: { live: true } });
    expect(live.version.baseline).toMatchObject({ count: 30, mean: 0.5, source: 'live' });
  });

  describe('with a live baseline', () => {
    // Of the baseline that every version is registered with.
    const edges = [1.5, 2.5];
    const inForce = { kind: 'ordered', edges };
    const bins = { [nameOfEdges(edges)]: [5, 16, 10], [nameOfEdges([9])]: [40, 0] };

    it.each<{ name: string; isChampion: boolean; seen: Partial<Tally>; expected: unknown }>([
      {
        name: 'the counts in the bins that are in force',
        isChampion: true,
        seen: { bins, classes: { a: 31 } },
        expected: { bins: inForce, counts: [5, 16, 10] },
      },
      {
        name: 'the counts by class where there are none in these bins',
        isChampion: true,
        seen: { bins: { [nameOfEdges([9])]: [40, 0] }, classes: { a: 1, b: 30 } },
        expected: { bins: { kind: 'classes', classes: ['b', 'a'] }, counts: [30, 1, 0] },
      },
      {
        name: 'the counts by class where no bins are in force',
        isChampion: false,
        seen: { bins, classes: { a: 30 } },
        expected: { bins: { kind: 'classes', classes: ['a'] }, counts: [30, 0] },
      },
      { name: 'no distribution without any counts', isChampion: true, seen: {}, expected: undefined },
      {
        name: 'no distribution of fewer than thirty requests, however many rows they had',
        isChampion: true,
        seen: { bins: { [nameOfEdges(edges)]: [0, 29, 0] }, classes: { a: 29 } },
        expected: undefined,
      },
    ])('have $name', async ({ isChampion, seen, expected }) => {
      const params = { model: 'fraud', version: 'v1' };
      await register('v1');
      if (isChampion) await call('promoteVersion', { params, body: WHY });
      control.engineSays({ live: { ...liveOf(Array.from({ length: 40 }, (_, index) => index)), ...seen } });
      const { version } = await call('setBaseline', { params, body: { live: true } });
      expect(version.baseline).toMatchObject({ count: 40, mean: 19.5, source: 'live' });
      expect(version.baseline?.distribution).toEqual(expected);
    });
  });
});

describe('an upload', () => {
  const send = async (init: RequestInit, own = address): Promise<Response> =>
    fetch(`${own}/api/v1/artifacts`, {
      method: 'POST',
      ...init,
      headers: { authorization: `Bearer ${control.tokenFor('operate')}`, ...(init.headers as object) },
    });

  it('streams, so that it may be larger than a body of JSON', async () => {
    const answer = await send({ body: new Uint8Array(3 * 1024 * 1024), headers: { 'content-type': 'application/octet-stream' } });
    expect(await answer.json()).toMatchObject({ bytes: 3 * 1024 * 1024 });
  });

  it.each([
    { name: 'of another content type', type: 'application/json', body: '{}', status: 415 },
    { name: 'as a form', type: 'multipart/form-data; boundary=x', body: 'x', status: 415 },
    { name: 'of nothing', type: 'application/octet-stream', body: '', status: 400 },
  ])('$name is refused with $status', async ({ type, body, status }) => {
    expect((await send({ body, headers: { 'content-type': type } })).status).toBe(status);
  });

  it('of nothing without a content type is refused with a hint', async () => {
    const answer = await send({});
    expect(await answer.text()).toContain('application/octet-stream');
    expect(answer.status).toBe(400);
  });

  it('above the limit is refused, announced or not', async () => {
    await using small = await openTestControl({ maxUploadBytes: 1000 });
    const own = await small.api.listen({ host: '127.0.0.1', port: 0 });
    const headers = { authorization: `Bearer ${small.tokenFor('operate')}`, 'content-type': 'application/octet-stream' };
    const atLimit = await send({ body: new Uint8Array(1000), headers }, own);
    expect(atLimit.status).toBe(200);
    const announced = await send({ body: new Uint8Array(1001), headers }, own);
    expect([announced.status, await announced.text()]).toEqual([413, expect.stringContaining('artifact.too_large') as string]);
    // Far above the limit, so that most of it is still to be sent when the answer comes.
    const stream = new Blob([new Uint8Array(20_000_000)]).stream();
    const streamed = await send({ body: stream, headers, duplex: 'half' } as RequestInit, own);
    expect(streamed.status).toBe(413);
  });
});

describe('an upload that breaks off', () => {
  it('is nothing to log as a failure of ours', async () => {
    const abort = new AbortController();
    const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (sink) => {
        sink.enqueue(new Uint8Array(1000));
        await new Promise((resolve) => setTimeout(resolve, 1));
      },
    });
    const sent = call('uploadArtifact', { body: endless, signal: abort.signal });
    setTimeout(() => abort.abort(), 100);
    await expect(sent).rejects.toThrow('abort');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(control.log).toEqual([]);
  });
});

describe('rollouts', () => {
  beforeEach(async () => openFraud());

  it('show what they wait for until every gateway has the challenger ready', async () => {
    const rollout = await startRollout();
    expect(rollout).toBe('fraud-1');
    const now = async (): Promise<string | undefined> => (await call('getRollout', { params: { rollout } })).now?.reason;
    expect(await now()).toBe('waiting for the challenger: no gateway has reported within the last 10 s');
    await report('gate-1', 'loading');
    expect(await now()).toContain('v2 is loading on gateway "gate-1" (because)');
    await report('gate-1', 'ready', 1);
    expect(await now()).toContain('v2 is loaded, warmed up and probed on every gateway; it gets 10 %');
    const view = await call('getRollout', { params: { rollout } });
    expect(view).toMatchObject({ challengerPercent: 0, now: { verdict: 'no-data' }, arms: [{ arm: 'champion', version: 'v1' }] });
    expect(view.warnings).toEqual([expect.stringContaining('the champion had no request') as string]);
    expect(await call('listRollouts', { query: { model: 'fraud' } })).toEqual([view]);
    expect((await call('getVersion', { params: { model: 'fraud', version: 'v2' } })).role).toBe('challenger');
  });

  it('survive a guard whose number JSON cannot say', async () => {
    const guards = [
      {
        guard: 'health.mean-drift',
        verdict: 'harmful',
        challenger: Infinity,
        unit: 'standard deviations',
        samples: 9,
        reason: 'far off',
      },
    ] as const;
    control.engineSays({ judgement: { ...NO_DATA, guards } });
    const rollout = await startRollout();
    const [guard] = (await call('getRollout', { params: { rollout } })).now?.guards ?? [];
    expect(guard).toEqual({
      guard: 'health.mean-drift',
      verdict: 'harmful',
      unit: 'standard deviations',
      samples: 9,
      reason: 'far off',
    });
  });

  it('are stepped by the engine in the name of who asked, once for each key', async () => {
    const rollout = await startRollout();
    await call('stepRollout', { params: { rollout }, body: { skipHold: true, ...WHY }, idempotencyKey: 'k1' });
    expect(control.steps).toEqual([
      [
        rollout,
        {
          skipHold: true,
          overrideFreeze: false,
          reason: 'test',
          actor: 'token:only-admin',
          idempotency: { key: 'k1', request: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
        },
      ],
    ]);
    expect(await refusal(call('stepRollout', { params: { rollout: 'fraud-9' }, body: WHY }))).toMatch(/^rollout\.not_found: /);
  });

  it('end by promotion, abort or rollback, and are retried', async () => {
    const first = await startRollout();
    expect((await call('abortRollout', { params: { rollout: first }, body: WHY })).rollout.state.phase).toBe('aborted');
    expect(await refusal(call('pauseRollout', { params: { rollout: first }, body: WHY }))).toMatch(
      /^rollout\.invalid_transition: /,
    );
    const second = await call('retryRollout', { params: { rollout: first }, body: { plan: 'careful' } });
    expect(second.rollout).toMatchObject({ id: 'fraud-2', retryOf: first, salt: first, plan: { name: 'careful' } });
    const ended = await call('rollBackRollout', { params: { rollout: 'fraud-2' }, body: WHY });
    expect([ended.rollout.state.phase, ended.now, ended.warnings]).toEqual(['rolled-back', undefined, []]);
    const third = await call('retryRollout', { params: { rollout: 'fraud-2' }, body: {} });
    const promoted = await call('promoteRollout', { params: { rollout: third.rollout.id }, body: WHY });
    expect(promoted.rollout.state.phase).toBe('promoted');
    expect((await call('getModel', { params: { model: 'fraud' } })).model.champion).toBe('v2');
    expect((await call('listRollouts', {})).map((one) => one.rollout.id).toSorted()).toEqual(['fraud-1', 'fraud-2', 'fraud-3']);
  });

  it('show their decisions, newest first', async () => {
    const rollout = await startRollout();
    const { rollout: document } = await call('getRollout', { params: { rollout } });
    for (const window of [1, 2]) {
      const decision = {
        action: 'hold',
        verdict: 'no-data',
        reason: `look ${window}`,
        guards: [],
        next: document.state,
      } as const;
      await control.context.store.commit({
        environment: 'production',
        writes: [],
        actor: 'engine',
        action: 'rollout.held',
        reason: decision.reason,
        atMs: control.clock.nowMs(),
        decision: { rollout, window, decision },
      });
    }
    const decisions = await call('listDecisions', { params: { rollout }, query: { limit: 5 } });
    expect(decisions.map((one) => [one.window, one.decision.reason])).toEqual([
      [2, 'look 2'],
      [1, 'look 1'],
    ]);
    const view = await call('getRollout', { params: { rollout } });
    expect(view.lastDecision?.decision.reason).toBe('look 2');
    expect(await refusal(call('listDecisions', { params: { rollout: 'fraud-9' } }))).toMatch(/^rollout\.not_found: /);
  });
});

describe('a rollout warns', () => {
  it('when the guard on drift has no baseline to compare with', async () => {
    await openFraud({});
    const { warnings } = await call('startRollout', { body: { model: 'fraud', challenger: 'v2' } });
    expect(warnings[0]).toContain('the guard drift has no data and is left out');
  });

  it.each([
    { name: 'run in different places', source: { artifact: ONNX_SHA256 }, warning: 'latencies differ by the network' },
    { name: 'speak different protocols', source: { upstream: { ...UPSTREAM, protocol: 'mlflow' } }, warning: 'speaks mlflow' },
  ])('when the versions $name', async ({ source, warning }) => {
    await openFraud();
    const body = { version: 'v3', baseline: BASELINE, ...source };
    await call('registerVersion', { params: { model: 'fraud' }, body: body as never });
    const { warnings } = await call('startRollout', { body: { model: 'fraud', challenger: 'v3' } });
    expect(warnings.at(-1)).toContain(warning);
  });
});

describe('plans', () => {
  const plan = { name: 'mine', steps: [{ traffic: 50, hold: '1h' }, { traffic: 100 }] };

  it('are saved under their name and used by it', async () => {
    const saved = await call('savePlan', { params: { plan: 'mine' }, body: plan });
    expect(saved).toMatchObject({ name: 'mine', steps: [{ traffic: 50, hold: '1h' }, { traffic: 100 }] });
    expect(await call('getPlan', { params: { plan: 'mine' } })).toEqual(saved);
    expect((await call('listPlans', {})).map((one) => one.name)).toEqual(['standard', 'careful', 'rehearsed', 'mine']);
    await openFraud();
    const { rollout } = await call('startRollout', { body: { model: 'fraud', challenger: 'v2', plan: 'mine' } });
    expect(rollout.plan.steps).toHaveLength(2);
  });

  it.each([
    { name: 'under another name', at: 'yours', body: plan, refused: /^request\.invalid: .*make the name/ },
    { name: 'that never reach everybody', at: 'mine', body: { ...plan, steps: [{ traffic: 50 }] }, refused: /^plan\.invalid: / },
    { name: 'over one of ours', at: 'standard', body: { ...plan, name: 'standard' }, refused: /^plan\.invalid: / },
  ])('$name are refused', async ({ at, body, refused }) => {
    expect(await refusal(call('savePlan', { params: { plan: at }, body }))).toMatch(refused);
  });

  it('that nobody has are named with those there are', async () => {
    expect(await refusal(call('getPlan', { params: { plan: 'nope' } }))).toMatch(/^plan\.not_found: .*standard, careful/);
  });
});

describe('tokens', () => {
  it('show their secret once, work at once, and stop at once', async () => {
    const made = await call('createToken', { body: { name: 'ci', scopes: ['read'] } });
    expect(made.token).toMatchObject({ name: 'ci', scopes: ['read'], createdBy: 'token:only-admin' });
    const ci = createClient({ url: address, token: made.secret });
    expect(await ci('whoAmI', {})).toEqual({ id: made.token.id, name: 'ci', scopes: ['read'], environment: 'production' });
    const listed = await call('listTokens', {});
    expect(listed).toContainEqual(made.token);
    expect(JSON.stringify(listed)).not.toMatch(/sha256|[0-9a-f]{64}/);
    await call('revokeToken', { params: { token: made.token.id } });
    expect(await refusal(ci('whoAmI', {}))).toMatch(/^auth\.invalid_token: /);
    expect(await refusal(call('revokeToken', { params: { token: made.token.id } }))).toMatch(/^token\.not_found: /);
  });

  it('are not made twice by one key, and say that the secret is gone', async () => {
    const input = { body: { name: 'ci', scopes: ['read' as const] }, idempotencyKey: 'once' };
    await call('createToken', input);
    expect(await refusal(call('createToken', input))).toMatch(/^idempotency\.key_reused: .*Revoke it and create another/);
    expect((await call('listTokens', {})).filter((token) => token.name === 'ci')).toHaveLength(1);
  });
});

describe('a repeated call with the same key', () => {
  it('changes nothing and gets the first answer', async () => {
    await openFraud();
    const input = { params: { model: 'fraud' }, body: WHY, idempotencyKey: 'kill-1' };
    const first = await call('killModel', input);
    const { revision } = await call('getStatus', {});
    expect(await call('killModel', input)).toMatchObject({ outcome: first.outcome, message: first.message });
    expect((await call('getStatus', {})).revision).toBe(revision);
  });

  it('is refused when it asks for something else', async () => {
    await openFraud();
    await call('killModel', { params: { model: 'fraud' }, body: WHY, idempotencyKey: 'k' });
    for (const other of [
      call('killModel', { params: { model: 'fraud' }, body: { reason: 'another' }, idempotencyKey: 'k' }),
      call('unkillModel', { params: { model: 'fraud' }, body: WHY, idempotencyKey: 'k' }),
    ]) {
      expect(await refusal(other)).toMatch(/^idempotency\.key_reused: .*choose a new key/);
    }
  });

  it('does not depend on the order of fields', async () => {
    await openFraud();
    const send = async (payload: string) =>
      control.api.inject({
        method: 'POST',
        url: '/api/v1/models/fraud/rollback',
        headers: {
          authorization: `Bearer ${control.tokenFor('operate')}`,
          'content-type': 'application/json',
          'idempotency-key': 'order',
        },
        payload,
      });
    await call('promoteVersion', { params: { model: 'fraud', version: 'v2' }, body: WHY });
    const first = await send('{"version":"v2","reason":"r"}');
    const second = await send('{ "reason": "r", "version": "v2" }');
    expect([first.statusCode, second.statusCode]).toEqual([200, 200]);
    expect(second.json()).toMatchObject({ outcome: 'done' });
  });
});

describe('the journal', () => {
  it('is read newest first, page by page, and of one model with its versions and rollouts', async () => {
    await openFraud();
    await call('createModel', { body: { name: 'other' } });
    await startRollout();
    const all = await call('readJournal', {});
    expect(all.map((entry) => entry.revision)).toEqual(all.map((entry) => entry.revision).toSorted((a, b) => b - a));
    expect(all.at(0)).toMatchObject({ actor: 'token:only-admin', action: 'rollout.started' });
    const page = await call('readJournal', { query: { before: all[1]?.revision, limit: 2 } });
    expect(page).toEqual(all.slice(2, 4));
    const fraud = await call('readJournal', { query: { model: 'fraud' } });
    expect(fraud.map((entry) => entry.action)).toEqual([
      'rollout.started',
      'version.registered',
      'model.promoted',
      'version.registered',
      'model.created',
    ]);
    expect((await call('readJournal', { query: { model: 'fraud', limit: 1 } })).map((entry) => entry.action)).toEqual([
      'rollout.started',
    ]);
  });

  it('never shows the digest of a token', async () => {
    const reader = createClient({ url: address, token: control.tokenFor('read') });
    const entries = await reader('readJournal', {});
    expect(entries[0]).toMatchObject({
      action: 'token.created',
      changes: [{ kind: 'token', before: null, after: { name: 'only-admin' } }],
    });
    expect(JSON.stringify(entries.map((entry) => entry.changes))).not.toContain('sha256');
  });

  it('is checked on demand', async () => {
    expect(await call('verifyJournal', {})).toMatchObject({
      intact: true,
      entries: SCOPES.length,
      head: expect.any(String) as string,
    });
  });
});

describe('the status', () => {
  it('has everything at one revision', async () => {
    await openFraud();
    await report('gate-1', 'ready');
    expect(await call('getStatus', {})).toMatchObject({
      environment: 'production',
      release: '1.2.3',
      revision: SCOPES.length + 4,
      models: [{ model: { name: 'fraud', champion: 'v1' } }],
      gateways: [{ gateway: 'gate-1', isConnected: true }],
    });
  });
});

describe('shadows', () => {
  const PARAMS = { model: 'fraud' };
  const side = (version: string, prediction: number) => ({ version, prediction, ms: 12 });

  /** A gateway's block of a shadow with one pair kept. */
  async function reportPair(): Promise<void> {
    const atMs = control.clock.nowMs();
    const example = {
      requestId: 'r-1',
      atMs,
      champion: side('v1', 3),
      shadow: side('v2', 4.5),
      difference: 1.5,
      distance: 1.5,
      lot: 0.25,
    };
    const pairs = { ...EMPTY_PAIRS, count: 1, compared: 1, worst: [example], sample: [example] };
    const block = {
      ...PARAMS,
      version: 'v2',
      arm: 'shadow',
      startMs: atMs,
      tally: { ...EMPTY_TALLY, requests: 1, pairs },
    } as const;
    const body = { gateway: 'g', boot: 'b', sequence: 0, revision: 1, readiness: [], blocks: [block] };
    await control.context.store.appendReport('production', body, atMs);
  }

  it('start, are shown and stop', async () => {
    await openFraud();
    const started = await call('startShadow', { params: PARAMS, body: { version: 'v2', percent: 10, ...WHY } });
    expect(started).toMatchObject({ model: 'fraud' });
    expect((await call('getModel', { params: PARAMS })).model.shadow).toMatchObject({ version: 'v2', percent: 10, rules: [] });
    expect(await call('stopShadow', { params: PARAMS, body: WHY })).toMatchObject({ outcome: 'done' });
    expect(await call('stopShadow', { params: PARAMS, body: WHY })).toMatchObject({ outcome: 'already-done' });
    expect((await call('getModel', { params: PARAMS })).model.shadow).toBeUndefined();
  });

  it('have a log of pairs: as JSON, as lines, and as CloudEvents', async () => {
    await openFraud();
    await reportPair();
    expect(await call('listPairs', { params: PARAMS, query: { order: 'worst' } })).toMatchObject([
      { requestId: 'r-1', difference: 1.5 },
    ]);
    const ask = async (accept: string): Promise<readonly [type: string | null, text: string]> => {
      const headers = { authorization: `Bearer ${control.tokenFor('admin')}`, accept };
      const answer = await fetch(`${address}/api/v1/models/fraud/shadow/pairs`, { headers });
      return [answer.headers.get('content-type'), await answer.text()];
    };
    const [lines, text] = await ask('application/x-ndjson');
    expect(lines).toBe('application/x-ndjson');
    expect(
      text
        .split('\n')
        .filter(Boolean)
        .map((line): unknown => JSON.parse(line)),
    ).toMatchObject([
      {
        model: 'fraud',
        championPrediction: 3,
        shadowPrediction: 4.5,
        championLatencyMs: 12,
        shadowLatencyMs: 12,
        difference: 1.5,
      },
    ]);
    const [events, batch] = await ask('application/cloudevents-batch+json');
    expect(events).toContain('application/cloudevents-batch+json');
    expect(JSON.parse(batch)).toMatchObject([
      { specversion: '1.0', id: 'r-1', type: 'io.understudy.shadow.pair.v1', subject: 'v2', data: { difference: 1.5 } },
    ]);
  });
});
