import type { Snapshot } from '@understudy/core/snapshot';
import { expect, it } from 'vitest';
import {
  modelOf,
  openRig,
  type Rig,
  type RigOptions,
  rolloutOf,
  snapshotOf,
  sumOf,
  sumRuntime,
  tokenOf,
} from './gateway-rig.contract.ts';

const BODY = { features: [1, 2, 3] };
/** A first feature that no version survives. */
const POISON = 666;
const CHAMPION = { 'x-tier': 'iron' };

/** Half of the users; a rule sends `x-tier: gold` to the challenger. */
function snapshotAt(revision: number, boundary = 50_000, id = 'sum-1'): Snapshot {
  const { rollout } = rolloutOf(boundary);
  const rules = [
    { id: 'gold', all: [{ field: { from: 'header', name: 'x-tier' }, operator: 'in', values: ['gold'] }], serve: 'challenger' },
  ] as const;
  const { routing } = modelOf();
  const model = modelOf({ routing: { ...routing, rules } });
  return snapshotOf(revision, [rollout === undefined ? model : { ...model, rollout: { ...rollout, id } }]);
}

interface Bench {
  readonly rig: Rig;
  /** What v1 and v2 do from now on. */
  readonly works: { v1: boolean; v2: boolean };
}

/** Requests without a subject go to the challenger in turn with the champion. */
async function openBench(options: RigOptions = {}): Promise<Bench> {
  const works = { v1: true, v2: true };
  let turn = 0;
  const rig = await openRig({
    snapshot: snapshotAt(1),
    random: () => (turn++ % 2 === 0 ? 0.1 : 0.9),
    openRuntime: (_model, { version }) =>
      Promise.resolve(
        sumRuntime(0, (inputs) =>
          inputs[0]?.data[0] !== POISON && works[version === 'v2' ? 'v2' : 'v1']
            ? Promise.resolve([sumOf(inputs, 0)])
            : Promise.reject(new Error('dead')),
        ),
      ),
    ...options,
  });
  return { rig, works };
}

/** The reasons of so many requests, a second apart or closer. */
// oxlint-disable-next-line max-params -- whom, how many, how fast, and as whom
async function reasonsOf({ rig }: Pick<Bench, 'rig'>, count: number, stepMs = 10, headers = {}): Promise<string[]> {
  const reasons: string[] = [];
  for (let index = 0; index < count; index++) {
    const { status, headers: answered } = await rig.post('/predict/sum', BODY, headers);
    reasons.push(status === 200 ? `${answered['x-understudy-arm']} ${answered['x-understudy-reason']}` : `${status}`);
    rig.time.advance(stepMs);
  }
  return reasons;
}

/** Kills the challenger and sends requests until it is cut off; @returns how many users it was asked for. */
async function cutOff(bench: Bench): Promise<number> {
  bench.works.v2 = false;
  for (let rescued = 0; rescued < 50;) {
    const [reason] = await reasonsOf(bench, 1);
    if (reason === 'champion breaker') return rescued;
    if (reason === 'champion rescued') rescued++;
  }
  throw new Error('the challenger was never cut off');
}

function stateOf({ rig }: Pick<Bench, 'rig'>): unknown {
  return rig.gateway.stats().trials[0]?.breaker;
}

it('cuts a dead challenger off, and no user notices', async () => {
  const bench = await openBench();
  await using rig = bench.rig;
  expect(await reasonsOf(bench, 40)).not.toContain('champion breaker');
  const rescued = await cutOff(bench);
  expect(rescued).toBeGreaterThanOrEqual(5);
  expect(rescued).toBeLessThanOrEqual(17);
  expect(stateOf(bench)).toBe('open');
  expect(await reasonsOf(bench, 8)).toEqual([...Array(4).keys()].flatMap(() => ['champion random', 'champion breaker']));
  expect(rig.gateway.stats()).toMatchObject({ breakerOpenings: 1, breakerDiverted: 5, breakerProbes: 0 });
  expect(rig.logged).toContainEqual({
    event: 'breaker.opened',
    fields: expect.objectContaining({ model: 'sum', version: 'v2', rollout: 'sum-1', state: 'open' }) as unknown,
  });
});

it('counts as evidence what chance had sent before, and neither arm afterwards', async () => {
  const bench = await openBench();
  await using rig = bench.rig;
  const rescued = await cutOff(bench);
  const before = await rig.counts();
  expect(before).toMatchObject({ 'v2 challenger sum-1': rescued });
  await reasonsOf(bench, 20);
  const after = await rig.counts();
  expect(after['v2 challenger sum-1']).toBe(before['v2 challenger sum-1']);
  expect(after['v1 champion sum-1']).toBe(before['v1 champion sum-1']);
  // All twenty and the one that showed that it is cut off.
  expect(after['v1 champion outside']).toBe(21);
});

it('tries single requests after a while, which the champion rescues, and which are no evidence', async () => {
  const bench = await openBench();
  await using rig = bench.rig;
  const rescued = await cutOff(bench);
  rig.time.advance(5000);
  const reasons = await reasonsOf(bench, 20, 1);
  expect(reasons.filter((reason) => reason === 'champion rescued')).toHaveLength(1);
  expect(reasons.filter((reason) => reason === 'champion breaker')).toHaveLength(9);
  expect(rig.gateway.stats()).toMatchObject({ breakerOpenings: 2, breakerProbes: 1 });
  const counts = await rig.counts();
  expect(counts).toMatchObject({ 'v2 challenger sum-1': rescued, 'v2 challenger outside': 1 });
});

it('gives the share back after five probes in a row, and compares again', async () => {
  const bench = await openBench();
  await using rig = bench.rig;
  await cutOff(bench);
  bench.works.v2 = true;
  rig.time.advance(5000);
  const reasons = await reasonsOf(bench, 12, 1000);
  expect(reasons.filter((reason) => reason === 'challenger probe')).toHaveLength(5);
  expect(stateOf(bench)).toBe('closed');
  const before = (await rig.counts())['v2 challenger sum-1'] ?? 0;
  expect(await reasonsOf(bench, 4)).toEqual(expect.arrayContaining(['challenger random', 'champion random']) as unknown);
  expect((await rig.counts())['v2 challenger sum-1']).toBe(before + 2);
});

it('stays closed when the champion fails alike', async () => {
  const bench = await openBench();
  await using rig = bench.rig;
  bench.works.v1 = bench.works.v2 = false;
  expect(new Set(await reasonsOf(bench, 100))).toEqual(new Set(['500']));
  expect(rig.gateway.stats().breakerOpenings).toBe(0);
  expect(stateOf(bench)).toBe('closed');
});

it('does not blame the challenger for what the champion cannot answer either', async () => {
  const bench = await openBench();
  await using rig = bench.rig;
  await reasonsOf(bench, 40);
  for (let index = 0; index < 20; index++) {
    const answer = await rig.post('/predict/sum', { features: [POISON, 1, 1] }, { 'x-tier': 'gold' });
    expect(answer.status).toBe(500);
  }
  expect(stateOf(bench)).toBe('closed');
});

it('takes the users of a rule away too, and lets a forced version through', async () => {
  const { token, text } = tokenOf('o', ['predict', 'operate']);
  const bench = await openBench({ snapshot: { ...snapshotAt(1), tokens: [token] } });
  await using rig = bench.rig;
  await cutOff(bench);
  expect(await reasonsOf(bench, 1, 1, { 'x-tier': 'gold' })).toEqual(['champion breaker']);
  bench.works.v2 = true;
  const forced = { 'x-understudy-force-version': 'v2', authorization: text };
  expect(await reasonsOf(bench, 1, 1, forced)).toEqual(['challenger forced']);
  expect(stateOf({ rig })).toBe('open');
});

it('lives through steps and snapshots, and ends with the rollout', async () => {
  const bench = await openBench();
  await using rig = bench.rig;
  await cutOff(bench);
  rig.apply(snapshotAt(2, 75_000));
  expect(stateOf(bench)).toBe('open');
  rig.apply(snapshotAt(3, 75_000, 'sum-2'));
  expect(stateOf(bench)).toBe('closed');
});

it('is told with the readiness of the challenger', async () => {
  const bench = await openBench();
  await using rig = bench.rig;
  const rescued = await cutOff(bench);
  await rig.counts();
  const told = rig.reports.at(-1)?.readiness.find(({ version }) => version === 'v2');
  expect(told).toMatchObject({
    state: 'ready',
    trial: {
      rollout: 'sum-1',
      breaker: { state: 'open', seen: { challenger: { failures: rescued }, champion: { failures: 0 } } },
    },
  });
  expect(rig.reports.at(-1)?.readiness.find(({ version }) => version === 'v1')).not.toHaveProperty('trial');
});

it('is each gateway’s own', async () => {
  const sick = await openBench({ options: { gateway: 'g1' } });
  await using first = sick.rig;
  const well = await openBench({ options: { gateway: 'g2' } });
  await using second = well.rig;
  await cutOff(sick);
  await reasonsOf(well, 20);
  expect([first.gateway, second.gateway].map((gateway) => gateway.stats().trials[0]?.breaker)).toEqual(['open', 'closed']);
  expect(await reasonsOf(well, 2, 1, CHAMPION)).toContain('challenger random');
});

it('keeps a probe for a request that can be rescued', async () => {
  const bench = await openBench();
  await using rig = bench.rig;
  await cutOff(bench);
  rig.time.advance(5000);
  // Nobody is sent to a challenger that is killed, probe or not.
  rig.apply({ ...snapshotAt(2), models: snapshotAt(2).models.map((model) => ({ ...model, isKilled: true })) });
  expect(new Set(await reasonsOf(bench, 4, 1000))).toEqual(new Set(['champion killed']));
});
