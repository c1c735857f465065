/** What the control API answers with: documents, and what follows from them. */
import { z } from 'zod';
import {
  DecisionSchema,
  GuardReadingSchema,
  ModelSchema,
  ModelVersionSchema,
  RolloutSchema,
  ScopeSchema,
  Sha256,
  SignatureSchema,
  VerdictSchema,
} from './documents.ts';
import { ReadinessSchema } from './report.ts';

/** The watch over a champion, as the engine last saw it. */
export const WatchView = z.strictObject({
  state: z.enum(['healthy', 'waiting', 'cooling-down', 'violated']),
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

export const ModelView = z.strictObject({
  model: ModelSchema,
  /** Where a rollback would go now. */
  lastKnownGood: z.string().exactOptional(),
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
});
export type VersionView = z.infer<typeof VersionView>;

export const RolloutView = z.strictObject({
  rollout: RolloutSchema,
  challengerPercent: z.number(),
  /** What the engine would say now; absent for ended rollouts. */
  now: z
    .strictObject({ verdict: VerdictSchema, reason: z.string(), guards: z.array(GuardReadingSchema), atMs: z.number() })
    .exactOptional(),
  /** Evidence since the present step began, or since the start for ended rollouts. */
  arms: z.array(ArmCounts),
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
});
export type GatewayView = z.infer<typeof GatewayView>;

export const TokenView = z.strictObject({
  id: z.string(),
  name: z.string(),
  scopes: z.array(ScopeSchema),
  createdAtMs: z.number(),
  createdBy: z.string(),
  expiresAtMs: z.number().exactOptional(),
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
