/** Endpoints of shadows: start and stop copying, what came of it, and pairs to look at. */
import { z } from 'zod';
import { Name, ShadowFields } from './documents.ts';
import { ForecastSchema, GuardReadingSchema, VerdictSchema } from './rollout-documents.ts';
import { base, type Endpoint, Limit, OfModel, Reason, WithReason } from './endpoint.ts';
import { CopiesView } from './copies-view.ts';
import { PAIR_RENDERINGS } from './pair-log.ts';
import { PairExampleSchema } from './report.ts';
import { Outcome } from './views.ts';

export const ShadowView = z.strictObject({
  model: z.string(),
  /** Absent while nothing is copied. */
  copies: CopiesView.exactOptional(),
  /** The rollout whose step it is; absent for a standing setting. */
  rollout: z.string().exactOptional(),
  sinceMs: z.number().exactOptional(),
  /** What the tests say: of a standing shadow by the default policy, of a rollout by its own. */
  now: z
    .strictObject({
      verdict: VerdictSchema,
      reason: z.string(),
      guards: z.array(GuardReadingSchema),
      forecast: ForecastSchema.exactOptional(),
    })
    .exactOptional(),
  warnings: z.array(z.string()),
});
export type ShadowView = z.infer<typeof ShadowView>;

/** A pair that was kept, of the model's shadow log. */
export const PairView = PairExampleSchema;
export type PairView = z.infer<typeof PairView>;

export const SHADOW_ENDPOINTS = {
  startShadow: {
    ...base,
    method: 'POST',
    path: '/models/:model/shadow',
    scope: 'operate',
    summary: 'Copy requests to a version, whose answers nobody gets, and compare',
    params: OfModel,
    body: z.strictObject({ ...ShadowFields, rules: ShadowFields.rules.default([]), reason: Reason }),
    answer: ShadowView,
  },
  getShadow: {
    ...base,
    method: 'GET',
    path: '/models/:model/shadow',
    scope: 'read',
    summary: 'What a shadow has come to: copies, pairs, verdict',
    params: OfModel,
    answer: ShadowView,
  },
  stopShadow: {
    ...base,
    method: 'POST',
    path: '/models/:model/shadow/stop',
    scope: 'operate',
    summary: 'Stop copying; the shadow of a rollout ends with its step',
    params: OfModel,
    body: WithReason,
    answer: Outcome,
  },
  listPairs: {
    ...base,
    method: 'GET',
    path: '/models/:model/shadow/pairs',
    scope: 'read',
    summary: 'Pairs that were kept: both predictions, both latencies, the difference',
    params: OfModel,
    query: z.strictObject({
      order: z.enum(['newest', 'worst']).default('newest'),
      version: Name.exactOptional().meta({ description: 'Only pairs with this shadow.' }),
      since: z.iso.datetime({ offset: true }).exactOptional().meta({ description: 'An hour ago when left out.' }),
      limit: Limit,
    }),
    answer: z.array(PairView),
    renderings: PAIR_RENDERINGS,
  },
} as const satisfies Record<string, Endpoint>;
