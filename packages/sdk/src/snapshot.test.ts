import { readFileSync } from 'node:fs';
import { FlagSnapshot } from '@understudy/contract/flag-snapshot';
import type { Attributes } from '@understudy/core/flags/context';
import type { FlagDocuments } from '@understudy/core/flags/evaluator';
import { describe, expect, it } from 'vitest';
import { changedFlags, compileSnapshot } from './compiled-snapshot.ts';
import { readSnapshot, type Snapshot } from './snapshot.ts';

interface Vectors {
  readonly atMs: number;
  readonly documents: FlagDocuments;
  readonly users: readonly Attributes[];
  readonly cases: readonly { readonly flag: string; readonly answers: readonly string[] }[];
}

const file = new URL('../../../test/vectors/flag-evaluation.json', import.meta.url);
const { atMs, documents, users, cases } = JSON.parse(readFileSync(file, 'utf8')) as Vectors;
const SNAPSHOT: Snapshot = { format: 1, environment: 'production', revision: 7, documents };

describe('the answers that must never change', () => {
  const compilation = compileSnapshot('7-a', JSON.stringify(SNAPSHOT), { nowMs: () => atMs, random: () => 0.5 });

  it.each(cases)('are given for $flag', ({ flag, answers }) => {
    if (compilation.outcome === 'invalid') throw new Error(compilation.problem);
    const { compiled } = compilation;
    expect(compiled.problems).toEqual([]);
    const given = users.map((user) => compiled.answer(flag, user)).map(({ variant, reason }) => `${variant} ${reason}`);
    expect(given).toEqual(answers);
  });
});

/** Every place in a JSON value, as a way to it. */
function placesIn(value: unknown, way: readonly (string | number)[] = []): readonly (readonly (string | number)[])[] {
  if (typeof value !== 'object' || value === null) return [way];
  const inner = Array.isArray(value) ? value.map((one: unknown, index) => [index, one] as const) : Object.entries(value);
  return [way, ...inner.flatMap(([name, one]) => placesIn(one, [...way, name]))];
}

function changed(way: readonly (string | number)[], to: unknown): string {
  const copy: unknown = JSON.parse(JSON.stringify(SNAPSHOT));
  const last = way.at(-1);
  const holder = way.slice(0, -1).reduce<unknown>((value, name) => Reflect.get(Object(value), name), copy);
  if (last === undefined) return JSON.stringify(to ?? null);
  if (to === undefined) Reflect.deleteProperty(Object(holder), last);
  else Reflect.set(Object(holder), last, to);
  return JSON.stringify(copy);
}

describe('a snapshot', () => {
  it('that the server writes can be read', () => {
    expect(FlagSnapshot.safeParse(SNAPSHOT).error).toBeUndefined();
    expect(readSnapshot(JSON.stringify(SNAPSHOT))).toMatchObject({ outcome: 'read', snapshot: SNAPSHOT });
  });

  // What the schema allows itself to refuse beyond that is what the evaluator copes with: lengths, sums, unknown variants.
  it('is refused only where the published schema refuses it too, wherever something of another type stands', () => {
    const places = placesIn(SNAPSHOT);
    expect(places.length).toBeGreaterThan(500);
    const seen = { refused: 0, read: 0 };
    for (const [index, way] of places.filter((_, place) => place % 3 === 0).entries()) {
      // One kind of damage for each place, all kinds in turn.
      const damage = [undefined, null, 'moon', -1, {}, [], true][index % 7];
      const body = changed(way, damage);
      const reading = readSnapshot(body);
      seen[reading.outcome === 'read' ? 'read' : 'refused'] += 1;
      const isFine = FlagSnapshot.safeParse(JSON.parse(body)).success;
      if (reading.outcome === 'invalid') expect({ way, damage, isFine }).toEqual({ way, damage, isFine: false });
      else expect(() => compileSnapshot('1', body, { nowMs: () => atMs, random: () => 0.5 })).not.toThrow();
    }
    expect(seen.refused).toBeGreaterThan(100);
  });

  it('that is damaged anywhere never makes an answer throw', () => {
    for (const way of placesIn(SNAPSHOT)) {
      const compilation = compileSnapshot('1', changed(way, 'moon'), { nowMs: () => atMs, random: () => 0.5 });
      if (compilation.outcome === 'invalid') continue;
      for (const { flag } of cases) for (const user of users.slice(-2)) compilation.compiled.answer(flag, user);
    }
  });

  it('of conditions in conditions without end is refused', () => {
    const deep = '{"type":"all","of":['.repeat(50_000) + ']}'.repeat(50_000);
    const body = JSON.stringify(SNAPSHOT).replace('"rules":[]', `"rules":[{"all":[${deep}],"serve":{"variant":"a"}}]`);
    expect(readSnapshot(body).outcome).toBe('invalid');
  });
});

describe('what has changed', () => {
  const without = (key: string): Snapshot => ({
    ...SNAPSHOT,
    documents: { ...documents, flags: documents.flags.filter((flag) => flag.key !== key) },
  });

  it('is everything at first, and nothing when nothing has', () => {
    expect(changedFlags(undefined, SNAPSHOT)).toHaveLength(documents.flags.length);
    expect(changedFlags(SNAPSHOT, SNAPSHOT)).toEqual([]);
  });

  it('is a flag that came or went', () => {
    expect(changedFlags(without('regex'), SNAPSHOT)).toEqual(['regex']);
    expect(changedFlags(SNAPSHOT, without('regex'))).toEqual(['regex']);
  });

  it('is also what refers to it: by prerequisite, by segment', () => {
    expect(changedFlags(SNAPSHOT, without('split-unleash'))).toEqual(['follows', 'split-unleash']);
    const segments = documents.segments.map((segment) => ({ ...segment, included: [] }));
    expect(changedFlags(SNAPSHOT, { ...SNAPSHOT, documents: { ...documents, segments } })).toEqual(['in-segment']);
  });
});
