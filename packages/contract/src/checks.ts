/** Schemas of guards from elsewhere as the store keeps them: what a plan asks, and what was answered. */
import type { CheckAuth, CheckConfig, CheckLimit } from '@understudy/core/checks/config';
import { type Answer, MAX_REASON, type Measurement, type Sample } from '@understudy/core/checks/measurement';
import { z } from 'zod';

/** The prefix keeps a plan's author from sending any other variable of the server to an address of theirs. */
export const SECRET_PREFIX = 'UNDERSTUDY_CHECK_';

const Variable = z
  .string()
  .max(100)
  .regex(/^UNDERSTUDY_CHECK_[A-Z0-9_]+$/);

const AuthSchema: z.ZodType<CheckAuth> = z.strictObject({ kind: z.enum(['bearer', 'basic']), variable: Variable });

/** What is called; the server also checks where it leads. */
export const CheckUrl = z
  .string()
  .max(2000)
  .refine((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ''), 'use an address that begins with http:// or https://')
  .meta({ format: 'uri' });

/** Base address of a Prometheus. */
export const PrometheusUrl = CheckUrl.refine((text) => !/[?#]/.test(text), 'leave out everything from the "?" or "#" on');

/** PromQL. */
export const Query = z.string().trim().min(1).max(4000);

/** Fields of a check that a plan file and a stored plan have alike. */
export const CheckFields = {
  name: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'use 1 to 63 lower-case letters, digits or "-"')
    .meta({ description: 'What people call the check.' }),
  failures: z.int().min(1).max(100),
  onFailure: z.enum(['roll-back', 'hold']),
  errors: z.int().min(1).max(100),
  onError: z.enum(['hold', 'ignore']),
  onNoData: z.enum(['hold', 'ignore']),
  needed: z.enum(['each-step', 'promotion', 'never']),
};

/** Asked more often, a provider would be a victim. */
export const LEAST_EVERY_MS = 1000;

const LimitSchema: z.ZodType<CheckLimit> = z.union([z.number(), z.strictObject({ ratio: z.number(), plus: z.number() })]);

const SourceSchema: z.ZodType<CheckConfig['source']> = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('prometheus'),
    url: PrometheusUrl,
    query: Query,
    baseline: Query.exactOptional(),
    auth: AuthSchema.exactOptional(),
    failAbove: LimitSchema.exactOptional(),
    failBelow: LimitSchema.exactOptional(),
    warnAbove: LimitSchema.exactOptional(),
    warnBelow: LimitSchema.exactOptional(),
  }),
  z.strictObject({ kind: z.literal('webhook'), url: CheckUrl, auth: AuthSchema.exactOptional() }),
]);

export const CheckConfigSchema: z.ZodType<CheckConfig> = z.strictObject({
  ...CheckFields,
  source: SourceSchema,
  everyMs: z.number().min(LEAST_EVERY_MS),
  afterMs: z.number().nonnegative(),
});

const SampleSchema: z.ZodType<Sample> = z.union([z.number(), z.enum(['+Inf', '-Inf'])]);
const Reason = z.string().max(MAX_REASON);

const AnswerSchema: z.ZodType<Answer> = z.discriminatedUnion('outcome', [
  z.strictObject({ outcome: z.literal('value'), value: SampleSchema, baseline: SampleSchema.exactOptional() }),
  z.strictObject({ outcome: z.literal('verdict'), verdict: z.enum(['pass', 'fail', 'undecided']), reason: Reason }),
  z.strictObject({ outcome: z.literal('no-data'), reason: Reason }),
  z.strictObject({ outcome: z.literal('error'), reason: Reason }),
]);

export const MeasurementSchema: z.ZodType<Measurement> = z.strictObject({
  check: CheckFields.name,
  atMs: z.number().nonnegative(),
  answer: AnswerSchema,
});
