/** What our own SDK evaluates flags from: every document of an environment at one revision. Protocol and SDK agree on it. */
import { z } from 'zod';
import { FlagSchema, SegmentSchema } from './flag-documents.ts';

/**
 * Raised by whatever an SDK that does not know of it would evaluate wrongly. Fields that may be passed over do not raise
 * it: SDKs ignore those that they do not know.
 */
export const SNAPSHOT_FORMAT = 1;

export const FlagSnapshot = z.strictObject({
  format: z.literal(SNAPSHOT_FORMAT),
  environment: z.string(),
  /** Of the newest commit that changed a flag or a segment. */
  revision: z.int().nonnegative(),
  documents: z.strictObject({ flags: z.array(FlagSchema), segments: z.array(SegmentSchema) }),
});
export type FlagSnapshot = z.infer<typeof FlagSnapshot>;
