import type { Snapshot, SnapshotVersion } from '@understudy/core/snapshot';
import { AppError } from '@understudy/core/errors';
import { expect, it } from 'vitest';
import type { Runtime } from '../runtimes/runtime.ts';
import { modelOf, onnxVersion, openManualTime, rolloutOf, snapshotOf, sumRuntime, until } from './gateway-rig.contract.ts';
import { newGatewayCounts } from './gateway-counts.ts';
import { openLease } from './lease.ts';
import { GATEWAY_DEFAULTS } from './gateway-options.ts';
import { openRecorder } from './recorder.ts';
import { openRequestCounters } from './request-counters.ts';
import { openRequestIds } from './request-id.ts';
import { openShadowLanes } from './shadow-lane.ts';
import { openRoutingTable } from './routing-table.ts';

interface Loading {
  readonly version: string;
  finish(): void;
  fail(error: Error): void;
}

function openBench() {
  const time = openManualTime();
  const loading: Loading[] = [];
  const closed: string[] = [];
  const recorder = openRecorder(
    { gateway: 'g', boot: 'b', flushEveryMs: 1000, state: () => ({ revision: 0, readiness: [], standing: undefined }) },
    { clock: time, timers: openManualTime(), reports: () => Promise.resolve() },
  );
  const makers = {
    recorder,
    counters: openRequestCounters(),
    ids: openRequestIds(Buffer.alloc(32), 'g'),
    trials: { lease: openLease(0), counts: newGatewayCounts(), log: () => {}, random: () => 0 },
    shadows: openShadowLanes(GATEWAY_DEFAULTS),
  };
  const table = openRoutingTable({
    timers: time,
    random: () => 1,
    makersFor: (environment) => ({ environment, ...makers }),
    openRuntime: (_model: string, { version }: SnapshotVersion) =>
      new Promise<Runtime>((resolve, reject) => {
        const close = (): Promise<void> => {
          closed.push(version);
          return Promise.resolve();
        };
        loading.push({ version, finish: () => resolve({ ...sumRuntime(), close }), fail: reject });
      }),
  });
  const finish = async (version: string): Promise<void> => {
    loading.findLast((candidate) => candidate.version === version)?.finish();
    await until(
      () => table.readiness(0).every((item) => item.version !== version || item.state === 'ready'),
      `${version} is ready`,
    );
  };
  const apply = (snapshot: Snapshot): string | undefined => table.apply(snapshot);
  return { table, time, loading, closed, finish, apply };
}

const promoted = modelOf({ champion: 'v3', versions: [onnxVersion('v3'), onnxVersion('v1')] });

it('keeps the former champion until the next one is loaded', async () => {
  const { table, apply, finish } = openBench();
  apply(snapshotOf(1, [modelOf()]));
  await finish('v1');
  apply(snapshotOf(2, [promoted]));
  expect(table.find('sum')).toMatchObject({ revision: 1, champion: { version: 'v1' } });
  expect(table.problems()).toEqual([]);
  await finish('v3');
  expect(table.find('sum')).toMatchObject({ revision: 2, champion: { version: 'v3' } });
});

it.each([
  { name: 'stays ready while a model that is new is loading: the others are served meanwhile', isAsked: true },
  { name: 'stays so as well when nobody asked while it was ready', isAsked: false },
])('$name', async ({ isAsked }) => {
  const { table, apply, finish } = openBench();
  apply(snapshotOf(1, [modelOf()]));
  expect(table.summary()).toEqual(['1 of 1 models cannot be served yet']);
  await finish('v1');
  if (isAsked) expect(table.summary()).toEqual([]);
  apply(snapshotOf(2, [modelOf(), modelOf({ name: 'new', champion: 'v9', versions: [onnxVersion('v9')] })]));
  expect(table.problems()).toEqual([expect.stringContaining('"v9" is loading')]);
  expect(table.summary()).toEqual([]);
});

it('waits for the challenger of a rollout once, when it starts, and not for one that fails or is new', async () => {
  const trial = (step: number) => ({ id: 'sum-1', challenger: 'v2', step, boundary: 100, salt: 's' });
  const withTrial = (step: number) => modelOf({ rollout: trial(step), versions: [onnxVersion('v1'), onnxVersion('v2')] });
  const { table, apply, finish } = openBench();
  apply(snapshotOf(1, [withTrial(0)]));
  await finish('v1');
  expect(table.problems()).toEqual([expect.stringContaining('"v2" is loading')]);
  await finish('v2');
  expect(table.problems()).toEqual([]);
  apply(
    snapshotOf(2, [modelOf({ rollout: { ...trial(0), challenger: 'v3' }, versions: [onnxVersion('v1'), onnxVersion('v3')] })]),
  );
  expect(table.problems()).toEqual([]);
  const other = openBench();
  other.apply(snapshotOf(1, [withTrial(0)]));
  await other.finish('v1');
  other.loading.find(({ version }) => version === 'v2')?.fail(new Error('broken'));
  await until(() => other.table.problems().length === 0, 'a challenger that failed is not waited for');
  const preparing = openBench();
  preparing.apply(snapshotOf(1, [withTrial(-1)]));
  await preparing.finish('v1');
  expect(preparing.table.problems()).toEqual([]);
});

it('is ready when every model has a champion that serves', async () => {
  const { table, apply, finish } = openBench();
  expect(table.problems()).toEqual(['no snapshot yet']);
  apply(snapshotOf(1, [modelOf(), modelOf({ name: 'new', versions: [], champion: undefined } as never)]));
  expect(table.summary()).toEqual(['1 of 2 models cannot be served yet']);
  expect(table.problems()).toEqual(['model "sum": version "v1" is loading (loading)']);
  await finish('v1');
  expect(table.problems()).toEqual([]);
});

it('takes a challenger in when it is loaded, at its step', async () => {
  const { table, apply, finish } = openBench();
  apply(snapshotOf(1, [rolloutOf(10_000)]));
  await finish('v1');
  expect(table.find('sum')?.challenger).toBeUndefined();
  await finish('v2');
  expect(table.find('sum')?.challenger?.evidence.key).toEqual({
    model: 'sum',
    version: 'v2',
    arm: 'challenger',
    rollout: 'sum-1',
    step: 0,
  });
});

it('lets a kill take effect while the next champion is still loading', async () => {
  const { table, apply, finish } = openBench();
  apply(snapshotOf(1, [rolloutOf(50_000)]));
  await finish('v1');
  await finish('v2');
  apply(snapshotOf(2, [{ ...promoted, isKilled: true }]));
  expect(table.find('sum')?.model).toMatchObject({ isKilled: true, champion: 'v1' });
  expect(table.find('sum')?.model.rollout).toBeUndefined();
});

it('closes a version that is no longer wanted, after its last request', async () => {
  const { table, apply, finish, closed } = openBench();
  apply(snapshotOf(1, [modelOf({ versions: [onnxVersion('v1')] })]));
  await finish('v1');
  const old = table.find('sum')?.champion?.loaded;
  old?.acquire();
  apply(snapshotOf(2, [modelOf({ champion: 'v3', versions: [onnxVersion('v3')] })]));
  await finish('v3');
  expect(closed).toEqual([]);
  old?.release();
  await until(() => closed.length > 0, 'closed');
  expect(closed).toEqual(['v1']);
});

it('closes a version that was given up while it was loading', async () => {
  const { table, apply, loading, closed, finish } = openBench();
  apply(snapshotOf(1, [modelOf()]));
  await finish('v1');
  apply(snapshotOf(2, [modelOf({ versions: [onnxVersion('v1')] })]));
  loading.find(({ version }) => version === 'v2')?.finish();
  await until(() => closed.includes('v2'), 'closed');
  await table.close();
  expect(closed).toEqual(['v2', 'v1']);
});

it('reports a failure with its reason and tries again, later each time', async () => {
  const { table, time, apply, loading, finish } = openBench();
  apply(snapshotOf(1, [modelOf({ versions: [onnxVersion('v1')] })]));
  const delays = [1000, 2000, 4000];
  for (const [index, delay] of delays.entries()) {
    loading[index]?.fail(new AppError('artifact.invalid', 'the file is cut off'));
    await until(() => table.readiness(0)[0]?.state === 'failed' && time.waiting === 1, 'failed');
    expect(table.readiness(0)[0]?.detail).toBe('artifact.invalid: the file is cut off');
    time.advance(delay - 1);
    expect(loading).toHaveLength(index + 1);
    time.advance(1);
    expect(loading).toHaveLength(index + 2);
  }
  await finish('v1');
  expect(table.problems()).toEqual([]);
});

it.each([
  { name: 'an older one', next: snapshotOf(4, [modelOf()]), reason: 'older than 5' },
  { name: 'one of another schema', next: { ...snapshotOf(6, [modelOf()]), schema: 2 }, reason: 'update the gateway' },
  { name: 'one of another environment', next: { ...snapshotOf(6, []), environment: 'staging' }, reason: 'staging' },
  {
    name: 'one without its champion',
    next: snapshotOf(6, [modelOf({ versions: [] })]),
    reason: 'has champion "v1" but not that version',
  },
  {
    name: 'one without its challenger',
    next: snapshotOf(6, [rolloutOf(1, { versions: [onnxVersion('v1')] })]),
    reason: 'challenger "v2"',
  },
  { name: 'one with an impossible boundary', next: snapshotOf(6, [rolloutOf(Number.NaN)]), reason: 'boundary of NaN' },
  { name: 'one with edges that fall', next: snapshotOf(6, [modelOf({ binEdges: [1, 1] })]), reason: '2 bin edges' },
  {
    name: 'one with more edges than a block may have counts',
    next: snapshotOf(6, [modelOf({ binEdges: Array.from({ length: 20 }, (_, index) => index) })]),
    reason: '20 bin edges, which must be 1 to 19 rising numbers',
  },
  {
    name: 'one with edges that are no numbers',
    next: snapshotOf(6, [modelOf({ binEdges: [Number.NaN] })]),
    reason: '1 bin edges',
  },
  { name: 'one with a model twice', next: snapshotOf(6, [modelOf(), modelOf()]), reason: 'twice' },
])('refuses $name and goes on with the present snapshot', async ({ next, reason }) => {
  const { table, apply, finish } = openBench();
  apply(snapshotOf(5, [modelOf()]));
  await finish('v1');
  expect(apply(next as Snapshot)).toContain(reason);
  expect(table.revision).toBe(5);
  expect(table.find('sum')?.champion?.version).toBe('v1');
});

it('keeps the seats of a model that did not change', async () => {
  const { table, apply, finish } = openBench();
  apply(snapshotOf(1, [modelOf()]));
  await finish('v1');
  const seat = table.find('sum')?.champion;
  apply(snapshotOf(2, [modelOf()]));
  expect(table.find('sum')?.champion).toBe(seat);
  expect(table.find('sum')?.revision).toBe(2);
});

it.each([
  { name: 'are there now', before: undefined, after: [1, 2], isKept: false },
  { name: 'are gone', before: [1, 2], after: undefined, isKept: false },
  { name: 'are others', before: [1, 2], after: [1, 3], isKept: false },
  { name: 'are more', before: [1, 2], after: [1, 2, 3], isKept: false },
  { name: 'are the same', before: [1, 2], after: [1, 2], isKept: true },
])('keeps a seat only for the bins that it counts in: they $name', async ({ before, after, isKept }) => {
  const { table, apply, finish } = openBench();
  apply(snapshotOf(1, [modelOf(before === undefined ? {} : { binEdges: before })]));
  await finish('v1');
  const seat = table.find('sum')?.champion;
  apply(snapshotOf(2, [modelOf(after === undefined ? {} : { binEdges: after })]));
  expect(table.find('sum')?.champion === seat).toBe(isKept);
  expect(table.find('sum')?.champion?.binEdges).toEqual(after);
});

it('has one place outside of the rollout for each seat, made when it is first needed', async () => {
  const { table, apply, finish } = openBench();
  apply(snapshotOf(1, [modelOf()]));
  await finish('v1');
  const idle = table.find('sum')?.champion;
  expect(idle?.outside()).toBe(idle);
  apply(snapshotOf(2, [rolloutOf(10_000, { binEdges: [4] })]));
  const seat = table.find('sum')?.champion;
  const outside = seat?.outside();
  expect(outside).toBe(seat?.outside());
  expect(outside).not.toBe(seat);
  expect(outside?.outside()).toBe(outside);
  expect(outside).toMatchObject({ arm: 'champion', version: 'v1', binEdges: [4] });
  expect([seat?.evidence.key, outside?.evidence.key]).toEqual([
    { model: 'sum', version: 'v1', arm: 'champion', rollout: 'sum-1', step: 0 },
    { model: 'sum', version: 'v1', arm: 'champion' },
  ]);
  expect(outside?.counters).toBe(seat?.counters);
});
