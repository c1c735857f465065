/** What Flagsmith sends to SDKs that evaluate locally. Fields that nothing here reads are let through. */
import type { JsonValue } from '@understudy/core/flags/context';
import type {
  FlagsmithDocumentCondition,
  FlagsmithDocumentRule,
  FlagsmithEnvironment,
  FlagsmithFeatureState,
} from '@understudy/core/flags/flagsmith-model';
import { z } from 'zod';

// Null and absence mean the same in what Flagsmith sends.
function maybe<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined);
}

const Json: z.ZodType<JsonValue> = z.json();

const Option = z.object({ id: maybe(z.int()), value: Json });

const MultivariateValue = z.object({
  id: maybe(z.int()),
  mv_fs_value_uuid: maybe(z.string()),
  percentage_allocation: z.number().min(0).max(100),
  multivariate_feature_option: Option,
});

const FeatureState: z.ZodType<FlagsmithFeatureState> = z.object({
  django_id: maybe(z.int()),
  featurestate_uuid: maybe(z.string()),
  enabled: z.boolean(),
  feature_state_value: Json,
  feature: z.object({ id: z.int(), name: z.string().min(1), type: maybe(z.string()) }),
  feature_segment: maybe(z.object({ priority: z.int() })),
  multivariate_feature_state_values: maybe(z.array(MultivariateValue)),
});

const Condition: z.ZodType<FlagsmithDocumentCondition> = z.object({
  operator: z.string(),
  property_: maybe(z.string()),
  value: maybe(Json),
});

const Rule: z.ZodType<FlagsmithDocumentRule> = z.lazy(() =>
  z.object({ type: z.string(), conditions: maybe(z.array(Condition)), rules: maybe(z.array(Rule)) }),
);

const Segment = z.object({
  id: z.int(),
  name: z.string(),
  rules: z.array(Rule),
  feature_states: maybe(z.array(FeatureState)),
});

const Organisation = z.object({ id: z.int(), name: z.string() });

const Override = z.object({ identifier: z.string(), identity_features: z.array(FeatureState) });

/** The answer of `GET /api/v1/environment-document/`. */
export const FlagsmithEnvironmentSchema: z.ZodType<FlagsmithEnvironment> = z.object({
  id: z.int(),
  api_key: z.string(),
  name: maybe(z.string()),
  updated_at: maybe(z.string()),
  project: z.object({ id: z.int(), name: z.string(), organisation: maybe(Organisation), segments: z.array(Segment) }),
  feature_states: z.array(FeatureState),
  identity_overrides: maybe(z.array(Override)),
});
