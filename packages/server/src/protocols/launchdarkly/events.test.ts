import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Flag } from '@understudy/core/flags/flag';
import type { FlagOutcome } from '../flag-world.ts';
import { splitFlag } from '../test-world.ts';
import { attributionOf } from './attribution.ts';
import { editionOf } from './edition.ts';
import { ids, keyedWorld, type Question, openSdkRig, plain, ready, until, updateOf } from './sdk-rig.contract.ts';

const FLAG = 'fraud-version';
const NOTHING = { exposures: 0, requests: 0, errors: 0, latencies: [], scores: {} };

function post(events: unknown, headers: Readonly<Record<string, string>> = {}): Question {
  return { method: 'POST', body: JSON.stringify(events), headers: { 'content-type': 'application/json', ...headers } };
}

function custom(key: string, more: object = {}, user = 'u'): object {
  return { kind: 'custom', key, creationDate: 1, context: { kind: 'user', key: user }, ...more };
}

function summary(counters: readonly object[], flag = FLAG): object {
  return { kind: 'summary', startDate: 1, endDate: 2, features: { [flag]: { default: 'x', contextKinds: ['user'], counters } } };
}

const V2 = { flag: FLAG, variant: 'v2' };

describe('events of the SDK', () => {
  it.each([{ enableEventCompression: false }, { enableEventCompression: true }])(
    'become outcomes of variants: %o',
    async (options) => {
      await using rig = await openSdkRig();
      rig.world.set({ flags: [splitFlag(FLAG, 100_000), splitFlag('other', 0)] });
      const client = await ready(rig.sdk(options));
      const user = { kind: 'user', key: 'u' } as const;
      for (const key of ['a', 'b', 'c']) await client.variation(FLAG, { kind: 'user', key }, 'v1');
      await client.variation('other', user, 'v1');
      await client.variation('nowhere', user, 'v1');
      client.track('understudy.error', user, V2, 12.5);
      client.track('understudy.success', user, V2);
      client.track('understudy.latency_ms', user, V2, 12.5);
      client.track('understudy.latency_ms', user, { ...V2, variant: 'v1' }, 7);
      client.track('understudy.score.auc', user, V2, 0.5);
      client.track('understudy.score.auc', user, V2, 1);
      client.track('bought-shoes', user, undefined, 99);
      client.identify(user);
      await client.flush();
      expect(plain(rig.world.outcomes)).toEqual([
        { ...NOTHING, flag: FLAG, variant: 'v1', latencies: [[7, 1]] },
        {
          flag: FLAG,
          variant: 'v2',
          exposures: 3,
          requests: 2,
          errors: 1,
          latencies: [[12.5, 2]],
          scores: { auc: { count: 2, sum: 1.5, sumSquares: 1.25 } },
        },
        { ...NOTHING, flag: 'other', variant: 'v1', exposures: 1 },
      ]);
      const batches = new Set(rig.world.outcomes.map(({ batch }) => batch));
      expect(batches.size).toBe(1);
      expect([...batches].join()).toMatch(/^[0-9a-f-]{36}$/);
    },
  );

  it('are charged to the variants of the version flags that the user has, when they name none', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [splitFlag(FLAG, 50_000), splitFlag('churn-version', 50_000), splitFlag('banner', 50_000)] });
    const client = await ready(rig.sdk());
    const users = ids(200).map((key) => ({ kind: 'user', key }) as const);
    const expected = new Map<string, number>();
    for (const user of users) {
      client.track('understudy.error', user);
      for (const flag of [FLAG, 'churn-version']) {
        const id = `${flag} ${String(await client.variation(flag, user, 'none'))}`;
        expected.set(id, (expected.get(id) ?? 0) + 1);
      }
    }
    await client.flush();
    const counted = rig.world.outcomes.map(({ flag, variant, errors }) => [`${flag} ${variant}`, errors] as const);
    expect(new Map(counted)).toEqual(expected);
    expect(expected.size).toBe(4);
  });

  it('send the diagnostics of the SDK nowhere, and are answered with 202 and the time', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [splitFlag(FLAG, 0)] });
    await ready(rig.sdk({ diagnosticOptOut: false }));
    for (const path of ['/diagnostic', '/bulk']) {
      const answer = await rig.ask(path, post({ kind: 'diagnostic-init', id: {}, creationDate: 1 }));
      expect(answer.status).toBe(202);
      expect(Date.parse(answer.headers.get('date') ?? '')).toBeGreaterThan(0);
    }
    expect(rig.world.outcomes).toEqual([]);
  });

  it('are sent again by the SDK when outcomes cannot be kept, and count once', async () => {
    await using rig = await openSdkRig();
    let failures = 1;
    const world = keyedWorld();
    Object.assign(world.ports.outcomes, {
      report: async (outcomes: readonly FlagOutcome[]) => {
        await Promise.resolve();
        failures -= 1;
        if (failures >= 0) throw new Error('the disk is full');
        world.outcomes.push(...outcomes);
      },
    });
    world.set({ flags: [splitFlag(FLAG, 100_000)] });
    await rig.restart(world);
    const client = await ready(rig.sdk());
    await client.variation(FLAG, { key: 'u' }, 'v1');
    await client.flush();
    expect(plain(world.outcomes)).toEqual([{ ...NOTHING, flag: FLAG, variant: 'v2', exposures: 1 }]);
  });

  it('are counted by value when a variation had another number at the time', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [splitFlag(FLAG, 0)] });
    const client = await ready(rig.sdk());
    await client.variation(FLAG, { key: 'u' }, 'none');
    const update = updateOf(client, FLAG);
    rig.world.set({ flags: [splitFlag(FLAG, 0, { variants: [{ name: 'v1', value: 'v1' }] })] });
    await update;
    await client.flush();
    expect(plain(rig.world.outcomes)).toEqual([{ ...NOTHING, flag: FLAG, variant: 'v1', exposures: 1 }]);
  });
});

describe('POST /bulk', () => {
  it('counts a payload once, however often and at whatever moment it comes', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [splitFlag(FLAG, 0)] });
    const send = async (id: string) => {
      const counters = [{ value: 'v1', variation: 1, version: 1, count: 5 }];
      const answer = await rig.ask('/bulk', post([summary(counters)], { 'x-launchdarkly-payload-id': id }));
      return answer.status;
    };
    expect(await Promise.all([send('a'), send('a'), send('b')])).toEqual([202, 202, 202]);
    expect(await send('a')).toBe(202);
    expect(
      rig.world.outcomes.map(({ batch, exposures }) => `${batch} ${exposures}`).toSorted((a, b) => a.localeCompare(b)),
    ).toEqual(['a 5', 'b 5']);
  });

  it.each<{ name: string; event: object; flag?: Partial<Flag>; expected: readonly object[] }>([
    { name: 'an error without data', event: custom('understudy.error'), expected: [{ requests: 1, errors: 1 }] },
    { name: 'only a flag', event: custom('understudy.error', { data: { flag: FLAG } }), expected: [{ requests: 1, errors: 1 }] },
    {
      name: 'the keys of a context only',
      event: { ...custom('understudy.error'), context: undefined, contextKeys: { user: 'u' } },
      expected: [{ requests: 1, errors: 1 }],
    },
    {
      name: 'a context of several kinds',
      event: custom('understudy.error', { context: { kind: 'multi', user: { key: 'u' }, device: { key: 'd' } } }),
      expected: [{ requests: 1, errors: 1 }],
    },
    {
      name: 'a rule that is met',
      event: custom('understudy.error', { context: { kind: 'user', key: 'u', plan: 'free' } }),
      flag: {
        rules: [{ all: [{ type: 'attribute', attribute: 'plan', operator: 'in', values: ['free'] }], serve: { variant: 'v1' } }],
      },
      expected: [{ variant: 'v1', requests: 1, errors: 1 }],
    },
    {
      name: 'rules on attributes that are held back',
      event: custom('understudy.error', { context: { kind: 'user', key: 'u', _meta: { redactedAttributes: ['plan'] } } }),
      flag: {
        rules: [{ all: [{ type: 'attribute', attribute: 'plan', operator: 'in', values: ['free'] }], serve: { variant: 'v1' } }],
      },
      expected: [],
    },
    {
      name: 'a bucket by an attribute that is held back',
      event: custom('understudy.error', { context: { kind: 'user', key: 'u', _meta: { redactedAttributes: ['account'] } } }),
      flag: { bucketing: { profile: 'launchdarkly', salt: 's', by: [{ attribute: 'account' }] } },
      expected: [],
    },
    {
      name: 'an attribute that is held back and asked by nobody',
      event: custom('understudy.error', { context: { kind: 'user', key: 'u', _meta: { redactedAttributes: ['account'] } } }),
      expected: [{ requests: 1, errors: 1 }],
    },
    {
      name: 'a rule with a pattern',
      event: custom('understudy.error', { context: { kind: 'user', key: 'u', plan: 'free' } }),
      flag: {
        rules: [
          { all: [{ type: 'attribute', attribute: 'plan', operator: 'matches', values: ['x'] }], serve: { variant: 'v1' } },
        ],
      },
      expected: [],
    },
    { name: 'a success', event: custom('understudy.success', { data: V2 }), expected: [{ requests: 1 }] },
    {
      name: 'a success with its latency',
      event: custom('understudy.success', { data: V2, metricValue: 12.5 }),
      expected: [{ requests: 1, latencies: [[12.5, 1]] }],
    },
    { name: 'a success of less than no time', event: custom('understudy.success', { data: V2, metricValue: -1 }), expected: [] },
    {
      name: 'an exposure as no request',
      event: summary([{ value: 'v2', variation: 0, version: 1, count: 3 }]),
      expected: [{ exposures: 3 }],
    },
    { name: 'an unknown flag', event: custom('understudy.error', { data: { ...V2, flag: 'x' } }), expected: [] },
    { name: 'an unknown variant', event: custom('understudy.error', { data: { ...V2, variant: 'v9' } }), expected: [] },
    { name: 'no context', event: { kind: 'custom', key: 'understudy.error' }, expected: [] },
    { name: 'a latency below zero', event: custom('understudy.latency_ms', { data: V2, metricValue: -1 }), expected: [] },
    { name: 'a latency without a value', event: custom('understudy.latency_ms', { data: V2 }), expected: [] },
    { name: 'a score above one', event: custom('understudy.score.auc', { data: V2, metricValue: 1.1 }), expected: [] },
    { name: 'a misspelt metric', event: custom('understudy.latency', { data: V2, metricValue: 1 }), expected: [] },
    { name: 'a feature event', event: { kind: 'feature', key: FLAG, value: 'v2', variation: 0, version: 1 }, expected: [] },
    { name: 'an unknown kind', event: { kind: 'migration_op', nested: { deep: [1] } }, expected: [] },
    { name: 'a default', event: summary([{ value: 'x', count: 3 }]), expected: [] },
    { name: 'an unknown value', event: summary([{ value: 'v9', variation: 0, version: 1, count: 3 }]), expected: [] },
    { name: 'counters that are none', event: summary([{ value: 'v2', variation: 0, count: -3 }, { x: 1 }]), expected: [] },
  ])('understands $name', async ({ event, flag = {}, expected }) => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [splitFlag(FLAG, 100_000, flag)] });
    const answer = await rig.ask('/bulk', post([null, 7, event, 'x']));
    expect(answer.status).toBe(202);
    expect(plain(rig.world.outcomes)).toEqual(expected.map((more) => ({ ...NOTHING, flag: FLAG, variant: 'v2', ...more })));
  });

  it('says in the log what it could not use', async () => {
    await using rig = await openSdkRig();
    const lines: unknown[] = [];
    const world = keyedWorld();
    Object.assign(world.ports.log, { warn: (fields: object, event: string) => void lines.push([event, fields]) });
    world.set({ flags: [splitFlag(FLAG, 0)] });
    await rig.restart(world);
    await rig.ask('/bulk', post([custom('understudy.eror'), custom('understudy.eror')]));
    const problem =
      '"understudy.eror" is none of understudy.success, understudy.error, understudy.latency_ms and understudy.score.<name>';
    expect(lines).toEqual([['launchdarkly.events_refused', { problem, count: 2 }]]);
  });

  it('summarises many latencies within 1 %', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [splitFlag(FLAG, 0)] });
    const events = Array.from({ length: 5000 }, (_, index) =>
      custom('understudy.latency_ms', { data: V2, metricValue: 10 + index / 100 }),
    );
    await rig.ask('/bulk', post(events));
    const [outcome] = rig.world.outcomes;
    const latencies = outcome?.latencies ?? [];
    expect(latencies.length).toBeLessThan(200);
    expect(latencies.reduce((sum, [, count]) => sum + count, 0)).toBe(5000);
    const mean = latencies.reduce((sum, [ms, count]) => sum + ms * count, 0) / 5000;
    expect(mean).toBeGreaterThan(35 * 0.99);
    expect(mean).toBeLessThan(35 * 1.01);
  });

  // Any other status of the 400s makes SDKs stop sending for good.
  it.each<{ name: string; options: Question; message: string }>([
    { name: 'no JSON', options: { method: 'POST', body: '{' }, message: 'the body cannot be read as JSON' },
    { name: 'nothing', options: { method: 'POST' }, message: 'the body is empty' },
    {
      name: 'gzip that is none',
      options: { method: 'POST', body: 'x', headers: { 'content-encoding': 'gzip' } },
      message: 'the body cannot be decompressed as gzip',
    },
    {
      name: 'an unknown encoding',
      options: { method: 'POST', body: 'x', headers: { 'content-encoding': 'zstd' } },
      message: 'content-encoding is none of gzip',
    },
    {
      name: 'too much',
      options: { method: 'POST', body: ' '.repeat(17 * 1024 * 1024) },
      message: 'too large',
    },
    {
      name: 'too much that is compressed',
      options: { method: 'POST', body: gzipSync(' '.repeat(17 * 1024 * 1024)), headers: { 'content-encoding': 'gzip' } },
      message: 'is larger than 16777216 bytes',
    },
  ])('answers $name with 400', async ({ options, message }) => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [] });
    const answer = await rig.ask('/bulk', options);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({ code: 'request.invalid', message: expect.stringContaining(message) });
  });

  it('shows that an SDK is there which only streams and reports', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [] });
    await rig.ask('/bulk', post([]));
    expect(rig.world.sightings).toMatchObject([{ family: 'launchdarkly', isLocal: true }]);
  });

  it('takes any content type, and is closed without a key', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [] });
    expect((await rig.ask('/bulk', { method: 'POST', body: '[]', headers: { 'content-type': 'text/plain' } })).status).toBe(202);
    const answer = await rig.ask('/bulk', { ...post([]), headers: { authorization: '' } });
    expect(answer.status).toBe(401);
  });
});

describe('attribution', () => {
  it('agrees with the SDK for 10,000 users of a flag whose hash SDKs do not have', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [splitFlag(FLAG, 30_000)] });
    const state = rig.world.ports.world.now();
    if (state === undefined) throw new Error('no state');
    const client = await ready(rig.sdk({ sendEvents: false }));
    await until(() => client.initialized());
    const attribution = attributionOf(editionOf(state, 0), 0);
    let disagreements = 0;
    for (const key of ids(10_000)) {
      const context = { kind: 'user', key } as const;
      if ((await client.variation(FLAG, context, 'none')) !== attribution.of(FLAG, { context })) disagreements += 1;
    }
    expect(disagreements).toBe(0);
  });
});
