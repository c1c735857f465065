// The suite `scale`: what one control plane can carry. One measure a file, in `bench/scale/`.
import { assertMachineCanMeasure } from './harness/system-tool.ts';
import type { Row } from './row.ts';
import { measureDecisionTime } from './scale/decision-time.ts';
import { measureFanOut } from './scale/fan-out.ts';
import { measureIngest } from './scale/ingest.ts';
import type { Suite, SuiteOptions } from './suite.ts';

/** Run one after the other: they would measure each other. */
const MEASURES: readonly Suite[] = [measureDecisionTime, measureIngest, measureFanOut];

export async function runScaleSuite(options: SuiteOptions): Promise<readonly Row[]> {
  await assertMachineCanMeasure();
  const rows: Row[] = [];
  for (const measure of MEASURES) rows.push(...(await measure(options)));
  return rows;
}
