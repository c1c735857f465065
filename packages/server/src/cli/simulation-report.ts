/** How simulated rollouts ended, as numbers and as people read them. */
import { formatDuration } from '@understudy/core/duration';
import type { Truth } from '@understudy/core/simulation/scenario';
import { spreadOf, type Spread, summaryOf } from '@understudy/core/simulation/simulate-many';
import type { SimulatedRollout } from '@understudy/core/simulation/simulate-rollout';
import { type FactOptions, renderFacts } from './facts.ts';
import { countWords } from './rollout-words.ts';
import type { CheckedOrder } from './simulated-trial.ts';
import { AS_RECORDED } from './simulated-scenarios.ts';
import { renderTable } from './table.ts';
import { displayWidth, wrap } from './terminal-text.ts';

/** One scenario. Shares are in [0, 1]. */
export interface ScenarioResult {
  readonly scenario: string;
  readonly title: string;
  readonly truth: Truth | 'recorded';
  readonly requestsPerSecond: number;
  readonly rollouts: number;
  readonly promoted: number;
  readonly rolledBack: number;
  readonly held: number;
  /** Of a harmless challenger. */
  readonly falseRollbackRate?: number;
  /** Of a harmful challenger, of those rollouts in which it had begun to differ. */
  readonly detectionRate?: number;
  /** Requests to the challenger since it began to differ. */
  readonly requestsToRollback?: Spread;
  readonly minutesToPromotion?: Spread;
  /** What the check at the start of a rollout would say. */
  readonly remarks: readonly string[];
}

export interface SimulationReport {
  readonly plan: string;
  /** The risk of a false rollback that the plan allows; absent for policies that promise none. */
  readonly alpha?: number;
  readonly firstSeed: number;
  readonly results: readonly ScenarioResult[];
}

/** Harmful by the tolerances that plans begin with: a plan with wider ones may rightly let it through. */
export const TRUTH_WORDS: Readonly<Record<ScenarioResult['truth'], string>> = {
  harmless: 'no worse',
  boundary: 'on a limit',
  harmful: 'worse',
  recorded: 'recorded',
};

export function resultOf({ order, remarks }: CheckedOrder, rollouts: readonly SimulatedRollout[]): ScenarioResult {
  const { name, title, truth, traffic } = order.scenario;
  const differing = rollouts.filter(({ requestsSinceOnset }) => requestsSinceOnset > 0);
  const found = differing.filter(({ end }) => end === 'rolled-back');
  const { requestsToRollback: _ofAll, ...summary } = summaryOf(rollouts);
  const requestsToRollback = spreadOf(found.map(({ requestsSinceOnset }) => requestsSinceOnset));
  return {
    scenario: name,
    title,
    truth: name === AS_RECORDED ? 'recorded' : truth,
    requestsPerSecond: traffic.requestsPerSecond,
    ...summary,
    ...(truth === 'harmless' ? { falseRollbackRate: summary.rolledBack / rollouts.length } : {}),
    ...(truth === 'harmful' && differing.length > 0 ? { detectionRate: found.length / differing.length } : {}),
    ...(requestsToRollback === undefined ? {} : { requestsToRollback }),
    remarks,
  };
}

/** A table where there is room, else one scenario below the other; then what it comes to. */
export function renderReport(report: SimulationReport, options: FactOptions): string {
  const { palette, width } = options;
  const rows = report.results.map((result) => [result.scenario, ...cellsOf(result)]);
  const table = renderTable(['scenario', ...HEAD], rows, { palette, empty: '' });
  const isRoomy = table.split('\n').every((line) => displayWidth(line) <= width);
  const sentences = [...sumUp(report), ...new Set(report.results.flatMap(({ remarks }) => remarks.map((one) => `note: ${one}`)))];
  const shown = isRoomy ? table : report.results.map((result) => stacked(result, options)).join('\n');
  return [shown, '', ...sentences.flatMap((sentence) => wrap(sentence, width))].join('\n');
}

const HEAD = ['challenger', 'rolled back', 'promoted', 'held', 'requests to rollback', 'time to promotion'];

function cellsOf(result: ScenarioResult): readonly string[] {
  const { truth, rollouts, rolledBack, promoted, held, requestsToRollback, minutesToPromotion } = result;
  return [
    TRUTH_WORDS[truth],
    ...[rolledBack, promoted, held].map((count) => percentWords(count / rollouts)),
    spreadWords(requestsToRollback, countWords),
    spreadWords(minutesToPromotion, (minutes) => formatDuration(Math.round(minutes * 60) * 1000)),
  ];
}

function stacked(result: ScenarioResult, options: FactOptions): string {
  const facts = cellsOf(result).map((cell, index) => [HEAD[index] ?? '', cell === '' ? undefined : cell] as const);
  const lines = renderFacts(facts, { ...options, width: options.width - 2 }).split('\n');
  return [options.palette.bold(result.scenario), ...lines.map((line) => `  ${line}`)].join('\n');
}

function spreadWords(spread: Spread | undefined, words: (value: number) => string): string {
  return spread === undefined ? '' : `${words(spread.median)} (95 %: ${words(spread.p95)})`;
}

function sumUp({ plan, alpha, firstSeed, results }: SimulationReport): readonly string[] {
  const each = results[0]?.rollouts ?? 0;
  // With nothing seen in n tries, 3/n is the upper end of a 95 % interval.
  const unseen = percentWords(Math.min(1, 3 / each));
  const sure = `Plan "${plan}", ${countWords(each)} rollouts of each scenario, seeds from ${firstSeed}; what is 0 % here may truly be up to ${unseen}.`;
  return [...falseRollbacks(results, alpha), ...detections(results), sure];
}

function falseRollbacks(results: readonly ScenarioResult[], alpha: number | undefined): readonly string[] {
  const harmless = results.filter(({ truth }) => truth === 'harmless');
  if (harmless.length === 0) return [];
  const share = percentWords(sumOf(harmless, ({ rolledBack }) => rolledBack) / sumOf(harmless, ({ rollouts }) => rollouts));
  const promise = alpha === undefined ? '' : `; the plan allows ${percentWords(alpha)}`;
  return [`False rollbacks: ${share} of challengers that are no worse${promise}.`];
}

function detections(results: readonly ScenarioResult[]): readonly string[] {
  const rates = results.flatMap(({ scenario, detectionRate: rate }) => (rate === undefined ? [] : [{ scenario, rate }]));
  const [first, ...others] = rates;
  if (first === undefined) return [];
  const worst = others.reduce((least, one) => (one.rate < least.rate ? one : least), first);
  const where = others.length === 0 ? '' : `, at the least (${worst.scenario})`;
  return [`Detected: ${percentWords(worst.rate)} of challengers that are worse${where}.`];
}

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0);
}

/** Never rounded to all or nothing. */
function percentWords(share: number): string {
  const percent = Number((share * 100).toFixed(1));
  if (percent === 0 && share > 0) return 'under 0.1 %';
  return percent === 100 && share < 1 ? 'over 99.9 %' : `${percent} %`;
}
