/** Schemas of everything the store keeps but rollouts. A row read back is outside data until one of these has parsed it. */
import type { Baseline, ModelVersion, Signature, TensorSpec, VersionHealth, VersionSource } from '@understudy/core/model-version';
import type { ChampionTerm, Comparison, Model, Routing, StandingShadow, Watch } from '@understudy/core/model';
import { binCountOf, type Distribution, MAX_BINS, MAX_CLASSES, type PredictionBins } from '@understudy/core/prediction-bins';
import type { Condition, RequestField, RoutingRule } from '@understudy/core/targeting';
import { type Scope, SCOPES, SDK_FAMILIES, type SdkFamily, type Token } from '@understudy/core/token';
import { z } from 'zod';
import { GoldenSetSchema } from './golden-documents.ts';
import { UpstreamProtocolSchema } from './upstream-protocol.ts';

/** Names become parts of URLs, metric labels and request ids, never of file paths. */
export const Name = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/i,
    'use 1 to 63 letters, digits, ".", "_" or "-", beginning and ending with a letter or digit',
  );

export const AtMs = z.number().nonnegative();
export const Person = z.string().min(1).max(200);
export const Reason = z.string().max(2000);
// A sentence of the engine may quote the reason of a person, so what it writes into a state is allowed to be longer.
export const EngineReason = z.string().max(4000);

/** A strict object of which every field may be left out, but not be `undefined`. */
export function exactPartial<Fields extends z.ZodRawShape>(
  fields: Fields,
): z.ZodObject<{ [Key in keyof Fields]: z.ZodExactOptional<Fields[Key]> }, z.core.$strict> {
  const optional = Object.fromEntries(Object.entries(fields).map(([name, schema]) => [name, z.exactOptional(schema)]));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.entries forgets which key has which schema
  return z.strictObject(optional as { [Key in keyof Fields]: z.ZodExactOptional<Fields[Key]> });
}

/** Lower-case hexadecimal SHA-256. */
export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'use the 64 hexadecimal digits of a SHA-256');

const TensorSpecSchema: z.ZodType<TensorSpec> = z.strictObject({
  name: z.string(),
  dataType: z.enum(['BOOL', 'UINT8', 'INT8', 'INT16', 'INT32', 'INT64', 'FP32', 'FP64', 'BYTES']),
  shape: z.array(z.int().min(-1)),
});

export const SignatureSchema: z.ZodType<Signature> = z.strictObject({
  inputs: z.array(TensorSpecSchema),
  outputs: z.array(TensorSpecSchema),
  prediction: z.string(),
});

export const VersionSourceSchema: z.ZodType<VersionSource> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('onnx'), sha256: Sha256, bytes: z.int().positive(), signature: SignatureSchema }),
  z.strictObject({ kind: z.literal('upstream'), url: z.string(), protocol: UpstreamProtocolSchema, remoteModel: z.string() }),
  z.strictObject({ kind: z.literal('external') }),
]);

const isAscending = (values: readonly number[]): boolean =>
  values.every((value, index) => index === 0 || value > (values[index - 1] ?? value));

export const PredictionBinsSchema: z.ZodType<PredictionBins> = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('ordered'),
    edges: z
      .array(z.number())
      .min(1)
      .max(MAX_BINS - 1)
      .refine(isAscending, 'edges must rise'),
  }),
  z.strictObject({ kind: z.literal('classes'), classes: z.array(z.string().max(200)).max(MAX_CLASSES) }),
]);

const DistributionSchema: z.ZodType<Distribution> = z
  .strictObject({ bins: PredictionBinsSchema, counts: z.array(z.int().nonnegative()) })
  .refine(({ bins, counts }) => counts.length === binCountOf(bins), 'there must be one count per bin');

export const BaselineSchema: z.ZodType<Baseline> = z.strictObject({
  count: z.int().min(2),
  mean: z.number(),
  standardDeviation: z.number().nonnegative(),
  distribution: DistributionSchema.exactOptional(),
  source: z.enum(['validation', 'live']),
  setAtMs: AtMs,
});

const VersionHealthSchema: z.ZodType<VersionHealth> = z.discriminatedUnion('state', [
  z.strictObject({ state: z.literal('healthy') }),
  z.strictObject({
    state: z.literal('unhealthy'),
    reason: Reason,
    by: Person,
    atMs: AtMs,
    released: z.strictObject({ reason: Reason, by: Person, atMs: AtMs }).exactOptional(),
  }),
]);

export const ModelVersionSchema: z.ZodType<ModelVersion> = z.strictObject({
  model: Name,
  version: Name,
  source: VersionSourceSchema,
  baseline: BaselineSchema.exactOptional(),
  health: VersionHealthSchema,
  note: z.string(),
  registeredAtMs: AtMs,
  registeredBy: Person,
});

export const RequestFieldSchema: z.ZodType<RequestField> = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('header'), name: z.string().min(1).max(100).toLowerCase() }),
  z.strictObject({ from: z.literal('cookie'), name: z.string().min(1).max(100) }),
  z.strictObject({ from: z.literal('json'), path: z.string().min(1).max(200) }),
  z.strictObject({ from: z.literal('api-key') }),
]);

const ConditionSchema: z.ZodType<Condition> = z.strictObject({
  field: RequestFieldSchema,
  operator: z.enum(['in', 'not-in', 'starts-with', 'ends-with', 'contains', 'present', 'absent']),
  values: z.array(z.string().max(500)).max(1000).default([]),
});

export const RoutingRuleSchema: z.ZodType<RoutingRule> = z.strictObject({
  id: Name,
  all: z.array(ConditionSchema).min(1).max(20),
  serve: z.enum(['champion', 'challenger']),
});

/** The routing of a model; fields left out keep their defaults when a model is created. */
export const RoutingFields = {
  subject: z.array(RequestFieldSchema).max(10),
  rules: z.array(RoutingRuleSchema).max(100),
  deadlineMs: z.number().min(10).max(600_000),
};

export const RoutingSchema: z.ZodType<Routing> = z.strictObject(RoutingFields);

/** Limits of the sliding-window health check, each with its range. */
export const HealthLimitsFields = {
  window: z.int().min(10).max(10_000),
  minSamples: z.int().min(1),
  p95LatencyMs: z.number().positive(),
  errorRate: z.number().min(0).max(1),
  meanDrift: z.number().positive(),
};

/** The watch over a champion but for its limits. */
export const WatchFields = {
  method: z.enum(['detectors', 'window']),
  shareDrift: z.number().gt(0).lt(1),
  onDrift: z.enum(['alert', 'roll-back']),
  checkEveryMs: z.number().min(100),
  cooldownMs: z.number().min(0),
};

/** Levels that labels of a champion must keep, by name. */
export const WatchedLabels = z
  .record(Name, z.number().gt(0).lt(1))
  .refine((labels) => Object.keys(labels).length <= 8, 'at most 8 labels');

const WatchSchema: z.ZodType<Watch> = z.strictObject({
  ...WatchFields,
  limits: z.strictObject(HealthLimitsFields),
  labels: WatchedLabels.exactOptional(),
});

/** At most ninety days: evidence is not kept for longer. */
export const LabelsDueMs = z
  .number()
  .min(0)
  .max(90 * 86_400_000);

const ChampionTermSchema: z.ZodType<ChampionTerm> = z.strictObject({
  version: Name,
  fromMs: AtMs,
  untilMs: AtMs.exactOptional(),
  began: z.enum(['promotion', 'rollback']),
});

/** How pairs are compared, each with its range. */
export const ComparisonFields = {
  absolute: z.number().nonnegative(),
  relative: z.number().min(0).max(10),
  segment: RequestFieldSchema,
  keepRequests: z.boolean(),
  redact: z.array(z.string().min(1).max(200)).max(100),
};

export const ComparisonSchema: z.ZodType<Comparison> = z.strictObject({
  ...ComparisonFields,
  segment: ComparisonFields.segment.exactOptional(),
});

/** What a person says about a standing shadow. */
export const ShadowFields = {
  version: Name,
  percent: z.number().gt(0).max(100).meta({ description: 'Share of subjects whose requests are copied.' }),
  rules: z.array(RoutingRuleSchema).max(100),
};

const StandingShadowSchema: z.ZodType<StandingShadow> = z.strictObject({
  ...ShadowFields,
  salt: z.string(),
  sinceMs: AtMs,
  by: Person,
  reason: Reason,
});

export const ModelSchema: z.ZodType<Model> = z.strictObject({
  name: Name,
  createdAtMs: AtMs,
  champion: Name.exactOptional(),
  terms: z.array(ChampionTermSchema),
  routing: RoutingSchema,
  watch: WatchSchema,
  labelsDueMs: LabelsDueMs.exactOptional(),
  killed: z.strictObject({ atMs: AtMs, by: Person, reason: Reason }).exactOptional(),
  alarm: z.strictObject({ code: z.literal('no-last-known-good'), message: z.string(), sinceMs: AtMs }).exactOptional(),
  passedOver: z
    .array(z.strictObject({ version: Name, reason: z.string(), sinceMs: AtMs }))
    .min(1)
    .exactOptional(),
  lastRollback: z.strictObject({ failed: Name, restored: Name, atMs: AtMs, by: Person, reason: Reason }).exactOptional(),
  comparison: ComparisonSchema.exactOptional(),
  shadow: StandingShadowSchema.exactOptional(),
  golden: GoldenSetSchema.exactOptional(),
  liveRollout: Name.exactOptional(),
  rolloutCount: z.int().nonnegative(),
});

export const ScopeSchema: z.ZodType<Scope> = z.enum(SCOPES);
export const SdkFamilySchema: z.ZodType<SdkFamily> = z.enum(SDK_FAMILIES);

export const TokenSchema: z.ZodType<Token> = z.strictObject({
  id: z.string(),
  name: z.string(),
  sha256: Sha256,
  scopes: z.array(ScopeSchema).min(1),
  createdAtMs: AtMs,
  createdBy: Person,
  expiresAtMs: AtMs.exactOptional(),
  sdk: SdkFamilySchema.exactOptional(),
});
