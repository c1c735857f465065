import type { LDContext } from '@launchdarkly/node-server-sdk';
import type { Condition } from '@understudy/core/flags/condition';
import type { Context } from '@understudy/core/flags/context';
import type { FlagDocuments } from '@understudy/core/flags/evaluator';
import type { Flag } from '@understudy/core/flags/flag';
import { rampSlices } from '@understudy/core/flags/slices';
import { describe, expect, it } from 'vitest';
import { splitFlag } from '../test-world.ts';
import { CLIENT_KEY, evaluated, ids, keyedWorld, openSdkRig, ready, updateOf } from './sdk-rig.contract.ts';

const FLAG = 'fraud-version';
const USERS = ids(10_000);

function ldFlag(weight: number, more: Partial<Flag> = {}): Flag {
  return splitFlag(FLAG, weight, { bucketing: { profile: 'launchdarkly', salt: `${FLAG}.s1` }, ...more });
}

/** True exactly for those on a version. */
function derivedFlag(variant: string): Flag {
  return splitFlag('fraud-v2', 0, {
    type: 'boolean',
    offVariant: 'off',
    variants: [
      { name: 'on', value: true },
      { name: 'off', value: false },
    ],
    prerequisites: [{ flag: FLAG, variants: [variant] }],
    fallthrough: { variant: 'on' },
  });
}

describe('start', () => {
  it.each([
    { name: 'stream', options: {} },
    { name: 'poll', options: { stream: false } },
    { name: 'poll, when it was told to use the second protocol', options: { dataSystem: {} } },
  ])('is ready by $name', async ({ options }) => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [ldFlag(100_000)] });
    const client = await ready(rig.sdk(options));
    expect(await client.variation(FLAG, { key: 'u' }, 'default')).toBe('v2');
    expect(client.initialized()).toBe(true);
  });

  it('is heard of with its name and application', async () => {
    await using rig = await openSdkRig();
    rig.world.set({});
    await ready(rig.sdk({ application: { id: 'shop', version: '2' } }));
    await ready(rig.sdk());
    const [named, unnamed] = rig.world.sightings;
    expect(named).toEqual({
      family: 'launchdarkly',
      sdk: expect.stringMatching(/^NodeJSClient\/9/),
      application: 'shop',
      isLocal: true,
    });
    expect(unnamed).toMatchObject({ application: 'scoring' });
  });

  it('waits through 503 while flags are loading and while keys cannot be looked up', async () => {
    await using rig = await openSdkRig();
    const client = rig.sdk();
    expect((await rig.ask('/all')).status).toBe(503);
    rig.world.keys.set('sdk-server', { outcome: 'unavailable' });
    rig.world.set({ flags: [ldFlag(100_000)] });
    expect((await rig.ask('/all')).status).toBe(503);
    expect(client.initialized()).toBe(false);
    rig.world.keys.set('sdk-server', { outcome: 'known', name: 'scoring', use: 'server' });
    await ready(client);
    expect(await client.variation(FLAG, { key: 'u' }, 'default')).toBe('v2');
  });

  it.each([
    { name: 'an unknown key', key: 'sdk-typo', status: 401, says: 'Authentication failed', message: 'the SDK key is unknown' },
    { name: 'a key of browsers', key: CLIENT_KEY, status: 403, says: 'Forbidden', message: 'the key "shop" is a client key' },
  ])('fails at once with $name', async ({ key, status, says, message }) => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [ldFlag(100_000)] });
    const client = rig.sdk({}, key);
    await expect(ready(client)).rejects.toThrow(says);
    expect(await client.variation(FLAG, { key: 'u' }, 'default')).toBe('default');
    const answer = await rig.ask('/all', { headers: { authorization: key } });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ message: expect.stringContaining(message) });
  });
});

describe('the same user, the same variant', () => {
  const byBucket = { profile: 'attribute', salt: 'b', by: [{ attribute: 'mlBucket' }] } as const;
  const inThree = (weights: readonly number[]): Partial<Flag> => ({
    variants: ['v1', 'v2', 'v3'].map((name) => ({ name, value: name })),
    fallthrough: { split: { slices: weights.map((weight, index) => ({ variant: `v${index + 1}`, weight })) } },
  });

  it.each<{ name: string; flag: Flag }>([
    { name: '10 %', flag: ldFlag(10_000) },
    { name: 'three variants', flag: ldFlag(0, inThree([33_333, 33_333, 33_334])) },
    {
      name: 'a seed and another attribute',
      flag: ldFlag(0, {
        fallthrough: {
          split: {
            slices: [
              { variant: 'v2', weight: 30_000 },
              { variant: 'v1', weight: 70_000 },
            ],
            bucketing: { profile: 'launchdarkly', salt: '61', by: [{ attribute: 'account' }] },
          },
        },
      }),
    },
    { name: 'a bucket that the caller brings', flag: ldFlag(0, { ...inThree([1000, 49_000, 50_000]), bucketing: byBucket }) },
    {
      name: 'such a bucket in a rule, for some',
      flag: ldFlag(10_000, {
        rules: [
          {
            all: [{ type: 'attribute', attribute: 'account', operator: 'ends-with', values: ['1', '2', '3'] }],
            serve: { split: { ...splitOf(25_000), bucketing: { ...byBucket, salt: 'other' } } },
          },
        ],
      }),
    },
  ])('agrees with our evaluator for 10,000 users: $name', async ({ flag }) => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [flag] });
    const client = await ready(rig.sdk({ sendEvents: false }));
    const counts = new Map<unknown, number>();
    let disagreements = 0;
    for (const [index, key] of USERS.entries()) {
      const attributes = { key, account: `a-${index}`, mlBucket: (index * 7919) % 100_000 };
      const value: unknown = await client.variation(FLAG, { kind: 'user', ...attributes }, 'default');
      if (value !== evaluated(rig.world, FLAG, { user: attributes })) disagreements += 1;
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    expect(disagreements).toBe(0);
    expect(counts.size).toBe(flag.variants.length);
  });

  it('gives users without a bucket of their own what the flag says', async () => {
    await using rig = await openSdkRig();
    const flag = (whenMissing: 'first' | 'none' | 'random') =>
      splitFlag(whenMissing, 50_000, { bucketing: { ...byBucket, whenMissing } });
    rig.world.set({ flags: [flag('first'), flag('none'), flag('random')] });
    const client = await ready(rig.sdk({ sendEvents: false }));
    expect(await client.variation('first', { key: 'u' }, 'default')).toBe('v2');
    expect(await client.variation('none', { key: 'u' }, 'default')).toBe('v1');
    const random = await Promise.all(
      USERS.slice(0, 1000).map(async (key) => await client.variation('random', { key }, 'default')),
    );
    const share = random.filter((value) => value === 'v2').length;
    expect(share).toBeGreaterThan(400);
    expect(share).toBeLessThan(600);
  });

  it.each<{ name: string; bucketing: Flag['bucketing']; expected: string }>([
    { name: 'the first slice', bucketing: { profile: 'unleash', salt: 's' }, expected: 'v2' },
    { name: 'no bucket', bucketing: { profile: 'unleash', salt: 's', whenMissing: 'none' }, expected: 'v1' },
    {
      name: 'chance, which is not to be had',
      bucketing: { profile: 'unleash', salt: 's', whenMissing: 'random' },
      expected: 'v1',
    },
    {
      name: 'chance for a bucket that nobody brought',
      bucketing: { ...byBucket, whenMissing: 'random' },
      expected: 'v1',
    },
    {
      name: 'no bucket without an attribute',
      bucketing: { profile: 'launchdarkly', salt: 's', by: [{ kind: 'device', attribute: 'account' }], whenMissing: 'none' },
      expected: 'v1',
    },
  ])('gives a context without a user what the flag wants: $name', async ({ bucketing, expected }) => {
    await using rig = await openSdkRig();
    const rule = { all: [{ type: 'attribute', kind: 'device', attribute: 'pro', operator: 'in', values: [true] }] } as const;
    const more = splitFlag('ruled', 0, { bucketing, rules: [{ ...rule, serve: { split: splitOf(1) } }] });
    rig.world.set({ flags: [splitFlag(FLAG, 1, { bucketing }), more] });
    const client = await ready(rig.sdk({ sendEvents: false }));
    for (const key of ['a', 'b', 'c']) {
      const context = { kind: 'device', key, pro: true } as const;
      expect(await client.variation(FLAG, context, 'default')).toBe(expected);
      expect(await client.variation('ruled', context, 'default')).toBe(expected);
    }
  });

  it('gives a flag of another profile the same shares', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [splitFlag(FLAG, 10_000)] });
    const client = await ready(rig.sdk({ sendEvents: false }));
    const values = await Promise.all(USERS.map(async (key) => await client.variation(FLAG, { key }, 'default')));
    const share = values.filter((value) => value === 'v2').length;
    expect(share).toBeGreaterThan(900);
    expect(share).toBeLessThan(1100);
  });

  it('moves only those who must when a share grows, and the derived boolean always agrees', async () => {
    await using rig = await openSdkRig();
    const client = rig.sdk({ sendEvents: false });
    const slices = (weights: Readonly<Record<string, number>>, before = START) => rampSlices(before, weights);
    const START = [
      { variant: 'v1', weight: 60_000 },
      { variant: 'v2', weight: 10_000 },
      { variant: 'v3', weight: 30_000 },
    ];
    const flagWith = (parts: typeof START | ReturnType<typeof slices>) =>
      ldFlag(0, { ...inThree([0, 0, 100_000]), fallthrough: { split: { slices: parts } } });
    const ask = async () => {
      const values: unknown[] = [];
      for (const key of USERS) {
        const value: unknown = await client.variation(FLAG, { key }, 'default');
        values.push(value);
        if ((await client.variation('fraud-v2', { key }, 'default')) !== (value === 'v2')) throw new Error(`${key} disagrees`);
      }
      return values;
    };
    rig.world.set({ flags: [flagWith(START), derivedFlag('v2')] });
    await ready(client);
    const before = await ask();
    const update = updateOf(client, 'fraud-v2');
    rig.world.set({ flags: [flagWith(slices({ v1: 50_000, v2: 20_000, v3: 30_000 })), derivedFlag('v2')] });
    await update;
    const after = await ask();
    const moves = before.flatMap((value, index) =>
      value === after[index] ? [] : [`${String(value)} to ${String(after[index])}`],
    );
    expect(new Set(moves)).toEqual(new Set(['v1 to v2']));
    expect(moves.length).toBeGreaterThan(850);
    expect(moves.length).toBeLessThan(1150);
  });

  it('never puts anybody on a challenger by a variation that has another number now', async () => {
    await using rig = await openSdkRig();
    const ended = ldFlag(0, { variants: [{ name: 'v1', value: 'v1' }], fallthrough: { variant: 'v1' } });
    rig.world.set({ flags: [ldFlag(100_000), derivedFlag('v2')] });
    const client = await ready(rig.sdk({ sendEvents: false }));
    expect(await client.variation('fraud-v2', { key: 'u' }, 'default')).toBe(true);
    const seen: unknown[] = [];
    client.on(
      'update',
      () => void client.variation('fraud-v2', { key: 'u' }, 'default').then((value: unknown) => seen.push(value)),
    );
    const update = updateOf(client, 'fraud-v2');
    rig.world.set({ flags: [ended, derivedFlag('v2')] });
    await update;
    expect(await client.variation('fraud-v2', { key: 'u' }, 'default')).toBe(false);
    expect(new Set(seen)).toEqual(new Set([false]));
  });
});

function splitOf(weight: number) {
  return {
    slices: [
      { variant: 'v2', weight },
      { variant: 'v1', weight: 100_000 - weight },
    ],
  };
}

describe('targeting', () => {
  const attribute = { type: 'attribute', attribute: 'a' } as const;
  const when = (...all: readonly Condition[]): Partial<Flag> => ({
    fallthrough: { variant: 'v1' },
    rules: [{ all, serve: { variant: 'v2' } }],
  });
  const parent = splitFlag('parent', 100_000);

  it.each<{ name: string; flag: Partial<Flag>; others?: Partial<FlagDocuments>; context?: Context; expected: string }>([
    { name: 'a kill switch', flag: { on: false, pins: [{ variant: 'v2', keys: ['u'] }] }, expected: 'v1' },
    {
      name: 'a schedule that has not begun',
      flag: { schedule: { fromMs: 9e15 }, fallthrough: { variant: 'v2' } },
      expected: 'v1',
    },
    { name: 'a schedule that has begun', flag: { schedule: { fromMs: 1 }, fallthrough: { variant: 'v2' } }, expected: 'v2' },
    { name: 'a pin', flag: { fallthrough: { variant: 'v1' }, pins: [{ variant: 'v2', keys: ['u'] }] }, expected: 'v2' },
    {
      name: 'a pin of another kind',
      flag: { fallthrough: { variant: 'v1' }, pins: [{ variant: 'v2', kind: 'device', keys: ['d'] }] },
      context: { user: { key: 'u' }, device: { key: 'd' } },
      expected: 'v2',
    },
    {
      name: 'a prerequisite that is met',
      flag: { fallthrough: { variant: 'v2' }, prerequisites: [{ flag: 'parent', variants: ['v2'] }] },
      others: { flags: [parent] },
      expected: 'v2',
    },
    {
      name: 'a prerequisite that is off',
      flag: { fallthrough: { variant: 'v2' }, prerequisites: [{ flag: 'parent', variants: ['v2'] }] },
      others: { flags: [{ ...parent, on: false }] },
      expected: 'v1',
    },
    { name: 'a list', flag: when({ ...attribute, operator: 'in', values: ['y', 'x'] }), expected: 'v2' },
    { name: 'not in a list', flag: when({ ...attribute, operator: 'in', values: ['y'], not: true }), expected: 'v2' },
    {
      name: 'a missing attribute',
      flag: when({ ...attribute, attribute: 'z', operator: 'in', values: ['y'], not: true }),
      expected: 'v1',
    },
    { name: 'presence', flag: when({ ...attribute, operator: 'present', values: [] }), expected: 'v2' },
    { name: 'a start', flag: when({ ...attribute, operator: 'starts-with', values: ['x'] }), expected: 'v2' },
    { name: 'a pattern', flag: when({ ...attribute, operator: 'matches', values: ['^[xy]$'] }), expected: 'v2' },
    {
      name: 'an inner attribute and a number',
      flag: when({ ...attribute, attribute: '/in/n', operator: 'greater-than', values: [6] }),
      expected: 'v2',
    },
    {
      name: 'a version',
      flag: when({ ...attribute, attribute: 'v', operator: 'semver-less-than', values: ['1.10.0'] }),
      expected: 'v2',
    },
    {
      name: 'any of several conditions',
      flag: when({
        type: 'any',
        of: [
          { ...attribute, operator: 'in', values: ['y'] },
          { ...attribute, operator: 'in', values: ['x'] },
        ],
      }),
      expected: 'v2',
    },
    {
      name: 'a segment that lists the user',
      flag: when({ type: 'segment', segments: ['s'] }),
      others: { segments: [{ key: 's', included: [{ keys: ['u'] }], excluded: [], rules: [] }] },
      expected: 'v2',
    },
    {
      name: 'a segment by a rule',
      flag: when({ type: 'segment', segments: ['s'] }),
      others: {
        segments: [{ key: 's', included: [], excluded: [], rules: [{ all: [{ ...attribute, operator: 'in', values: ['x'] }] }] }],
      },
      expected: 'v2',
    },
    {
      name: 'a segment that excludes the user',
      flag: when({ type: 'segment', segments: ['s'] }),
      others: { segments: [{ key: 's', included: [], excluded: [{ keys: ['u'] }], rules: [{ all: [] }] }] },
      expected: 'v1',
    },
  ])('answers as our evaluator does: $name', async ({ flag, others = {}, context, expected }) => {
    await using rig = await openSdkRig();
    rig.world.set({ ...others, flags: [ldFlag(0, flag), ...(others.flags ?? [])] });
    const client = await ready(rig.sdk({ sendEvents: false }));
    const asked = context ?? { user: { key: 'u', a: 'x', v: '1.9.0', in: { n: 7 } } };
    expect(evaluated(rig.world, FLAG, asked)).toBe(expected);
    expect(await client.variation(FLAG, { kind: 'multi', ...asked } as LDContext, 'default')).toBe(expected);
  });

  it.each<{ type: Flag['type']; value: null | boolean | number | string | object }>([
    { type: 'boolean', value: true },
    { type: 'number', value: 0.5 },
    { type: 'string', value: '' },
    { type: 'json', value: { a: [1, null, { b: '\n "x" \u2028' }] } },
  ])('serves a $type as it is', async ({ type, value }) => {
    await using rig = await openSdkRig();
    const variants = [{ name: 'only', value: value as string }];
    rig.world.set({ flags: [ldFlag(0, { type, variants, offVariant: 'only', fallthrough: { variant: 'only' } })] });
    const client = await ready(rig.sdk({ sendEvents: false }));
    expect(await client.variation(FLAG, { key: 'u' }, 'default')).toEqual(value);
  });
});

describe('change', () => {
  it('is seen within 250 ms: ramp, kill switch, a new flag and a flag that goes', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [ldFlag(0)] });
    const client = await ready(rig.sdk({ sendEvents: false }));
    const value = async (key = FLAG): Promise<unknown> => await client.variation(key, { key: 'u' }, 'default');
    const change = async (flag: string, flags: readonly Flag[]): Promise<void> => {
      const update = updateOf(client, flag, 250);
      rig.world.set({ flags });
      await update;
    };
    expect(await value()).toBe('v1');
    await change(FLAG, [ldFlag(100_000)]);
    expect(await value()).toBe('v2');
    await change(FLAG, [ldFlag(100_000, { on: false })]);
    expect(await value()).toBe('v1');
    await change('more', [ldFlag(0), splitFlag('more', 100_000)]);
    expect(await value('more')).toBe('v2');
    await change('more', [ldFlag(0)]);
    expect(await value('more')).toBe('default');
    await change('more', [ldFlag(0), splitFlag('more', 0)]);
    expect(await value('more')).toBe('v1');
  });

  it('reaches SDKs through an outage: the last values stay, then the new ones come', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [ldFlag(100_000)] });
    const client = await ready(rig.sdk({ sendEvents: false }));
    await rig.stop();
    expect(await client.variation(FLAG, { key: 'u' }, 'default')).toBe('v2');
    // Another process, with a history of its own.
    const next = keyedWorld();
    next.set({ flags: [ldFlag(100_000)] });
    next.set({ flags: [ldFlag(0)] });
    const update = updateOf(client, FLAG);
    await rig.restart(next);
    await update;
    expect(await client.variation(FLAG, { key: 'u' }, 'default')).toBe('v1');
    const again = updateOf(client, FLAG);
    next.set({ flags: [ldFlag(100_000)] });
    await again;
    expect(await client.variation(FLAG, { key: 'u' }, 'default')).toBe('v2');
  });
});
