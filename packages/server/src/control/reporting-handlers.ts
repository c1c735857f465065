/** Handlers of services that decide by flag: what they report, and which SDKs they use. */
import type { Handlers } from './call.ts';

export const REPORTING_HANDLERS = {
  reportObservations: ({ observations }, { body }) => observations.take(body),
  listSdks: async ({ sdks, flags }) => sdks.list(flags.now()?.documents ?? { flags: [], segments: [] }),
} satisfies Partial<Handlers>;
