import { type Client, createClient } from '@understudy/contract/client';
import type { Flag } from '@understudy/core/flags/flag';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { flagOf } from '../commands/test-world.ts';
import { openTestControl, refusal, type TestControl } from './test-control.ts';

let control: TestControl;
let address: string;
let call: Client;

beforeEach(async () => {
  control = await openTestControl();
  address = await control.api.listen({ host: '127.0.0.1', port: 0 });
  call = createClient({ url: address, token: control.tokenFor('operate') });
});

afterEach(async () => {
  await control[Symbol.asyncDispose]();
});

const WHY = { reason: 'test' };

async function save(flag: Flag, revision = 0) {
  return call('saveFlag', { params: { flag: flag.key }, body: { flag, revision, ...WHY } });
}

async function openFraud(): Promise<void> {
  const upstream = { url: 'http://10.0.0.7:8080/', protocol: 'predict' } as const;
  await call('createModel', { body: { name: 'fraud' } });
  await call('registerVersion', { params: { model: 'fraud' }, body: { version: 'v1', upstream } });
  await call('promoteVersion', { params: { model: 'fraud', version: 'v1' }, body: WHY });
}

describe('flags', () => {
  it('are listed with those that follow models, which say so', async () => {
    await openFraud();
    await save(flagOf('banner', { prerequisites: [{ flag: 'fraud-version', variants: ['v1'] }] }));
    const views = await call('listFlags', {});
    expect(views.map(({ flag, follows, neededBy }) => ({ key: flag.key, follows, neededBy }))).toEqual([
      { key: 'fraud-version', follows: 'fraud', neededBy: ['banner'] },
      { key: 'banner', follows: undefined, neededBy: [] },
    ]);
    expect(await refusal(save(flagOf('fraud-version')))).toMatch(/^flag\.reserved: /);
  });

  it('are saved, read, replaced at the revision that was read, and deleted', async () => {
    const saved = await save(flagOf('checkout'));
    expect(await call('getFlag', { params: { flag: 'checkout' } })).toEqual(saved);
    expect(await refusal(save(flagOf('checkout', { on: false })))).toMatch(/^flag\.changed: .*there is one already/);
    const next = await save(flagOf('checkout', { on: false }), saved.revision);
    expect(next.flag.on).toBe(false);
    const gone = await call('deleteFlag', { params: { flag: 'checkout' }, query: WHY });
    expect(gone).toMatchObject({ outcome: 'done', message: 'deleted flag "checkout"' });
    expect(await refusal(call('getFlag', { params: { flag: 'checkout' } }))).toMatch(/^flag\.not_found: .*there is none yet/);
  });

  it.each(['a/b', 'ümlaut & spaces', '100%', 'evaluate', 'import'])('may be called "%s"', async (key) => {
    await save(flagOf(key));
    expect((await call('getFlag', { params: { flag: key } })).flag.key).toBe(key);
    expect((await call('switchFlag', { params: { flag: key }, body: { on: false, ...WHY } })).outcome).toBe('done');
  });

  it('have one key in body and address', async () => {
    const other = call('saveFlag', { params: { flag: 'a' }, body: { flag: flagOf('b'), revision: 0, ...WHY } });
    expect(await refusal(other)).toMatch(/^request\.invalid: cannot save the flag "b" under "a"/);
  });

  it('are refused with the place of what is wrong', async () => {
    const wrong = save(flagOf('checkout', { fallthrough: { variant: 'x' } }));
    expect(await refusal(wrong)).toMatch(/^request\.invalid: .*flag\.fallthrough\.variant: there is no variant "x"/);
  });

  it('are switched and ramped', async () => {
    await save(flagOf('checkout'));
    const params = { flag: 'checkout' };
    const ramped = await call('rampFlag', { params, body: { variant: 'new', percent: 25, ...WHY } });
    expect(ramped.message).toContain('25 % of the subjects there moved');
    const off = await call('switchFlag', { params, body: { on: false, ...WHY } });
    expect(off.message).toBe('flag "checkout" is off: all subjects get "old"');
    expect((await call('evaluateFlag', { body: { flag: 'checkout' } })).detail).toEqual({ kind: 'off' });
  });

  it('are changed with the scope operate and read with read', async () => {
    await save(flagOf('checkout'));
    const reader = createClient({ url: address, token: control.tokenFor('read') });
    expect((await reader('evaluateFlag', { body: { flag: 'checkout' } })).variant).toBe('old');
    const off = reader('switchFlag', { params: { flag: 'checkout' }, body: { on: false, ...WHY } });
    expect(await refusal(off)).toMatch(/^auth\.forbidden: /);
  });
});

describe('an evaluation', () => {
  const sentences = async (body: Parameters<typeof call<'evaluateFlag'>>[1]['body']) => {
    const { why, variant, reason } = await call('evaluateFlag', { body });
    return { variant, reason, why: why.map(({ step, sentence }) => `${step}: ${sentence}`) };
  };

  it('says every step until the bucket', async () => {
    await save(flagOf('parent', { fallthrough: { variant: 'new' } }));
    await save(
      flagOf('checkout', {
        schedule: { fromMs: 5 },
        prerequisites: [{ flag: 'parent', variants: ['new'] }],
        pins: [{ variant: 'new', keys: ['ana'] }],
        rules: [
          {
            id: 'grown up',
            all: [{ type: 'attribute', attribute: 'age', operator: 'greater-than', values: [17] }],
            serve: { variant: 'new' },
          },
        ],
        fallthrough: {
          split: {
            slices: [
              { variant: 'new', weight: 25_000 },
              { variant: 'old', weight: 75_000 },
            ],
          },
        },
      }),
    );
    expect(await sentences({ flag: 'checkout', context: { key: 'ana' } })).toMatchObject({
      variant: 'new',
      reason: 'TARGETING_MATCH',
      why: [
        'switch: The flag is on.',
        'schedule: The schedule lets it be on at this time.',
        'prerequisite: The prerequisite "parent", one of "new", while on, is met; it gives "new".',
        `pin: Pinned: the subject's key is listed for "new".`,
      ],
    });
    expect((await sentences({ flag: 'checkout', context: { key: 'bo', age: 30 } })).why.at(-1)).toBe(
      'rule: Rule 1 (grown up) holds: "new".',
    );
    const { why } = await sentences({ flag: 'checkout', context: { key: 'bo', age: 3 } });
    expect(why.slice(3)).toEqual([
      'pin: No pin lists the subject.',
      'rule: Rule 1 (grown up) does not hold: "age" is 3, asked for is "greater than 17".',
      expect.stringMatching(
        /^fallthrough: Fallthrough: the subject's bucket is \d+ of 100000 \(at [\d.]+ %, hash "unleash" with salt "checkout"\), in the slice from \d+ % to \d+ %, which is "(new|old)"\.$/,
      ),
    ]);
  });

  it('names the prerequisite that is not met, and the schedule that has not begun', async () => {
    await save(flagOf('parent', { on: false }));
    await save(
      flagOf('child', { prerequisites: [{ flag: 'parent', variants: ['old'] }], schedule: { fromMs: Date.UTC(2026, 5, 1) } }),
    );
    expect((await sentences({ flag: 'child' })).why.at(-1)).toBe(
      'prerequisite: The prerequisite "parent", one of "old", while on, is not met: everybody for whom it is not gets the off variant "old"; it gives "old".',
    );
    expect((await sentences({ flag: 'child', at: '2026-01-01T00:00:00Z' })).why.at(-1)).toBe(
      'schedule: The schedule has not begun: everybody gets the off variant "old".',
    );
  });

  it('takes entities of other kinds, and refuses "kind" as an attribute', async () => {
    const all = [{ type: 'attribute', kind: 'organization', attribute: 'key', operator: 'in', values: ['acme'] } as const];
    await save(flagOf('checkout', { rules: [{ all, serve: { variant: 'new' } }] }));
    expect((await sentences({ flag: 'checkout', kinds: { organization: { key: 'acme' } } })).variant).toBe('new');
    expect((await sentences({ flag: 'checkout' })).why.at(-2)).toBe(
      'rule: Rule 1 does not hold: the context has no "key" of "organization".',
    );
    expect(await refusal(sentences({ flag: 'checkout', context: { kind: 'user' } }))).toMatch(
      /^request\.invalid: .*under "kinds"/,
    );
  });

  it('is about flags that there are', async () => {
    expect(await refusal(sentences({ flag: 'nope' }))).toMatch(/^flag\.not_found: /);
  });
});

describe('segments', () => {
  it('are saved, listed with their users, and deleted', async () => {
    const segment = { key: 'testers', included: [{ keys: ['ana'] }], excluded: [], rules: [] };
    const saved = await call('saveSegment', { params: { segment: 'testers' }, body: { segment, revision: 0, ...WHY } });
    await save(flagOf('checkout', { rules: [{ all: [{ type: 'segment', segments: ['testers'] }], serve: { variant: 'new' } }] }));
    expect((await call('listSegments', {})).map(({ usedBy }) => usedBy)).toEqual([['flag "checkout"']]);
    expect((await call('getSegment', { params: { segment: 'testers' } })).segment).toEqual(saved.segment);
    const remove = () => call('deleteSegment', { params: { segment: 'testers' }, query: WHY });
    expect(await refusal(remove())).toMatch(/^segment\.in_use: /);
    await call('deleteFlag', { params: { flag: 'checkout' }, query: WHY });
    expect((await remove()).outcome).toBe('done');
    expect(await refusal(call('getSegment', { params: { segment: 'testers' } }))).toMatch(/^segment\.not_found: /);
  });
});

describe('an import', () => {
  const DATA = {
    unleash: { features: [{ name: 'u', enabled: true, strategies: [{ name: 'default' }] }] },
    launchdarkly: {
      flags: { l: { key: 'l', on: true, salt: 's', variations: [true, false], offVariation: 1, fallthrough: { variation: 0 } } },
    },
    flagsmith: {
      id: 1,
      api_key: 'k',
      project: { id: 1, name: 'p', segments: [] },
      feature_states: [{ enabled: true, feature_state_value: 'x', feature: { id: 1, name: 'f' }, django_id: 1 }],
    },
  } as const;

  it.each([
    { from: 'unleash', key: 'u' },
    { from: 'launchdarkly', key: 'l' },
    { from: 'flagsmith', key: 'f' },
  ] as const)('of $from is shown first, then written', async ({ from, key }) => {
    const body = { from, data: DATA[from] };
    const preview = await call('importFlags', { body: { ...body, dryRun: true } });
    expect(preview).toMatchObject({ outcome: 'dry-run', flags: [{ key }], leftOut: [] });
    expect(await call('listFlags', {})).toEqual([]);
    const written = await call('importFlags', { body });
    expect(written).toMatchObject({ outcome: 'written', message: `imported 1 flag and 0 segments from ${from}` });
    expect((await call('getFlag', { params: { flag: key } })).flag).toEqual(written.flags[0]);
  });

  it('refuses what is no such file, with the place', async () => {
    const wrong = call('importFlags', { body: { from: 'unleash', data: { features: [{ enabled: true }] } } });
    expect(await refusal(wrong)).toMatch(/^request\.invalid: the data to import is not the answer of .*features\.\[1\]\.name/);
  });

  it('may be larger than other requests', async () => {
    const features = Array.from({ length: 4000 }, (_, index) => ({
      name: `f${index}`,
      description: 'x'.repeat(500),
      enabled: true,
      strategies: [{ name: 'default' }],
    }));
    const { flags } = await call('importFlags', { body: { from: 'unleash', data: { features }, dryRun: true } });
    expect(flags).toHaveLength(4000);
  });
});
