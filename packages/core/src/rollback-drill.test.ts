import { describe, expect, it } from 'vitest';
import { DEFAULT_ROUTING, DEFAULT_WATCH, type Model } from './model.ts';
import type { ModelVersion, VersionSource } from './model-version.ts';
import { type Drill, drillRollback, type DrillSituation, drillWarnings } from './rollback-drill.ts';
import type { Probe, VersionSighting } from './standby.ts';

const NOW = 1_000_000;
const terms = ['v1', 'v2', 'v3'].map((version, fromMs) => ({ version, fromMs, began: 'promotion' as const }));
const model: Model = {
  name: 'fraud',
  createdAtMs: 0,
  champion: 'v3',
  terms,
  routing: DEFAULT_ROUTING,
  watch: DEFAULT_WATCH,
  rolloutCount: 0,
};

function onnx(digit: string, features = 3): VersionSource {
  const inputs = [{ name: 'x', dataType: 'FP32' as const, shape: [-1, features] }];
  return { kind: 'onnx', sha256: digit.repeat(64), bytes: 1, signature: { inputs, outputs: [], prediction: 'y' } };
}

function versionOf(version: string, source: VersionSource, isHealthy = true): ModelVersion {
  const health = isHealthy ? ({ state: 'healthy' } as const) : ({ state: 'unhealthy', reason: 'r', by: 'b', atMs: 0 } as const);
  return { model: 'fraud', version, source, health, note: '', registeredAtMs: 0, registeredBy: 'ana' };
}

const versions = [versionOf('v1', onnx('1')), versionOf('v2', onnx('2')), versionOf('v3', onnx('3'))];
const PASSED: Probe = { outcome: 'ok', detail: 'golden request 1 of 3', atMs: NOW - 20_000 };

function sighting(gateway: string, changes: Partial<VersionSighting> = {}): VersionSighting {
  return { gateway, version: 'v2', state: 'ready', detail: 'inline', probe: PASSED, ...changes };
}

function run(changes: Partial<DrillSituation> = {}): Drill {
  const sightings = [sighting('g1'), sighting('g2')];
  return drillRollback({ model, versions, gateways: ['g1', 'g2'], sightings, atMs: NOW, ...changes });
}

const passedOver = [{ version: 'v2', reason: 'v2 fails everywhere', sinceMs: 0 }];
const external: VersionSource = { kind: 'external' };

describe('a drill', () => {
  it('says that a rollback works when every gateway has tried its target', () => {
    expect(run()).toEqual({
      outcome: 'works',
      target: 'v2',
      checks: [
        { name: 'champion', outcome: 'ok', detail: 'v3 is champion' },
        { name: 'target', outcome: 'ok', detail: 'v2 is healthy and was champion before' },
        { name: 'gateways', outcome: 'ok', detail: 'all 2 gateways are connected' },
        expect.objectContaining({ name: 'loaded', outcome: 'ok' }),
        { name: 'probed', outcome: 'ok', detail: 'v2 answered on all 2 gateways: golden request 1 of 3, 20s ago' },
        { name: 'inputs', outcome: 'ok', detail: 'v2 takes the same inputs as the champion' },
        { name: 'automatic', outcome: 'ok', detail: 'the watch may roll back by itself' },
      ],
    });
    expect(drillWarnings(run())).toEqual([]);
  });

  it.each<{ name: string; changes: Partial<DrillSituation>; outcome: Drill['outcome']; warning: RegExp }>([
    {
      name: 'no former champion',
      changes: { versions: versions.slice(2) },
      outcome: 'fails',
      warning: /no healthy former champion/,
    },
    {
      name: 'only unhealthy ones',
      changes: { versions: [versionOf('v1', onnx('1'), false), versionOf('v2', onnx('2'), false), versionOf('v3', onnx('3'))] },
      outcome: 'fails',
      warning: /no healthy former champion/,
    },
    {
      name: 'only the same file under another name',
      changes: { versions: ['v1', 'v2', 'v3'].map((name) => versionOf(name, onnx('3'))) },
      outcome: 'fails',
      warning: /made of another file/,
    },
    { name: 'no gateway', changes: { gateways: [], sightings: [] }, outcome: 'fails', warning: /no gateway has reported/ },
    {
      name: 'a gateway without the target',
      changes: { sightings: [sighting('g1')] },
      outcome: 'fails',
      warning: /gateway "g2" has not heard of v2; until it is loaded there/,
    },
    {
      name: 'a gateway that is loading it',
      changes: { sightings: [sighting('g1'), sighting('g2', { state: 'loading' })] },
      outcome: 'fails',
      warning: /still loading on gateway "g2"/,
    },
    {
      name: 'a gateway that cannot load it',
      changes: { sightings: [sighting('g1'), sighting('g2', { state: 'failed', detail: 'no such file' })] },
      outcome: 'fails',
      warning: /cannot be loaded on gateway "g2" \(no such file\)/,
    },
    {
      name: 'a failed probe',
      changes: { sightings: [sighting('g1'), sighting('g2', { probe: { ...PASSED, outcome: 'failed', detail: 'got 7' } })] },
      outcome: 'fails',
      warning: /v2 fails its probe on gateway "g2" \(got 7\)/,
    },
    {
      name: 'a probe that proves nothing',
      changes: { sightings: [sighting('g1'), sighting('g2', { probe: { ...PASSED, outcome: 'unproven', detail: 'made-up' } })] },
      outcome: 'doubtful',
      warning: /made-up/,
    },
    {
      name: 'no probe yet',
      changes: { sightings: [sighting('g1'), sighting('g2', { probe: undefined })] },
      outcome: 'doubtful',
      warning: /gateway "g2" has not tried v2 yet/,
    },
    { name: 'an old probe', changes: { atMs: NOW + 600_000 }, outcome: 'doubtful', warning: /10m 20s ago and not since/ },
    {
      name: 'other inputs',
      changes: { versions: [versionOf('v2', onnx('2', 4)), versionOf('v3', onnx('3'))] },
      outcome: 'doubtful',
      warning: /takes other inputs than the champion \(x FP32 \[-1, 4\] instead of x FP32 \[-1, 3\]\)/,
    },
    {
      name: 'a rollback just now',
      changes: {
        model: { ...model, lastRollback: { failed: 'v9', restored: 'v3', atMs: NOW - 60_000, by: 'b', reason: 'r' } },
      },
      outcome: 'doubtful',
      warning: /for 1m more/,
    },
    {
      name: 'a service of its users',
      changes: { versions: [versionOf('v2', external), versionOf('v3', external)] },
      outcome: 'doubtful',
      warning: /served by your own service/,
    },
  ])('finds $name', ({ changes, outcome, warning }) => {
    const found = run(changes);
    expect(found.outcome).toBe(outcome);
    expect(drillWarnings(found).join('\n')).toMatch(warning);
  });

  it('goes on to an older version and says which one it passes over', () => {
    const sightings = ['g1', 'g2'].map((gateway) => sighting(gateway, { version: 'v1' }));
    const found = run({ model: { ...model, passedOver }, sightings });
    expect(found).toMatchObject({ outcome: 'doubtful', target: 'v1' });
    expect(drillWarnings(found)).toEqual([expect.stringContaining('newer ones are passed over: v2 fails everywhere')]);
  });

  it('fails without a champion', () => {
    const { champion: _none, ...none } = model;
    expect(run({ model: { ...none, terms: [] } })).toMatchObject({ outcome: 'fails', checks: [{ name: 'champion' }] });
  });
});
