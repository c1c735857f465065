/** Schemas of plans, rollouts and decisions as the store keeps them. */
import { MAX_CHECKS } from '@understudy/core/checks/config';
import { CheckConfigSchema } from './checks.ts';
import { type Approval, type ApprovalRule, MOST_APPROVALS } from '@understudy/core/approval';
import type { Plan, PlanStep, PolicyConfig } from '@understudy/core/plan';
import type { Forecast, GuardReading, Interval } from '@understudy/core/policy';
import type { Decision, Restraint, Rollout, RolloutState } from '@understudy/core/rollout';
import type { GuardConfig, SequentialConfig } from '@understudy/core/sequential/config';
import type { Margin } from '@understudy/core/sequential/margin';
import type { ThresholdsConfig } from '@understudy/core/thresholds';
import { z } from 'zod';
import {
  AtMs,
  BaselineSchema,
  EngineReason,
  HealthLimitsFields,
  Name,
  Person,
  PredictionBinsSchema,
  Reason,
} from './documents.ts';

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
  agreement: { weight: Weight, atLeast: z.number().gt(0).lt(1) },
};

const GuardConfigSchema: z.ZodType<GuardConfig> = z.discriminatedUnion('metric', [
  z.strictObject({ metric: z.literal('errors'), ...GuardFields.errors }),
  z.strictObject({ metric: z.literal('latency'), ...GuardFields.latency }),
  z.strictObject({ metric: z.literal('drift'), ...GuardFields.drift }),
  z.strictObject({ metric: z.literal('score'), ...GuardFields.score }),
  z.strictObject({ metric: z.literal('feedback'), ...GuardFields.feedback }),
  z.strictObject({ metric: z.literal('limit'), ...GuardFields.limit, aboveMs: GuardFields.limit.aboveMs.exactOptional() }),
  z.strictObject({ metric: z.literal('agreement'), ...GuardFields.agreement }),
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

const ApprovalRuleSchema: z.ZodType<ApprovalRule> = z.strictObject({
  by: z.int().min(1).max(MOST_APPROVALS),
  fourEyes: z.boolean(),
});

const ApprovalSchema: z.ZodType<Approval> = z.strictObject({
  step: z.int().nonnegative(),
  by: Person,
  atMs: AtMs,
  reason: Reason,
});

const PlanStepSchema: z.ZodType<PlanStep> = z
  .strictObject({
    trafficPercent: z.number().min(0).max(100),
    shadowPercent: z.number().gt(0).max(100).exactOptional(),
    holdMs: z.number().nonnegative(),
    minSamples: z.int().nonnegative(),
    approval: ApprovalRuleSchema.exactOptional(),
    isBake: z.literal(true).exactOptional(),
  })
  .refine(({ trafficPercent, shadowPercent }) => trafficPercent > 0 !== (shadowPercent !== undefined), {
    error: 'a step has either a share of traffic or one of shadow',
  });

/** Gateways hear from the control plane every five seconds at the latest: a shorter lease would end at a slow answer. */
export const LEAST_LEASE_MS = 15_000;

export const StartCheckSchema = z.enum(['refuse', 'warn']);
export const OnExpirySchema = z.enum(['hold', 'roll-back', 'promote']);

export const PlanSchema: z.ZodType<Plan> = z.strictObject({
  name: Name,
  steps: z.array(PlanStepSchema).min(1),
  policy: PolicyConfigSchema,
  checks: z.array(CheckConfigSchema).max(MAX_CHECKS).exactOptional(),
  checkEveryMs: z.number().min(100),
  startCheck: StartCheckSchema,
  timeBox: z.strictObject({ afterMs: z.number().positive(), onExpiry: OnExpirySchema }).exactOptional(),
  leaseMs: z.number().min(LEAST_LEASE_MS).exactOptional(),
  pinnedPercent: z.number().min(0).max(100).exactOptional(),
  dryRun: z.boolean().exactOptional(),
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
  approvals: z.array(ApprovalSchema).max(MOST_APPROVALS).exactOptional(),
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
  difference: z.strictObject({ value: z.number(), interval: IntervalSchema }).exactOptional(),
  progress: z.strictObject({ harm: Share, safety: Share }).exactOptional(),
  unit: z.enum(['ms', 'share', 'standard deviations', 'score', 'number']),
  samples: z.int().nonnegative(),
  reason: z.string(),
});

export const ForecastSchema: z.ZodType<Forecast> = z.strictObject({
  verdictInMs: z.number().nonnegative().exactOptional(),
  sentence: z.string(),
});

export const RestraintSchema: z.ZodType<Restraint> = z.enum(['approval', 'freeze', 'time-box', 'dry-run']);
export const WouldSchema = z.enum(['begin', 'advance', 'promote', 'roll-back']);

export const DecisionSchema: z.ZodType<Decision> = z.strictObject({
  action: z.enum(['begin', 'hold', 'advance', 'promote', 'roll-back']),
  verdict: VerdictSchema,
  reason: z.string(),
  guards: z.array(GuardReadingSchema),
  next: RolloutStateSchema,
  isCutOff: z.literal(true).exactOptional(),
  heldFor: RestraintSchema.exactOptional(),
  would: WouldSchema.exactOptional(),
});
