// The suite `safety`: what users feel of everything that may go wrong beside them. One measure a file, in `bench/safety/`.
import { assertMachineCanMeasure } from './harness/system-tool.ts';
import type { Row } from './row.ts';
import { measureSickShadows } from './safety/sick-shadows.ts';
import type { Suite, SuiteOptions } from './suite.ts';

/** Run one after the other. */
const MEASURES: readonly Suite[] = [measureSickShadows];

export async function runSafetySuite(options: SuiteOptions): Promise<readonly Row[]> {
  await assertMachineCanMeasure();
  const rows: Row[] = [];
  for (const measure of MEASURES) rows.push(...(await measure(options)));
  return rows;
}
