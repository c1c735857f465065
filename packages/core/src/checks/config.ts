/** A guard from elsewhere: whom it asks, what answer is a failure, and what follows. Plans carry these; the server asks them. */
import { templateProblems } from './template.ts';

/**
 * Where the secret comes from that a request carries: the name of an environment variable of the server, never the secret.
 * `basic` holds `user:password`.
 */
export interface CheckAuth {
  readonly kind: 'bearer' | 'basic';
  readonly variable: string;
}

/** A line through the baseline's value: `ratio` × it + `plus`. */
export interface CheckLine {
  readonly ratio: number;
  readonly plus: number;
}

/** A number to compare with, or a line that follows the baseline. */
export type CheckLimit = number | CheckLine;

/** Beyond `fail…` is a failure; beyond `warn…` is no failure, and no proof either. */
export interface CheckLimits {
  readonly failAbove?: CheckLimit;
  readonly failBelow?: CheckLimit;
  readonly warnAbove?: CheckLimit;
  readonly warnBelow?: CheckLimit;
}

/** Asks the instant query API of a Prometheus, or of what speaks like one. */
export interface PrometheusCheck extends CheckLimits {
  readonly kind: 'prometheus';
  /** Base address; `/api/v1/query` is added. */
  readonly url: string;
  /** PromQL with places as in `template.ts`; gives one number. */
  readonly query: string;
  /** What the limits with a ratio are multiplied with, often the same query about the champion. */
  readonly baseline?: string;
  readonly auth?: CheckAuth;
}

/** Asks a service of the users, which gives a verdict of its own. */
export interface WebhookCheck {
  readonly kind: 'webhook';
  readonly url: string;
  readonly auth?: CheckAuth;
}

/**
 * A guard from elsewhere. Nobody knows the distribution behind somebody else's number, so it is compared with plain limits,
 * takes no part of a policy's risk, and no promise about false rollbacks covers it.
 */
export interface CheckConfig {
  readonly name: string;
  readonly source: PrometheusCheck | WebhookCheck;
  readonly everyMs: number;
  /** So many failures in a row count. One answer with failures on both sides is a slip. */
  readonly failures: number;
  readonly onFailure: 'roll-back' | 'hold';
  /** After so many errors of the provider in a row, `onError` says what they mean. They are never failures. */
  readonly errors: number;
  /** `ignore`: the rollout climbs without this check's proof. */
  readonly onError: 'hold' | 'ignore';
  readonly onNoData: 'hold' | 'ignore';
  /** A pass proves nothing before the step has been held for so long: queries look back. */
  readonly afterMs: number;
  /** Which steps are not passed without proof. Failures count in all of them. */
  readonly needed: 'each-step' | 'promotion' | 'never';
}

/** A plan asks at most so many. */
export const MAX_CHECKS = 16;

/** What a check is when it says no more than whom it asks. */
export const DEFAULT_CHECK: Omit<CheckConfig, 'name' | 'source'> = {
  everyMs: 30_000,
  failures: 3,
  onFailure: 'roll-back',
  errors: 3,
  onError: 'hold',
  onNoData: 'hold',
  afterMs: 0,
  needed: 'each-step',
};

/** An answer older than this says nothing about now; failures further apart than this are not in a row. */
export function staleAfterMs({ everyMs, errors }: Pick<CheckConfig, 'everyMs' | 'errors'>): number {
  return everyMs * (errors + 1);
}

/** Which of the times a check is due; counted from the start of the rollout, so that all processes count alike. */
export function dueNumber({ everyMs }: Pick<CheckConfig, 'everyMs'>, startedAtMs: number, atMs: number): number {
  return Math.floor(Math.max(0, atMs - startedAtMs) / everyMs);
}

/**
 * What is wrong with the checks of a plan that their schema cannot say.
 * @returns sentences for people
 */
export function problemsOfChecks(checks: readonly CheckConfig[]): readonly string[] {
  const names = checks.map(({ name }) => name);
  const twice = names.filter((name, index) => names.indexOf(name) < index);
  return [
    ...[...new Set(twice)].map((name) => `two checks are called "${name}"; their answers could not be told apart`),
    ...checks.flatMap(problemsOfCheck),
  ];
}

function problemsOfCheck(check: CheckConfig): readonly string[] {
  const problems = check.source.kind === 'prometheus' ? problemsOfQuery(check.source) : [];
  return problems.map((problem) => `the check "${check.name}" ${problem}`);
}

function problemsOfQuery(source: PrometheusCheck): readonly string[] {
  const { query, baseline, failAbove, failBelow, warnAbove, warnBelow } = source;
  const problems = [...templateProblems(query), ...templateProblems(baseline ?? '')];
  const limits = [failAbove, failBelow, warnAbove, warnBelow].filter((limit) => limit !== undefined);
  const hasLine = limits.some((limit) => typeof limit === 'object');
  if (failAbove === undefined && failBelow === undefined) problems.push('can never fail: give it failAbove or failBelow');
  if (hasLine && baseline === undefined) problems.push('has a limit with a ratio, but no baseline to multiply');
  if (!hasLine && baseline !== undefined) problems.push('has a baseline that no limit uses: give a limit as { ratio, plus }');
  if (!isBefore(failBelow, failAbove)) problems.push('fails on every value: failBelow must be below failAbove');
  if (!isBefore(warnAbove, failAbove) || !isBefore(failBelow, warnBelow)) {
    problems.push('warns only beyond where it fails; a warning begins earlier');
  }
  return problems;
}

/** Whether two limits of a kind are in order; lines are compared with their baseline, which nobody knows yet. */
function isBefore(lower: CheckLimit | undefined, upper: CheckLimit | undefined): boolean {
  return typeof lower !== 'number' || typeof upper !== 'number' || lower <= upper;
}
