/** What a gateway elsewhere lives on: the snapshot and what signs its request ids. Control plane and gateways agree on it. */
import type { LoadableSource } from '@understudy/core/model-version';
import type { Snapshot, SnapshotModel, SnapshotRollout, SnapshotShadow } from '@understudy/core/snapshot';
import type { PairLine } from '@understudy/core/pairs';
import { z } from 'zod';
import { ComparisonSchema, Name, RoutingRuleSchema, RoutingSchema, Sha256, SignatureSchema, TokenSchema } from './documents.ts';
import { GoldenSetSchema } from './golden-documents.ts';
import { UpstreamProtocolSchema } from './upstream-protocol.ts';

/** Raised by whatever a gateway that does not know of it would do wrongly. Fields that may be passed over do not raise it. */
export const GATEWAY_FEED_FORMAT = 1;

const Revision = z.int().nonnegative();
const Step = z.int().min(-1);

const SourceSchema: z.ZodType<LoadableSource> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('onnx'), sha256: Sha256, bytes: z.int().positive(), signature: SignatureSchema }),
  z.object({ kind: z.literal('upstream'), url: z.string(), protocol: UpstreamProtocolSchema, remoteModel: z.string() }),
]);

const RolloutSchema: z.ZodType<SnapshotRollout> = z.object({
  id: Name,
  challenger: Name,
  step: Step,
  boundary: z.number(),
  salt: z.string(),
  lease: z.object({ ms: z.number().nonnegative(), boundary: z.number() }).exactOptional(),
});

const LineSchema: z.ZodType<PairLine> = z.object({ ratio: z.number().min(1), plusMs: z.number().nonnegative() });

const ShadowSchema: z.ZodType<SnapshotShadow> = z.object({
  version: Name,
  boundary: z.number(),
  salt: z.string(),
  rules: z.array(RoutingRuleSchema),
  rollout: Name.exactOptional(),
  step: Step.exactOptional(),
  lines: z.array(LineSchema),
  comparison: ComparisonSchema,
});

const ModelSchema: z.ZodType<SnapshotModel> = z.object({
  name: Name,
  champion: Name.exactOptional(),
  rollout: RolloutSchema.exactOptional(),
  shadow: ShadowSchema.exactOptional(),
  isKilled: z.boolean(),
  routing: RoutingSchema,
  binEdges: z.array(z.number()).exactOptional(),
  standbys: z.array(Name).exactOptional(),
  golden: GoldenSetSchema.exactOptional(),
  versions: z.array(z.object({ version: Name, source: SourceSchema })),
});

/** Whether it fits together is looked at by the gateway; this says that it can be read. */
const SnapshotSchema: z.ZodType<Snapshot> = z.object({
  schema: z.literal(1),
  environment: Name,
  revision: Revision,
  models: z.array(ModelSchema),
  tokens: z.array(TokenSchema),
});

export const GatewayDocument = z.object({
  format: z.literal(GATEWAY_FEED_FORMAT),
  snapshot: SnapshotSchema,
  /** Base64url. Whoever has it can sign feedback, so it goes to gateways alone. */
  requestIdKey: z.string().regex(/^[\w-]{43}$/),
});
export type GatewayDocument = z.infer<typeof GatewayDocument>;
