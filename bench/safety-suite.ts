// The suite `safety`: what users notice when a challenger, a shadow, the load or a gateway fails. One measure a file, in `bench/safety/`.
import { assertMachineCanMeasure } from './harness/system-tool.ts';
import type { Row } from './row.ts';
import { measureDeadChallenger } from './safety/dead-challenger.ts';
import { measureOverload } from './safety/overload.ts';
import { measureRollingRestart } from './safety/rolling-restart.ts';
import { measureSickShadows } from './safety/sick-shadows.ts';
import type { Suite, SuiteOptions } from './suite.ts';

/** Run one after the other: they would measure each other. */
const MEASURES: readonly Suite[] = [measureDeadChallenger, measureSickShadows, measureOverload, measureRollingRestart];

export async function runSafetySuite(options: SuiteOptions): Promise<readonly Row[]> {
  await assertMachineCanMeasure();
  const rows: Row[] = [];
  for (const measure of MEASURES) rows.push(...(await measure(options)));
  return rows;
}
