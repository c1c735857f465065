/** What a gateway tells the control plane once a second: its state, and the evidence of the interval. */
import type { EvidenceBlock, Tally } from '@understudy/core/evidence';
import { z } from 'zod';
import { Name } from './documents.ts';

const Count = z.int().nonnegative();

/** Finite by construction: JSON has no NaN, and zod refuses Infinity. */
const TallySchema: z.ZodType<Tally> = z.strictObject({
  requests: Count,
  errors: Count,
  timeouts: Count,
  invalid: Count,
  rescued: Count,
  rejected: Count,
  latency: z.array(z.tuple([z.int().min(0).max(1023), z.int().positive()])).max(1024),
  predictions: z.strictObject({ count: Count, sum: z.number(), sumSquares: z.number().nonnegative() }),
  classes: z.record(z.string().max(200), z.int().positive()),
});

export const EvidenceBlockSchema: z.ZodType<EvidenceBlock> = z.strictObject({
  model: Name,
  version: Name,
  arm: z.enum(['champion', 'challenger', 'shadow']),
  rollout: Name.exactOptional(),
  step: z.int().nonnegative().exactOptional(),
  startMs: z.number().nonnegative(),
  tally: TallySchema,
});

/** Whether one gateway can answer with one version. Only `ready` versions get traffic. */
export const ReadinessSchema = z.strictObject({
  model: Name,
  version: Name,
  state: z.enum(['loading', 'ready', 'failed']),
  /** How the version runs here (`inline`, `worker`, `upstream`) with the measured time, or why it failed. */
  detail: z.string(),
});
export type Readiness = z.infer<typeof ReadinessSchema>;

/** A report is idempotent by gateway, boot and sequence: sent twice or out of order it counts once. */
export const GatewayReportSchema = z.strictObject({
  gateway: Name,
  /** Chosen at start, so that a restarted gateway may count from 0 again. */
  boot: z.string().min(1).max(64),
  sequence: Count,
  /** The revision of the snapshot that the gateway routes by. */
  revision: Count,
  readiness: z.array(ReadinessSchema).max(10_000),
  blocks: z.array(EvidenceBlockSchema).max(10_000),
});
export type GatewayReport = z.infer<typeof GatewayReportSchema>;
