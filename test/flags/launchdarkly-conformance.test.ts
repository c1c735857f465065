// Runs LaunchDarkly's evaluation cases (sdk-test-harness, server-side-eval) against our own evaluator, when they are at hand.
import { LaunchDarklyDataSchema } from '@understudy/contract/flag-imports/launchdarkly';
import type { Attributes, Context, JsonValue } from '@understudy/core/flags/context';
import type { Evaluation } from '@understudy/core/flags/evaluation';
import { compileFlags } from '@understudy/core/flags/evaluator';
import { importLaunchDarkly } from '@understudy/core/flags/import-launchdarkly';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { findCaseSet, readCase } from './case-sets.ts';
import { compileRegex } from '../../packages/server/src/regex.ts';

type Json = Readonly<Record<string, JsonValue>>;

interface Case {
  readonly name?: string;
  readonly flagKey: string;
  readonly context?: Json;
  readonly user?: Json;
  readonly default?: JsonValue;
  readonly valueType?: string;
  readonly expect: { readonly value?: JsonValue; readonly variationIndex?: number; readonly reason?: Json };
}

interface Suite {
  readonly name: string;
  readonly requireCapability?: string;
  readonly sdkData: { readonly flags?: Record<string, Json>; readonly segments?: Record<string, Json> };
  readonly evaluations: readonly Case[];
}

/** Puts parameters and constants where `<NAME>` stands, as whole values or inside of texts. */
function substitute(value: unknown, names: ReadonlyMap<string, unknown>): unknown {
  if (typeof value === 'string') {
    const whole = /^<([A-Za-z0-9_]+)>$/.exec(value)?.[1];
    if (whole !== undefined && names.has(whole)) return substitute(names.get(whole), names);
    return value.replaceAll(/<([A-Za-z0-9_]+)>/g, (text, name: string) => {
      if (!names.has(name)) return text;
      const inner = substitute(names.get(name), names);
      return typeof inner === 'string' ? inner : JSON.stringify(inner);
    });
  }
  if (Array.isArray(value)) return value.map((element) => substitute(element, names));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [substitute(key, names), substitute(inner, names)]);
  return Object.fromEntries(entries);
}

/** A list of parameters is a suite each; a list of lists, every combination of them. */
function combinations(parameters: readonly unknown[]): readonly (readonly [string, unknown][])[] {
  const asEntries = (parameter: unknown) => Object.entries(parameter as object);
  if (!parameters.every(Array.isArray)) return parameters.map(asEntries);
  return parameters.reduce<readonly (readonly [string, unknown][])[]>(
    (all, group) => all.flatMap((before) => (group as unknown[]).map((parameter) => [...before, ...asEntries(parameter)])),
    [[]],
  );
}

function suitesOf(text: string): readonly Suite[] {
  const file = parse(text, { merge: true }) as Record<string, unknown>;
  const { constants = {}, parameters = [{}], ...suite } = file;
  return combinations(parameters as unknown[]).map((parameter) => {
    const names = new Map([...Object.entries(constants as object), ...parameter]);
    return substitute(suite, names) as Suite;
  });
}

/** The flags and segments of a suite, as LaunchDarkly would send them. */
function dataOf({ flags = {}, segments = {} }: Suite['sdkData']) {
  const keyed = (items: Record<string, Json>) =>
    Object.fromEntries(Object.entries(items).map(([key, item]) => [key, { on: true, variations: [], ...item, key }]));
  return LaunchDarklyDataSchema.parse({ flags: keyed(flags), segments: keyed(segments) });
}

function entityOf({ custom, ...attributes }: Json): Attributes {
  return { anonymous: false, ...(custom as Json | undefined), ...attributes };
}

function contextOf({ context, user }: Case): Context {
  const given = context ?? user ?? {};
  if (given['kind'] !== 'multi') return { [typeof given['kind'] === 'string' ? given['kind'] : 'user']: entityOf(given) };
  const entities = Object.entries(given).filter(([kind]) => kind !== 'kind');
  return Object.fromEntries(entities.map(([kind, entity]) => [kind, entityOf(entity as Json)]));
}

function reasonOf({ detail, isInExperiment }: Evaluation): Json {
  const experiment = isInExperiment ? { inExperiment: true } : {};
  switch (detail.kind) {
    case 'off':
    case 'unscheduled':
      return { kind: 'OFF' };
    case 'prerequisite':
      return { kind: 'PREREQUISITE_FAILED', prerequisiteKey: detail.flag };
    case 'pin':
      return { kind: 'TARGET_MATCH' };
    case 'rule':
      return { kind: 'RULE_MATCH', ruleIndex: detail.index, ...(detail.id ? { ruleId: detail.id } : {}), ...experiment };
    case 'fallthrough':
      return { kind: 'FALLTHROUGH', ...experiment };
    case 'error':
      return { kind: 'ERROR', errorKind: detail.code === 'FLAG_NOT_FOUND' ? 'FLAG_NOT_FOUND' : 'MALFORMED_FLAG' };
  }
}

const TYPES: Readonly<Record<string, string>> = { bool: 'boolean', int: 'number', double: 'number', string: 'string' };

const set = findCaseSet('launchdarkly-evaluation');

if ('absent' in set) {
  it.skip(`LaunchDarkly evaluation: ${set.absent}`, () => {});
} else {
  const suites = set.files.flatMap((file) => suitesOf(readCase(set.folder, file)));
  describe.each(suites)('LaunchDarkly: $name', ({ sdkData, evaluations }) => {
    const data = dataOf(sdkData);
    const imported = importLaunchDarkly(data);
    const evaluator = compileFlags(imported, { compileRegex });

    it.each(evaluations)('$name', (test) => {
      const evaluation = evaluator.evaluate(test.flagKey, contextOf(test), { atMs: 0, random: () => 0 });
      const { flagKey, default: fallback = null, valueType = 'any', expect: expected } = test;
      // Typed access is the SDK's part: a value of another type is its error, not the evaluation's.
      const wanted = TYPES[valueType];
      const isWrongType = wanted !== undefined && evaluation.value !== undefined && typeof evaluation.value !== wanted;
      const reason = isWrongType ? { kind: 'ERROR', errorKind: 'WRONG_TYPE' } : reasonOf(evaluation);
      const value = isWrongType ? fallback : (evaluation.value ?? fallback);
      const variants = imported.flags.find(({ key }) => key === flagKey)?.variants ?? [];
      const variationIndex = variants.findIndex(({ name }) => name === evaluation.variant);
      if (expected.value !== undefined && !('default' in test && expected.value === null)) {
        // Without a default in the case, a missing value is the harness's own zero value.
        if ('default' in test || evaluation.value !== undefined) expect(value).toEqual(expected.value);
      }
      if (expected.reason !== undefined) expect(reason).toEqual(expected.reason);
      if (expected.variationIndex !== undefined) expect(variationIndex).toBe(expected.variationIndex);
    });
  });

  it('has run every evaluation at hand', () => {
    const count = suites.reduce((sum, { evaluations }) => sum + evaluations.length, 0);
    expect(count).toBeGreaterThan(400);
  });
}
