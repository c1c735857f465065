/** What LaunchDarkly sends to server-side SDKs. Fields that nothing here reads are let through: they grow every month. */
import type { JsonValue } from '@understudy/core/flags/context';
import type {
  LaunchDarklyClause,
  LaunchDarklyData,
  LaunchDarklyFlag,
  LaunchDarklyKeys,
  LaunchDarklyRollout,
  LaunchDarklySegment,
  LaunchDarklyTarget,
} from '@understudy/core/flags/launchdarkly-model';
import { z } from 'zod';

// Null and absence mean the same in what LaunchDarkly sends.
function maybe<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined);
}

const Json: z.ZodType<JsonValue> = z.json();

const Clause: z.ZodType<LaunchDarklyClause> = z.object({
  contextKind: maybe(z.string()),
  attribute: maybe(z.string()),
  op: z.string(),
  values: z.array(Json),
  negate: maybe(z.boolean()),
});

const WeightedVariation = z.object({ variation: z.int(), weight: z.number(), untracked: maybe(z.boolean()) });

const Rollout: z.ZodType<LaunchDarklyRollout> = z.object({
  kind: maybe(z.string()),
  contextKind: maybe(z.string()),
  bucketBy: maybe(z.string()),
  seed: maybe(z.int()),
  variations: maybe(z.array(WeightedVariation)),
});

const Serve = { variation: maybe(z.int()), rollout: maybe(Rollout) };

const Target: z.ZodType<LaunchDarklyTarget> = z.object({
  contextKind: maybe(z.string()),
  variation: z.int(),
  values: maybe(z.array(z.string())),
});

const Keys: z.ZodType<LaunchDarklyKeys> = z.object({ contextKind: maybe(z.string()), values: maybe(z.array(z.string())) });

const Rule = z.object({
  id: maybe(z.string()),
  clauses: maybe(z.array(Clause)),
  trackEvents: maybe(z.boolean()),
  ...Serve,
});

const Flag: z.ZodType<LaunchDarklyFlag> = z.object({
  key: z.string().min(1),
  on: z.boolean(),
  salt: maybe(z.string()),
  variations: z.array(Json),
  offVariation: maybe(z.int()),
  prerequisites: maybe(z.array(z.object({ key: z.string(), variation: z.int() }))),
  targets: maybe(z.array(Target)),
  contextTargets: maybe(z.array(Target)),
  rules: maybe(z.array(Rule)),
  fallthrough: maybe(z.object(Serve)),
  trackEvents: maybe(z.boolean()),
  trackEventsFallthrough: maybe(z.boolean()),
  debugEventsUntilDate: maybe(z.number()),
  excludeFromSummaries: maybe(z.boolean()),
  samplingRatio: maybe(z.number()),
  migration: maybe(z.object({ checkRatio: maybe(z.number()) })),
});

const SegmentRule = z.object({
  id: maybe(z.string()),
  clauses: maybe(z.array(Clause)),
  weight: maybe(z.number()),
  bucketBy: maybe(z.string()),
  rolloutContextKind: maybe(z.string()),
});

const Segment: z.ZodType<LaunchDarklySegment> = z.object({
  key: z.string().min(1),
  salt: maybe(z.string()),
  unbounded: maybe(z.boolean()),
  included: maybe(z.array(z.string())),
  excluded: maybe(z.array(z.string())),
  includedContexts: maybe(z.array(Keys)),
  excludedContexts: maybe(z.array(Keys)),
  rules: maybe(z.array(SegmentRule)),
});

/** The answer of `GET /sdk/latest-all`. */
export const LaunchDarklyDataSchema: z.ZodType<LaunchDarklyData> = z.object({
  flags: z.record(z.string(), Flag),
  segments: maybe(z.record(z.string(), Segment)),
});
