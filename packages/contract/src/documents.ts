/** Schemas of everything the store keeps. A row read back is outside data until one of these has parsed it. */
import type { Baseline, ModelVersion, Signature, TensorSpec, VersionHealth, VersionSource } from '@understudy/core/model-version';
import type { ChampionTerm, Model, Routing, Watch } from '@understudy/core/model';
import type { Plan, PlanStep, PolicyConfig } from '@understudy/core/plan';
import type { GuardReading } from '@understudy/core/policy';
import type { Decision, Rollout, RolloutState } from '@understudy/core/rollout';
import type { Condition, RequestField, RoutingRule } from '@understudy/core/targeting';
import type { Token } from '@understudy/core/token';
import { z } from 'zod';

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

export const UpstreamProtocolSchema = z.enum(['predict', 'open-inference', 'tensorflow', 'mlflow']);

export const VersionSourceSchema: z.ZodType<VersionSource> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('onnx'), sha256: Sha256, bytes: z.int().positive(), signature: SignatureSchema }),
  z.strictObject({ kind: z.literal('upstream'), url: z.string(), protocol: UpstreamProtocolSchema, remoteModel: z.string() }),
]);

export const BaselineSchema: z.ZodType<Baseline> = z.strictObject({
  count: z.int().min(2),
  mean: z.number(),
  standardDeviation: z.number().nonnegative(),
  source: z.enum(['validation', 'live']),
  setAtMs: AtMs,
});

const VersionHealthSchema: z.ZodType<VersionHealth> = z.discriminatedUnion('state', [
  z.strictObject({ state: z.literal('healthy') }),
  z.strictObject({ state: z.literal('unhealthy'), reason: Reason, by: Person, atMs: AtMs }),
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

const WatchSchema: z.ZodType<Watch> = z.strictObject({
  limits: z.strictObject(HealthLimitsFields),
  checkEveryMs: z.number().min(100),
  cooldownMs: z.number().min(0),
});

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
  killed: z.strictObject({ atMs: AtMs, by: Person, reason: Reason }).exactOptional(),
  alarm: z.strictObject({ code: z.literal('no-last-known-good'), message: z.string(), sinceMs: AtMs }).exactOptional(),
  lastRollback: z.strictObject({ failed: Name, restored: Name, atMs: AtMs, by: Person, reason: Reason }).exactOptional(),
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

const PolicyConfigSchema: z.ZodType<PolicyConfig> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('thresholds'), ...ThresholdsFields, health: z.strictObject(HealthLimitsFields) }),
]);

const PlanStepSchema: z.ZodType<PlanStep> = z.strictObject({
  trafficPercent: z.number().gt(0).max(100),
  holdMs: z.number().nonnegative(),
  minSamples: z.int().nonnegative(),
});

export const PlanSchema: z.ZodType<Plan> = z.strictObject({
  name: Name,
  steps: z.array(PlanStepSchema).min(1),
  policy: PolicyConfigSchema,
  checkEveryMs: z.number().min(100),
  timeBox: z.strictObject({ afterMs: z.number().positive(), onExpiry: z.enum(['hold', 'roll-back']) }).exactOptional(),
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
  salt: z.string(),
  startedAtMs: AtMs,
  startedBy: Person,
  retryOf: Name.exactOptional(),
  state: RolloutStateSchema,
});

export const VerdictSchema = z.enum(['healthy', 'harmful', 'undecided', 'no-data', 'champion-sick', 'invalid']);

export const GuardReadingSchema: z.ZodType<GuardReading> = z.strictObject({
  guard: z.string(),
  verdict: VerdictSchema,
  champion: z.number().exactOptional(),
  challenger: z.number().exactOptional(),
  limit: z.number().exactOptional(),
  unit: z.enum(['ms', 'share', 'standard deviations']),
  samples: z.int().nonnegative(),
  reason: z.string(),
});

export const DecisionSchema: z.ZodType<Decision> = z.strictObject({
  action: z.enum(['begin', 'hold', 'advance', 'promote', 'roll-back']),
  verdict: VerdictSchema,
  reason: z.string(),
  guards: z.array(GuardReadingSchema),
  next: RolloutStateSchema,
});

export const ScopeSchema = z.enum(['predict', 'feedback', 'read', 'operate', 'admin']);

export const TokenSchema: z.ZodType<Token> = z.strictObject({
  id: z.string(),
  name: z.string(),
  sha256: Sha256,
  scopes: z.array(ScopeSchema).min(1),
  createdAtMs: AtMs,
  createdBy: Person,
  expiresAtMs: AtMs.exactOptional(),
});
