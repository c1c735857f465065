/** What became of the copies of a shadow, as the control API answers it. Views of rollouts and of shadows have it in common. */
import { DROP_REASONS } from '@understudy/core/pairs';
import { z } from 'zod';
import { PairExampleSchema } from './report.ts';

const Interval = z.tuple([z.number(), z.number()]);
const Measured = z.strictObject({ value: z.number(), interval: Interval });
const Failures = z.strictObject({ champion: z.number(), shadow: z.number(), difference: Measured });

/** How two versions compare on the same requests; intervals are of 95 % and hold however often one looks. */
export const PairsView = z.strictObject({
  count: z.int(),
  failures: Failures.exactOptional(),
  invalid: z.strictObject({ champion: z.int(), shadow: z.int() }),
  compared: z.int(),
  agreement: Measured.exactOptional(),
  difference: z
    .strictObject({
      mean: z.number(),
      standardDeviation: z.number().exactOptional(),
      quantiles: z.strictObject({
        p1: z.number(),
        p5: z.number(),
        p25: z.number(),
        p50: z.number(),
        p75: z.number(),
        p95: z.number(),
        p99: z.number(),
      }),
    })
    .exactOptional()
    .meta({ description: 'Of shadow − champion, for numbers.' }),
  flips: z
    .array(z.tuple([z.string(), z.string(), z.int()]))
    .meta({ description: 'What the champion predicted, what the shadow did instead, how often.' }),
  slowdown: z.strictObject({ p50: z.number(), p95: z.number(), interval: Interval.exactOptional() }).exactOptional(),
  segments: z.array(
    z.strictObject({
      name: z.string(),
      count: z.int(),
      compared: z.int(),
      failures: Failures.exactOptional(),
      agreement: Measured.exactOptional(),
      meanDifference: z.number().exactOptional(),
    }),
  ),
});
export type PairsView = z.infer<typeof PairsView>;

/** What became of copies, and how their answers compare. */
export const CopiesView = z.strictObject({
  version: z.string(),
  percent: z.number(),
  /** Copies that were answered, failed or timed out, and count as pairs. */
  delivered: z.int(),
  failed: z.int(),
  timeouts: z.int(),
  dropped: z.partialRecord(z.enum(DROP_REASONS), z.int()),
  pairs: PairsView,
  /** The pairs that are farthest apart, worst first. */
  worst: z.array(PairExampleSchema),
});
export type CopiesView = z.infer<typeof CopiesView>;
