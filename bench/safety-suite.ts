// The suite `safety`: what users notice when a challenger, the load or a gateway fails. One file for each measure.
import { measureDeadChallenger } from './safety/dead-challenger.ts';
import { measureOverload } from './safety/overload.ts';
import { measureRollingRestart } from './safety/rolling-restart.ts';
import type { Row } from './row.ts';
import type { Suite, SuiteOptions } from './suite.ts';

const MEASURES: readonly Suite[] = [measureDeadChallenger, measureOverload, measureRollingRestart];

export async function runSafetySuite(options: SuiteOptions): Promise<readonly Row[]> {
  const rows: Row[] = [];
  // One after the other: they would measure each other.
  for (const measure of MEASURES) rows.push(...(await measure(options)));
  return rows;
}
