/** Schemas of golden requests, as models carry them and people send them. */
import { GOLDEN_LIMITS, type GoldenRequest, type GoldenSet } from '@understudy/core/golden';
import { z } from 'zod';
import { UpstreamProtocolSchema } from './upstream-protocol.ts';

const GoldenRequestSchema: z.ZodType<GoldenRequest> = z.strictObject({
  body: z.record(z.string(), z.json()),
  expect: z
    .array(z.union([z.number(), z.string().max(200)]))
    .min(1)
    .max(1000)
    .exactOptional(),
  tolerance: z.number().nonnegative().exactOptional(),
});

/** A few small requests, see {@link GOLDEN_LIMITS}. */
export const GoldenRequestsSchema: z.ZodType<readonly GoldenRequest[]> = z
  .array(GoldenRequestSchema)
  .min(1)
  .max(GOLDEN_LIMITS.requests)
  .refine(
    (requests) => new TextEncoder().encode(JSON.stringify(requests)).length <= GOLDEN_LIMITS.bytes,
    `golden requests may have ${GOLDEN_LIMITS.bytes} bytes together; keep a few small ones`,
  );

export const GoldenSetSchema: z.ZodType<GoldenSet> = z.strictObject({
  protocol: UpstreamProtocolSchema,
  requests: GoldenRequestsSchema,
  setAtMs: z.number().nonnegative(),
  setBy: z.string().min(1).max(200),
});
