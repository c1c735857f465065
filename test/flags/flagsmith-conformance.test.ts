// Runs Flagsmith's engine cases (engine-test-data) against our own evaluator, when they are at hand.
import type { Context, JsonValue } from '@understudy/core/flags/context';
import type { Evaluation } from '@understudy/core/flags/evaluation';
import { compileFlags } from '@understudy/core/flags/evaluator';
import type { FlagsmithEngineContext } from '@understudy/core/flags/flagsmith-model';
import { importFlagsmith } from '@understudy/core/flags/import-flagsmith';
import JSON5 from 'json5';
import { describe, expect, it } from 'vitest';
import { findCaseSet, readCase } from './case-sets.ts';
import { compileRegex } from '../../packages/server/src/regex.ts';

interface EngineContext extends FlagsmithEngineContext {
  readonly environment: { readonly key: string; readonly name: string };
  readonly identity?: {
    readonly identifier: string;
    readonly key?: string;
    readonly traits?: Readonly<Record<string, JsonValue>>;
  };
}

interface ExpectedFlag {
  readonly enabled: boolean;
  readonly value: JsonValue;
  readonly reason: string;
  readonly variant?: string | null;
}

interface EngineCase {
  readonly context: EngineContext;
  readonly result: {
    readonly flags: Readonly<Record<string, ExpectedFlag>>;
    readonly segments: readonly { readonly name: string }[];
  };
}

const KEY = { kind: 'identity', attribute: 'key' } as const;

function contextOf({ environment, identity }: EngineContext): Context {
  if (identity === undefined) return { environment };
  const { identifier, key = `${environment.key}_${identifier}`, traits = {} } = identity;
  return { environment, identity: { key }, user: { ...traits, key: identifier } };
}

/** What Flagsmith gives as the reason: the weight of the slice, the segment of the override, or nothing particular. */
function reasonOf(evaluation: Evaluation, { context }: EngineCase): string {
  const { detail, variant, reason, flag } = evaluation;
  const segment = detail.kind === 'rule' ? context.segments?.[detail.id ?? ''] : undefined;
  const feature =
    segment === undefined
      ? Object.values(context.features ?? {}).find(({ name }) => name === flag)
      : segment.overrides?.find(({ name }) => name === flag);
  if (reason === 'SPLIT' && context.identity !== undefined && !variant?.startsWith('control')) {
    const option = feature?.variants?.find(({ value }) => value === evaluation.value);
    return `SPLIT; weight=${option?.weight}`;
  }
  return segment === undefined ? 'DEFAULT' : `TARGETING_MATCH; segment=${segment.name}`;
}

const set = findCaseSet('flagsmith-engine');

if ('absent' in set) {
  it.skip(`Flagsmith engine: ${set.absent}`, () => {});
} else {
  const cases = set.files.map((file) => ({ file, test: JSON5.parse<EngineCase>(readCase(set.folder, file)) }));
  describe('Flagsmith engine', () => {
    it.each(cases)('$file', ({ test }) => {
      const { context, result } = test;
      const imported = importFlagsmith(context, KEY);
      const evaluator = compileFlags(imported, { compileRegex });
      const circumstances = { atMs: 0, random: () => 0 };
      const asked = contextOf(context);
      for (const [name, expected] of Object.entries(result.flags)) {
        const evaluation = evaluator.evaluate(name, asked, circumstances);
        const { isEnabled: enabled, value, variant } = evaluation;
        expect({ enabled, value, reason: reasonOf(evaluation, test) }).toEqual({
          enabled: expected.enabled,
          value: expected.value,
          reason: expected.reason,
        });
        if (typeof expected.variant === 'string') expect(variant).toBe(expected.variant);
      }
      const members = imported.segments
        .filter(({ key }) => context.identity !== undefined && evaluator.isInSegment(key, asked, circumstances))
        .map(({ name }) => name);
      expect(new Set(members)).toEqual(new Set(result.segments.map(({ name }) => name)));
    });

    it('has run every case at hand', () => {
      expect(cases.length).toBeGreaterThan(100);
    });
  });
}
