import { compileFlags, type FlagDocuments } from '@understudy/core/flags/evaluator';
import type { Segment } from '@understudy/core/flags/segment';
import { describe, expect, it } from 'vitest';
import type { FlagState } from '../flag-world.ts';
import { splitFlag } from '../test-world.ts';
import { editionOf, newsOf } from './edition.ts';

function stateOf(revision: number, { flags = [], segments = [] }: Partial<FlagDocuments>): FlagState {
  const documents = { flags, segments };
  return {
    environment: 'production',
    revision,
    documents,
    evaluator: compileFlags(documents, { compileRegex: () => undefined }),
  };
}

/** Events as `kind path version`; a whole put as one. */
function eventsOf(news: Buffer | undefined): readonly string[] {
  return [...(news ?? '').toString().matchAll(/^event: (\w+)\ndata: (.*)$/gm)].map(([, event = '', json = '']) => {
    const { path, version, data } = JSON.parse(json) as { path: string; version?: number; data?: { version?: number } };
    return [event, path, version ?? data?.version].filter((part) => part !== undefined).join(' ');
  });
}

const a = splitFlag('a', 10_000);
const b = splitFlag('b', 10_000);
const child = splitFlag('child', 0, { prerequisites: [{ flag: 'a', variants: ['v2'] }] });
const segment: Segment = { key: 's', included: [{ keys: ['u'] }], excluded: [], rules: [] };
const LATER = 3_000_000;

describe('news between two editions', () => {
  it.each<{ name: string; before: Partial<FlagDocuments>; after: Partial<FlagDocuments>; expected: readonly string[] }>([
    { name: 'nothing', before: { flags: [a, b] }, after: { flags: [b, a] }, expected: [] },
    {
      name: 'one flag of several',
      before: { flags: [a, b], segments: [segment] },
      after: { flags: [splitFlag('a', 20_000), b], segments: [segment] },
      expected: ['patch /flags/a 7'],
    },
    {
      name: 'a flag that is new',
      before: { flags: [a, b] },
      after: { flags: [a, b, splitFlag('c', 0)] },
      expected: ['patch /flags/c 7'],
    },
    { name: 'a flag that is gone', before: { flags: [a, b] }, after: { flags: [b] }, expected: ['delete /flags/a 7'] },
    {
      name: 'a key with a slash',
      before: { flags: [a] },
      after: { flags: [a, splitFlag('x/"y', 0)] },
      expected: ['patch /flags/x/"y 7'],
    },
    {
      name: 'a segment before the flag that begins to use it',
      before: { flags: [a, b] },
      after: {
        flags: [{ ...a, rules: [{ all: [{ type: 'segment', segments: ['s'] }], serve: { variant: 'v2' } }] }, b],
        segments: [segment],
      },
      expected: ['patch /segments/s 7', 'patch /flags/a 7'],
    },
    {
      name: 'a segment after the flag that stops using it',
      before: {
        flags: [{ ...a, rules: [{ all: [{ type: 'segment', segments: ['s'] }], serve: { variant: 'v2' } }] }, b],
        segments: [segment],
      },
      after: { flags: [a, b] },
      expected: ['patch /flags/a 7', 'delete /segments/s 7'],
    },
    {
      name: 'a prerequisite whose share grows',
      before: { flags: [a, child] },
      after: { flags: [splitFlag('a', 20_000), child] },
      expected: ['patch /flags/a 7'],
    },
    {
      name: 'a flag together with its prerequisite, as a whole',
      before: { flags: [a, child, b] },
      after: { flags: [{ ...a, variants: a.variants.toReversed() }, child, b] },
      expected: ['put /'],
    },
    {
      name: 'everything, as a whole',
      before: { flags: [a, b] },
      after: { flags: [splitFlag('a', 1), splitFlag('b', 1)] },
      expected: ['put /'],
    },
  ])('tell of $name', ({ before, after, expected }) => {
    const first = editionOf(stateOf(3, before), 0);
    const second = editionOf(stateOf(7, after), 0, first);
    expect(eventsOf(newsOf(first, second))).toEqual(expected);
  });

  it('rise in version also when a schedule begins within one revision', () => {
    const flags = [{ ...a, schedule: { fromMs: LATER } }, b];
    const first = editionOf(stateOf(3, { flags }), 0);
    const second = editionOf(stateOf(3, { flags }), LATER, first);
    const third = editionOf(stateOf(4, { flags: [a, b] }), LATER, second);
    const fourth = editionOf(stateOf(5, { flags: [b] }), LATER, third);
    const fifth = editionOf(stateOf(5, { flags: [a, b] }), LATER, fourth);
    expect(eventsOf(newsOf(first, second))).toEqual(['patch /flags/a 4']);
    // The same to SDKs, by another document.
    expect(newsOf(second, third)).toBeUndefined();
    expect(eventsOf(newsOf(third, fourth))).toEqual(['delete /flags/a 5']);
    expect(eventsOf(newsOf(fourth, fifth))).toEqual(['patch /flags/a 6']);
  });

  it('rise in version when the revision falls, as after a restored backup', () => {
    const first = editionOf(stateOf(30, { flags: [a, b] }), 0);
    const second = editionOf(stateOf(10, { flags: [splitFlag('a', 1), b] }), 0, first);
    expect(eventsOf(newsOf(first, second))).toEqual(['patch /flags/a 31']);
  });
});

describe('an edition', () => {
  it('keeps its bytes when nothing that SDKs see has changed', () => {
    const first = editionOf(stateOf(3, { flags: [a] }), 0);
    const second = editionOf(stateOf(4, { flags: [{ ...a, description: 'new words' }] }), 0, first);
    expect(second.put).toBe(first.put);
    expect(second.tag).toBe(first.tag);
    expect(second.state.revision).toBe(4);
  });

  it('holds what polls answer within what streams begin with', async () => {
    const { put, all, allCompressed } = editionOf(stateOf(3, { flags: [splitFlag('ä', 1)], segments: [segment] }), 0);
    const data: unknown = JSON.parse(all.toString());
    expect(data).toMatchObject({ flags: { ä: { key: 'ä', version: 3 } }, segments: { s: { key: 's', version: 3 } } });
    expect(put.toString()).toBe(`event: put\ndata: {"path":"/","data":${all.toString()}}\n\n`);
    expect((await allCompressed()).byteLength).toBeGreaterThan(0);
  });

  it('says which flags SDKs cannot evaluate as the server does', () => {
    expect(editionOf(stateOf(3, { flags: [a] }), 0).losses).toEqual([
      { about: 'a', sentence: expect.stringContaining('the same shares, but other users than on the server') },
    ]);
  });
});
