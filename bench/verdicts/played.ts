// The summaries of everything that was played, by contender and scenario.
import { endUnder, type Summary, summaryOf } from '@understudy/core/simulation/simulate-many';
import type { SimulatedRollout } from '@understudy/core/simulation/simulate-rollout';
import { OURS, OURS_ALONE, STRICT_ALPHA, USUAL_ALPHA } from './contenders.ts';
import type { TrialSeries } from './trial-pool.ts';

export interface Played {
  /** Of ours at its usual risk; undefined for what was not played. */
  summary(contender: string, scenario: string): Summary | undefined;
  /** Of ours at its strict risk. */
  strictSummary(contender: string, scenario: string): Summary | undefined;
}

export interface RiskLevel {
  readonly alpha: number;
  /** As rows name it. */
  readonly title: string;
  summaryOf(played: Played, contender: string, scenario: string): Summary | undefined;
}

export const RISKS: readonly RiskLevel[] = [
  { alpha: USUAL_ALPHA, title: 'risk 5 %', summaryOf: (played, contender, scenario) => played.summary(contender, scenario) },
  {
    alpha: STRICT_ALPHA,
    title: 'risk 1 %',
    summaryOf: (played, contender, scenario) => played.strictSummary(contender, scenario),
  },
];

export function playedOf(series: readonly TrialSeries[], results: readonly (readonly SimulatedRollout[])[]): Played {
  const [usual, strict] = [new Map<string, Summary>(), new Map<string, Summary>()];
  series.forEach(({ contender, scenario }, place) => {
    const rollouts = results[place] ?? [];
    const isOurs = contender === OURS || contender === OURS_ALONE;
    const key = keyOf(contender, scenario);
    usual.set(key, summaryOf(isOurs ? rollouts.map((rollout) => endUnder(rollout, 0)) : rollouts));
    if (isOurs) strict.set(key, summaryOf(rollouts));
  });
  return {
    summary: (contender, scenario) => usual.get(keyOf(contender, scenario)),
    strictSummary: (contender, scenario) => strict.get(keyOf(contender, scenario)),
  };
}

function keyOf(contender: string, scenario: string): string {
  return `${contender} | ${scenario}`;
}
