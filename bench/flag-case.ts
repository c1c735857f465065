// The flag that every evaluator of the suite `flags` is asked about: three rules that mostly miss, then a sticky split of 10 to 90.
import type { Bucketing } from '@understudy/core/flags/bucketing-profile';
import type { Condition, Operator } from '@understudy/core/flags/condition';
import type { Context, JsonValue } from '@understudy/core/flags/context';
import { compileFlags } from '@understudy/core/flags/evaluator';
import type { Flag } from '@understudy/core/flags/flag';
import { renderFlagsmith } from '@understudy/core/flags/render-flagsmith';
import { renderLaunchDarkly } from '@understudy/core/flags/render-launchdarkly';
import { renderUnleash } from '@understudy/core/flags/render-unleash';

export const FLAG_KEY = 'ml-model-version';

/** A system whose buckets we reproduce. */
export type FlagFamily = 'unleash' | 'launchdarkly' | 'flagsmith' | 'flagd';

export interface FlagUser {
  readonly id: string;
  readonly region: string;
  readonly plan: string;
  readonly country: string;
  readonly age: number;
}

const USER_COUNT = 10_000;
const ENVIRONMENT = { key: 'ENV', name: 'production' };

const BUCKETINGS: Readonly<Record<FlagFamily, Bucketing>> = {
  unleash: { profile: 'unleash', salt: FLAG_KEY },
  launchdarkly: { profile: 'launchdarkly', salt: `${FLAG_KEY}.s1` },
  flagsmith: { profile: 'flagsmith', salt: '61', prefix: `${ENVIRONMENT.key}_`, whenMissing: 'none' },
  flagd: { profile: 'flagd', salt: FLAG_KEY },
};

export function flagUsers(): readonly FlagUser[] {
  return Array.from({ length: USER_COUNT }, (_, index) => ({
    id: `user-${index}`,
    region: index % 50 === 0 ? 'eu-north' : 'us-east',
    plan: index % 2 === 0 ? 'enterprise' : 'free',
    country: index % 100 === 1 ? 'SE' : 'US',
    age: 18 + (index % 60),
  }));
}

/** A user as our evaluator sees it. */
export function flagContext({ id, ...attributes }: FlagUser): Context {
  return { user: { key: id, ...attributes } };
}

/** Our own document, hashed as the family hashes. */
export function flagOf(family: FlagFamily): Flag {
  // flagd has no hundred thousandths: its weights add up to what they add up to.
  const unit = family === 'flagd' ? 1 : 1000;
  const slices = [
    { variant: 'v2', weight: 10 * unit },
    { variant: 'v1', weight: 90 * unit },
  ];
  return {
    key: FLAG_KEY,
    type: 'string',
    on: true,
    offVariant: 'v1',
    variants: ['v1', 'v2'].map((name) => ({ name, value: name })),
    prerequisites: [],
    pins: [],
    rules: [
      { all: [test('region', 'in', ['eu-north', 'eu-west']), test('plan', 'in', ['enterprise'])], serve: { variant: 'v2' } },
      { all: [test('country', 'in', ['SE', 'NO', 'DK'])], serve: { variant: 'v1' } },
      { all: [test('age', 'greater-than', [76])], serve: { variant: 'v2' } },
    ],
    fallthrough: { split: { slices, total: 100 * unit } },
    bucketing: BUCKETINGS[family],
  };
}

function test(attribute: string, operator: Operator, values: readonly JsonValue[]): Condition {
  return { type: 'attribute', attribute, operator, values };
}

/** Asks our evaluator for the variant of a user. */
export function openUnderstudyEvaluator(family: FlagFamily): (context: Context) => string {
  const evaluator = compileFlags({ flags: [flagOf(family)], segments: [] }, { compileRegex: () => undefined });
  const circumstances = { atMs: 0, random: () => 0 };
  return (context) => evaluator.evaluate(FLAG_KEY, context, circumstances).variant ?? '';
}

/** The same flag for every rival: written by our own renderers, and by hand for flagd. */
export function rivalDocuments(): Readonly<Record<FlagFamily, unknown>> {
  const documents = (family: FlagFamily) => ({ flags: [flagOf(family)], segments: [] });
  return {
    unleash: renderUnleash(documents('unleash'), { atMs: 0 }).data,
    launchdarkly: renderLaunchDarkly(documents('launchdarkly'), { atMs: 0, revision: 1 }).data,
    flagsmith: renderFlagsmith(documents('flagsmith'), { atMs: 0, environment: ENVIRONMENT }).data,
    flagd: {
      flags: { [FLAG_KEY]: { state: 'ENABLED', defaultVariant: 'v1', variants: { v1: 'v1', v2: 'v2' }, targeting: FLAGD } },
    },
  };
}

const FLAGD = {
  if: [
    { and: [{ in: [{ var: 'region' }, ['eu-north', 'eu-west']] }, { '==': [{ var: 'plan' }, 'enterprise'] }] },
    'v2',
    { in: [{ var: 'country' }, ['SE', 'NO', 'DK']] },
    'v1',
    { '>': [{ var: 'age' }, 76] },
    'v2',
    {
      fractional: [
        ['v2', 10],
        ['v1', 90],
      ],
    },
  ],
};
