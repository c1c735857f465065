/** Turns what SDKs report into outcomes of flag variants. The convention is in docs/protocols/unleash.md; everything else is left out. */
import type { FlagDocuments } from '@understudy/core/flags/evaluator';
import { type Flag, isEnabledVariant } from '@understudy/core/flags/flag';
import type { FlagOutcome } from '../flag-world.ts';
import type { MetricsReport, ReportedHistogram, ReportedMetric } from './metrics-report.ts';

/** Names of impact metrics: with the prefix anywhere, without it where the labels `flag` and `variant` say what they are about. */
const PREFIX = 'understudy_';
const REQUESTS = 'requests';
const ERRORS = 'errors';
const LATENCY_MS = 'latency_ms';
const LATENCY_SECONDS = 'latency_seconds';
const SCORE = 'score_';

/** What the batch of a report is called, and when it came. */
export interface Batch {
  readonly batch: string;
  readonly atMs: number;
}

interface Sums {
  exposures: number;
  requests: number;
  errors: number;
  readonly latencies: (readonly [ms: number, count: number])[];
  readonly scores: Record<string, { readonly count: number; readonly sum: number; readonly sumSquares: number }>;
}

/** Outcomes of the flags and variants that exist. */
export function outcomesOf(report: MetricsReport, documents: FlagDocuments, { batch, atMs }: Batch): readonly FlagOutcome[] {
  const flags = new Map(documents.flags.map((flag) => [flag.key, flag]));
  const tally = new Map<string, { readonly flag: string; readonly variant: string; readonly sums: Sums }>();
  const sumsOf = (flag: string, variant: string): Sums => {
    const key = JSON.stringify([flag, variant]);
    const entry = tally.get(key) ?? { flag, variant, sums: { exposures: 0, requests: 0, errors: 0, latencies: [], scores: {} } };
    tally.set(key, entry);
    return entry.sums;
  };
  addExposures(report, flags, sumsOf);
  const metrics = hasErrorsAlone(report)
    ? report.impactMetrics.filter(({ name }) => !isCalled(name, ERRORS))
    : report.impactMetrics;
  for (const metric of metrics) addMetric(metric, flags, sumsOf);
  return [...tally.values()]
    .map(({ flag, variant, sums }) => ({ flag, variant, batch, atMs, ...sums, requests: Math.max(sums.requests, sums.errors) }))
    .filter(isAnything);
}

/** Whether an application counts errors without the requests that they are a part of: nothing can be told from that. */
export function hasErrorsAlone({ impactMetrics }: MetricsReport): boolean {
  const has = (wanted: string): boolean => impactMetrics.some(({ name }) => isCalled(name, wanted));
  return has(ERRORS) && !has(REQUESTS);
}

function isCalled(name: string, wanted: string): boolean {
  return name === wanted || name === PREFIX + wanted;
}

type Flags = ReadonlyMap<string, Flag>;
type SumsOf = (flag: string, variant: string) => Sums;

function addExposures({ bucket }: MetricsReport, flags: Flags, sumsOf: SumsOf): void {
  for (const [key, { yes, no, variants }] of bucket) {
    const flag = flags.get(key);
    // SDKs count a question for the variant in `yes` or `no` as well.
    const counts =
      variants.size > 0
        ? variants
        : new Map([
            ['enabled', yes],
            ['disabled', no],
          ]);
    for (const [label, count] of counts) {
      const variant = flag === undefined ? undefined : variantOf(flag, label);
      if (variant !== undefined) sumsOf(key, variant).exposures += Math.round(count);
    }
  }
}

/** SDKs say `enabled` or `disabled` where they have no variant; that is one when the flag has only one such variant. */
function variantOf(flag: Flag, label: string): string | undefined {
  if (flag.variants.some(({ name }) => name === label)) return label;
  if (label !== 'enabled' && label !== 'disabled') return undefined;
  const [only, ...others] = flag.variants.filter((variant) => isEnabledVariant(variant, flag.type) === (label === 'enabled'));
  return others.length === 0 ? only?.name : undefined;
}

function addMetric(metric: ReportedMetric, flags: Flags, sumsOf: SumsOf): void {
  const hasPrefix = metric.name.startsWith(PREFIX);
  const name = hasPrefix ? metric.name.slice(PREFIX.length) : metric.name;
  const add = (labels: ReadonlyMap<string, string>, each: (sums: Sums) => void): void => {
    for (const { flag, variant } of subjectsOf(labels, flags, hasPrefix)) each(sumsOf(flag, variant));
  };
  if (metric.type === 'counter') {
    for (const { labels, value } of metric.samples) {
      if (name === REQUESTS) add(labels, (sums) => (sums.requests += Math.round(value)));
      if (name === ERRORS) add(labels, (sums) => (sums.errors += Math.round(value)));
    }
    return;
  }
  for (const sample of metric.samples) {
    if (name === LATENCY_MS) add(sample.labels, (sums) => sums.latencies.push(...latenciesOf(sample, 1)));
    if (name === LATENCY_SECONDS) add(sample.labels, (sums) => sums.latencies.push(...latenciesOf(sample, 1000)));
    if (name.startsWith(SCORE)) add(sample.labels, (sums) => addScore(sums, name.slice(SCORE.length), sample));
  }
}

interface Subject {
  readonly flag: string;
  readonly variant: string;
}

/** The labels `flag` and `variant`; else, as SDKs do with a flag context, a label for each flag. */
function subjectsOf(labels: ReadonlyMap<string, string>, flags: Flags, hasPrefix: boolean): readonly Subject[] {
  const named = labels.get('flag');
  const pairs = named === undefined ? (hasPrefix ? [...labels] : []) : [[named, labels.get('variant') ?? ''] as const];
  return pairs.flatMap(([key, label]) => {
    const flag = flags.get(key);
    const variant = flag === undefined ? undefined : variantOf(flag, label);
    return variant === undefined ? [] : { flag: key, variant };
  });
}

/** Single buckets of a cumulative histogram; what lies above the last bound is put at the mean that the sum leaves for it. */
function latenciesOf(
  { buckets, count, sum }: ReportedHistogram,
  unitMs: number,
): readonly (readonly [ms: number, count: number])[] {
  let below = 0;
  let covered = 0;
  let last = 0;
  const single: (readonly [ms: number, count: number])[] = [];
  for (const { le, count: upTo } of buckets.filter(({ le }) => Number.isFinite(le)).toSorted((a, b) => a.le - b.le)) {
    const here = Math.round(upTo - below);
    last = le;
    if (here <= 0) continue;
    single.push([le * unitMs, here]);
    below = upTo;
    covered += le * here;
  }
  const above = Math.round(count - below);
  if (above > 0) single.push([Math.max(last, (sum - covered) / above) * unitMs, above]);
  return single.filter(([ms]) => ms >= 0);
}

/** Scores are in [0, 1]. Their squares are not reported: the most that the buckets allow errs on the side of doubt. */
function addScore(sums: Sums, score: string, { buckets, count, sum }: ReportedHistogram): void {
  if (score === '' || count === 0 || sum < 0 || sum > count) return;
  let below = 0;
  let squares = 0;
  for (const { le, count: upTo } of buckets.toSorted((a, b) => a.le - b.le)) {
    squares += Math.max(0, upTo - below) * Math.min(1, Math.max(0, le)) ** 2;
    below = Math.max(below, upTo);
  }
  squares += Math.max(0, count - below);
  const before = sums.scores[score] ?? { count: 0, sum: 0, sumSquares: 0 };
  const sumSquares = Math.max(Math.min(squares, sum), sum ** 2 / count);
  sums.scores[score] = {
    count: before.count + Math.round(count),
    sum: before.sum + sum,
    sumSquares: before.sumSquares + sumSquares,
  };
}

function isAnything({ exposures, requests, errors, latencies, scores }: FlagOutcome): boolean {
  return exposures > 0 || requests > 0 || errors > 0 || latencies.length > 0 || Object.keys(scores).length > 0;
}
