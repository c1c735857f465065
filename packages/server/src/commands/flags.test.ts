import type { Flag } from '@understudy/core/flags/flag';
import type { Segment } from '@understudy/core/flags/segment';
import { importUnleash } from '@understudy/core/flags/import-unleash';
import { beforeEach, describe, expect, it } from 'vitest';
import { importFlags, planImport } from './flag-import.ts';
import { documentsOf, loadFlagLibrary, refuseTakenKey } from './flag-library.ts';
import { deleteFlag, rampFlag, saveFlag, switchFlag } from './flags.ts';
import { createModel } from './models.ts';
import { hold } from './queries.ts';
import { deleteSegment, saveSegment } from './segments.ts';
import { flagOf, HUMAN, openTestWorld, type TestWorld } from './test-world.ts';
import { registerVersion } from './versions.ts';

const WHY = { reason: 'because' };

let world: TestWorld;
beforeEach(async () => {
  world = await openTestWorld();
});

function inSegment(...segments: readonly string[]): Partial<Flag> {
  return { rules: [{ all: [{ type: 'segment', segments }], serve: { variant: 'new' } }] };
}

function segmentOf(key: string, ...uses: readonly string[]): Segment {
  const rules = uses.length === 0 ? [] : [{ all: [{ type: 'segment', segments: uses } as const] }];
  return { key, included: [{ keys: ['ana'] }], excluded: [], rules };
}

async function save(flag: Flag): Promise<number> {
  const revision = (await stored(flag.key))?.revision ?? 0;
  return (await saveFlag(world.context, HUMAN, { flag, revision, ...WHY })).revision;
}

async function saveGroup(segment: Segment): Promise<number> {
  const held = await hold(world.context, 'segment', segment.key);
  return (await saveSegment(world.context, HUMAN, { segment, revision: held?.revision ?? 0, ...WHY })).revision;
}

async function stored(key: string) {
  return hold(world.context, 'flag', key);
}

async function lastAction(): Promise<string | undefined> {
  return (await world.store.journal('production', { order: 'newest-first', limit: 1 }))[0]?.action;
}

describe('saving a flag', () => {
  it('creates it, then replaces it at the revision that was read, each with an entry in the journal', async () => {
    const created = await saveFlag(world.context, HUMAN, { flag: flagOf('checkout'), revision: 0, ...WHY });
    const next = flagOf('checkout', { fallthrough: { variant: 'new' } });
    const saved = await saveFlag(world.context, HUMAN, { flag: next, revision: created.revision, ...WHY });
    expect((await stored('checkout'))?.body).toEqual(next);
    const [entry] = await world.store.journal('production', { order: 'newest-first', limit: 1 });
    expect(entry).toMatchObject({ revision: saved.revision, action: 'flag.saved', actor: 'token:ana', reason: 'because' });
  });

  it.each([
    { name: 'a flag that somebody changed meanwhile', revision: 1, says: /changed at revision/ },
    { name: 'a new flag where there is one', revision: 0, says: /there is one already/ },
  ])('refuses $name', async ({ revision, says }) => {
    await save(flagOf('checkout'));
    const flag = flagOf('checkout', { on: false });
    const refused = saveFlag(world.context, HUMAN, { flag, revision, ...WHY });
    await expect(refused).rejects.toMatchObject({ code: 'flag.changed', message: expect.stringMatching(says) });
  });

  it('refuses a flag that was deleted meanwhile', async () => {
    const refused = saveFlag(world.context, HUMAN, { flag: flagOf('gone'), revision: 7, ...WHY });
    await expect(refused).rejects.toMatchObject({ code: 'flag.changed', message: expect.stringContaining('it was deleted') });
  });

  it('changes nothing when it is so already, whatever revision was read', async () => {
    const revision = await save(flagOf('checkout'));
    const again = await saveFlag(world.context, HUMAN, { flag: flagOf('checkout'), revision: 0, ...WHY });
    expect(again).toMatchObject({ outcome: 'already-done', revision });
  });

  it('happens once for each idempotency key', async () => {
    const caller = { ...HUMAN, idempotency: { key: 'k', request: 'r' } };
    const input = { flag: flagOf('checkout'), revision: 0, ...WHY };
    const first = await saveFlag(world.context, caller, input);
    await switchFlag(world.context, HUMAN, { flag: 'checkout', on: false, ...WHY });
    expect((await saveFlag(world.context, caller, input)).message).toBe(first.message);
    expect((await stored('checkout'))?.body.on).toBe(false);
  });

  it('names every problem at once, also of a flag that is off', async () => {
    const flag = flagOf('checkout', {
      on: false,
      prerequisites: [{ flag: 'nowhere', enabled: true }],
      rules: [
        { all: [{ type: 'segment', segments: ['nobody'] }], serve: { variant: 'new' } },
        { all: [{ type: 'attribute', attribute: 'mail', operator: 'matches', values: ['('] }], serve: { variant: 'new' } },
      ],
    });
    const refused = saveFlag(world.context, HUMAN, { flag, revision: 0, ...WHY });
    await expect(refused).rejects.toMatchObject({
      code: 'flag.invalid',
      message: expect.stringMatching(/^(?=.*"\(")(?=.*no segment "nobody")(?=.*no flag "nowhere")/),
    });
    expect(await stored('checkout')).toBeUndefined();
  });

  it('refuses a circle of prerequisites, and says how it goes', async () => {
    await save(flagOf('a'));
    await save(flagOf('b', { prerequisites: [{ flag: 'a', variants: ['new'] }] }));
    await expect(save(flagOf('a', { prerequisites: [{ flag: 'b', enabled: true }] }))).rejects.toMatchObject({
      code: 'flag.invalid',
      message: expect.stringContaining('it depends on itself: "a" → "b" → "a"'),
    });
  });

  it('refuses to take a variant away that another flag asks for', async () => {
    await save(flagOf('a'));
    await save(flagOf('b', { prerequisites: [{ flag: 'a', variants: ['new'] }] }));
    const [, old] = flagOf('a').variants;
    const fewer = flagOf('a', { variants: old === undefined ? [] : [old] });
    await expect(save(fewer)).rejects.toMatchObject({
      code: 'flag.invalid',
      message: expect.stringContaining('flag "b": its prerequisite "a" has no variant "new"'),
    });
  });

  it('lets only one of two that would close a circle together win', async () => {
    await save(flagOf('a'));
    await save(flagOf('b'));
    const results = await Promise.allSettled([
      save(flagOf('a', { prerequisites: [{ flag: 'b', enabled: true }] })),
      save(flagOf('b', { prerequisites: [{ flag: 'a', enabled: true }] })),
    ]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });

  it.each(['.', '..'])('refuses the key "%s", which no address keeps', async (key) => {
    await expect(save(flagOf(key))).rejects.toMatchObject({ code: 'flag.invalid' });
  });
});

describe('flags that follow models', () => {
  it.each(['fraud-version', 'fraud-v2'])('keep their key %s', async (key) => {
    const reserved = { code: 'flag.reserved', message: expect.stringContaining('model "fraud"') };
    await expect(save(flagOf(key))).rejects.toMatchObject(reserved);
    await expect(switchFlag(world.context, HUMAN, { flag: key, on: false, ...WHY })).rejects.toMatchObject(reserved);
    await expect(deleteFlag(world.context, HUMAN, { flag: key, ...WHY })).rejects.toMatchObject(reserved);
  });

  it('are not created over a flag of somebody', async () => {
    await save(flagOf('digits-version'));
    await save(flagOf('fraud-v9'));
    const taken = { code: 'flag.already_exists' };
    await expect(createModel(world.context, HUMAN, { name: 'digits' })).rejects.toMatchObject(taken);
    await expect(world.register('v9')).rejects.toMatchObject(taken);
    await expect(refuseTakenKey(world.context, 'free', 'try')).resolves.toBeUndefined();
  });

  it('can be prerequisites', async () => {
    await save(flagOf('banner', { prerequisites: [{ flag: 'fraud-version', variants: ['v1'] }] }));
    expect(documentsOf(await loadFlagLibrary(world.context)).flags.map(({ key }) => key)).toEqual(['fraud-version', 'banner']);
  });
});

describe('the kill switch', () => {
  it('switches off and on, once each', async () => {
    await save(flagOf('checkout'));
    const off = { flag: 'checkout', on: false, ...WHY };
    expect(await switchFlag(world.context, HUMAN, off)).toMatchObject({
      outcome: 'done',
      message: 'flag "checkout" is off: all subjects get "old"',
    });
    expect(await lastAction()).toBe('flag.switched-off');
    expect((await switchFlag(world.context, HUMAN, off)).outcome).toBe('already-done');
    await switchFlag(world.context, HUMAN, { ...off, on: true });
    expect(await lastAction()).toBe('flag.switched-on');
    expect((await stored('checkout'))?.body.on).toBe(true);
  });

  it('says which flags there are', async () => {
    await save(flagOf('checkout'));
    await expect(switchFlag(world.context, HUMAN, { flag: 'chekout', on: false, ...WHY })).rejects.toMatchObject({
      code: 'flag.not_found',
      message: 'there is no flag "chekout"; there are fraud-version, checkout',
    });
  });
});

describe('a ramp', () => {
  it.each([
    { percent: 10, moved: '10 %' },
    { percent: 12.5, moved: '12.5 %' },
    { percent: 100, moved: '100 %' },
  ])('from a fixed variant to $percent % moves as many', async ({ percent, moved }) => {
    await save(flagOf('checkout'));
    const receipt = await rampFlag(world.context, HUMAN, { flag: 'checkout', variant: 'new', percent, ...WHY });
    expect(receipt.message).toBe(`"new" has ${percent} % of flag "checkout"; ${moved} of the subjects there moved`);
    expect(await lastAction()).toBe('flag.ramped');
    const { fallthrough } = (await stored('checkout'))?.body ?? {};
    const slices = fallthrough !== undefined && 'split' in fallthrough ? fallthrough.split.slices : [];
    expect(slices.filter(({ variant }) => variant === 'new').reduce((sum, { weight }) => sum + weight, 0)).toBe(percent * 1000);
  });

  it('goes on from where it is, also of a rule and back to nothing', async () => {
    await save(flagOf('checkout', { rules: [{ all: [], serve: { variant: 'old' } }] }));
    const ramp = { flag: 'checkout', variant: 'new', rule: 1, ...WHY };
    await rampFlag(world.context, HUMAN, { ...ramp, percent: 20 });
    const more = await rampFlag(world.context, HUMAN, { ...ramp, percent: 50 });
    expect(more.message).toContain('30 % of the subjects there moved');
    expect((await rampFlag(world.context, HUMAN, { ...ramp, percent: 50 })).outcome).toBe('already-done');
    await rampFlag(world.context, HUMAN, { ...ramp, percent: 0 });
    expect((await stored('checkout'))?.body.rules[0]?.serve).toEqual({
      split: { slices: [{ variant: 'old', weight: 100_000 }] },
    });
  });

  it.each([
    { name: 'an unknown variant', more: { variant: 'x' }, says: 'no variant "x"' },
    { name: 'a rule that is not there', more: { rule: 1 }, says: 'has no rule 1; it has 0' },
    { name: 'half a bucket', more: { percent: 0.0005 }, says: 'steps of 0.001 %' },
    { name: 'itself', more: { against: 'new' }, says: 'against itself' },
  ])('refuses $name', async ({ more, says }) => {
    await save(flagOf('checkout'));
    const refused = rampFlag(world.context, HUMAN, { flag: 'checkout', variant: 'new', percent: 5, ...WHY, ...more });
    await expect(refused).rejects.toMatchObject({ code: 'flag.invalid', message: expect.stringContaining(says) });
  });
});

describe('deleting', () => {
  it('is refused while somebody refers to it, then done', async () => {
    await saveGroup(segmentOf('testers'));
    await saveGroup(segmentOf('all', 'testers'));
    await save(flagOf('a', inSegment('all')));
    await save(flagOf('b', { prerequisites: [{ flag: 'a', enabled: true }] }));
    const deletion = { flag: 'a', ...WHY };
    await expect(deleteFlag(world.context, HUMAN, deletion)).rejects.toMatchObject({
      code: 'flag.in_use',
      message: expect.stringContaining('prerequisite of "b"'),
    });
    await expect(deleteSegment(world.context, HUMAN, { segment: 'all', ...WHY })).rejects.toMatchObject({
      code: 'segment.in_use',
      message: expect.stringContaining('flag "a" refers to it'),
    });
    await expect(deleteSegment(world.context, HUMAN, { segment: 'testers', ...WHY })).rejects.toMatchObject({
      code: 'segment.in_use',
      message: expect.stringContaining('segment "all" refers to it'),
    });
    await deleteFlag(world.context, HUMAN, { flag: 'b', ...WHY });
    await deleteFlag(world.context, HUMAN, deletion);
    expect(await lastAction()).toBe('flag.deleted');
    await deleteSegment(world.context, HUMAN, { segment: 'all', ...WHY });
    expect(await lastAction()).toBe('segment.deleted');
    expect(await stored('a')).toBeUndefined();
  });

  it('never wins together with a flag that begins to refer to it', async () => {
    await saveGroup(segmentOf('testers'));
    const results = await Promise.allSettled([
      save(flagOf('a', inSegment('testers'))),
      deleteSegment(world.context, HUMAN, { segment: 'testers', ...WHY }),
    ]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });
});

describe('saving a segment', () => {
  it('refuses circles, unknown segments and stale revisions', async () => {
    await saveGroup(segmentOf('a'));
    await saveGroup(segmentOf('b', 'a'));
    await expect(saveGroup(segmentOf('a', 'b'))).rejects.toMatchObject({
      code: 'segment.invalid',
      message: expect.stringContaining('it depends on itself: "a" → "b" → "a"'),
    });
    await expect(saveGroup(segmentOf('c', 'x'))).rejects.toMatchObject({ code: 'segment.invalid' });
    const stale = saveSegment(world.context, HUMAN, { segment: segmentOf('a', 'x'), revision: 0, ...WHY });
    await expect(stale).rejects.toMatchObject({ code: 'segment.changed' });
  });
});

describe('an import', () => {
  const imported = importUnleash({
    features: [
      { name: 'one', enabled: true, strategies: [{ name: 'default' }], impressionData: true },
      { name: 'fraud-version', enabled: true, strategies: [{ name: 'default' }] },
    ],
    segments: [{ id: 1, constraints: [] }],
  });
  const input = { imported, from: 'unleash', replace: false, ...WHY };

  it('writes everything in one change, and says what differs and what is left out', async () => {
    const planned = await planImport(world.context, imported);
    expect(planned.leftOut).toEqual([{ about: 'fraud-version', sentence: expect.stringContaining('model "fraud"') }]);
    expect(planned.losses).toEqual([{ about: 'one', sentence: expect.stringContaining('Impression') }]);
    const receipt = await importFlags(world.context, HUMAN, input);
    expect(receipt.message).toBe('imported 1 flag and 1 segment from unleash');
    const [entry] = await world.store.journal('production', { order: 'newest-first', limit: 1 });
    expect(entry).toMatchObject({ action: 'flags.imported' });
    expect(entry?.changes.map(({ kind, id }) => `${kind} ${id}`)).toEqual(['segment 1', 'flag one']);
    expect((await importFlags(world.context, HUMAN, input)).outcome).toBe('already-done');
  });

  it('replaces nothing unless it is told to', async () => {
    await save(flagOf('one'));
    expect((await planImport(world.context, imported)).replaced).toEqual(['one']);
    await expect(importFlags(world.context, HUMAN, input)).rejects.toMatchObject({ code: 'flag.already_exists' });
    expect(await hold(world.context, 'segment', '1')).toBeUndefined();
    await importFlags(world.context, HUMAN, { ...input, replace: true });
    expect((await stored('one'))?.body.type).toBe('boolean');
  });
});

it('lets versions be registered whose flag is free', async () => {
  const source = { kind: 'upstream', url: 'http://127.0.0.1:9', protocol: 'predict', remoteModel: 'fraud' } as const;
  const receipt = await registerVersion(world.context, HUMAN, { model: 'fraud', version: 'v8', source, note: '' });
  expect(receipt.outcome).toBe('done');
});
