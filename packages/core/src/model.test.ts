import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from './errors.ts';
import {
  type ChampionTerm,
  championAt,
  crown,
  DEFAULT_ROUTING,
  DEFAULT_WATCH,
  findVersion,
  lastKnownGood,
  markUnhealthy,
  type Model,
  rollBackChampion,
  type RollbackRequest,
} from './model.ts';
import type { ModelVersion } from './model-version.ts';

fc.configureGlobal({ seed: 1 });

const fresh: Model = {
  name: 'fraud',
  createdAtMs: 0,
  terms: [],
  routing: DEFAULT_ROUTING,
  watch: DEFAULT_WATCH,
  rolloutCount: 0,
};

function versionOf(version: string, isHealthy = true): ModelVersion {
  const health = isHealthy
    ? ({ state: 'healthy' } as const)
    : ({ state: 'unhealthy', reason: 'bad', by: 'ann', atMs: 1 } as const);
  const source = { kind: 'upstream', url: 'http://models', protocol: 'predict', remoteModel: version } as const;
  return { model: 'fraud', version, source, health, note: '', registeredAtMs: 0, registeredBy: 'ann' };
}

/** Promotes each version 100 ms after the one before, the first at 100. */
function promoted(...versions: readonly string[]): Model {
  return versions.reduce((model, version, index) => crown(model, { version, began: 'promotion' }, (index + 1) * 100), fresh);
}

/** `v2!` is version v2, marked unhealthy. */
const versionsOf = (...names: readonly string[]) => names.map((name) => versionOf(name.replace('!', ''), !name.endsWith('!')));

function request(changes: Partial<RollbackRequest> & { readonly failing: string }): RollbackRequest {
  return { atMs: 900, by: 'watch', reason: 'p95 latency 900 ms exceeds 500 ms', ...changes };
}

describe('the defaults', () => {
  it('are those of the documentation', () => {
    expect(DEFAULT_ROUTING).toEqual({ subject: [{ from: 'header', name: 'x-user-id' }], rules: [], deadlineMs: 5000 });
    expect(DEFAULT_WATCH).toMatchObject({
      method: 'detectors',
      shareDrift: 0.1,
      onDrift: 'alert',
      checkEveryMs: 1000,
      cooldownMs: 120_000,
    });
  });
});

describe('crown', () => {
  it('begins the first term', () => {
    expect(promoted('v1')).toEqual({ ...fresh, champion: 'v1', terms: [{ version: 'v1', fromMs: 100, began: 'promotion' }] });
  });

  it('ends the present term where the next begins', () => {
    expect(promoted('v1', 'v2').terms).toEqual([
      { version: 'v1', fromMs: 100, untilMs: 200, began: 'promotion' },
      { version: 'v2', fromMs: 200, began: 'promotion' },
    ]);
  });

  it('clears the alarm and nothing else', () => {
    const killed = { atMs: 1, by: 'ann', reason: 'fire' };
    const alarm = { code: 'no-last-known-good', message: 'help', sinceMs: 1 } as const;
    const next = crown({ ...promoted('v1'), alarm, killed, liveRollout: 'fraud-1' }, { version: 'v2', began: 'promotion' }, 300);
    expect(next).not.toHaveProperty('alarm');
    expect(next).toMatchObject({ killed, liveRollout: 'fraud-1', champion: 'v2' });
  });

  it('leaves the model it is given as it was', () => {
    const model = promoted('v1');
    const before = JSON.stringify(model);
    crown(model, { version: 'v2', began: 'promotion' }, 200);
    expect(JSON.stringify(model)).toBe(before);
  });
});

describe('championAt', () => {
  const model = promoted('v1', 'v2', 'v1');

  it.each([
    { atMs: 0, champion: undefined },
    { atMs: 99.9, champion: undefined },
    { atMs: 100, champion: 'v1' },
    { atMs: 199, champion: 'v1' },
    { atMs: 200, champion: 'v2' },
    { atMs: 299.9, champion: 'v2' },
    { atMs: 300, champion: 'v1' },
    { atMs: 1e15, champion: 'v1' },
  ])('is $champion at $atMs', ({ atMs, champion }) => {
    expect(championAt(model, atMs)).toBe(champion);
  });

  it('is nobody for a model without a champion', () => {
    expect(championAt(fresh, 5)).toBeUndefined();
  });

  it('is the later one of two that were promoted in the same millisecond', () => {
    const both = crown(promoted('v1'), { version: 'v2', began: 'promotion' }, 100);
    expect(championAt(both, 100)).toBe('v2');
  });
});

describe('lastKnownGood', () => {
  it.each([
    { name: 'nobody before the first promotion', terms: [], versions: ['v1'], good: undefined },
    { name: 'nobody behind the only champion', terms: ['v1'], versions: ['v1', 'v2'], good: undefined },
    { name: 'the champion before', terms: ['v1', 'v2'], versions: ['v1', 'v2'], good: 'v1' },
    { name: 'the newest of several', terms: ['v1', 'v2', 'v3'], versions: ['v1', 'v2', 'v3'], good: 'v2' },
    { name: 'the one before an unhealthy one', terms: ['v1', 'v2', 'v3'], versions: ['v1', 'v2!', 'v3'], good: 'v1' },
    { name: 'nobody when all before are unhealthy', terms: ['v1', 'v2', 'v3'], versions: ['v1!', 'v2!', 'v3'], good: undefined },
    { name: 'never one that never served', terms: ['v2'], versions: ['v1', 'v2', 'v3'], good: undefined },
    { name: 'never one that is not registered any more', terms: ['v1', 'v2', 'v3'], versions: ['v1', 'v3'], good: 'v1' },
    {
      name: 'never the champion itself under an earlier term',
      terms: ['v1', 'v2', 'v1'],
      versions: ['v1', 'v2!'],
      good: undefined,
    },
    { name: 'the newest by its last term', terms: ['v2', 'v1', 'v2', 'v3'], versions: ['v1', 'v2', 'v3'], good: 'v2' },
  ])('is $name', ({ terms, versions, good }) => {
    expect(lastKnownGood(promoted(...terms), versionsOf(...versions))).toBe(good);
  });

  it('is asked for another failing version than the champion', () => {
    expect(lastKnownGood(promoted('v1', 'v2', 'v3'), versionsOf('v1', 'v2', 'v3'), 'v2')).toBe('v3');
  });
});

describe('rollBackChampion', () => {
  it('restores the last known good and marks the failing version, in one change', () => {
    const outcome = rollBackChampion(promoted('v1', 'v2'), versionsOf('v1', 'v2'), request({ failing: 'v2' }));
    const why = { atMs: 900, by: 'watch', reason: 'p95 latency 900 ms exceeds 500 ms' };
    expect(outcome).toEqual({
      outcome: 'rolled-back',
      restored: 'v1',
      failed: { ...versionOf('v2'), health: { state: 'unhealthy', ...why } },
      model: {
        ...fresh,
        champion: 'v1',
        terms: [
          { version: 'v1', fromMs: 100, untilMs: 200, began: 'promotion' },
          { version: 'v2', fromMs: 200, untilMs: 900, began: 'promotion' },
          { version: 'v1', fromMs: 900, began: 'rollback' },
        ],
        lastRollback: { failed: 'v2', restored: 'v1', ...why },
      },
    });
  });

  it('walks the chain backwards when the restored version fails too', () => {
    let model = promoted('v1', 'v2', 'v3');
    let versions = versionsOf('v1', 'v2', 'v3');
    const restored: string[] = [];
    for (const failing of ['v3', 'v2', 'v1']) {
      const outcome = rollBackChampion(model, versions, request({ failing }));
      if (outcome.outcome === 'already-done') break;
      ({ model } = outcome);
      versions = versions.map((version) => (version.version === failing ? outcome.failed : version));
      restored.push(outcome.outcome === 'rolled-back' ? outcome.restored : outcome.outcome);
    }
    expect(restored).toEqual(['v2', 'v1', 'no-target']);
    expect(model.champion).toBe('v1');
  });

  it('changes nothing when the failing version is not champion any more', () => {
    expect(rollBackChampion(promoted('v1', 'v2'), versionsOf('v1', 'v2'), request({ failing: 'v1' }))).toEqual({
      outcome: 'already-done',
      message: 'v1 is not the champion of "fraud" any more (v2 is), so nothing was changed',
    });
    expect(rollBackChampion(fresh, [], request({ failing: 'v1' }))).toMatchObject({
      outcome: 'already-done',
      message: expect.stringContaining('(nobody is)'),
    });
  });

  it('keeps serving, loudly, when nobody is left', () => {
    const model = promoted('v1');
    const outcome = rollBackChampion(model, versionsOf('v1', 'v2'), request({ failing: 'v1', reason: 'errors' }));
    const message =
      'v1 fails (errors) and "fraud" has no healthy former champion to fall back to; v1 keeps serving. Register and promote a good version, or roll back with an explicit target.';
    expect(outcome).toMatchObject({
      outcome: 'no-target',
      message,
      failed: { version: 'v1', health: { state: 'unhealthy', reason: 'errors' } },
      model: { ...model, alarm: { code: 'no-last-known-good', message, sinceMs: 900 } },
    });
  });

  it('remembers since when the alarm lasts', () => {
    const first = rollBackChampion(promoted('v1'), versionsOf('v1'), request({ failing: 'v1' }));
    if (first.outcome !== 'no-target') throw new Error(first.outcome);
    const second = rollBackChampion(first.model, [first.failed], request({ failing: 'v1', atMs: 5000, reason: 'still' }));
    expect(second).toMatchObject({
      outcome: 'no-target',
      model: { alarm: { sinceMs: 900, message: expect.stringContaining('still') } },
    });
  });

  it('keeps the first reason of a version that was unhealthy already', () => {
    const outcome = rollBackChampion(promoted('v1', 'v2'), versionsOf('v1', 'v2!'), request({ failing: 'v2' }));
    expect(outcome).toMatchObject({ outcome: 'rolled-back', failed: { health: { reason: 'bad', atMs: 1 } } });
  });

  it.each([
    { name: 'a former champion', to: 'v1', force: false },
    { name: 'an unhealthy version by force', to: 'v2', force: true },
    { name: 'a version that never served by force', to: 'v4', force: true },
  ])('restores $name on request', ({ to, force }) => {
    const versions = versionsOf('v1', 'v2!', 'v3', 'v4');
    const outcome = rollBackChampion(promoted('v1', 'v2', 'v3'), versions, request({ failing: 'v3', to, force }));
    expect(outcome).toMatchObject({
      outcome: 'rolled-back',
      restored: to,
      model: { champion: to, lastRollback: { restored: to } },
    });
  });

  it.each([
    {
      name: 'an unhealthy version',
      to: 'v2',
      force: false,
      code: 'rollback.unsafe_target',
      message: 'it is marked unhealthy (bad)',
    },
    {
      name: 'a version that never served',
      to: 'v4',
      force: false,
      code: 'rollback.unsafe_target',
      message: 'it never was champion',
    },
    {
      name: 'the failing version itself',
      to: 'v3',
      force: true,
      code: 'rollback.unsafe_target',
      message: 'it is the failing champion',
    },
    { name: 'a version that does not exist', to: 'v9', force: true, code: 'version.not_found', message: 'it has v1, v2, v3, v4' },
  ])('refuses $name as a target', ({ to, force, code, message }) => {
    const versions = versionsOf('v1', 'v2!', 'v3', 'v4');
    const rollBack = () => rollBackChampion(promoted('v1', 'v2', 'v3'), versions, request({ failing: 'v3', to, force }));
    expect(rollBack).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });

  it('refuses a champion that is not registered', () => {
    expect(() => rollBackChampion(promoted('v1'), [], request({ failing: 'v1' }))).toThrow('model "fraud" has no version "v1"');
  });
});

describe('markUnhealthy', () => {
  it('says why, who and when', () => {
    const marked = markUnhealthy(versionOf('v1'), { reason: 'drift', by: 'ann', atMs: 5 });
    expect(marked).toEqual({ ...versionOf('v1'), health: { state: 'unhealthy', reason: 'drift', by: 'ann', atMs: 5 } });
  });

  it('takes only the fields of a mark from a wider request', () => {
    const marked = markUnhealthy(versionOf('v1'), request({ failing: 'v1', force: true }));
    expect(Object.keys(marked.health).toSorted()).toEqual(['atMs', 'by', 'reason', 'state']);
  });
});

describe('findVersion', () => {
  it('finds the version', () => {
    expect(findVersion(versionsOf('v1', 'v2'), 'fraud', 'v2').version).toBe('v2');
  });

  it.each([
    { versions: ['v1', 'v2'], message: 'model "fraud" has no version "v3"; it has v1, v2' },
    { versions: [], message: 'model "fraud" has no version "v3"; it has none yet' },
  ])('says which versions there are: $versions', ({ versions, message }) => {
    expect(() => findVersion(versionsOf(...versions), 'fraud', 'v3')).toThrow(
      expect.objectContaining({ code: 'version.not_found', message }),
    );
  });
});

describe('any history of promotions and rollbacks', () => {
  const names = ['v1', 'v2', 'v3', 'v4', 'v5'];
  const event = fc.record({
    does: fc.constantFrom('promote', 'roll-back', 'roll-back-to', 'heal'),
    version: fc.constantFrom(...names),
    afterMs: fc.nat(100),
  });

  interface World {
    readonly model: Model;
    readonly versions: readonly ModelVersion[];
    readonly atMs: number;
    /** What was restored against what was known of it. */
    readonly restoredUnhealthy: readonly string[];
  }

  function rolledBack(world: World, rollback: RollbackRequest): World {
    try {
      const outcome = rollBackChampion(world.model, world.versions, rollback);
      if (outcome.outcome === 'already-done') return world;
      const versions = world.versions.map((version) => (version.version === outcome.failed.version ? outcome.failed : version));
      if (outcome.outcome === 'no-target') return { ...world, model: outcome.model, versions };
      const isBad = findVersion(versions, 'fraud', outcome.restored).health.state === 'unhealthy';
      const restoredUnhealthy = isBad ? [...world.restoredUnhealthy, outcome.restored] : world.restoredUnhealthy;
      return { ...world, model: outcome.model, versions, restoredUnhealthy };
    } catch (error) {
      if (error instanceof AppError) return world;
      throw error;
    }
  }

  function next(world: World, { does, version, afterMs }: { does: string; version: string; afterMs: number }): World {
    const atMs = world.atMs + afterMs;
    const later = { ...world, atMs };
    if (does === 'promote') return { ...later, model: crown(world.model, { version, began: 'promotion' }, atMs) };
    if (does === 'heal') {
      const healed = world.versions.map((one) =>
        one.version === version ? { ...one, health: { state: 'healthy' } as const } : one,
      );
      return { ...later, versions: healed };
    }
    const base = request({ failing: world.model.champion ?? 'v1', atMs });
    return rolledBack(later, does === 'roll-back' ? base : { ...base, to: version });
  }

  const worlds = fc
    .array(event, { maxLength: 40 })
    .map((events) => events.reduce(next, { model: fresh, versions: versionsOf(...names), atMs: 0, restoredUnhealthy: [] }));

  it('has exactly one open term, the champion’s, and no gap between terms', () => {
    fc.assert(
      fc.property(worlds, ({ model: { terms, champion } }) => {
        const open = terms.filter((term) => term.untilMs === undefined);
        expect(open.map((term) => term.version)).toEqual(champion === undefined ? [] : [champion]);
        expect(open.at(-1)).toBe(terms.at(-1));
        terms.slice(1).forEach((term: ChampionTerm, index) => expect(terms[index]?.untilMs).toBe(term.fromMs));
      }),
      { numRuns: 500 },
    );
  });

  it('never restores a version that is marked unhealthy', () => {
    fc.assert(
      fc.property(worlds, ({ restoredUnhealthy }) => {
        expect(restoredUnhealthy).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('knows the champion of any moment', () => {
    fc.assert(
      fc.property(worlds, ({ model, atMs }) => {
        expect(championAt(model, atMs)).toBe(model.champion);
        for (const term of model.terms.filter(({ fromMs, untilMs = Infinity }) => untilMs > fromMs)) {
          expect(championAt(model, term.fromMs)).toBe(term.version);
        }
      }),
    );
  });

  it('offers as last known good only a healthy former champion', () => {
    fc.assert(
      fc.property(worlds, ({ model, versions }) => {
        const good = lastKnownGood(model, versions);
        if (good === undefined) return;
        expect(good).not.toBe(model.champion);
        expect(findVersion(versions, 'fraud', good).health.state).toBe('healthy');
        expect(model.terms.map((term) => term.version)).toContain(good);
      }),
    );
  });
});
