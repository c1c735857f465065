/** A guard from elsewhere as people write it in a plan: whom it asks, what is a failure, everything else optional. */
import {
  type CheckAuth,
  type CheckConfig,
  type CheckLimit,
  type CheckLimits,
  DEFAULT_CHECK,
} from '@understudy/core/checks/config';
import { z } from 'zod';
import { CheckFields, CheckUrl, LEAST_EVERY_MS, PrometheusUrl, Query, SECRET_PREFIX } from './checks.ts';
import { DurationText, durationOfAtLeast, exactDuration, milliseconds } from './duration-text.ts';

const Secret = z
  .string()
  .max(104)
  .regex(
    /^env:UNDERSTUDY_CHECK_[A-Z0-9_]+$/,
    `write env: and the name of a variable of the server that begins with ${SECRET_PREFIX}; the secret itself does not belong into a plan`,
  );

const auth = {
  tokenFrom: Secret.exactOptional().meta({ description: 'The variable of the server that holds a bearer token.' }),
  basicFrom: Secret.exactOptional().meta({ description: 'The variable of the server that holds user:password.' }),
};

const Limit = z
  .union([z.number(), z.strictObject({ ratio: z.number().min(0).max(1000), plus: z.number().exactOptional() })])
  .meta({ description: "A number, or a line { ratio, plus } through the baseline's value." });

const LIMITS = ['failAbove', 'failBelow', 'warnAbove', 'warnBelow'] as const;

/** Either `prometheus` with limits, or `webhook` without. */
export const PlanFileCheck = z
  .strictObject({
    name: CheckFields.name,
    prometheus: z
      .strictObject({
        url: PrometheusUrl,
        query: Query.meta({ description: 'PromQL that gives one number; {{challenger}} and other places are filled in.' }),
        baseline: Query.exactOptional().meta({ description: 'PromQL of what limits with a ratio are multiplied with.' }),
        ...auth,
      })
      .exactOptional(),
    webhook: z.strictObject({ url: CheckUrl, method: z.literal('POST').exactOptional(), ...auth }).exactOptional(),
    every: durationOfAtLeast(LEAST_EVERY_MS).exactOptional().meta({ description: 'How often it is asked; 30s when left out.' }),
    failAbove: Limit.exactOptional(),
    failBelow: Limit.exactOptional(),
    warnAbove: Limit.exactOptional(),
    warnBelow: Limit.exactOptional(),
    for: CheckFields.failures.exactOptional().meta({ description: 'So many failures in a row count; 3 when left out.' }),
    onFailure: CheckFields.onFailure.exactOptional().meta({ description: 'roll-back (default) or hold.' }),
    errors: CheckFields.errors.exactOptional().meta({
      description: 'After so many errors of the provider in a row, onError says what they mean; 3 when left out.',
    }),
    onError: CheckFields.onError.exactOptional().meta({ description: 'hold (default), or ignore the check.' }),
    onNoData: CheckFields.onNoData.exactOptional().meta({ description: 'hold (default), or ignore the check.' }),
    after: DurationText.exactOptional().meta({
      description:
        'A pass proves nothing before the step was held for so long: as long as the query looks back; 0s when left out.',
    }),
    needed: CheckFields.needed.exactOptional().meta({
      description: 'Proof is needed for each-step (default), for the promotion, or never: it then only rolls back.',
    }),
  })
  .refine((check) => (check.prometheus === undefined) !== (check.webhook === undefined), 'give either prometheus or webhook')
  .refine(
    (check) => check.webhook === undefined || LIMITS.every((limit) => check[limit] === undefined),
    'a webhook gives a verdict of its own, so limits say nothing: leave them out',
  )
  .refine(
    ({ prometheus, webhook }) =>
      (prometheus ?? webhook)?.tokenFrom === undefined || (prometheus ?? webhook)?.basicFrom === undefined,
    'give either tokenFrom or basicFrom',
  )
  .meta({ oneOf: [{ required: ['prometheus'] }, { required: ['webhook'] }] });
type PlanFileCheck = z.infer<typeof PlanFileCheck>;

/** The check with its defaults. */
export function readCheck(file: PlanFileCheck): CheckConfig {
  return {
    name: file.name,
    source: sourceOf(file),
    everyMs: file.every === undefined ? DEFAULT_CHECK.everyMs : milliseconds(file.every),
    failures: file.for ?? DEFAULT_CHECK.failures,
    onFailure: file.onFailure ?? DEFAULT_CHECK.onFailure,
    errors: file.errors ?? DEFAULT_CHECK.errors,
    onError: file.onError ?? DEFAULT_CHECK.onError,
    onNoData: file.onNoData ?? DEFAULT_CHECK.onNoData,
    afterMs: file.after === undefined ? DEFAULT_CHECK.afterMs : milliseconds(file.after),
    needed: file.needed ?? DEFAULT_CHECK.needed,
  };
}

/** The check as somebody would write it. */
export function writeCheck({ source, everyMs, failures, afterMs, ...rest }: CheckConfig): PlanFileCheck {
  const { name, ...terms } = rest;
  const times = { every: exactDuration(everyMs), for: failures, after: exactDuration(afterMs) };
  const { url, auth: from } = source;
  if (source.kind === 'webhook') return { name, webhook: { url, ...writeAuth(from) }, ...times, ...terms };
  const { query, baseline } = source;
  const prometheus = { url, query, ...(baseline === undefined ? {} : { baseline }), ...writeAuth(from) };
  return { name, prometheus, ...limitsOf(source), ...times, ...terms };
}

function sourceOf(file: PlanFileCheck): CheckConfig['source'] {
  const { prometheus, webhook } = file;
  if (webhook !== undefined) return { kind: 'webhook', url: webhook.url, ...authOf(webhook) };
  if (prometheus === undefined) throw new Error(`the check "${file.name}" passed the schema but asks nobody`);
  const { url, query, baseline } = prometheus;
  return {
    kind: 'prometheus',
    url,
    query,
    ...(baseline === undefined ? {} : { baseline }),
    ...authOf(prometheus),
    ...limitsOf(file),
  };
}

type WrittenLimit = z.infer<typeof Limit>;

function limitsOf(written: { readonly [Name in (typeof LIMITS)[number]]?: WrittenLimit }): CheckLimits {
  const given = LIMITS.flatMap((name) => {
    const { [name]: limit } = written;
    return limit === undefined ? [] : [[name, lineOf(limit)] as const];
  });
  return Object.fromEntries(given);
}

function lineOf(limit: WrittenLimit): CheckLimit {
  return typeof limit === 'number' ? limit : { ratio: limit.ratio, plus: limit.plus ?? 0 };
}

type Secrets = { readonly tokenFrom?: string; readonly basicFrom?: string };

function authOf({ tokenFrom, basicFrom }: Secrets): { readonly auth?: CheckAuth } {
  if (tokenFrom !== undefined) return { auth: { kind: 'bearer', variable: tokenFrom.slice('env:'.length) } };
  return basicFrom === undefined ? {} : { auth: { kind: 'basic', variable: basicFrom.slice('env:'.length) } };
}

function writeAuth(auth: CheckAuth | undefined): Secrets {
  if (auth === undefined) return {};
  const from = `env:${auth.variable}`;
  return auth.kind === 'bearer' ? { tokenFrom: from } : { basicFrom: from };
}
