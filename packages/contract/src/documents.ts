/** Schemas of everything the store keeps. A row read back is outside data until one of these has parsed it. */
import type { Baseline, ModelVersion, Signature, TensorSpec, VersionHealth, VersionSource } from '@understudy/core/model-version';
import type { ChampionTerm, Model, Routing, Watch } from '@understudy/core/model';
import type { Plan, PlanStep, PolicyConfig } from '@understudy/core/plan';
import type { Forecast, GuardReading, Interval } from '@understudy/core/policy';
import { binCountOf, type Distribution, MAX_BINS, MAX_CLASSES, type PredictionBins } from '@understudy/core/prediction-bins';
import type { Decision, Rollout, RolloutState } from '@understudy/core/rollout';
import type { GuardConfig, SequentialConfig } from '@understudy/core/sequential/config';
import type { Margin } from '@understudy/core/sequential/margin';
import type { ThresholdsConfig } from '@understudy/core/thresholds';
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

const AtMs = z.number().nonnegative();
const Person = z.string().min(1).max(200);
const Reason = z.string().max(2000);
// A sentence of the engine may quote the reason of a person, so what it writes into a state is allowed to be longer.
const EngineReason = z.string().max(4000);

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

const PredictionBinsSchema: z.ZodType<PredictionBins> = z.discriminatedUnion('kind', [
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

const RoutingRuleSchema: z.ZodType<RoutingRule> = z.strictObject({
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
  golden: GoldenSetSchema.exactOptional(),
  liveRollout: Name.exactOptional(),
  rolloutCount: z.int().nonnegative(),
});

/** Numbers of the policy `thresholds`, each with its range. */
export const ThresholdsFields = {
  minSamples: z.int().min(2),
  window: z.int().min(10).max(10_000),
  p50Ratio: z.number().min(1),
  p99Ratio: z.number().min(1),
  ignoreLatencyBelowMs: z.number().nonnegative(),
};

const Share = z.number().min(0).max(1);
const Weight = z.number().min(0).max(1000);
const Risk = z.number().gt(0).max(0.5);

const MarginSchema: z.ZodType<Margin> = z.strictObject({ ratio: z.number().min(1).max(1000), plus: Share });

const ScoreFields = {
  name: Name,
  better: z.enum(['higher', 'lower']),
  weight: Weight,
  tolerance: z.number().min(0).lt(1),
  promote: z.number().gt(0).lt(1),
};

/** The fields of each guard of the policy `sequential`, by its metric. */
export const GuardFields = {
  errors: { of: z.enum(['all', 'invalid', 'timeouts']), weight: Weight, rollback: MarginSchema, promote: MarginSchema },
  latency: {
    quantile: z.number().gt(0).lt(1),
    weight: Weight,
    ratio: z.number().min(1).max(1000),
    ignoreBelowMs: z.number().nonnegative(),
  },
  drift: { weight: Weight, tolerance: z.number().gt(0).lt(1), promote: z.number().gt(0).lt(1) },
  score: ScoreFields,
  feedback: { ...ScoreFields, needed: z.enum(['each-step', 'promotion', 'afterwards']) },
  limit: { of: z.enum(['errors', 'latency']), weight: Weight, share: z.number().gt(0).lt(1), aboveMs: z.number().positive() },
};

const GuardConfigSchema: z.ZodType<GuardConfig> = z.discriminatedUnion('metric', [
  z.strictObject({ metric: z.literal('errors'), ...GuardFields.errors }),
  z.strictObject({ metric: z.literal('latency'), ...GuardFields.latency }),
  z.strictObject({ metric: z.literal('drift'), ...GuardFields.drift }),
  z.strictObject({ metric: z.literal('score'), ...GuardFields.score }),
  z.strictObject({ metric: z.literal('feedback'), ...GuardFields.feedback }),
  z.strictObject({ metric: z.literal('limit'), ...GuardFields.limit, aboveMs: GuardFields.limit.aboveMs.exactOptional() }),
]);

/** What a champion must keep; see the verdict `champion-sick`. */
export const SickFields = { errorRate: z.number().gt(0).lt(1), slowMs: z.number().positive(), slowShare: z.number().gt(0).lt(1) };

/** Numbers of the policy `sequential` that are the same in a plan file and in a stored plan. */
export const SequentialFields = {
  alpha: Risk,
  promoteRisk: Risk,
  strictPromoteRisk: Risk,
  splitTolerance: z.number().min(0).max(10),
};

const SequentialSchema: z.ZodType<{ readonly kind: 'sequential' } & SequentialConfig> = z.strictObject({
  kind: z.literal('sequential'),
  ...SequentialFields,
  guards: z.array(GuardConfigSchema).min(1).max(32),
  errorsEveryMs: z.number().min(1000),
  othersEveryMs: z.number().min(1000),
  silenceMs: z.number().min(1000),
  sick: z.strictObject(SickFields),
});

const ThresholdsSchema: z.ZodType<{ readonly kind: 'thresholds' } & ThresholdsConfig> = z.strictObject({
  kind: z.literal('thresholds'),
  ...ThresholdsFields,
  health: z.strictObject(HealthLimitsFields),
});

const PolicyConfigSchema: z.ZodType<PolicyConfig> = z.union([SequentialSchema, ThresholdsSchema]);

const PlanStepSchema: z.ZodType<PlanStep> = z.strictObject({
  trafficPercent: z.number().gt(0).max(100),
  holdMs: z.number().nonnegative(),
  minSamples: z.int().nonnegative(),
  isBake: z.literal(true).exactOptional(),
});

/** Gateways hear from the control plane every five seconds at the latest: a shorter lease would end at a slow answer. */
export const LEAST_LEASE_MS = 15_000;

export const StartCheckSchema = z.enum(['refuse', 'warn']);
export const OnExpirySchema = z.enum(['hold', 'roll-back', 'promote']);

export const PlanSchema: z.ZodType<Plan> = z.strictObject({
  name: Name,
  steps: z.array(PlanStepSchema).min(1),
  policy: PolicyConfigSchema,
  checkEveryMs: z.number().min(100),
  startCheck: StartCheckSchema,
  timeBox: z.strictObject({ afterMs: z.number().positive(), onExpiry: OnExpirySchema }).exactOptional(),
  leaseMs: z.number().min(LEAST_LEASE_MS).exactOptional(),
  pinnedPercent: z.number().min(0).max(100).exactOptional(),
});

const ended = { step: z.int().min(-1), atMs: AtMs, by: Person, reason: EngineReason };

export const RolloutStateSchema: z.ZodType<RolloutState> = z.discriminatedUnion('phase', [
  z.strictObject({ phase: z.literal('preparing'), sinceMs: AtMs }),
  z.strictObject({ phase: z.literal('stepping'), step: z.int().nonnegative(), sinceMs: z.number() }),
  z.strictObject({
    phase: z.literal('paused'),
    step: z.int().nonnegative(),
    heldMs: z.number(),
    atMs: AtMs,
    by: Person,
    reason: Reason,
  }),
  z.strictObject({ phase: z.literal('promoted'), atMs: AtMs, by: Person, reason: EngineReason }),
  z.strictObject({ phase: z.literal('rolled-back'), ...ended }),
  z.strictObject({ phase: z.literal('aborted'), ...ended }),
  z.strictObject({ phase: z.literal('killed'), ...ended }),
]);

export const RolloutSchema: z.ZodType<Rollout> = z.strictObject({
  id: Name,
  model: Name,
  champion: Name,
  challenger: Name,
  plan: PlanSchema,
  baselines: z
    .strictObject({ champion: BaselineSchema.exactOptional(), challenger: BaselineSchema.exactOptional() })
    .exactOptional(),
  bins: PredictionBinsSchema.exactOptional(),
  remarks: z.array(z.string().max(2000)).max(100).exactOptional(),
  salt: z.string(),
  startedAtMs: AtMs,
  startedBy: Person,
  retryOf: Name.exactOptional(),
  state: RolloutStateSchema,
});

export const VerdictSchema = z.enum(['healthy', 'harmful', 'undecided', 'no-data', 'champion-sick', 'invalid']);

const IntervalSchema: z.ZodType<Interval> = z.tuple([z.number(), z.number()]);

export const GuardReadingSchema: z.ZodType<GuardReading> = z.strictObject({
  guard: z.string(),
  verdict: VerdictSchema,
  champion: z.number().exactOptional(),
  challenger: z.number().exactOptional(),
  limit: z.number().exactOptional(),
  margin: z.number().exactOptional(),
  intervals: z.strictObject({ champion: IntervalSchema, challenger: IntervalSchema }).exactOptional(),
  progress: z.strictObject({ harm: Share, safety: Share }).exactOptional(),
  unit: z.enum(['ms', 'share', 'standard deviations', 'score']),
  samples: z.int().nonnegative(),
  reason: z.string(),
});

export const ForecastSchema: z.ZodType<Forecast> = z.strictObject({
  verdictInMs: z.number().nonnegative().exactOptional(),
  sentence: z.string(),
});

export const DecisionSchema: z.ZodType<Decision> = z.strictObject({
  action: z.enum(['begin', 'hold', 'advance', 'promote', 'roll-back']),
  verdict: VerdictSchema,
  reason: z.string(),
  guards: z.array(GuardReadingSchema),
  next: RolloutStateSchema,
  isCutOff: z.literal(true).exactOptional(),
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
