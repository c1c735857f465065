// The suite `verdicts`: whole rollouts, simulated thousands of times, decided by ours and by what people do otherwise.
import { SCENARIOS } from '@understudy/core/simulation/scenarios';
import type { Row } from './row.ts';
import type { SuiteOptions } from './suite.ts';
import { MEAN_RULE, OURS, OURS_ALONE, RIVALS } from './verdicts/contenders.ts';
import { evidenceCostRows } from './verdicts/evidence-cost.ts';
import { playedOf } from './verdicts/played.ts';
import { playAll, type TrialSeries } from './verdicts/trial-pool.ts';
import { COMPARED_WITH_BOUND, SAME_MEAN, verdictRows } from './verdicts/verdict-rows.ts';
import { verdictTable } from './verdicts/verdict-table.ts';

export async function runVerdictsSuite(options: SuiteOptions): Promise<readonly Row[]> {
  const { rollouts, isRivalsOnly, log, print } = options;
  const scenarios = SCENARIOS.filter(({ name }) => options.scenarios.length === 0 || options.scenarios.includes(name));
  const names = scenarios.map(({ name }) => name);
  // Costs first, while no other thread is running.
  const costs = isRivalsOnly ? [] : evidenceCostRows();
  const series = names.flatMap((scenario) => seriesOf(scenario, isRivalsOnly));
  const played = playedOf(series, await playAll({ series, rollouts, log }));
  print(`${rollouts} rollouts of each of ${names.length} scenarios, seeds 1 to ${rollouts}`);
  print(verdictTable(scenarios, played));
  return [...verdictRows(scenarios, played), ...costs];
}

function seriesOf(scenario: string, isRivalsOnly: boolean): readonly TrialSeries[] {
  const ours = isRivalsOnly ? [] : [OURS, ...(COMPARED_WITH_BOUND.includes(scenario) ? [OURS_ALONE] : [])];
  const rivals = [...RIVALS, ...(SAME_MEAN.includes(scenario) ? [MEAN_RULE] : [])];
  return [...ours, ...rivals].map((contender) => ({ contender, scenario }));
}
