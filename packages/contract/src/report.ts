/** What a gateway tells the control plane once a second: its state, and the evidence of the interval. */
import type { BreakerStatus } from '@understudy/core/breaker';
import type { EvidenceBlock, Moments, Tally } from '@understudy/core/evidence';
import { HISTOGRAM_SIZE, type Histogram } from '@understudy/core/histogram';
import type { PairedOutcomes } from '@understudy/core/outcome-window';
import {
  DIFFERENCE_BUCKETS,
  type Discordance,
  DROP_REASONS,
  MAX_FLIPS,
  MAX_SAMPLE,
  MAX_SEGMENTS,
  MAX_WORST,
  type PairExample,
  type PairSide,
  type PairTally,
  RATIO_BUCKETS,
  type SegmentTally,
} from '@understudy/core/pairs';
import { MAX_BINS } from '@understudy/core/prediction-bins';
import type { GatewayKills, LocalKill } from '@understudy/core/local-kill';
import type { Probe } from '@understudy/core/standby';
import { z } from 'zod';
import { MeasurementSchema } from './checks.ts';
import { AtMs, Name, Person, Reason } from './documents.ts';

/** How many names a block may have: gateways keep blocks apart that would have more together. */
export const MAX_NAMES = {
  /** A gateway tells 64 apart; the blocks of several cells may be added up. */
  classes: 1000,
  /** Predictions are counted in one set of bins at a time; more only while it changes. */
  bins: 8,
  scores: 32,
} as const;

const Count = z.int().nonnegative();

/** Finite by construction: JSON has no NaN, and zod refuses Infinity. */
const MomentsSchema: z.ZodType<Moments> = z.strictObject({ count: Count, sum: z.number(), sumSquares: z.number().nonnegative() });

const HistogramSchema = histogramOf(HISTOGRAM_SIZE);

const DiscordanceSchema: z.ZodType<Discordance> = z.strictObject({ shadow: Count, champion: Count, both: Count });

const PairSideSchema: z.ZodType<PairSide> = z.strictObject({
  version: Name,
  prediction: z.union([z.number(), z.string().max(200)]).exactOptional(),
  ms: z.number().nonnegative(),
  failure: z.enum(['failed', 'timeout', 'invalid']).exactOptional(),
});

/** Bytes of JSON that an example may have, its request included. */
const MAX_EXAMPLE_BYTES = 4096;

export const PairExampleSchema: z.ZodType<PairExample> = z.strictObject({
  requestId: z.string().max(300),
  atMs: z.number().nonnegative(),
  champion: PairSideSchema,
  shadow: PairSideSchema,
  difference: z.number(),
  distance: z.number().nonnegative(),
  lot: z.number().min(0).lt(1),
  request: z.string().max(MAX_EXAMPLE_BYTES).exactOptional(),
});

const SegmentSchema: z.ZodType<SegmentTally> = z.strictObject({
  count: Count,
  failed: DiscordanceSchema,
  compared: Count,
  agreed: Count,
  difference: MomentsSchema,
});

/** Lines of latency in a block at most: a plan has few guards. */
const MAX_LINES = 32;
const Bin = z
  .int()
  .min(0)
  .max(MAX_BINS - 1);
const ClassName = z.string().max(200);

const PairTallySchema: z.ZodType<PairTally> = z.strictObject({
  count: Count,
  failed: DiscordanceSchema,
  timeouts: DiscordanceSchema,
  invalid: DiscordanceSchema,
  compared: Count,
  agreed: Count,
  difference: MomentsSchema,
  differences: histogramOf(DIFFERENCE_BUCKETS),
  flips: z.array(z.tuple([ClassName, ClassName, z.int().positive()])).max(MAX_FLIPS),
  moves: recordOf(
    MAX_NAMES.bins,
    z.string().regex(/^[0-9a-f]{8}$/),
    z.array(z.tuple([Bin, Bin, z.int().positive()])).max(MAX_BINS * MAX_BINS),
  ),
  latency: z.strictObject({
    champion: HistogramSchema,
    shadow: HistogramSchema,
    ratios: histogramOf(RATIO_BUCKETS),
    common: recordOf(MAX_LINES, z.string().max(64), HistogramSchema),
  }),
  segments: recordOf(MAX_SEGMENTS + 1, z.string().max(200), SegmentSchema),
  dropped: z.partialRecord(z.enum(DROP_REASONS), z.int().positive()),
  worst: z.array(PairExampleSchema).max(MAX_WORST),
  sample: z.array(PairExampleSchema).max(MAX_SAMPLE),
});

const TallySchema: z.ZodType<Tally> = z.strictObject({
  requests: Count,
  errors: Count,
  timeouts: Count,
  invalid: Count,
  rescued: Count,
  rejected: Count,
  latency: HistogramSchema,
  coldLatency: HistogramSchema,
  predictions: MomentsSchema,
  classes: recordOf(MAX_NAMES.classes, z.string().max(200), z.int().positive()),
  bins: recordOf(MAX_NAMES.bins, z.string().regex(/^[0-9a-f]{8}$/), z.array(Count).max(MAX_BINS)),
  scores: recordOf(MAX_NAMES.scores, Name, MomentsSchema),
  labels: recordOf(MAX_NAMES.scores, Name, MomentsSchema).exactOptional(),
  pairs: PairTallySchema.exactOptional(),
});

export const EvidenceBlockSchema: z.ZodType<EvidenceBlock> = z.strictObject({
  model: Name,
  version: Name,
  arm: z.enum(['champion', 'challenger', 'shadow']),
  rollout: Name.exactOptional(),
  step: z.int().nonnegative().exactOptional(),
  stratum: Name.exactOptional(),
  gateway: Name.exactOptional(),
  startMs: z.number().nonnegative(),
  tally: TallySchema,
  measurement: MeasurementSchema.exactOptional(),
});

const OutcomesSchema: z.ZodType<PairedOutcomes> = z.strictObject({
  champion: z.strictObject({ requests: Count, failures: Count }),
  challenger: z.strictObject({ requests: Count, failures: Count }),
});

/** Whether a gateway has taken the challenger's traffic away by itself; `core/breaker.ts` says when. */
const BreakerStatusSchema: z.ZodType<BreakerStatus> = z.discriminatedUnion('state', [
  z.strictObject({ state: z.literal('closed') }),
  z.strictObject({
    state: z.literal('open'),
    sinceMs: z.number().nonnegative(),
    retryAtMs: z.number().nonnegative(),
    seen: OutcomesSchema,
  }),
  z.strictObject({
    state: z.literal('half-open'),
    sinceMs: z.number().nonnegative(),
    successes: Count,
    seen: OutcomesSchema,
  }),
]);

/** What a gateway has done by itself about the challenger of a rollout. */
export const TrialSchema = z.strictObject({
  rollout: Name,
  breaker: BreakerStatusSchema,
  /** Since when the lease of the share is over here; absent while it holds. */
  leaseOverSinceMs: z.number().nonnegative().exactOptional(),
});
export type Trial = z.infer<typeof TrialSchema>;

const ProbeSchema: z.ZodType<Probe> = z.strictObject({
  outcome: z.enum(['ok', 'failed', 'unproven']),
  detail: z.string().max(2000),
  atMs: z.number().nonnegative(),
});

/** Whether one gateway can answer with one version. Only `ready` versions get traffic. */
export const ReadinessSchema = z.strictObject({
  model: Name,
  version: Name,
  state: z.enum(['loading', 'ready', 'failed']),
  /** How the version runs here (`inline`, `worker`, `upstream`) with the measured time, or why it failed. */
  detail: z.string(),
  /** What trying it came to, for a version that no user needs now. */
  probe: ProbeSchema.exactOptional(),
  /** For the challenger of a rollout that this gateway serves. */
  trial: TrialSchema.exactOptional(),
});
export type Readiness = z.infer<typeof ReadinessSchema>;

export const LocalKillSchema: z.ZodType<LocalKill> = z.strictObject({ model: Name, atMs: AtMs, by: Person, reason: Reason });

/** More models than one gateway serves. */
const MAX_KILLS = 1000;

/** What is stored of a gateway: nothing, once none of its models is killed any more. */
export const GatewayKillsSchema: z.ZodType<GatewayKills> = z.strictObject({
  gateway: Name,
  kills: z.array(LocalKillSchema).min(1).max(MAX_KILLS),
});

/** How a gateway stands to the control plane. */
export const StandingSchema = z.strictObject({
  release: z.string().max(100),
  /** Where the snapshot that it routes by came from. */
  origin: z.enum(['control-plane', 'last-known-good']),
  /** Since when nobody has told it that its snapshot is the present one. */
  heardAtMs: AtMs,
  /** The newest snapshot that it refused, as long as it has taken none since. */
  refused: z.strictObject({ reason: z.string().max(2000), atMs: AtMs }).exactOptional(),
  /** Models that were killed on its own machine. */
  kills: z.array(LocalKillSchema).max(MAX_KILLS),
});
export type Standing = z.infer<typeof StandingSchema>;

/** A report is idempotent by gateway, boot and sequence: sent twice or out of order it counts once. */
export const GatewayReportSchema = z.strictObject({
  gateway: Name,
  /** Chosen at start, so that a restarted gateway may count from 0 again. */
  boot: z.string().min(1).max(64),
  sequence: Count,
  /** The revision of the snapshot that the gateway routes by. */
  revision: Count,
  readiness: z.array(ReadinessSchema).max(10_000),
  /** Absent in reports of releases that did not tell. */
  standing: StandingSchema.exactOptional(),
  blocks: z
    .array(EvidenceBlockSchema)
    .max(10_000)
    .refine((blocks) => blocks.every(({ measurement }) => measurement === undefined), 'only the control plane asks checks')
    .refine((blocks) => blocks.every(({ gateway }) => gateway === undefined), 'a report names its gateway once, blocks do not'),
});
export type GatewayReport = z.infer<typeof GatewayReportSchema>;

/**
 * What a service says that decides by flag: evidence, and nothing about a gateway's state. It makes no gateway known. Its
 * `gateway` begins with {@link SERVICE_PREFIX}, which no gateway's name can.
 */
export type ServiceReport = Omit<GatewayReport, 'revision' | 'readiness' | 'standing'>;

/** Told apart from gateways by the colon. */
export const SERVICE_PREFIX = 'service:';

/** Like `z.record`, but that would leave out a class called `__proto__` without a word. */
function recordOf<T>(maxNames: number, name: z.ZodType<string>, value: z.ZodType<T>): z.ZodType<Readonly<Record<string, T>>> {
  return z
    .custom<object>((given) => typeof given === 'object' && given !== null && !Array.isArray(given), 'expected an object')
    .transform((given): unknown => Object.entries(given))
    .pipe(z.array(z.tuple([name, value])).max(maxNames, `at most ${maxNames} names`))
    .transform((entries) => Object.fromEntries(entries));
}

function histogramOf(size: number): z.ZodType<Histogram> {
  const bucket = z
    .int()
    .min(0)
    .max(size - 1);
  return z
    .array(z.tuple([bucket, z.int().positive()]))
    .max(size)
    .refine(isAscending, 'buckets must rise, each at most once');
}

function isAscending(histogram: Histogram): boolean {
  return histogram.every(([bucket], index) => bucket > (histogram[index - 1]?.[0] ?? -1));
}
