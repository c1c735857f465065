import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY, type EvidenceBlock, momentsOf, type Tally } from './evidence.ts';
import { GRACE_MS, INTERVAL_MS, type StoredBlock } from './evidence-pool.ts';
import { bucketOfLatency } from './histogram.ts';
import { crown, DEFAULT_ROUTING, DEFAULT_WATCH, type Model, type Watch } from './model.ts';
import type { Baseline, ModelVersion } from './model-version.ts';
import type { Distribution } from './prediction-bins.ts';
import { BINS, type Behaviour, drawTally } from './sequential/test-traffic.ts';
import { randomOf } from './simulation/random.ts';
import { absorbWatch, judgeWatch, openWatch, settleWatch, type WatchFinding, type WatchState } from './watch.ts';

const fresh: Model = {
  name: 'fraud',
  createdAtMs: 0,
  terms: [],
  routing: DEFAULT_ROUTING,
  watch: DEFAULT_WATCH,
  rolloutCount: 0,
};
const TERM_MS = 2000;
const withDetectors = crown(
  crown(fresh, { version: 'v1', began: 'promotion' }, 1000),
  { version: 'v2', began: 'promotion' },
  TERM_MS,
);
const withWatch = (changes: Partial<Watch>, model: Model = withDetectors): Model => ({
  ...model,
  watch: { ...model.watch, ...changes },
});
const withWindow = withWatch({ method: 'window' });
const baseline: Baseline = { count: 10, mean: 0, standardDeviation: 1, source: 'validation', setAtMs: 0 };
const distribution: Distribution = { bins: BINS, counts: Array.from<number>({ length: 20 }).fill(500) };
const version: ModelVersion = {
  model: 'fraud',
  version: 'v2',
  source: { kind: 'upstream', url: 'http://models', protocol: 'predict', remoteModel: 'v2' },
  baseline,
  health: { state: 'healthy' },
  note: '',
  registeredAtMs: 0,
  registeredBy: 'ann',
};
const withDistribution: ModelVersion = { ...version, baseline: { ...baseline, distribution } };

interface Seen extends Partial<Omit<EvidenceBlock, 'tally'>> {
  readonly requests?: number;
  readonly errors?: number;
  readonly ms?: number;
  readonly predictions?: readonly number[];
  readonly tally?: Tally;
}

/** A report that was stored right after its second. */
function reportOf({ requests = 100, errors = 0, ms = 10, predictions = [], tally, ...where }: Seen = {}): StoredBlock {
  const latency = requests === 0 ? [] : [[bucketOfLatency(ms), requests] as const];
  const counted = { ...EMPTY_TALLY, requests, errors, latency, predictions: momentsOf(predictions) };
  const block: EvidenceBlock = {
    model: 'fraud',
    version: 'v2',
    arm: 'champion',
    startMs: 3000,
    tally: tally ?? counted,
    ...where,
  };
  return { block, seenAtMs: block.startMs + INTERVAL_MS };
}

/** The state once every report is in a closed interval. */
function watched(
  of: Model,
  reports: readonly StoredBlock[],
  { by = version, from = openWatch(of) }: { readonly by?: ModelVersion; readonly from?: WatchState | undefined } = {},
): WatchState {
  if (from === undefined) throw new Error('no champion');
  const state = reports.reduce((before, report) => absorbWatch(of, before, report), from);
  const lastMs = Math.max(0, ...reports.map(({ seenAtMs }) => seenAtMs));
  return settleWatch(of, by, { state, atMs: lastMs + GRACE_MS });
}

/** Seconds of a champion, drawn from a seed. */
function secondsOf(count: number, behaviour: Behaviour, fromMs = 3000): readonly StoredBlock[] {
  const random = randomOf(1, JSON.stringify(behaviour));
  return Array.from({ length: count }, (_, second) =>
    reportOf({ startMs: fromMs + second * 1000, tally: drawTally(random, 20, behaviour) }),
  );
}

/** What is found after each second. */
function findingsOf(of: Model, by: ModelVersion, reports: readonly StoredBlock[]): readonly WatchFinding[] {
  let state = openWatch(of);
  return reports.map((report) => {
    if (state === undefined) throw new Error('no champion');
    const atMs = report.seenAtMs + GRACE_MS;
    state = settleWatch(of, by, { state: absorbWatch(of, state, report), atMs });
    return judgeWatch(of, by, { state, atMs });
  });
}

const repeat = (value: number, count: number) => Array.from({ length: count }, () => value);
const guardOf = ({ guards }: WatchFinding, name: string) => guards.find(({ guard }) => guard === name);

describe('openWatch', () => {
  it('begins the term of the champion with nothing seen', () => {
    expect(openWatch(withDetectors)).toEqual({
      version: 'v2',
      fromMs: TERM_MS,
      pool: { closedUntilMs: 0, open: [], lost: 0 },
      window: [],
    });
  });

  it('watches nobody without a champion', () => {
    expect(openWatch(fresh)).toBeUndefined();
  });
});

describe('absorbWatch', () => {
  const windowOf = (of: Model, reports: readonly StoredBlock[]) => watched(of, reports).window;

  it.each([
    { name: 'another version', report: reportOf({ version: 'v1' }) },
    { name: 'another model', report: reportOf({ model: 'churn' }) },
    { name: 'an earlier term', report: reportOf({ startMs: TERM_MS - 1 }) },
    { name: 'the challenger', report: reportOf({ arm: 'challenger' }) },
    { name: 'the shadow', report: reportOf({ arm: 'shadow' }) },
  ])('changes nothing for a block of $name', ({ report }) => {
    const state = openWatch(withDetectors);
    if (state === undefined) throw new Error('no champion');
    expect(absorbWatch(withDetectors, state, report)).toBe(state);
  });

  it('sees nothing in a block without a request', () => {
    expect(windowOf(withDetectors, [reportOf({ requests: 0 })])).toEqual([]);
  });

  it('takes blocks from the first moment of the term on, in a rollout or not', () => {
    const reports = [reportOf({ startMs: TERM_MS }), reportOf({ startMs: TERM_MS + 1000, rollout: 'fraud-1', step: 2 })];
    expect(windowOf(withDetectors, reports).map(({ startMs }) => startMs)).toEqual([TERM_MS, TERM_MS + 1000]);
  });

  it('forgets the first term of a version that is champion again', () => {
    const again = crown(withDetectors, { version: 'v1', began: 'rollback' }, 4000);
    expect(windowOf(again, [reportOf({ version: 'v1', startMs: 1500, errors: 100 })])).toEqual([]);
    expect(windowOf(again, [reportOf({ version: 'v1', startMs: 4000 })])).toHaveLength(1);
  });

  it('keeps no more than the window needs', () => {
    const reports = Array.from({ length: 300 }, (_, second) => reportOf({ requests: 1, startMs: 3000 + second * 1000 }));
    expect(windowOf(withDetectors, reports)).toHaveLength(DEFAULT_WATCH.limits.window);
  });
});

describe('settleWatch', () => {
  it('takes in only what is over, and waits for late reports', () => {
    const state = openWatch(withDetectors);
    if (state === undefined) throw new Error('no champion');
    const after = (atMs: number) =>
      settleWatch(withDetectors, version, { state: absorbWatch(withDetectors, state, reportOf()), atMs }).window.length;
    expect([after(4000), after(4000 + GRACE_MS - 1), after(4000 + GRACE_MS)]).toEqual([0, 0, 1]);
  });

  it('does not depend on how often it is done', () => {
    const reports = secondsOf(60, { errorRate: 0.1 });
    const often = reports.reduce<WatchState | undefined>(
      (state, report) => watched(withDetectors, [report], { from: state }),
      undefined,
    );
    expect(often).toEqual(watched(withDetectors, reports));
  });

  it('begins anew with another baseline, and goes on without one', () => {
    const reports = secondsOf(60, { shift: 2 });
    const state = watched(withDetectors, reports, { by: withDistribution });
    const settle = (by: ModelVersion, from = state) => settleWatch(withDetectors, by, { state: from, atMs: 99_000 });
    const isAlarmed = (by: ModelVersion, from: WatchState) =>
      judgeWatch(withDetectors, by, { state: from, atMs: 99_000 }).state === 'drifted';
    expect(isAlarmed(withDistribution, settle(withDistribution))).toBe(true);
    const later: ModelVersion = { ...withDistribution, baseline: { ...baseline, distribution, setAtMs: 70_000 } };
    expect(isAlarmed(later, settle(later))).toBe(false);
    const { baseline: _, ...bare } = version;
    const without = settle(bare);
    expect(without.baselineSetAtMs).toBeUndefined();
    expect(settle(bare, without).detectors).toBe(without.detectors);
  });

  it('survives JSON unchanged', () => {
    const reports = secondsOf(30, { errorRate: 0.1 });
    const half: WatchState = JSON.parse(JSON.stringify(watched(withDetectors, reports.slice(0, 15), { by: withDistribution })));
    expect(watched(withDetectors, reports.slice(15), { by: withDistribution, from: half })).toEqual(
      watched(withDetectors, reports, { by: withDistribution }),
    );
  });
});

describe('judgeWatch by the window', () => {
  const judge = (of: Model, atMs: number, ...reports: readonly StoredBlock[]) =>
    judgeWatch(of, version, { state: watched(of, reports), atMs });

  it.each([
    { name: 'waiting before anything was seen', reports: [], state: 'waiting' },
    { name: 'waiting below 20 requests', reports: [reportOf({ requests: 19, errors: 19 })], state: 'waiting' },
    { name: 'healthy within the limits', reports: [reportOf({ errors: 5 })], state: 'healthy' },
    { name: 'violated by errors', reports: [reportOf({ errors: 6 })], state: 'violated' },
    { name: 'violated by slowness', reports: [reportOf({ ms: 600 })], state: 'violated' },
    { name: 'violated by drift', reports: [reportOf({ predictions: repeat(3, 20) })], state: 'violated' },
    { name: 'healthy again', reports: [reportOf({ errors: 100 }), reportOf({ requests: 200, startMs: 4000 })], state: 'healthy' },
  ])('is $name', ({ reports, state }) => {
    expect(judge(withWindow, 9000, ...reports).state).toBe(state);
  });

  it('says every violation', () => {
    expect(judge(withWindow, 9000, reportOf({ errors: 6, predictions: repeat(3, 20) })).reason).toBe(
      'error rate 6.00 % (6 of 100) exceeds 5.00 %; mean prediction is 3.00 baseline standard deviations from 0, beyond 2',
    );
  });

  describe('after a rollback', () => {
    const lastRollback = { failed: 'v3', restored: 'v2', atMs: 2000, by: 'watch', reason: 'errors' };
    const rolledBack: Model = { ...withWindow, lastRollback };

    it.each([
      { atMs: 6000, state: 'cooling-down' },
      { atMs: 121_999, state: 'cooling-down' },
      { atMs: 122_000, state: 'violated' },
    ])('is $state at $atMs', ({ atMs, state }) => {
      expect(judge(rolledBack, atMs, reportOf({ errors: 6 })).state).toBe(state);
    });

    it('says for how long nothing will be done', () => {
      expect(judge(rolledBack, 32_000, reportOf({ errors: 6 })).reason).toBe(
        'error rate 6.00 % (6 of 100) exceeds 5.00 %; no automatic rollback for 1m 30s more (cooldown)',
      );
    });

    it('is healthy as ever when no limit is broken', () => {
      expect(judge(rolledBack, 6000, reportOf()).state).toBe('healthy');
    });
  });
});

describe('judgeWatch by detectors', () => {
  const states = (of: Model, by: ModelVersion, reports: readonly StoredBlock[]) =>
    findingsOf(of, by, reports).map(({ state }) => state);

  it.each([
    { name: '1 % of errors', behaviour: { errorRate: 0.01 }, isWindowWrong: false },
    { name: '3 % of errors of 5 % allowed', behaviour: { errorRate: 0.03 }, isWindowWrong: true },
    { name: 'a 95th percentile of 455 of 500 ms allowed', behaviour: { medianMs: 200 }, isWindowWrong: true },
  ])('leaves a champion alone for ten minutes, where a window does not always: $name', ({ behaviour, isWindowWrong }) => {
    const reports = secondsOf(600, behaviour);
    expect(states(withDetectors, withDistribution, reports)).not.toContain('violated');
    expect(states(withWindow, version, reports).includes('violated')).toBe(isWindowWrong);
  });

  it.each([
    { name: 'waiting before anything was seen', reports: [], by: withDistribution, state: 'waiting' },
    { name: 'waiting below 20 requests', reports: [reportOf({ requests: 19 })], by: version, state: 'waiting' },
    { name: 'healthy within the limits', reports: [reportOf({ errors: 5 })], by: version, state: 'healthy' },
    {
      name: 'healthy right above a limit, by too little to tell',
      reports: [reportOf({ errors: 6 })],
      by: version,
      state: 'healthy',
    },
  ])('is $name', ({ reports, by, state }) => {
    const seen = watched(withDetectors, reports, { by });
    expect(judgeWatch(withDetectors, by, { state: seen, atMs: 9000 }).state).toBe(state);
  });

  it.each([
    { name: 'errors from 1 to 20 %', behaviour: { errorRate: 0.2 }, guard: 'health.errors' },
    { name: 'latency three times as long', behaviour: { medianMs: 600 }, guard: 'health.p95-latency' },
  ])('is violated within 20 s: $name', ({ behaviour, guard }) => {
    const reports = [...secondsOf(120, { medianMs: 200 }), ...secondsOf(20, { medianMs: 200, ...behaviour }, 123_000)];
    const findings = findingsOf(withDetectors, version, reports);
    expect(findings[119]?.state).toBe('healthy');
    const last = findings.at(-1);
    expect(last?.state).toBe('violated');
    expect(last?.guards.filter(({ verdict }) => verdict === 'harmful').map((reading) => reading.guard)).toEqual([guard]);
    expect(last?.reason).toMatch(/ exceeds .* in the newest 200 requests; the evidence raises the alarm$/);
  });

  it('ends its alarm soon after the trouble, however long it lasted', () => {
    const reports = [...secondsOf(300, { errorRate: 1 }), ...secondsOf(120, {}, 303_000)];
    const found = states(withDetectors, version, reports);
    expect(found[299]).toBe('violated');
    expect(found.indexOf('healthy', 300)).toBeGreaterThan(300);
  });

  it('waits after a rollback as the window does', () => {
    const lastRollback = { failed: 'v3', restored: 'v2', atMs: 2000, by: 'watch', reason: 'errors' };
    const found = states({ ...withDetectors, lastRollback }, version, secondsOf(20, { errorRate: 1 }));
    expect(found.at(-1)).toBe('cooling-down');
  });

  it.each([
    { onDrift: 'alert', state: 'drifted' },
    { onDrift: 'roll-back', state: 'violated' },
  ] as const)('is $state by predictions that are no longer as registered, when told to $onDrift', ({ onDrift, state }) => {
    const last = findingsOf(withWatch({ onDrift }), withDistribution, secondsOf(60, { shift: 1 })).at(-1);
    expect(last?.state).toBe(state);
    expect(last?.reason).toBe(
      'predictions are no longer distributed as registered (shares within 10 %); the evidence raises the alarm',
    );
  });

  it('calls errors a violation also while predictions drift', () => {
    const last = findingsOf(withDetectors, withDistribution, secondsOf(60, { shift: 1, errorRate: 0.5 })).at(-1);
    expect(last?.state).toBe('violated');
    expect(last?.reason).not.toContain('predictions');
  });

  it.each([
    {
      name: 'no distribution is registered',
      by: version,
      tally: undefined,
      reason: 'no distribution of predictions is registered, so drift is not watched',
    },
    {
      name: 'predictions are counted in other bins',
      by: withDistribution,
      tally: { ...EMPTY_TALLY, requests: 100, bins: { other: [100] } },
      reason: 'no prediction was counted in the bins of the baseline lately',
    },
  ])('does not call predictions healthy that it cannot see: $name', ({ by, tally, reason }) => {
    const state = watched(withDetectors, [reportOf(tally === undefined ? {} : { tally })], { by });
    const finding = judgeWatch(withDetectors, by, { state, atMs: 9000 });
    expect(guardOf(finding, 'health.share-drift')).toMatchObject({ verdict: 'no-data', samples: 0, reason });
  });

  it('shows how far the evidence has come', () => {
    const findings = findingsOf(withDetectors, withDistribution, secondsOf(30, { errorRate: 0.1 }));
    for (const finding of findings) {
      for (const { progress, reason } of finding.guards) {
        expect(progress?.harm ?? 0).toBeGreaterThanOrEqual(0);
        expect(progress?.harm ?? 0).toBeLessThanOrEqual(1);
        expect(reason).not.toMatch(/NaN|undefined|Infinity|-0/);
      }
    }
    expect(guardOf(findings[5] ?? { state: 'waiting', reason: '', guards: [] }, 'health.errors')?.reason).toMatch(
      /^error rate \d+\.\d\d % \(\d+ of \d+\) exceeds 5\.00 % in the newest \d+ requests; \d+ % of the evidence for an alarm$/,
    );
  });
});

describe('a watch on labels that are due', () => {
  const levels = withWatch({ labels: { accuracy: 0.9 } });
  /** One cohort a minute, of forty labels. */
  const cohortsOf = (count: number, accuracy: number): readonly StoredBlock[] => {
    const random = randomOf(1, `labels ${accuracy}`);
    return Array.from({ length: count }, (_, cohort) => {
      let right = 0;
      for (let label = 0; label < 40; label += 1) if (random.uniform() < accuracy) right += 1;
      const labels = { accuracy: { count: 40, sum: right, sumSquares: right } };
      return reportOf({ startMs: 3000 + cohort * 60_000, tally: { ...EMPTY_TALLY, labels } });
    });
  };

  it('calls a champion a violation whose labels fall below their level', () => {
    const findings = findingsOf(levels, version, cohortsOf(240, 0.86));
    const first = findings.findIndex(({ state }) => state === 'violated');
    expect(first).toBeGreaterThan(5);
    expect(first).toBeLessThan(200);
    expect(findings[first]?.reason).toMatch(/^accuracy 0\.8\d\d over \d+ labels that are due, of 0\.9 at least; the evidence/);
  });

  it.each([0.9, 0.95, 1])('is quiet for days at a mean of %d', (accuracy) => {
    const states = new Set(findingsOf(levels, version, cohortsOf(4000, accuracy)).map(({ state }) => state));
    expect(states).toEqual(new Set(['healthy']));
  });

  it('waits for labels, and sees those of a name that is watched from now on', () => {
    const state = watched(levels, [reportOf()]);
    const finding = judgeWatch(levels, version, { state, atMs: 9000 });
    expect(guardOf(finding, 'health.label.accuracy')).toMatchObject({ verdict: 'no-data', samples: 0 });
    const before = watched(withDetectors, cohortsOf(10, 0.5));
    expect(judgeWatch(withDetectors, version, { state: before, atMs: 1e6 }).state).not.toBe('violated');
    const after = watched(levels, cohortsOf(40, 0.5), { from: before });
    expect(judgeWatch(levels, version, { state: after, atMs: 1e7 }).state).toBe('violated');
  });
});
