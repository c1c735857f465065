/** What Unleash sends and exports. Fields that nothing here reads are let through: other versions send others. */
import type {
  UnleashConstraint,
  UnleashFeature,
  UnleashSegment,
  UnleashState,
  UnleashStrategy,
  UnleashVariant,
} from '@understudy/core/flags/unleash-model';
import { z } from 'zod';

// Null and absence mean the same in what Unleash sends.
function maybe<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined);
}

const Constraint: z.ZodType<UnleashConstraint> = z.object({
  contextName: z.string(),
  operator: z.string(),
  values: maybe(z.array(z.coerce.string())),
  value: maybe(z.coerce.string()),
  inverted: maybe(z.boolean()),
  caseInsensitive: maybe(z.boolean()),
});

const Override = z.object({ contextName: z.string(), values: z.array(z.coerce.string()) });

const Variant: z.ZodType<UnleashVariant> = z.object({
  name: z.string(),
  weight: z.number().nonnegative(),
  stickiness: maybe(z.string()),
  payload: maybe(z.object({ type: z.string(), value: z.string() })),
  overrides: maybe(z.array(Override)),
});

const Parameters = z.record(z.string(), z.unknown()).transform((parameters) => {
  const texts = Object.entries(parameters).filter(([, value]) => typeof value === 'string' || typeof value === 'number');
  return Object.fromEntries(texts.map(([name, value]) => [name, String(value)]));
});

const Strategy: z.ZodType<UnleashStrategy> = z.object({
  name: z.string(),
  parameters: maybe(Parameters),
  constraints: maybe(z.array(Constraint)),
  segments: maybe(z.array(z.int())),
  variants: maybe(z.array(Variant)),
});

const Dependency = z.object({ feature: z.string(), enabled: maybe(z.boolean()), variants: maybe(z.array(z.string())) });

const Feature: z.ZodType<UnleashFeature> = z.object({
  name: z.string().min(1),
  description: maybe(z.string()),
  enabled: z.boolean(),
  impressionData: maybe(z.boolean()),
  strategies: maybe(z.array(Strategy)),
  variants: maybe(z.array(Variant)),
  dependencies: maybe(z.array(Dependency)),
});

const Segment: z.ZodType<UnleashSegment> = z.object({
  id: z.int(),
  name: maybe(z.string()),
  constraints: z.array(Constraint),
});

/** The answer of `GET /api/client/features`, and the state of the client specification. */
export const UnleashStateSchema: z.ZodType<UnleashState> = z.object({
  features: z.array(Feature),
  segments: maybe(z.array(Segment)),
});
