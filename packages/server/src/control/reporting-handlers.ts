/** Handlers of what is reported: by services that decide by flag, about requests of the past, and which SDKs there are. */
import type { Handlers } from './call.ts';

const HOUR_MS = 3_600_000;

export const REPORTING_HANDLERS = {
  reportObservations: ({ observations }, { body }) => observations.take(body),
  giveFeedback: ({ feedback }, { body }) => feedback.take(body.feedback),
  getFeedback: ({ feedback, clock }, { params, query }) => feedback.look(params.model, clock.nowMs() - query.hours * HOUR_MS),
  listSdks: async ({ sdks, flags }) => sdks.list(flags.now()?.documents ?? { flags: [], segments: [] }),
} satisfies Partial<Handlers>;
