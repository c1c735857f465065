import { describe, expect, it } from 'vitest';
import { compileFlags } from './evaluator.ts';
import type { Flag } from './flag.ts';
import { engineContextOf, importFlagsmith } from './import-flagsmith.ts';
import { renderFlagsmith } from './render-flagsmith.ts';

const TARGET = { atMs: 0, environment: { key: 'ENV', name: 'production' } };
const AT = { atMs: 0, random: () => 0.5 };

const VERSIONS: Flag = {
  key: 'f',
  type: 'string',
  on: true,
  offVariant: 'v1',
  variants: ['v1', 'v2', 'v3'].map((name) => ({ name, value: name })),
  prerequisites: [],
  pins: [],
  rules: [],
  fallthrough: { variant: 'v2' },
  bucketing: { profile: 'flagsmith', salt: '61', prefix: 'ENV_', whenMissing: 'none' },
};

const SWITCH: Flag = {
  ...VERSIONS,
  key: 'b',
  type: 'boolean',
  offVariant: 'off',
  variants: [
    { name: 'on', value: true },
    { name: 'off', value: false },
  ],
  fallthrough: { variant: 'on' },
};

describe('a flag that is off', () => {
  const soon = { fromMs: 10 };
  const unmet = [{ flag: 'b', variants: ['off'] }];
  it.each([
    { name: 'a text', flag: { ...VERSIONS, on: false }, enabled: false, value: 'v1' },
    { name: 'a text before its time', flag: { ...VERSIONS, schedule: soon }, enabled: false, value: 'v1' },
    { name: 'a text without an off variant', flag: { ...withoutOff(VERSIONS), on: false }, enabled: false, value: null },
    { name: 'a text whose prerequisite is not met', flag: { ...VERSIONS, prerequisites: unmet }, enabled: false, value: 'v1' },
    {
      name: 'a text that gives its off variant when it is on, too',
      flag: { ...VERSIONS, fallthrough: { variant: 'v1' }, prerequisites: unmet },
      enabled: false,
      value: 'v1',
    },
    { name: 'a boolean', flag: { ...SWITCH, key: 'f', on: false }, enabled: false, value: false },
    {
      name: 'a boolean that is true while off',
      flag: { ...SWITCH, key: 'f', offVariant: 'on', on: false },
      enabled: true,
      value: true,
    },
  ])('is enabled as our evaluator says: $name', ({ flag, enabled, value }) => {
    const documents = { flags: [flag, SWITCH], segments: [] };
    const { data } = renderFlagsmith(documents, TARGET);
    expect(data.feature_states[0]).toMatchObject({ enabled, feature_state_value: value });
    expect(compileFlags(documents, { compileRegex: () => undefined }).evaluate('f', {}, AT).isEnabled).toBe(enabled);
  });
});

function withoutOff({ offVariant: _none, ...flag }: Flag): Flag {
  return flag;
}

// SDKs join the identifiers of identical overrides with commas, and take each part for an identity.
describe('a pinned identity whose id has a comma', () => {
  const pins = [
    { variant: 'v1', keys: ['anna', 'bo,carl'] },
    { variant: 'v3', keys: ['bo,carl', 'x,y', '["z"]'] },
  ];
  const rules: Flag['rules'] = [
    { all: [{ type: 'attribute', attribute: 'key', operator: 'in', values: ['x,y', 'q'] }], serve: { variant: 'v1' } },
  ];

  it('is pinned by a segment before all others, and its parts are not', () => {
    const { data, losses } = renderFlagsmith({ flags: [{ ...VERSIONS, pins, rules }], segments: [] }, TARGET);
    expect(losses).toEqual([]);
    expect(data.identity_overrides?.map(({ identifier }) => identifier)).toEqual(['anna']);
    const there = compileFlags(importFlagsmith(engineContextOf(data)), { compileRegex: () => undefined });
    const given = ['anna', 'bo,carl', 'x,y', '["z"]', 'q', 'bo', 'carl', 'x', 'z'].map((key) => {
      return [key, there.evaluate('f', { user: { key } }, AT).value];
    });
    expect(Object.fromEntries(given)).toEqual({
      anna: 'v1',
      'bo,carl': 'v1',
      'x,y': 'v3',
      '["z"]': 'v3',
      q: 'v1',
      bo: 'v2',
      carl: 'v2',
      x: 'v2',
      z: 'v2',
    });
  });

  it('is followed by a boolean that mirrors the flag', () => {
    const split = { slices: ['v2', 'v1'].map((variant) => ({ variant, weight: 50_000 })) };
    const parent: Flag = { ...VERSIONS, fallthrough: { split }, pins: [{ variant: 'v2', keys: ['a,b'] }] };
    const mirror: Flag = { ...SWITCH, prerequisites: [{ flag: 'f', variants: ['v2'] }] };
    const documents = { flags: [parent, mirror], segments: [] };
    const there = compileFlags(importFlagsmith(engineContextOf(renderFlagsmith(documents, TARGET).data)), {
      compileRegex: () => undefined,
    });
    for (const key of ['a,b', 'a', ...Array.from({ length: 500 }, (_, id) => `user-${id}`)]) {
      const context = { user: { key } };
      expect(there.evaluate('b', context, AT).isEnabled).toBe(there.evaluate('f', context, AT).value === 'v2');
    }
    expect(there.evaluate('b', { user: { key: 'a,b' } }, AT).isEnabled).toBe(true);
  });
});
