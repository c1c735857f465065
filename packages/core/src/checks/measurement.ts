/** One answer of a provider, as it is stored before anything is decided on it; and what a check makes of it. */
import type { CheckConfig, CheckLimit, PrometheusCheck } from './config.ts';

/** A value of Prometheus that is a number; JSON has no infinities. */
export type Sample = number | '+Inf' | '-Inf';

/** Plain data. `reason` is what the provider said, or what went wrong, cut to {@link MAX_REASON}. */
export type Answer =
  | { readonly outcome: 'value'; readonly value: Sample; readonly baseline?: Sample }
  | { readonly outcome: 'verdict'; readonly verdict: 'pass' | 'fail' | 'undecided'; readonly reason: string }
  /** Nothing to compare: an empty vector, NaN. Neither zero nor a failure. */
  | { readonly outcome: 'no-data'; readonly reason: string }
  /** Nobody could say: time out, 5xx, broken body, a query that is wrong. Never a failure of the metric. */
  | { readonly outcome: 'error'; readonly reason: string };

/** An answer that is a number. */
export type Valued = Extract<Answer, { outcome: 'value' }>;

/** An answer with what was asked and when. */
export interface Measurement {
  readonly check: string;
  /** When it was asked, on the control plane's clock. */
  readonly atMs: number;
  readonly answer: Answer;
}

/** Longest reason that is kept, in characters. */
export const MAX_REASON = 300;

/** What an answer is for its check. */
export type Finding = 'pass' | 'warn' | 'fail' | 'undecided' | 'no-data' | 'error';

/** What a check makes of an answer. An answer of another kind of provider is no data: another plan is tried on it. */
export function findingOf({ source }: Pick<CheckConfig, 'source'>, answer: Answer): Finding {
  switch (answer.outcome) {
    case 'error':
    case 'no-data':
      return answer.outcome;
    case 'verdict':
      return source.kind === 'webhook' ? answer.verdict : 'no-data';
    case 'value':
      return source.kind === 'prometheus' ? findingOfValue(source, answer) : 'no-data';
  }
}

/** The number of a sample. */
export function numberOf(sample: Sample): number {
  if (sample === '+Inf') return Infinity;
  return sample === '-Inf' ? -Infinity : sample;
}

/** What a value is compared with: a number, or a line through the baseline; undefined when the line has no baseline. */
export function limitAt(limit: CheckLimit, baseline: Sample | undefined): number | undefined {
  if (typeof limit === 'number') return limit;
  return baseline === undefined ? undefined : limit.ratio * numberOf(baseline) + limit.plus;
}

function findingOfValue(source: PrometheusCheck, { value: sample, baseline }: Valued): Finding {
  const value = numberOf(sample);
  const limits = [source.failAbove, source.failBelow, source.warnAbove, source.warnBelow].map((limit) =>
    limit === undefined ? undefined : { at: limitAt(limit, baseline) },
  );
  // A line without its baseline, or through ∞ × 0, is nothing to compare with.
  if (limits.some((limit) => limit !== undefined && (limit.at === undefined || Number.isNaN(limit.at)))) return 'no-data';
  const [failAbove = Infinity, failBelow = -Infinity, warnAbove = Infinity, warnBelow = -Infinity] = limits.map(
    (limit) => limit?.at,
  );
  if (value > failAbove || value < failBelow) return 'fail';
  return value > warnAbove || value < warnBelow ? 'warn' : 'pass';
}
