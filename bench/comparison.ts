// Turns the figures of a contest into rows: ours against each rival, or the rivals alone.
import type { ContestResult, Figures } from './harness/contest.ts';
import type { Row } from './row.ts';
import { figureText } from './table.ts';

/** A figure as rows show it. */
export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly valueOf: (figures: Figures) => number;
  readonly isMoreBetter: boolean;
}

export const THROUGHPUT: Metric = {
  name: 'throughput',
  unit: 'requests/s',
  valueOf: (figures) => figures.requestsPerSecond,
  isMoreBetter: true,
};
export const P50: Metric = { name: 'p50', unit: 'ms', valueOf: (figures) => figures.p50Ms, isMoreBetter: false };
export const P99: Metric = { name: 'p99', unit: 'ms', valueOf: (figures) => figures.p99Ms, isMoreBetter: false };
export const CPU: Metric = {
  name: 'CPU per request',
  unit: 'µs',
  valueOf: (figures) => figures.cpuMicrosPerRequest,
  isMoreBetter: false,
};

export interface Comparison {
  /** What is compared, the first word of the row's name. */
  readonly subject: string;
  readonly metric: Metric;
  readonly ours: ContestResult;
  readonly rival: ContestResult;
  /** What the row's name calls the rival, where the name alone would not tell rows apart. */
  readonly rivalTitle?: string;
  /** The row holds when the ratio reaches this and nobody's request failed. */
  readonly minimumRatio?: number;
}

export function comparisonRow({ subject, metric, ours, rival, rivalTitle, minimumRatio }: Comparison): Row {
  const [value, rivalValue] = [metric.valueOf(ours.figures), metric.valueOf(rival.figures)];
  const ratio = metric.isMoreBetter ? value / rivalValue : rivalValue / value;
  const row = {
    name: rivalTitle === undefined ? `${subject} ${metric.name}` : `${subject} ${metric.name} vs ${rivalTitle}`,
    value,
    unit: metric.unit,
    against: `${rival.name} ${figureText(rivalValue)}`,
    ratio,
  };
  if (minimumRatio === undefined) return row;
  const isClean = ours.figures.failedRequests === 0 && rival.figures.failedRequests === 0;
  return { ...row, bar: `>= ${minimumRatio}x`, holds: isClean && ratio >= minimumRatio };
}

/** The rows of one server by itself, compared with nothing. */
export function figureRows(subject: string, result: ContestResult, metrics: readonly Metric[]): readonly Row[] {
  return metrics.map((metric) => ({
    name: `${subject} ${metric.name}, ${result.name}`,
    value: metric.valueOf(result.figures),
    unit: metric.unit,
  }));
}

/** A server that fails requests can look fast; no contest counts unless every request of every server succeeded. */
export function failuresRow(subject: string, results: readonly ContestResult[]): Row {
  const value = results.reduce((sum, result) => sum + result.figures.failedRequests, 0);
  const failing = results.filter((result) => result.figures.failedRequests > 0).map(failuresText);
  const against = failing.length === 0 ? {} : { against: failing.join(', ') };
  return { name: `${subject} failed requests, all servers`, value, unit: 'requests', ...against, bar: '= 0', holds: value === 0 };
}

function failuresText({ name, figures }: ContestResult): string {
  return `${name} ${figures.failedRequests}`;
}
