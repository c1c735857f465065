/** What the control API answers with: documents, and what follows from them. */
import { z } from 'zod';
import { ModelSchema, ModelVersionSchema, ScopeSchema, SdkFamilySchema, Sha256, SignatureSchema } from './documents.ts';
import {
  DecisionSchema,
  ForecastSchema,
  GuardReadingSchema,
  RestraintSchema,
  RolloutSchema,
  VerdictSchema,
  WouldSchema,
} from './rollout-documents.ts';
import { CopiesView } from './copies-view.ts';
import { GoldenSetSchema } from './golden-documents.ts';
import { ReadinessSchema, StandingSchema } from './report.ts';
import { TallyView } from './tally-view.ts';

/** The watch over a champion, as the engine last saw it. */
export const WatchView = z.strictObject({
  state: z.enum(['healthy', 'waiting', 'drifted', 'cooling-down', 'violated']),
  reason: z.string(),
  guards: z.array(GuardReadingSchema),
});
export type WatchView = z.infer<typeof WatchView>;

/** Requests of one version on one arm, over the whole time that evidence is held for. */
export const ArmCounts = z.strictObject({
  arm: z.enum(['champion', 'challenger', 'shadow']),
  version: z.string(),
  requests: z.int(),
  errors: z.int(),
  rescued: z.int(),
  p50Ms: z.number().exactOptional(),
  p99Ms: z.number().exactOptional(),
});
export type ArmCounts = z.infer<typeof ArmCounts>;

/** Whether a rollback of the champion would work now. */
export const DrillView = z.strictObject({
  model: z.string(),
  outcome: z.enum(['works', 'doubtful', 'fails']),
  /** Where it would go. */
  target: z.string().exactOptional(),
  checks: z.array(
    z.strictObject({
      name: z.enum(['champion', 'target', 'gateways', 'loaded', 'probed', 'inputs', 'automatic']),
      outcome: z.enum(['ok', 'doubtful', 'failed']),
      detail: z.string(),
    }),
  ),
  atMs: z.number(),
});
export type DrillView = z.infer<typeof DrillView>;

/** The golden requests of a model; absent when it has none. */
export const GoldenView = z.strictObject({ model: z.string(), golden: GoldenSetSchema.exactOptional() });
export type GoldenView = z.infer<typeof GoldenView>;

export const ModelView = z.strictObject({
  model: ModelSchema,
  /** Where a rollback would go now. */
  lastKnownGood: z.string().exactOptional(),
  /** Whether that would work, as a drill says, and what speaks against it; absent without champion. */
  wayBack: z.strictObject({ outcome: z.enum(['works', 'doubtful', 'fails']), warnings: z.array(z.string()) }).exactOptional(),
  /** How many golden requests the model has; they are not part of `model` here, see `getGolden`. */
  goldenRequests: z.int().exactOptional(),
  /** Share of subjects on the challenger, in percent. */
  challengerPercent: z.number(),
  watch: WatchView.exactOptional(),
});
export type ModelView = z.infer<typeof ModelView>;

export const VersionView = z.strictObject({
  version: ModelVersionSchema,
  role: z.enum(['champion', 'challenger', 'former-champion', 'idle']),
  /** By gateway name. */
  readiness: z.record(z.string(), ReadinessSchema),
  /** What a person should know before using it; absent when there is nothing. */
  warnings: z.array(z.string()).exactOptional(),
});
export type VersionView = z.infer<typeof VersionView>;

export const RolloutView = z.strictObject({
  rollout: RolloutSchema,
  challengerPercent: z.number(),
  /** Promoted, but labels of its requests are due until then: late truth may still roll it back. */
  provisionalUntilMs: z.number().exactOptional(),
  /** What the engine would say now; absent for rollouts that are over for good. */
  now: z
    .strictObject({
      verdict: VerdictSchema,
      reason: z.string(),
      guards: z.array(GuardReadingSchema),
      /** When to expect a verdict, and what would be caught by then. */
      forecast: ForecastSchema.exactOptional(),
      /** What people keep it from doing, and how: an approval, a freeze, the time box, a dry run. */
      heldFor: RestraintSchema.exactOptional(),
      would: WouldSchema.exactOptional(),
      atMs: z.number(),
    })
    .exactOptional(),
  /** Evidence since the present step began, or since the start for ended rollouts. */
  arms: z.array(ArmCounts),
  /** The newest step of shadow; absent for plans without one. */
  shadow: CopiesView.exactOptional(),
  /** The newest decision that is stored. */
  lastDecision: z.strictObject({ atMs: z.number(), decision: DecisionSchema }).exactOptional(),
  /** What a person should know before trusting the rollout: guards without data, and the like. */
  warnings: z.array(z.string()),
});
export type RolloutView = z.infer<typeof RolloutView>;

export const DecisionView = z.strictObject({
  rollout: z.string(),
  window: z.int(),
  revision: z.int(),
  atMs: z.number(),
  decision: DecisionSchema,
});
export type DecisionView = z.infer<typeof DecisionView>;

const ActionSchema = z.enum(['begin', 'hold', 'advance', 'promote', 'roll-back']);

/** A stored decision beside what the stored evidence says now. */
export const ReplayedDecisionView = z.strictObject({
  atMs: z.number(),
  action: ActionSchema,
  recorded: VerdictSchema,
  replayed: VerdictSchema,
  /** Verdict and every number of every guard are the same. */
  isSame: z.boolean(),
});
export type ReplayedDecisionView = z.infer<typeof ReplayedDecisionView>;

/** The first moment at which another plan would have decided otherwise. */
export const DivergenceView = z.strictObject({
  atMs: z.number(),
  recorded: ActionSchema,
  other: ActionSchema,
  verdict: VerdictSchema,
  reason: z.string(),
  challengerRequests: z.int(),
});
export type DivergenceView = z.infer<typeof DivergenceView>;

/** What came of deciding a rollout again from its stored evidence. */
export const ReplayView = z.discriminatedUnion('outcome', [
  z.strictObject({
    outcome: z.literal('replayed'),
    /** Oldest first. */
    decisions: z.array(ReplayedDecisionView),
    /** Every decision is the same. */
    isFaithful: z.boolean(),
    /** The name of the other plan, when one was asked about. */
    otherPlan: z.string().exactOptional(),
    /** Absent when the other plan would have decided the same to the end. */
    divergence: DivergenceView.exactOptional(),
  }),
  /** Evidence is kept for a time only, and some of this rollout's is gone. */
  z.strictObject({ outcome: z.literal('evidence-deleted'), keptSinceMs: z.number().exactOptional() }),
  /** More than a server can hold beside its other work. */
  z.strictObject({ outcome: z.literal('too-much-evidence'), mostBlocks: z.int() }),
]);
export type ReplayView = z.infer<typeof ReplayView>;

/** What one arm of a rollout did in one step. */
export const ArmEvidenceView = z.strictObject({
  arm: z.enum(['champion', 'challenger', 'shadow']),
  version: z.string(),
  step: z.int(),
  tally: TallyView,
});
export type ArmEvidenceView = z.infer<typeof ArmEvidenceView>;

/** What the arms of a rollout did, as far as it is still stored. */
export const RolloutEvidenceView = z.strictObject({
  /** First step first. */
  arms: z.array(ArmEvidenceView),
  /** From the first request to the last; absent when there is none. */
  span: z.strictObject({ fromMs: z.number(), untilMs: z.number() }).exactOptional(),
});
export type RolloutEvidenceView = z.infer<typeof RolloutEvidenceView>;

export const ArtifactView = z.strictObject({ sha256: Sha256, bytes: z.int(), signature: SignatureSchema });
export type ArtifactView = z.infer<typeof ArtifactView>;

export const GatewayView = z.strictObject({
  gateway: z.string(),
  boot: z.string(),
  revision: z.int(),
  seenAtMs: z.number(),
  /** Heard of within the last ten seconds. */
  isConnected: z.boolean(),
  readiness: z.array(ReadinessSchema),
  /** Absent for gateways of releases that did not tell. */
  standing: StandingSchema.exactOptional(),
});
export type GatewayView = z.infer<typeof GatewayView>;

export const TokenView = z.strictObject({
  id: z.string(),
  name: z.string(),
  scopes: z.array(ScopeSchema),
  createdAtMs: z.number(),
  createdBy: z.string(),
  expiresAtMs: z.number().exactOptional(),
  /** Whose SDKs it is for; absent for tokens of our own form. */
  sdk: SdkFamilySchema.exactOptional(),
});
export type TokenView = z.infer<typeof TokenView>;

export const JournalEntryView = z.strictObject({
  revision: z.int(),
  atMs: z.number(),
  actor: z.string(),
  action: z.string(),
  reason: z.string(),
  changes: z.array(z.strictObject({ kind: z.string(), id: z.string(), before: z.json(), after: z.json() })),
  previousHash: z.string(),
  hash: z.string(),
});
export type JournalEntryView = z.infer<typeof JournalEntryView>;

/** What a change came to. `already-done` changed nothing, because it had happened before. */
export const Outcome = z.strictObject({
  outcome: z.enum(['done', 'already-done']),
  message: z.string(),
  /** The revision after the change. */
  revision: z.int(),
});
export type Outcome = z.infer<typeof Outcome>;
