/** The services of `examples/python` beside a real Understudy, and what it says itself about the same users. */
import { LaunchDarklyDataSchema } from '@understudy/contract/flag-imports/launchdarkly';
import { compileFlags } from '@understudy/core/flags/evaluator';
import { importLaunchDarkly } from '@understudy/core/flags/import-launchdarkly';
import type { SdkFamily } from '@understudy/core/token';
import { compileRegex } from '../../packages/server/src/regex.ts';
import type { Running } from '../running-understudy.ts';
import { type PythonService, startService } from './python-process.ts';

/** How one service is started, and what its SDK does. */
export interface ServiceKind {
  /** Also the name of its model, so that each service has rollouts of its own. */
  readonly family: SdkFamily;
  readonly keyVariable: string;
  /** Short intervals, by the SDK's own options. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether the SDK holds the flags itself, and so goes on with them when Understudy is away. */
  readonly keepsFlags: boolean;
  /** Whether what is reported during an outage arrives after it. LaunchDarkly's SDK drops events after one more try. */
  readonly keepsOutcomes: boolean;
}

/** The four ways in. */
export const SERVICES: readonly ServiceKind[] = [
  {
    family: 'launchdarkly',
    keyVariable: 'LAUNCHDARKLY_SDK_KEY',
    env: { LAUNCHDARKLY_FLUSH_SECONDS: '0.5' },
    keepsFlags: true,
    keepsOutcomes: false,
  },
  {
    family: 'unleash',
    keyVariable: 'UNLEASH_API_TOKEN',
    env: { UNLEASH_METRICS_SECONDS: '1' },
    keepsFlags: true,
    keepsOutcomes: true,
  },
  { family: 'flagsmith', keyVariable: 'FLAGSMITH_ENVIRONMENT_KEY', env: {}, keepsFlags: false, keepsOutcomes: true },
  { family: 'openfeature', keyVariable: 'OPENFEATURE_KEY', env: {}, keepsFlags: false, keepsOutcomes: true },
];

export interface Asked {
  readonly user: string;
  readonly region?: string;
  readonly features: readonly number[];
}

export interface Served {
  readonly status: number;
  readonly version: string | undefined;
  readonly prediction: number | undefined;
}

export interface FlagService extends ServiceKind {
  readonly service: PythonService;
  readonly key: string;
  ask(asked: Asked): Promise<Served>;
}

/** Starts a service with a key of its own; `directory` is for what its SDK keeps. */
export async function startFlagService(running: Running, kind: ServiceKind, directory: string): Promise<FlagService> {
  const { admin, controlUrl } = running;
  const { family } = kind;
  const { secret: key } = await admin('createToken', { body: { name: family, scopes: ['flags'], sdk: family } });
  const { secret } = await admin('createToken', { body: { name: `${family}-reports`, scopes: ['feedback'] } });
  const service = await startService(`${family}_service`, {
    UNDERSTUDY_URL: controlUrl,
    UNDERSTUDY_REPORT_TOKEN: secret,
    UNLEASH_CACHE_DIRECTORY: directory,
    [kind.keyVariable]: key,
    MODEL: family,
    VERSIONS: 'v1,v2,v5',
    ...kind.env,
  });
  return { ...kind, service, key, ask: (asked) => predict(service.url, asked) };
}

/** One prediction of a service. */
export async function predict(url: string, { user, region = 'eu-south', features }: Asked): Promise<Served> {
  const headers = { 'content-type': 'application/json', 'x-user-id': user, 'x-region': region };
  const response = await fetch(`${url}/predict`, { method: 'POST', headers, body: JSON.stringify({ features }) });
  const { version, prediction }: { version?: string; prediction?: number } = JSON.parse(await response.text());
  return { status: response.status, version, prediction };
}

/** Asks about many, some at a time, and keeps their order. */
export async function askAll<Item, Answer>(items: readonly Item[], ask: (item: Item) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let start = 0; start < items.length; start += 20) {
    answers.push(...(await Promise.all(items.slice(start, start + 20).map(ask))));
  }
  return answers;
}

/** Someone whom flags are asked for: attributes by name. */
export type FlagSubject = Readonly<Record<string, string | number>> & { readonly key: string };

/** What Understudy's own evaluator gives to subjects, by flag: one bulk evaluation of OFREP for each. */
export async function evaluatedHere(
  { controlUrl, token }: Pick<Running, 'controlUrl' | 'token'>,
  subjects: readonly FlagSubject[],
): Promise<ReadonlyMap<string, readonly unknown[]>> {
  const byFlag = new Map<string, unknown[]>();
  const bodies = await askAll(subjects, async ({ key: targetingKey, ...attributes }) => {
    const response = await fetch(`${controlUrl}/ofrep/v1/evaluate/flags`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ context: { targetingKey, ...attributes } }),
    });
    const body: { flags: { key: string; value: unknown }[] } = JSON.parse(await response.text());
    return body;
  });
  for (const { flags } of bodies) {
    for (const { key, value } of flags) byFlag.set(key, [...(byFlag.get(key) ?? []), value]);
  }
  return byFlag;
}

/**
 * What the documents that LaunchDarkly SDKs are sent give, by our own evaluator. Flags of rollouts have another hash than
 * LaunchDarkly's, so its SDKs put other users on the challenger than the gateway: these.
 */
export async function evaluatedAsLaunchDarkly(
  { controlUrl }: Pick<Running, 'controlUrl'>,
  key: string,
  { flag, subjects }: { readonly flag: string; readonly subjects: readonly FlagSubject[] },
): Promise<unknown[]> {
  const response = await fetch(`${controlUrl}/launchdarkly/sdk/latest-all`, { headers: { authorization: key } });
  const evaluator = compileFlags(importLaunchDarkly(LaunchDarklyDataSchema.parse(await response.json())), { compileRegex });
  return subjects.map((user) => evaluator.evaluate(flag, { user }, { atMs: 0, random: () => 0 }).value);
}
