import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY, type Tally } from '../evidence.ts';
import type { ConcurrentBlock } from '../evidence-pool.ts';
import type { Distribution } from '../prediction-bins.ts';
import { randomOf } from '../simulation/random.ts';
import {
  alertnessOf,
  type ChampionDetectors,
  type ChampionLimits,
  detectInBlock,
  openChampionDetectors,
} from './champion-detectors.ts';
import { type Behaviour, BINS, drawTally } from './test-traffic.ts';

fc.configureGlobal({ seed: 1 });

const BASELINE: Distribution = { bins: BINS, counts: Array.from<number>({ length: 20 }).fill(500) };
const LIMITS: ChampionLimits = {
  errorRate: 0.05,
  p95LatencyMs: 500,
  shareDrift: 0.1,
  labels: { accuracy: 0.9 },
  baseline: BASELINE,
};

const blockOf = (startMs: number, champion: Partial<Tally>): ConcurrentBlock => ({
  startMs,
  step: -1,
  stratum: '',
  arms: { champion: { ...EMPTY_TALLY, ...champion }, challenger: EMPTY_TALLY, shadow: EMPTY_TALLY },
});

/** So many seconds of a champion, drawn again and again from a thousand that differ. */
function* secondsOf(count: number, behaviour: Behaviour, { requests = 20, fromMs = 0 } = {}): Generator<ConcurrentBlock> {
  const random = randomOf(1, JSON.stringify(behaviour));
  const drawn = Array.from({ length: Math.min(count, 1000) }, () => drawTally(random, requests, behaviour));
  for (let second = 0; second < count; second += 1) {
    const tally = drawn[second < drawn.length ? second : Math.floor(random.uniform() * drawn.length)];
    yield blockOf(fromMs + second * 1000, tally ?? EMPTY_TALLY);
  }
}

/** Begin of the first block after which a detector raises its alarm, and where the detectors end. Asked every so often. */
function watch(
  blocks: Iterable<ConcurrentBlock>,
  limits: ChampionLimits = LIMITS,
  { from = openChampionDetectors(limits), everyMs = 1000 }: { readonly from?: ChampionDetectors; readonly everyMs?: number } = {},
) {
  let state = from;
  const alarms: Partial<Record<'errors' | 'slow' | 'drift', number>> = {};
  for (const block of blocks) {
    state = detectInBlock(limits, state, block);
    if (block.startMs % everyMs !== 0) continue;
    const alertness = alertnessOf(state, limits);
    for (const name of ['errors', 'slow', 'drift'] as const) if (alertness[name] >= 1) alarms[name] ??= block.startMs;
  }
  return { state, alarms, alertness: alertnessOf(state, limits) };
}

describe('a champion within its limits', () => {
  it.each([
    { name: 'far from all of them', behaviour: { errorRate: 0.01, medianMs: 100 } },
    { name: 'with 3 % of errors of the 5 % that are allowed', behaviour: { errorRate: 0.03, medianMs: 100 } },
    { name: 'with a 95th percentile of 455 of the 500 ms that are allowed', behaviour: { errorRate: 0.01, medianMs: 200 } },
    { name: 'whose predictions are off by less than is allowed', behaviour: { shift: 0.15 } },
  ])('raises no alarm: $name', ({ behaviour }) => {
    expect(watch(secondsOf(1800, behaviour), LIMITS, { everyMs: 10_000 }).alarms).toEqual({});
  });

  it('raises none for what a few unlucky seconds bring', () => {
    const bad = secondsOf(2, { errorRate: 0.25 }, { fromMs: 60_000 });
    expect(watch([...secondsOf(60, {}), ...bad, ...secondsOf(60, {}, { fromMs: 62_000 })]).alarms).toEqual({});
  });
});

describe('trouble', () => {
  const calm = watch(secondsOf(1200, {}), LIMITS, { everyMs: 60_000 }).state;

  // Seconds at 20 requests a second, after twenty minutes of health.
  it.each([
    { name: '20 % of errors', behaviour: { errorRate: 0.2 }, detector: 'errors', within: 20 },
    { name: 'nothing but errors', behaviour: { errorRate: 1 }, detector: 'errors', within: 2 },
    { name: '8 % of errors', behaviour: { errorRate: 0.08 }, detector: 'errors', within: 300 },
    { name: 'answers that take three times as long as allowed', behaviour: { medianMs: 700 }, detector: 'slow', within: 20 },
    { name: 'predictions that moved by a deviation', behaviour: { shift: 1 }, detector: 'drift', within: 60 },
  ] as const)('raises an alarm within $within s: $name', ({ behaviour, detector, within }) => {
    const { alarms } = watch(secondsOf(within, behaviour, { fromMs: 3_600_000 }), LIMITS, { from: calm });
    expect(Object.keys(alarms)).toEqual([detector]);
  });

  it('that is over is forgotten within two minutes, however long it lasted', () => {
    const awful: Behaviour = { errorRate: 1, medianMs: 9000, shift: 9 };
    const after = watch(secondsOf(600, awful, { fromMs: 3_600_000 }), LIMITS, { from: calm }).state;
    const { alertness } = watch(secondsOf(120, { medianMs: 100 }, { fromMs: 5_400_000 }), LIMITS, { from: after });
    expect(Math.max(alertness.errors, alertness.slow, alertness.drift)).toBeLessThan(1);
  });

  it('counts in cold answers too: nobody is compared with whom a cold start would be unfair', () => {
    const cold = Array.from({ length: 20 }, (_, second) => blockOf(second * 1000, { requests: 20, coldLatency: [[800, 20]] }));
    expect(Object.keys(watch(cold).alarms)).toEqual(['slow']);
  });
});

describe('drift from the baseline', () => {
  const moved = { shift: 3 };

  it.each<{ readonly name: string; readonly baseline: Distribution | undefined }>([
    { name: 'no baseline', baseline: undefined },
    { name: 'a baseline of nothing', baseline: { ...BASELINE, counts: BASELINE.counts.map(() => 0) } },
    { name: 'a baseline with one bin', baseline: { bins: { kind: 'classes', classes: [] }, counts: [99] } },
    {
      name: 'a baseline in other bins',
      baseline: { ...BASELINE, bins: { kind: 'ordered', edges: BINS.edges.map((edge) => edge + 1) } },
    },
  ])('is not watched with $name', ({ baseline }) => {
    const { baseline: _, ...rest } = LIMITS;
    const limits = baseline === undefined ? rest : { ...rest, baseline };
    const { alarms, alertness } = watch(secondsOf(60, moved), limits);
    expect(alarms).toEqual({});
    expect(alertness.drift).toBe(0);
  });

  it('takes longer the smaller the baseline: what it was drawn from is not known so well', () => {
    const alarmAt = (each: number) => {
      const limits = { ...LIMITS, baseline: { ...BASELINE, counts: BASELINE.counts.map(() => each) } };
      return watch(secondsOf(600, { shift: 0.6 }), limits).alarms.drift ?? Infinity;
    };
    expect(alarmAt(10_000)).toBeLessThan(alarmAt(50));
  });

  it('is found in classes and in two bins', () => {
    const limits: ChampionLimits = {
      ...LIMITS,
      baseline: { bins: { kind: 'classes', classes: ['spam'] }, counts: [2000, 8000] },
    };
    const blocks = (spam: number) =>
      Array.from({ length: 60 }, (_, second) => blockOf(second * 1000, { requests: 20, classes: { spam, ham: 20 - spam } }));
    expect(watch(blocks(5), limits).alarms).toEqual({});
    expect(Object.keys(watch(blocks(14), limits).alarms)).toEqual(['drift']);
  });
});

describe('the detectors', () => {
  it('survive JSON unchanged, and go on from there as if nothing had happened', () => {
    const behaviours = fc.record({
      errorRate: fc.constantFrom(0, 0.05, 1),
      medianMs: fc.constantFrom(20, 480, 9000),
      shift: fc.constantFrom(0, 2),
    });
    fc.assert(
      fc.property(behaviours, fc.nat(40), (behaviour, cut) => {
        const blocks = [...secondsOf(40, behaviour)];
        const stored: ChampionDetectors = JSON.parse(JSON.stringify(watch(blocks.slice(0, cut)).state));
        expect(watch(blocks.slice(cut), LIMITS, { from: stored }).state).toEqual(watch(blocks).state);
      }),
      { numRuns: 20 },
    );
  });

  it.each([
    { name: 'nothing may fail', limits: { errorRate: 0 } },
    { name: 'everything may fail', limits: { errorRate: 1 } },
    { name: 'everything is slow', limits: { p95LatencyMs: 1e-9 } },
    { name: 'nothing is slow', limits: { p95LatencyMs: 1e12 } },
  ])('bear limits at the ends of their ranges: $name', ({ limits }) => {
    const { alertness } = watch(secondsOf(30, {}), { ...LIMITS, ...limits });
    expect([alertness.errors, alertness.slow, alertness.drift].every((part) => part >= 0 && part < Infinity)).toBe(true);
  });

  it('change nothing for a second without a request', () => {
    const { state } = watch(secondsOf(15, {}));
    expect(detectInBlock(LIMITS, state, blockOf(15_000, {}))).toBe(state);
  });

  it('weigh latencies every ten seconds of the clock, also from time 0 on', () => {
    const states = [0, 5000, 8000, 9000].map(
      (untilMs) => watch([...secondsOf(10, {})].filter(({ startMs }) => startMs <= untilMs)).state,
    );
    expect(states.map(({ pending }) => pending?.slow.count)).toEqual([20, 120, 180, undefined]);
  });
});
