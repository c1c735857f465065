import type { Snapshot } from '@understudy/core/snapshot';
import { describe, expect, it } from 'vitest';
import { openRig, type Rig, rolloutOf, snapshotOf, until } from './gateway-rig.contract.ts';
import { openLease } from './lease.ts';

const BODY = { features: [1, 2, 3] };
const LEASE_MS = 60_000;

/** Half of the users lent, a tenth of them safe. */
function lent(revision: number, safe = 10_000, isKilled = false): Snapshot {
  const { rollout, ...model } = rolloutOf(50_000);
  if (rollout === undefined) throw new Error('no rollout');
  return snapshotOf(revision, [{ ...model, isKilled, rollout: { ...rollout, lease: { ms: LEASE_MS, boundary: safe } } }]);
}

/** A gateway that has its lease. `random` says where in 0..1 the next request falls. */
async function openLent(): Promise<{ readonly rig: Rig; readonly chance: { at: number } }> {
  const chance = { at: 0 };
  const rig = await openRig({ snapshot: lent(1), random: () => chance.at });
  await until(() => rig.gateway.stats().pendingReports === 0, 'the first report');
  return { rig, chance };
}

/** The arm and reason of a request at each of these places. */
async function armsAt({ rig, chance }: Awaited<ReturnType<typeof openLent>>, places: readonly number[]): Promise<string[]> {
  const arms: string[] = [];
  for (const place of places) {
    chance.at = place;
    const { status, headers } = await rig.post('/predict/sum', BODY);
    arms.push(`${status} ${headers['x-understudy-arm']} ${headers['x-understudy-reason']}`);
  }
  return arms;
}

const PLACES = [0.05, 0.3, 0.9];
const WHOLE = ['200 challenger random', '200 challenger random', '200 champion random'];
const SAFE = ['200 challenger lease', '200 champion lease', '200 champion lease'];

/** Lets time go by in steps of a report. */
async function pass(rig: Rig, ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 1000) {
    rig.time.advance(1000);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

describe('a gateway', () => {
  it('goes back to the share judged safe when its reports are not taken any more, and keeps who was below it', async () => {
    const bench = await openLent();
    await using rig = bench.rig;
    expect(await armsAt(bench, PLACES)).toEqual(WHOLE);
    rig.sink = () => Promise.reject(new Error('nobody there'));
    await pass(rig, LEASE_MS - 1000);
    expect(await armsAt(bench, PLACES)).toEqual(WHOLE);
    await pass(rig, 2000);
    expect(await armsAt(bench, PLACES)).toEqual(SAFE);
    expect(rig.gateway.stats().trials).toMatchObject([{ isLeaseOver: true }]);
    expect(rig.logged.map(({ event }) => event)).toEqual(['lease.over']);
  });

  it('does so as well when reports are taken but no word of the snapshot comes', async () => {
    const bench = await openLent();
    await using rig = bench.rig;
    await pass(rig, LEASE_MS + 2000);
    expect(await armsAt(bench, PLACES)).toEqual(SAFE);
    rig.present(0);
    expect(await armsAt(bench, PLACES)).toEqual(SAFE);
    rig.present(1);
    expect(await armsAt(bench, PLACES)).toEqual(WHOLE);
  });

  it('has the share back as soon as it hears and is heard, and says so', async () => {
    const bench = await openLent();
    await using rig = bench.rig;
    const { sink } = rig;
    rig.sink = () => Promise.reject(new Error('nobody there'));
    await pass(rig, LEASE_MS + 2000);
    rig.sink = sink;
    rig.present(1);
    await pass(rig, 3000);
    expect(await armsAt(bench, PLACES)).toEqual(WHOLE);
    await pass(rig, 1000);
    expect(rig.logged.map(({ event }) => event)).toEqual(['lease.over', 'lease.renewed']);
  });

  it('keeps what it served blind out of the comparison', async () => {
    const bench = await openLent();
    await using rig = bench.rig;
    await armsAt(bench, PLACES);
    await pass(rig, LEASE_MS + 2000);
    await armsAt(bench, PLACES);
    expect(await rig.counts()).toEqual({
      'v2 challenger sum-1': 2,
      'v1 champion sum-1': 1,
      'v2 challenger outside': 1,
      'v1 champion outside': 2,
    });
  });

  it('tells since when, once it can', async () => {
    const bench = await openLent();
    await using rig = bench.rig;
    const fromMs = rig.time.nowMs();
    await pass(rig, LEASE_MS + 3000);
    const told = rig.reports.at(-1)?.readiness.find(({ version }) => version === 'v2')?.trial;
    expect(told).toMatchObject({ rollout: 'sum-1', breaker: { state: 'closed' }, leaseOverSinceMs: fromMs + LEASE_MS });
  });

  it('does not send anybody to a killed challenger, lease or not', async () => {
    const bench = await openLent();
    await using rig = bench.rig;
    rig.apply(lent(2, 10_000, true));
    await pass(rig, LEASE_MS + 2000);
    expect(new Set(await armsAt(bench, PLACES))).toEqual(new Set(['200 champion killed']));
  });

  it('serves by the champion alone on a first step', async () => {
    const bench = await openLent();
    await using rig = bench.rig;
    rig.apply(lent(2, 0));
    await pass(rig, LEASE_MS + 2000);
    expect(new Set(await armsAt(bench, [0, ...PLACES]))).toEqual(new Set(['200 champion lease']));
  });
});

describe('a lease', () => {
  it.each([
    { name: 'is over from the start', heard: undefined, acknowledged: undefined, expected: 100 },
    { name: 'is not given by hearing alone', heard: 990, acknowledged: undefined, expected: 100 },
    { name: 'is not given by being heard alone', heard: undefined, acknowledged: 990, expected: 100 },
    { name: 'lasts from the older of both', heard: 500, acknowledged: 990, expected: 600 },
    { name: 'lasts to its last millisecond', heard: 900, acknowledged: 990, expected: undefined },
  ])('$name', ({ heard, acknowledged, expected }) => {
    const lease = openLease(100);
    if (heard !== undefined) lease.heard(heard);
    if (acknowledged !== undefined) lease.acknowledged(acknowledged);
    expect(lease.overSinceMs(1000, 100)).toBe(expected);
  });
});
