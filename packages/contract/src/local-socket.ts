/** What a gateway is asked on its own machine, over a socket of the file system. Gateway and command line agree on it. */
import { z } from 'zod';
import { Name, Person } from './documents.ts';
import { Reason } from './endpoint.ts';
import { ReadinessSchema, StandingSchema } from './report.ts';

/** `POST /kill`: everybody here on the champion. */
export const KillHere = z.strictObject({ model: Name, by: Person, reason: Reason });
export type KillHere = z.infer<typeof KillHere>;

/** `POST /unkill`: as the control plane says again. */
export const UnkillHere = z.strictObject({ model: Name });
export type UnkillHere = z.infer<typeof UnkillHere>;

/** The answer to both. */
export const LocalOutcome = z.strictObject({ outcome: z.enum(['done', 'already-done']), message: z.string() });
export type LocalOutcome = z.infer<typeof LocalOutcome>;

/** `GET /status`. */
export const LocalStatus = z.strictObject({
  gateway: Name,
  /** Of the snapshot in use; absent while there is none. */
  revision: z.int().nonnegative().exactOptional(),
  standing: StandingSchema.exactOptional(),
  readiness: z.array(ReadinessSchema),
  /** Why it is not ready. */
  problems: z.array(z.string()),
  /** Reports that no control plane has taken yet. */
  pendingReports: z.int().nonnegative(),
});
export type LocalStatus = z.infer<typeof LocalStatus>;
