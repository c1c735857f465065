// The suite `gateway`: predictions, proxying, and the cost and memory of routing and recording.
import { assertMachineCanMeasure } from './harness/system-tool.ts';
import { hotPathRow, measureHotPath } from './hot-path.ts';
import { measureMemory, memoryRows } from './memory.ts';
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
  const hotPath = hotPathRow(await measureHotPath());
  return [...contests, hotPath, ...memoryRows(await measureMemory(options.log))];
}
