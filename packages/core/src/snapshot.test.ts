import { describe, expect, it } from 'vitest';
import { crown, DEFAULT_COMPARISON, DEFAULT_ROUTING, DEFAULT_WATCH, type Model } from './model.ts';
import type { Baseline, ModelVersion, VersionHealth } from './model-version.ts';
import type { Plan } from './plan.ts';
import type { PredictionBins } from './prediction-bins.ts';
import type { Rollout, RolloutState } from './rollout.ts';
import { DEFAULT_SEQUENTIAL } from './sequential/config.ts';
import { compileSnapshot, type EnvironmentState, type SnapshotModel } from './snapshot.ts';
import { DEFAULT_THRESHOLDS } from './thresholds.ts';
import type { Token } from './token.ts';

function versionOf(version: string, changes: Partial<ModelVersion> = {}): ModelVersion {
  const source = { kind: 'upstream', url: `http://models/${version}`, protocol: 'predict', remoteModel: version } as const;
  const rest = { health: { state: 'healthy' }, note: 'secret note', registeredAtMs: 0, registeredBy: 'ann' } as const;
  return { model: 'fraud', version, source, ...rest, ...changes };
}

const fresh: Model = {
  name: 'fraud',
  createdAtMs: 0,
  terms: [],
  routing: DEFAULT_ROUTING,
  watch: DEFAULT_WATCH,
  rolloutCount: 0,
};
const model = ['v1', 'v2', 'v3'].reduce((sum, version, index) => crown(sum, { version, began: 'promotion' }, index), fresh);
const versions = ['v1', 'v2', 'v3', 'v4', 'v5'].map((version) => versionOf(version));
const steps = [10, 100].map((trafficPercent) => ({ trafficPercent, holdMs: 0, minSamples: 50 }));
const policy = { kind: 'thresholds', ...DEFAULT_THRESHOLDS } as const;
const plan: Plan = { name: 'test', steps, policy, checkEveryMs: 1000, startCheck: 'warn' };
const unhealthy: VersionHealth = { state: 'unhealthy', reason: 'bad', by: 'ann', atMs: 1 };
const token: Token = { id: 't1', name: 'ci', sha256: 'a'.repeat(64), scopes: ['predict'], createdAtMs: 0, createdBy: 'ann' };

function rolloutIn(state: RolloutState, changes: Partial<Rollout> = {}): Rollout {
  const arms = { model: 'fraud', champion: 'v3', challenger: 'v4' };
  return { id: 'fraud-1', ...arms, plan, salt: 'salt-1', startedAtMs: 0, startedBy: 'ann', state, ...changes };
}

function compileOne(changes: Partial<EnvironmentState>): SnapshotModel | undefined {
  const base = { environment: 'production', revision: 7, models: [model], versions, rollouts: [], tokens: [] };
  return compileSnapshot({ ...base, ...changes }).models[0];
}

const namesOf = (compiled: SnapshotModel | undefined) => compiled?.versions.map(({ version }) => version);
const onStep: RolloutState = { phase: 'stepping', step: 0, sinceMs: 5 };

describe('compileSnapshot', () => {
  it('carries the environment, its revision and its tokens', () => {
    const state = { environment: 'staging', revision: 9, models: [], versions: [], rollouts: [], tokens: [token] };
    expect(compileSnapshot(state)).toEqual({ schema: 1, environment: 'staging', revision: 9, models: [], tokens: [token] });
  });

  it('keeps the champion and its last known good loaded, and tells gateways no more than they need', () => {
    expect(compileOne({})).toEqual({
      name: 'fraud',
      champion: 'v3',
      standbys: ['v2'],
      isKilled: false,
      routing: DEFAULT_ROUTING,
      versions: ['v2', 'v3'].map((version) => ({ version, source: versionOf(version).source })),
    });
  });

  it('skips an unhealthy former champion', () => {
    const marked = versions.map((version) => (version.version === 'v2' ? { ...version, health: unhealthy } : version));
    expect(namesOf(compileOne({ versions: marked }))).toEqual(['v1', 'v3']);
  });

  it('keeps an unhealthy champion loaded as long as it serves', () => {
    const marked = versions.map((version) => ({ ...version, health: unhealthy }));
    expect(namesOf(compileOne({ versions: marked }))).toEqual(['v3']);
  });

  it('has neither a champion nor versions before the first promotion', () => {
    const compiled = compileOne({ models: [fresh] });
    expect(compiled).not.toHaveProperty('champion');
    expect(compiled).not.toHaveProperty('rollout');
    expect(namesOf(compiled)).toEqual([]);
  });

  it('tells gateways nothing to serve while the champion is external, but keeps the one to fall back to loaded', () => {
    const external = versionOf('v3', { source: { kind: 'external' } });
    const compiled = compileOne({ versions: [...versions.filter(({ version }) => version !== 'v3'), external] });
    expect([compiled?.name, compiled?.champion, namesOf(compiled)]).toEqual(['fraud', undefined, ['v2']]);
  });

  it('never mixes up versions of different models that are called the same', () => {
    const churn = versionOf('v3', {
      model: 'churn',
      source: { ...versionOf('v3').source, sha256: 'x' } as ModelVersion['source'],
    });
    const compiled = compileOne({ versions: [churn, ...versions] });
    expect(compiled?.versions.find(({ version }) => version === 'v3')?.source).toEqual(versionOf('v3').source);
    expect(namesOf(compiled)).toEqual(['v2', 'v3']);
  });

  it.each<{ name: string; state: RolloutState; step: number; boundary: number; safe: number }>([
    { name: 'preparing', state: { phase: 'preparing', sinceMs: 5 }, step: -1, boundary: 0, safe: 0 },
    { name: 'on a step', state: onStep, step: 0, boundary: 10_000, safe: 0 },
    {
      name: 'paused',
      state: { phase: 'paused', step: 1, heldMs: 5, atMs: 9, by: 'ann', reason: '' },
      step: 1,
      boundary: 100_000,
      safe: 10_000,
    },
  ])('has the challenger of a rollout that is $name', ({ state, step, boundary, safe }) => {
    const compiled = compileOne({ models: [{ ...model, liveRollout: 'fraud-1' }], rollouts: [rolloutIn(state)] });
    expect(compiled?.rollout).toEqual({
      id: 'fraud-1',
      challenger: 'v4',
      salt: 'salt-1',
      step,
      boundary,
      lease: { ms: 120_000, boundary: safe },
    });
    expect(namesOf(compiled)).toEqual(['v2', 'v3', 'v4']);
  });

  it.each([
    { name: 'has ended', live: 'fraud-1', rollout: rolloutIn({ phase: 'killed', step: 0, atMs: 9, by: 'ann', reason: '' }) },
    { name: 'was promoted', live: 'fraud-1', rollout: rolloutIn({ phase: 'promoted', atMs: 9, by: 'engine', reason: '' }) },
    { name: 'is not the live one', live: 'fraud-2', rollout: rolloutIn(onStep) },
    { name: 'is not live for the model', live: undefined, rollout: rolloutIn(onStep) },
  ])('leaves out a rollout that $name', ({ live, rollout }) => {
    const models = [live === undefined ? model : { ...model, liveRollout: live }];
    const compiled = compileOne({ models, rollouts: [rollout] });
    expect(compiled).not.toHaveProperty('rollout');
    expect(namesOf(compiled)).toEqual(['v2', 'v3']);
  });

  describe('with the edges between which predictions are counted', () => {
    const ordered = (...edges: number[]): PredictionBins => ({ kind: 'ordered', edges });
    const classes: PredictionBins = { kind: 'classes', classes: ['cat'] };
    const baselineIn = (bins: PredictionBins | undefined): Baseline => ({
      count: 9,
      mean: 1,
      standardDeviation: 1,
      ...(bins === undefined ? {} : { distribution: { bins, counts: [] } }),
      source: 'validation',
      setAtMs: 0,
    });
    /** The champion v3 and the challenger v4 with their baselines, the others with one that must not matter. */
    const withBaselines = (champion: PredictionBins | undefined): readonly ModelVersion[] =>
      versions.map((version) => ({ ...version, baseline: baselineIn(version.version === 'v3' ? champion : ordered(77)) }));
    const live = [{ ...model, liveRollout: 'fraud-1' }];

    it.each<{ name: string; state: Partial<EnvironmentState>; expected: readonly number[] | undefined }>([
      { name: 'of the champion’s baseline', state: { versions: withBaselines(ordered(1, 2)) }, expected: [1, 2] },
      { name: 'of nothing when the champion has no baseline', state: {}, expected: undefined },
      { name: 'of nothing when only its mean is known', state: { versions: withBaselines(undefined) }, expected: undefined },
      { name: 'of nothing when it predicts classes', state: { versions: withBaselines(classes) }, expected: undefined },
      {
        name: 'of nothing without a champion',
        state: { models: [fresh], versions: withBaselines(ordered(1)) },
        expected: undefined,
      },
      {
        name: 'of the rollout, whatever baseline was set meanwhile',
        state: { models: live, versions: withBaselines(ordered(1)), rollouts: [rolloutIn(onStep, { bins: ordered(5) })] },
        expected: [5],
      },
      {
        name: 'of the rollout before its first step too',
        state: { models: live, rollouts: [rolloutIn({ phase: 'preparing', sinceMs: 5 }, { bins: ordered(5) })] },
        expected: [5],
      },
      {
        name: 'of nothing when the rollout counts classes',
        state: { models: live, versions: withBaselines(ordered(1)), rollouts: [rolloutIn(onStep, { bins: classes })] },
        expected: undefined,
      },
      {
        name: 'of the champion’s baseline when nobody knew any at the start of the rollout',
        state: { models: live, versions: withBaselines(ordered(1)), rollouts: [rolloutIn(onStep)] },
        expected: [1],
      },
      {
        name: 'of the champion’s baseline when the rollout has ended',
        state: {
          models: live,
          versions: withBaselines(ordered(1)),
          rollouts: [rolloutIn({ phase: 'killed', step: 0, atMs: 9, by: 'ann', reason: '' }, { bins: ordered(5) })],
        },
        expected: [1],
      },
    ])('$name', ({ state, expected }) => {
      const compiled = compileOne(state);
      expect(compiled?.binEdges).toEqual(expected);
      expect(Object.hasOwn(compiled ?? {}, 'binEdges')).toBe(expected !== undefined);
    });
  });

  it('says that a model is killed, and keeps its rollout', () => {
    const killed = { ...model, liveRollout: 'fraud-1', killed: { atMs: 9, by: 'ann', reason: 'fire' } };
    expect(compileOne({ models: [killed], rollouts: [rolloutIn(onStep)] })).toMatchObject({
      isKilled: true,
      rollout: { id: 'fraud-1' },
    });
  });

  it('is the same for the same documents, and survives JSON unchanged', () => {
    const models = [
      { ...model, liveRollout: 'fraud-1' },
      { ...fresh, name: 'churn' },
    ];
    const state = { environment: 'production', revision: 7, models, versions, rollouts: [rolloutIn(onStep)], tokens: [token] };
    const stored: EnvironmentState = JSON.parse(JSON.stringify(state));
    expect(JSON.stringify(compileSnapshot(stored))).toBe(JSON.stringify(compileSnapshot(state)));
    expect(JSON.parse(JSON.stringify(compileSnapshot(state)))).toEqual(compileSnapshot(state));
  });
});

describe('a shadow', () => {
  const standing = { version: 'v5', percent: 20, rules: [], salt: 's', sinceMs: 0, by: 'ann', reason: 'look' };
  const rehearsal: Plan = {
    ...plan,
    steps: [{ trafficPercent: 0, shadowPercent: 30, holdMs: 0, minSamples: 0 }, ...steps],
    policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL },
  };

  it('is a standing setting, whose version is kept loaded', () => {
    const compiled = compileOne({ models: [{ ...model, shadow: standing }] });
    expect(compiled?.shadow).toMatchObject({ version: 'v5', boundary: 20_000, salt: 's', comparison: DEFAULT_COMPARISON });
    expect(compiled?.shadow?.lines).toEqual([1.2, 1.5].map((ratio) => ({ ratio, plusMs: 0 })));
    expect(namesOf(compiled)).toContain('v5');
  });

  it('is that of a rollout before any other, on the rollout’s own buckets, and users get nothing of it', () => {
    const rollouts = [rolloutIn(onStep, { plan: rehearsal })];
    const compiled = compileOne({ models: [{ ...model, shadow: standing, liveRollout: 'fraud-1' }], rollouts });
    expect(compiled?.shadow).toMatchObject({ version: 'v4', boundary: 30_000, salt: 'salt-1', rollout: 'fraud-1', step: 0 });
    expect(compiled?.rollout).toMatchObject({ challenger: 'v4', boundary: 0 });
  });

  it.each([
    { name: 'the kill switch is on', changes: { killed: { atMs: 1, by: 'ann', reason: 'no' } } },
    { name: 'its version has become champion', changes: { shadow: { ...standing, version: 'v3' } } },
  ])('is none while $name', ({ changes }) => {
    expect(compileOne({ models: [{ ...model, shadow: standing, ...changes }] })?.shadow).toBeUndefined();
  });
});
