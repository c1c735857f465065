/** What the control API answers about flags and segments. */
import { z } from 'zod';
import { FlagSchema, Json, SegmentSchema } from './flag-documents.ts';

/** A flag with what follows from it. */
export const FlagView = z.strictObject({
  flag: FlagSchema,
  /** Of the last change of this flag, to be sent back with the next one; 0 for a flag that follows a model. */
  revision: z.int(),
  /** The model whose rollouts this flag follows; such a flag cannot be changed by hand. */
  follows: z.string().exactOptional(),
  /** Keys of flags that have this one as a prerequisite. */
  neededBy: z.array(z.string()),
  /** What a person should know about it: patterns that never match, references that lead nowhere. */
  notes: z.array(z.string()),
});
export type FlagView = z.infer<typeof FlagView>;

export const SegmentView = z.strictObject({
  segment: SegmentSchema,
  /** Of the last change of this segment, to be sent back with the next one. */
  revision: z.int(),
  /** Flags and segments that refer to it, as `flag "key"` or `segment "key"`. */
  usedBy: z.array(z.string()),
  notes: z.array(z.string()),
});
export type SegmentView = z.infer<typeof SegmentView>;

/** Why, exactly; `index` counts rules from 0. */
const DetailView = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('off') }),
  z.strictObject({ kind: z.literal('unscheduled') }),
  z.strictObject({ kind: z.literal('prerequisite'), flag: z.string() }),
  z.strictObject({ kind: z.literal('pin') }),
  z.strictObject({ kind: z.literal('rule'), index: z.int(), id: z.string().exactOptional() }),
  z.strictObject({ kind: z.literal('fallthrough') }),
  z.strictObject({
    kind: z.literal('error'),
    code: z.enum(['FLAG_NOT_FOUND', 'PARSE_ERROR', 'GENERAL']),
    message: z.string(),
  }),
]);

/** What a flag gives to a context. */
export const EvaluationView = z.strictObject({
  flag: z.string(),
  /** Absent: the caller's own default. */
  value: Json.exactOptional(),
  variant: z.string().exactOptional(),
  reason: z.enum(['STATIC', 'DEFAULT', 'TARGETING_MATCH', 'SPLIT', 'DISABLED', 'ERROR']),
  detail: DetailView,
  isEnabled: z.boolean(),
  isInExperiment: z.boolean(),
  /** The steps of the evaluation in order; the last one decided. */
  why: z.array(
    z.strictObject({
      step: z.enum(['switch', 'schedule', 'prerequisite', 'pin', 'rule', 'fallthrough', 'error']),
      sentence: z.string(),
    }),
  ),
});
export type EvaluationView = z.infer<typeof EvaluationView>;

/** Where a subject falls when services bucket users themselves. */
export const BucketView = z.strictObject({ subject: z.string(), bucket: z.int().min(0).max(99_999) });
export type BucketView = z.infer<typeof BucketView>;

/** What an import wrote, or would write, and what is not the same afterwards. */
export const ImportReportView = z.strictObject({
  outcome: z.enum(['written', 'dry-run', 'already-done']),
  message: z.string(),
  flags: z.array(FlagSchema),
  segments: z.array(SegmentSchema),
  /** Keys of flags and segments that existed before and are replaced. */
  replaced: z.array(z.string()),
  /** What could not be carried over. */
  losses: z.array(z.strictObject({ about: z.string(), sentence: z.string() })),
  /** Documents that cannot be stored here, and why; everything else is taken over without them. */
  leftOut: z.array(z.strictObject({ about: z.string(), sentence: z.string() })),
});
export type ImportReportView = z.infer<typeof ImportReportView>;
