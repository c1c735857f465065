// Runs Unleash's client specification against our own evaluator: import, then evaluate.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Circumstances } from '@understudy/core/flags/bucketing-profile';
import type { Context, JsonValue } from '@understudy/core/flags/context';
import { compileFlags, type Evaluator } from '@understudy/core/flags/evaluator';
import { importUnleash } from '@understudy/core/flags/import-unleash';
import { parseInstant } from '@understudy/core/flags/instant';
import { FlagSchema, SegmentSchema } from '@understudy/contract/flag-documents';
import { UnleashStateSchema } from '@understudy/contract/flag-imports/unleash';
import { describe, expect, it } from 'vitest';
import { compileRegex } from '../../packages/server/src/regex.ts';

interface UnleashContext {
  readonly currentTime?: string;
  readonly properties?: Readonly<Record<string, JsonValue>>;
  readonly [field: string]: JsonValue | undefined;
}

interface Case {
  readonly description: string;
  readonly context: UnleashContext;
  readonly toggleName: string;
  readonly expectedResult: unknown;
}

interface Specification {
  readonly name: string;
  readonly state: Readonly<Record<string, unknown>>;
  readonly tests?: readonly Case[];
  readonly variantTests?: readonly Case[];
}

interface DeltaEvent {
  readonly type: string;
  readonly feature?: { readonly name: string };
  readonly featureName?: string;
  readonly segment?: { readonly id: number };
  readonly segmentId?: number;
  readonly features?: readonly { readonly name: string }[];
  readonly segments?: readonly { readonly id: number }[];
}

const folder = path.join(
  path.dirname(fileURLToPath(import.meta.resolve('@unleash/client-specification/package.json'))),
  'specifications',
);
const read = (file: string): unknown => JSON.parse(readFileSync(path.join(folder, file), 'utf8'));
const specifications = (read('index.json') as string[]).map((file) => read(file) as Specification);

/** What the events of the delta API add up to. */
function stateOf(state: Specification['state']): unknown {
  if (state['events'] === undefined) return state;
  const features = new Map<string, unknown>();
  const segments = new Map<number, unknown>();
  for (const event of state['events'] as DeltaEvent[]) {
    for (const feature of [...(event.features ?? []), ...(event.feature ? [event.feature] : [])])
      features.set(feature.name, feature);
    for (const segment of [...(event.segments ?? []), ...(event.segment ? [event.segment] : [])])
      segments.set(segment.id, segment);
    if (event.featureName !== undefined) features.delete(event.featureName);
    if (event.segmentId !== undefined) segments.delete(event.segmentId);
  }
  return { version: 2, features: [...features.values()], segments: [...segments.values()] };
}

function contextOf({ properties = {}, userId, ...fields }: UnleashContext): Context {
  return { user: { ...properties, ...fields, ...(userId === undefined ? {} : { key: userId }) } };
}

function ask(evaluator: Evaluator, { toggleName, context }: Case) {
  const atMs = parseInstant(context.currentTime ?? '2026-11-21T00:00:00Z') ?? Number.NaN;
  const circumstances: Circumstances = { atMs, random: () => 0.5 };
  return evaluator.evaluate(toggleName, contextOf(context), circumstances);
}

describe.each(specifications)('Unleash client specification $name', ({ state, tests = [], variantTests = [] }) => {
  const imported = importUnleash(UnleashStateSchema.parse(stateOf(state)));
  const evaluator = compileFlags(imported, { compileRegex });

  it('imports documents that our own schemas accept', () => {
    for (const flag of imported.flags) expect(FlagSchema.parse(flag)).toEqual(flag);
    for (const segment of imported.segments) expect(SegmentSchema.parse(segment)).toEqual(segment);
  });

  it.each(tests)('$description', (test) => {
    expect(ask(evaluator, test).isEnabled).toBe(test.expectedResult);
  });

  it.each(variantTests)('variant: $description', (test) => {
    const { isEnabled, variant, value } = ask(evaluator, test);
    const hasVariant = isEnabled && typeof value !== 'boolean' && variant !== 'enabled';
    const name = hasVariant ? variant : 'disabled';
    const expected = test.expectedResult as { readonly payload?: { readonly type: string } };
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const payload = expected.payload === undefined ? {} : { payload: { type: expected.payload.type, value: text } };
    expect({ name, enabled: hasVariant, feature_enabled: isEnabled, ...payload }).toEqual(expected);
  });
});

it('has run all 279 cases', () => {
  const count = specifications.reduce((sum, { tests = [], variantTests = [] }) => sum + tests.length + variantTests.length, 0);
  expect(count).toBe(279);
});
