/** The file of `--settings`: routing, watch and the rest of a model, as the control API takes them. */
import type { CallInput } from '@understudy/contract/client';
import { MODEL_ENDPOINTS } from '@understudy/contract/model-endpoints';
import { describeProblems } from '@understudy/contract/problems';
import { UsageError } from './usage-error.ts';

const Fields = MODEL_ENDPOINTS.createModel.body.omit({ name: true });

/** @throws UsageError naming every field that is wrong */
export function readSettingsFile(file: string, input: unknown): Omit<CallInput<'createModel'>['body'], 'name'> {
  const parsed = Fields.safeParse(input);
  if (!parsed.success) throw new UsageError(`cannot use ${file}: ${describeProblems(parsed.error)}`);
  return parsed.data;
}
