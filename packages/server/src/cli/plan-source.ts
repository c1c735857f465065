/** A plan by name or from a file. Commands that take a plan depend on it. */
import path from 'node:path';
import type { PlanFile } from '@understudy/contract/plan-file';
import { readDataFile } from './input-values.ts';

/** A path or an ending of YAML or JSON means a file; anything else is the name of a plan on the server. */
export async function planOf(text: string): Promise<string | PlanFile> {
  const isFile = /\.(?:ya?ml|json)$/i.test(text) || text.includes('/') || text.includes(path.sep);
  return isFile ? readPlanFile(text) : text;
}

/**
 * Reads and checks a plan here, before anything is sent.
 * @returns the plan as written
 * @throws AppError `plan.invalid` naming every problem and where it is
 */
export async function readPlanFile(file: string): Promise<PlanFile> {
  const input = await readDataFile(file);
  const contract = await import('@understudy/contract/plan-file');
  contract.readPlan(input);
  return contract.PlanFile.parse(input);
}
