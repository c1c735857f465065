// What is written for another system and read back answers as before, wherever the renderer reported no loss.
import { FlagsmithEnvironmentSchema } from '@understudy/contract/flag-imports/flagsmith';
import { LaunchDarklyDataSchema } from '@understudy/contract/flag-imports/launchdarkly';
import { UnleashStateSchema } from '@understudy/contract/flag-imports/unleash';
import type { Bucketing } from '@understudy/core/flags/bucketing-profile';
import type { Condition } from '@understudy/core/flags/condition';
import type { Context } from '@understudy/core/flags/context';
import { compileFlags, type Evaluator, type FlagDocuments } from '@understudy/core/flags/evaluator';
import type { Flag, Serve } from '@understudy/core/flags/flag';
import { engineContextOf, importFlagsmith } from '@understudy/core/flags/import-flagsmith';
import { importLaunchDarkly } from '@understudy/core/flags/import-launchdarkly';
import type { Import, Loss } from '@understudy/core/flags/import-report';
import { importUnleash } from '@understudy/core/flags/import-unleash';
import { renderFlagsmith } from '@understudy/core/flags/render-flagsmith';
import { renderLaunchDarkly } from '@understudy/core/flags/render-launchdarkly';
import { renderUnleash } from '@understudy/core/flags/render-unleash';
import type { Segment } from '@understudy/core/flags/segment';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRegex } from '../../packages/server/src/regex.ts';

fc.configureGlobal({ seed: 1 });

interface Family {
  readonly name: string;
  readonly bucketing: Bucketing;
  readonly there: (documents: FlagDocuments) => { readonly data: unknown; readonly losses: readonly Loss[] };
  readonly back: (data: unknown) => Import;
  /** The smallest share of random flags that must have no loss, so that the test is about something. */
  readonly leastExact: number;
}

const environment = { key: 'ENV', name: 'production' };

const FAMILIES: readonly Family[] = [
  {
    name: 'Unleash',
    bucketing: { profile: 'unleash', salt: 'f', whenMissing: 'random' },
    there: (documents) => renderUnleash(documents, { atMs: 0 }),
    back: (data) => importUnleash(UnleashStateSchema.parse(data)),
    leastExact: 0.15,
  },
  {
    name: 'LaunchDarkly',
    bucketing: { profile: 'launchdarkly', salt: 'f.s1' },
    there: (documents) => renderLaunchDarkly(documents, { atMs: 0, revision: 7 }),
    back: (data) => importLaunchDarkly(LaunchDarklyDataSchema.parse(data)),
    leastExact: 0.4,
  },
  {
    name: 'Flagsmith',
    bucketing: { profile: 'flagsmith', salt: '61', prefix: 'ENV_', whenMissing: 'none' },
    there: (documents) => renderFlagsmith(documents, { atMs: 0, environment }),
    back: (data) => importFlagsmith(engineContextOf(FlagsmithEnvironmentSchema.parse(data))),
    leastExact: 0.4,
  },
];

const VARIANTS = [
  { name: 'v1', value: 'v1' },
  { name: 'v2', value: 'v2' },
  { name: 'v3', value: 'v3' },
];
const word = fc.constantFrom('eu', 'us', 'uk', 'eu-north');
const some = <Value>(value: fc.Arbitrary<Value>) => fc.array(value, { minLength: 1, maxLength: 3 });
const variant = fc.constantFrom('v1', 'v2', 'v3');

const textCondition = fc.record({
  type: fc.constant('attribute' as const),
  attribute: fc.constantFrom('region', 'plan'),
  operator: fc.constantFrom('in', 'starts-with', 'ends-with', 'contains', 'present'),
  values: some(word),
  not: fc.boolean(),
  ifMissing: fc.boolean(),
});
const numberCondition = fc.record({
  type: fc.constant('attribute' as const),
  attribute: fc.constant('age'),
  operator: fc.constantFrom('less-than', 'less-than-or-equal', 'greater-than', 'greater-than-or-equal'),
  values: fc.tuple(fc.integer({ min: 18, max: 22 })),
});
const semverCondition = fc.record({
  type: fc.constant('attribute' as const),
  attribute: fc.constant('version'),
  operator: fc.constantFrom('semver-equals', 'semver-less-than', 'semver-greater-than'),
  values: fc.tuple(fc.constantFrom('1.2.3', '1.10.0', '2.0.0-rc.1')),
});
const segmentCondition = fc.record({ type: fc.constant('segment' as const), segments: fc.constant(['s']), not: fc.boolean() });
const simple = fc.oneof(textCondition, numberCondition, semverCondition, segmentCondition);
const group = fc.record({ type: fc.constantFrom('all', 'any', 'none'), of: fc.array(simple, { maxLength: 2 }) });
const condition: fc.Arbitrary<Condition> = fc.oneof({ weight: 4, arbitrary: simple }, { weight: 1, arbitrary: group });

const serve: fc.Arbitrary<Serve> = fc.oneof(
  fc.record({ variant }),
  fc
    .tuple(fc.array(fc.tuple(variant, fc.integer({ min: 1, max: 40 })), { minLength: 1, maxLength: 3 }), variant)
    .map(([parts, last]) => {
      const slices = parts.map(([name, percent]) => ({ variant: name, weight: percent * 800 }));
      const taken = slices.reduce((sum, { weight }) => sum + weight, 0);
      return { split: { slices: [...slices, { variant: last, weight: 100_000 - taken }] } };
    }),
);

const documents = (bucketing: Bucketing): fc.Arbitrary<FlagDocuments> => {
  const rules = fc.array(fc.record({ all: fc.array(condition, { minLength: 1, maxLength: 2 }), serve }), { maxLength: 3 });
  const pins = fc.array(fc.record({ variant, keys: fc.constantFrom(['user-1'], ['user-2', 'user-3']) }), { maxLength: 1 });
  const flag = fc.record({ on: fc.boolean(), offVariant: variant, pins, rules, fallthrough: serve }).map((fields): Flag => {
    return { key: 'f', type: 'string', variants: VARIANTS, prerequisites: [], bucketing, ...fields };
  });
  const all = fc.array(fc.oneof(textCondition, numberCondition), { maxLength: 2 });
  const segment = all.map((conditions): Segment => ({ key: 's', included: [], excluded: [], rules: [{ all: conditions }] }));
  return fc.record({ flags: fc.tuple(flag), segments: fc.tuple(segment) });
};

const contexts: fc.Arbitrary<Context> = fc
  .record(
    {
      region: word,
      plan: word,
      age: fc.integer({ min: 17, max: 23 }),
      version: fc.constantFrom('1.2.3', '1.2.4', '1.9.0', '2.0.0', 'x'),
    },
    { requiredKeys: [] },
  )
  .chain((attributes) => fc.nat(500).map((id) => ({ user: { key: `user-${id}`, ...attributes } })));

const at = { atMs: 0, random: () => 0.5 };

function compile(imported: FlagDocuments): Evaluator {
  return compileFlags(imported, { compileRegex });
}

describe.each(FAMILIES)('written for $name and read back', ({ bucketing, there, back, leastExact }) => {
  it('a flag answers as before when no loss was reported', () => {
    let exact = 0;
    const runs = 600;
    fc.assert(
      fc.property(documents(bucketing), fc.array(contexts, { minLength: 5, maxLength: 5 }), (before, asked) => {
        const { data, losses } = there(before);
        const after = compile(back(JSON.parse(JSON.stringify(data))));
        if (losses.length > 0) return;
        exact += 1;
        const now = compile(before);
        for (const context of asked) {
          expect(after.evaluate('f', context, at).value).toBe(now.evaluate('f', context, at).value);
        }
      }),
      { numRuns: runs },
    );
    expect(exact / runs).toBeGreaterThan(leastExact);
  });

  it('a boolean that follows a variant agrees with it for everybody', () => {
    const slices = [
      { variant: 'v2', weight: 12_345 },
      { variant: 'v1', weight: 87_655 },
    ];
    const versions: Flag = {
      key: 'f',
      type: 'string',
      on: true,
      offVariant: 'v1',
      variants: VARIANTS,
      prerequisites: [],
      pins: [{ variant: 'v2', keys: ['user-7'] }],
      rules: [{ all: [{ type: 'attribute', attribute: 'region', operator: 'in', values: ['eu'] }], serve: { variant: 'v2' } }],
      fallthrough: { split: { slices } },
      bucketing,
    };
    const derived: Flag = {
      ...versions,
      key: 'f-v2',
      type: 'boolean',
      offVariant: 'off',
      variants: [
        { name: 'on', value: true },
        { name: 'off', value: false },
      ],
      prerequisites: [{ flag: 'f', variants: ['v2'] }],
      pins: [],
      rules: [],
      fallthrough: { variant: 'on' },
    };
    const before = { flags: [versions, derived], segments: [] };
    const { data, losses } = there(before);
    expect(losses).toEqual([]);
    const [now, after] = [compile(before), compile(back(JSON.parse(JSON.stringify(data))))];
    for (let id = 0; id < 3000; id += 1) {
      const context = { user: { key: `user-${id}`, region: id % 10 === 0 ? 'eu' : 'us' } };
      const isSecond = now.evaluate('f', context, at).value === 'v2';
      expect(now.evaluate('f-v2', context, at).value).toBe(isSecond);
      expect(after.evaluate('f', context, at).value).toBe(isSecond ? 'v2' : 'v1');
      expect(after.evaluate('f-v2', context, at).isEnabled).toBe(isSecond);
    }
  });
});
