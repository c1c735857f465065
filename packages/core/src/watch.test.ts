import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY, type EvidenceBlock, momentsOf } from './evidence.ts';
import { bucketOfLatency } from './histogram.ts';
import { crown, DEFAULT_ROUTING, DEFAULT_WATCH, type Model } from './model.ts';
import type { Baseline, ModelVersion } from './model-version.ts';
import { absorbWatch, judgeWatch, openWatch, type WatchState } from './watch.ts';

const fresh: Model = {
  name: 'fraud',
  createdAtMs: 0,
  terms: [],
  routing: DEFAULT_ROUTING,
  watch: DEFAULT_WATCH,
  rolloutCount: 0,
};
const model = crown(crown(fresh, { version: 'v1', began: 'promotion' }, 100), { version: 'v2', began: 'promotion' }, 200);
const baseline: Baseline = { count: 10, mean: 0, standardDeviation: 1, source: 'validation', setAtMs: 0 };
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

interface Seen extends Partial<Omit<EvidenceBlock, 'tally'>> {
  readonly requests?: number;
  readonly errors?: number;
  readonly ms?: number;
  readonly predictions?: readonly number[];
}

function blockOf({ requests = 100, errors = 0, ms = 10, predictions = [], ...where }: Seen = {}): EvidenceBlock {
  const latency = requests === 0 ? [] : [[bucketOfLatency(ms), requests] as const];
  const tally = { ...EMPTY_TALLY, requests, errors, latency, predictions: momentsOf(predictions) };
  return { model: 'fraud', version: 'v2', arm: 'champion', startMs: 300, tally, ...where };
}

function watched(of: Model, ...blocks: readonly EvidenceBlock[]): WatchState {
  const clean = openWatch(of);
  if (clean === undefined) throw new Error('no champion');
  return blocks.reduce((state, block) => absorbWatch(of, state, block), clean);
}

describe('openWatch', () => {
  it('begins the term of the champion with a clean window', () => {
    expect(openWatch(model)).toEqual({ version: 'v2', fromMs: 200, window: [] });
  });

  it('watches nobody without a champion', () => {
    expect(openWatch(fresh)).toBeUndefined();
  });
});

describe('absorbWatch', () => {
  it.each([
    { name: 'another version', block: blockOf({ version: 'v1' }) },
    { name: 'another model', block: blockOf({ model: 'churn' }) },
    { name: 'an earlier term', block: blockOf({ startMs: 199 }) },
    { name: 'the challenger', block: blockOf({ arm: 'challenger' }) },
    { name: 'the shadow', block: blockOf({ arm: 'shadow' }) },
    { name: 'no request', block: blockOf({ requests: 0 }) },
  ])('changes nothing for a block of $name', ({ block }) => {
    expect(watched(model, block)).toEqual(openWatch(model));
  });

  it('takes blocks from the first moment of the term on, in a rollout or not', () => {
    const state = watched(model, blockOf({ startMs: 200 }), blockOf({ startMs: 201, rollout: 'fraud-1', step: 2 }));
    expect(state.window.map(({ startMs }) => startMs)).toEqual([200, 201]);
  });

  it('forgets the first term of a version that is champion again', () => {
    const again = crown(model, { version: 'v1', began: 'rollback' }, 400);
    expect(watched(again, blockOf({ version: 'v1', startMs: 150, errors: 100 })).window).toEqual([]);
    expect(watched(again, blockOf({ version: 'v1', startMs: 400 })).window).toHaveLength(1);
  });

  it('keeps no more than the window needs', () => {
    const blocks = Array.from({ length: 1000 }, (_, index) => blockOf({ requests: 1, startMs: 300 + index }));
    expect(watched(model, ...blocks).window).toHaveLength(DEFAULT_WATCH.limits.window);
  });
});

describe('judgeWatch', () => {
  const judge = (of: Model, atMs: number, ...blocks: readonly EvidenceBlock[]) =>
    judgeWatch(of, version, { state: watched(of, ...blocks), atMs });

  it.each([
    { name: 'waiting before anything was seen', blocks: [], state: 'waiting' },
    { name: 'waiting below 20 requests', blocks: [blockOf({ requests: 19, errors: 19 })], state: 'waiting' },
    { name: 'healthy within the limits', blocks: [blockOf({ errors: 5 })], state: 'healthy' },
    { name: 'violated by errors', blocks: [blockOf({ errors: 6 })], state: 'violated' },
    { name: 'violated by slowness', blocks: [blockOf({ ms: 600 })], state: 'violated' },
    { name: 'violated by drift', blocks: [blockOf({ predictions: Array.from({ length: 20 }, () => 3) })], state: 'violated' },
    { name: 'healthy again', blocks: [blockOf({ errors: 100 }), blockOf({ requests: 200, startMs: 301 })], state: 'healthy' },
  ])('is $name', ({ blocks, state }) => {
    expect(judge(model, 500, ...blocks).state).toBe(state);
  });

  it('says every violation', () => {
    expect(judge(model, 500, blockOf({ errors: 6, predictions: Array.from({ length: 20 }, () => 3) })).reason).toBe(
      'error rate 6.00 % (6 of 100) exceeds 5.00 %; mean prediction is 3.00 baseline standard deviations from 0, beyond 2',
    );
  });

  describe('after a rollback', () => {
    const rolledBack: Model = {
      ...model,
      lastRollback: { failed: 'v3', restored: 'v2', atMs: 200, by: 'watch', reason: 'errors' },
    };

    it.each([
      { atMs: 300, state: 'cooling-down' },
      { atMs: 120_199, state: 'cooling-down' },
      { atMs: 120_200, state: 'violated' },
    ])('is $state at $atMs', ({ atMs, state }) => {
      expect(judge(rolledBack, atMs, blockOf({ errors: 6 })).state).toBe(state);
    });

    it('says for how long nothing will be done', () => {
      expect(judge(rolledBack, 30_200, blockOf({ errors: 6 })).reason).toBe(
        'error rate 6.00 % (6 of 100) exceeds 5.00 %; no automatic rollback for 1m 30s more (cooldown)',
      );
    });

    it('is healthy as ever when no limit is broken', () => {
      expect(judge(rolledBack, 300, blockOf()).state).toBe('healthy');
    });
  });
});
