// The suite `gateway`: predictions, proxying, and the cost and memory of routing and recording.
import { assertMachineCanMeasure } from './harness/system-tool.ts';
import { hotPathRow, measureHotPath } from './hot-path.ts';
import { measureMemory, memoryRows } from './memory.ts';
import { costText } from './operation-cost.ts';
import { runPredictContest } from './predict-contest.ts';
import { runProxyContest } from './proxy-contest.ts';
import type { Row } from './row.ts';
import type { SuiteOptions } from './suite.ts';

export async function runGatewaySuite(options: SuiteOptions): Promise<readonly Row[]> {
  await assertMachineCanMeasure();
  const contests = [...(await runPredictContest(options)), ...(await runProxyContest(options))];
  if (options.isRivalsOnly) {
    options.log('only the rivals were measured: nothing of ours is in the table');
    return contests;
  }
  const cost = await measureHotPath();
  options.log(`routing and recording: ${costText(cost)}`);
  return [...contests, hotPathRow(cost), ...memoryRows(await measureMemory(options.log))];
}
