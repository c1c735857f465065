import { describe, expect, it } from 'vitest';
import { AppError } from './errors.ts';
import { DEFAULT_ROUTING, DEFAULT_WATCH, fallbacksOf, lastKnownGood, type Model, rollBackChampion } from './model.ts';
import type { ModelVersion, VersionHealth, VersionSource } from './model-version.ts';
import { assertNotQuarantined, quarantineOf, sameAddressWarnings } from './quarantine.ts';

const BAD: VersionHealth = { state: 'unhealthy', reason: 'p95 900 ms', by: 'engine', atMs: 0 };
const RELEASED: VersionHealth = { ...BAD, released: { reason: 'the network', by: 'ana', atMs: 1 } };

function onnx(digit: string): VersionSource {
  return { kind: 'onnx', sha256: digit.repeat(64), bytes: 1, signature: { inputs: [], outputs: [], prediction: 'y' } };
}

function upstream(url: string): VersionSource {
  return { kind: 'upstream', url, protocol: 'predict', remoteModel: 'm' };
}

function versionOf(version: string, source: VersionSource, changes: Partial<ModelVersion> = {}): ModelVersion {
  const base = { model: 'fraud', version, source, note: '', registeredAtMs: 0, registeredBy: 'ana' };
  return { ...base, health: { state: 'healthy' }, ...changes };
}

describe('an artifact', () => {
  const v2 = versionOf('v2', onnx('a'), { health: BAD });

  it.each([
    { name: 'is quarantined with a version made of it', source: onnx('a'), known: [v2], found: 'v2' },
    { name: 'is, whatever model that is of', source: onnx('a'), known: [{ ...v2, model: 'other' }], found: 'v2' },
    { name: 'is not when the version is well', source: onnx('a'), known: [versionOf('v2', onnx('a'))], found: undefined },
    { name: 'is not when it was released', source: onnx('a'), known: [{ ...v2, health: RELEASED }], found: undefined },
    { name: 'is not when it is another file', source: onnx('b'), known: [v2], found: undefined },
    {
      name: 'is not when it is an address, whose server may be another one now',
      source: upstream('http://m'),
      known: [versionOf('v2', upstream('http://m'), { health: BAD })],
      found: undefined,
    },
  ])('$name', ({ source, known, found }) => {
    expect(quarantineOf(source, known)?.version.version).toBe(found);
  });

  it('is no matter of the unhealthy version itself: a person may try that again', () => {
    expect(quarantineOf(v2.source, [v2], v2)).toBeUndefined();
    expect(quarantineOf(v2.source, [v2], { model: 'other', version: 'v2' })?.version).toBe(v2);
  });

  it('is refused with who, when, why and what to do', () => {
    const refuse = (): void => assertNotQuarantined('cannot register v3', quarantineOf(onnx('a'), [v2]), 90_000);
    expect(refuse).toThrow(AppError);
    expect(refuse).toThrow(
      'cannot register v3: its file (sha256 aaaaaaaaaaaa…) is quarantined, as v2 of "fraud" is made of the same one and was marked unhealthy by engine 1m 30s ago (p95 900 ms). Register a repaired file; if the file is not to blame, say so: understudy version unquarantine fraud v2 --reason "…", or understudy version mark-healthy fraud v2',
    );
    expect(() => assertNotQuarantined('cannot register v3', undefined, 0)).not.toThrow();
  });
});

describe('an address', () => {
  const bad = versionOf('v2', upstream('http://m'), { health: BAD });

  it.each([
    { name: 'of an unhealthy version is worth a warning', subject: versionOf('v3', upstream('http://m')), warnings: 1 },
    { name: 'of nobody else is not', subject: versionOf('v3', upstream('http://other')), warnings: 0 },
    { name: 'is not warned of by its own version', subject: bad, warnings: 0 },
  ])('$name', ({ subject, warnings }) => {
    expect(sameAddressWarnings(subject, [bad, subject], 0)).toHaveLength(warnings);
  });
});

describe('the way back', () => {
  const terms = ['v1', 'v2', 'v3', 'v4'].map((version, fromMs) => ({ version, fromMs, began: 'promotion' as const }));
  const model: Model = {
    name: 'fraud',
    createdAtMs: 0,
    champion: 'v4',
    terms,
    routing: DEFAULT_ROUTING,
    watch: DEFAULT_WATCH,
    rolloutCount: 0,
  };
  const chain = (...files: readonly string[]): readonly ModelVersion[] =>
    files.map((file, index) => versionOf(`v${index + 1}`, onnx(file)));

  it.each([
    { name: 'leads to the newest', files: ['a', 'b', 'c', 'd'], fallbacks: ['v3', 'v2', 'v1'] },
    { name: 'never to the failing file under another name', files: ['a', 'b', 'd', 'd'], fallbacks: ['v2', 'v1'] },
    { name: 'nowhere when there is one file only', files: ['d', 'd', 'd', 'd'], fallbacks: [] },
  ])('$name', ({ files, fallbacks }) => {
    const versions = chain(...files);
    expect(fallbacksOf(model, versions)).toEqual(fallbacks);
    const wish = { failing: 'v4', atMs: 9, by: 'engine', reason: 'slow' };
    const result = rollBackChampion(model, versions, wish);
    expect(result.outcome === 'rolled-back' ? result.restored : undefined).toBe(fallbacks[0]);
  });

  it('leaves out a version whose file was found bad in another one', () => {
    const [v1, v2, v3, v4] = chain('a', 'b', 'c', 'd');
    const versions = [v1, v2, v3, v4, versionOf('v5', onnx('c'), { health: BAD })].flatMap((version) => version ?? []);
    expect(fallbacksOf(model, versions)).toEqual(['v2', 'v1']);
  });

  it.each([
    { passed: ['v3'], to: 'v2' },
    { passed: ['v3', 'v2'], to: 'v1' },
    { passed: ['v2'], to: 'v3' },
    { passed: ['v3', 'v2', 'v1'], to: 'v3' },
  ])('passes over $passed and leads to $to: a doubtful version is better than a failing champion', ({ passed, to }) => {
    const passedOver = passed.map((version) => ({ version, reason: 'no probe passes', sinceMs: 0 }));
    expect(lastKnownGood({ ...model, passedOver }, chain('a', 'b', 'c', 'd'))).toBe(to);
  });

  it('is looked at afresh with the next champion', () => {
    const passedOver = [{ version: 'v3', reason: 'no probe passes', sinceMs: 0 }];
    const wish = { failing: 'v4', atMs: 9, by: 'engine', reason: 'slow' };
    const result = rollBackChampion({ ...model, passedOver }, chain('a', 'b', 'c', 'd'), wish);
    expect(result).toMatchObject({ outcome: 'rolled-back', restored: 'v2' });
    expect(result.outcome === 'rolled-back' ? result.model.passedOver : 'other').toBeUndefined();
  });
});
