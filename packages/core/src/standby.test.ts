import { describe, expect, it } from 'vitest';
import { DEFAULT_ROUTING, DEFAULT_WATCH, type Model, type PassedOver } from './model.ts';
import type { ModelVersion } from './model-version.ts';
import { type Probe, passedOverNow, standbysOf, type VersionSighting } from './standby.ts';

const NAMES = ['v1', 'v2', 'v3', 'v4', 'v5'];
const model: Model = {
  name: 'fraud',
  createdAtMs: 0,
  champion: 'v5',
  terms: NAMES.map((version, fromMs) => ({ version, fromMs, began: 'promotion' as const })),
  routing: DEFAULT_ROUTING,
  watch: DEFAULT_WATCH,
  rolloutCount: 0,
};
const versions = NAMES.map((version): ModelVersion => {
  const source = { kind: 'upstream', url: `http://${version}`, protocol: 'predict', remoteModel: 'm' } as const;
  return { model: 'fraud', version, source, health: { state: 'healthy' }, note: '', registeredAtMs: 0, registeredBy: 'ana' };
});

const probe = (outcome: Probe['outcome']): Probe => ({ outcome, detail: 'because', atMs: 1 });
const saw = (gateway: string, version: string, outcome: Probe['outcome'] | 'loading' | 'no file'): VersionSighting => {
  if (outcome === 'loading') return { gateway, version, state: 'loading', detail: '' };
  if (outcome === 'no file') return { gateway, version, state: 'failed', detail: 'no file' };
  return { gateway, version, state: 'ready', detail: '', probe: probe(outcome) };
};
const passed = (...names: readonly string[]): readonly PassedOver[] =>
  names.map((version) => ({ version, reason: 'before', sinceMs: 0 }));

describe('passing over', () => {
  it.each<{ name: string; before?: readonly PassedOver[]; sightings: readonly VersionSighting[]; after: readonly string[] }>([
    { name: 'begins when every gateway fails', sightings: [saw('a', 'v4', 'failed'), saw('b', 'v4', 'no file')], after: ['v4'] },
    { name: 'does not while one can answer', sightings: [saw('a', 'v4', 'failed'), saw('b', 'v4', 'ok')], after: [] },
    { name: 'does not while one is loading', sightings: [saw('a', 'v4', 'failed'), saw('b', 'v4', 'loading')], after: [] },
    { name: 'does not while one says nothing', sightings: [saw('a', 'v4', 'failed')], after: [] },
    { name: 'does not for a try that proves nothing', sightings: ['a', 'b'].map((g) => saw(g, 'v4', 'unproven')), after: [] },
    {
      name: 'goes on to the next one that fails',
      before: passed('v4'),
      sightings: ['a', 'b'].flatMap((g) => [saw(g, 'v4', 'failed'), saw(g, 'v3', 'failed')]),
      after: ['v4', 'v3'],
    },
    {
      name: 'goes no further than gateways have room for',
      before: passed('v4', 'v3'),
      sightings: ['a', 'b'].flatMap((g) => ['v4', 'v3', 'v2'].map((version) => saw(g, version, 'failed'))),
      after: ['v4', 'v3'],
    },
    { name: 'ends when one gateway can answer', before: passed('v4'), sightings: [saw('a', 'v4', 'ok')], after: [] },
    { name: 'goes on while nobody speaks of it', before: passed('v4'), sightings: [], after: ['v4'] },
    { name: 'ends for a version that is no fallback', before: passed('v9'), sightings: [], after: [] },
  ])('$name', ({ before, sightings, after }) => {
    const at = before === undefined ? model : { ...model, passedOver: before };
    const found = passedOverNow(at, versions, { sightings, gateways: 2, atMs: 7 });
    expect(found.map(({ version }) => version)).toEqual(after);
    for (const one of found) {
      const isOld = before?.some(({ version }) => version === one.version) ?? false;
      expect(one.sinceMs).toBe(isOld ? 0 : 7);
    }
  });

  it('never leaves the oldest out: there would be nobody behind it', () => {
    const two = { ...model, terms: model.terms.slice(3) };
    const sightings = [saw('a', 'v4', 'failed')];
    expect(passedOverNow(two, versions, { sightings, gateways: 1, atMs: 7 })).toEqual([]);
  });

  it('keeps who is passed over loaded, so that it can be tried again', () => {
    expect(standbysOf(model, versions)).toEqual(['v4']);
    expect(standbysOf({ ...model, passedOver: passed('v4') }, versions)).toEqual(['v3', 'v4']);
    expect(standbysOf({ ...model, passedOver: passed('v4', 'v3') }, versions)).toEqual(['v2', 'v4', 'v3']);
    expect(standbysOf({ ...model, terms: [] }, versions)).toEqual([]);
  });
});
