// What routing and recording cost per request, measured in process.
import { type OperationCost, measureOperation } from './operation-cost.ts';
import type { Row } from './row.ts';
import { openHotPath } from './understudy-hot-path.ts';

const ROUNDS = 21;
const OPERATIONS_PER_ROUND = 100_000;
// A power of two, so that taking turns costs a mask; larger than the processor's nearest caches can hold.
const SUBJECTS = 65_536;
const MAXIMUM_MICROS = 3;

export async function measureHotPath(): Promise<OperationCost> {
  const subjects = Array.from({ length: SUBJECTS }, (_, index) => `user-${index}`);
  const hotPath = await openHotPath();
  try {
    return measureOperation({
      operation: (index) => hotPath.handle(subjects[index & (SUBJECTS - 1)] ?? ''),
      rounds: ROUNDS,
      operationsPerRound: OPERATIONS_PER_ROUND,
    });
  } finally {
    await hotPath.close();
  }
}

export function hotPathRow(cost: OperationCost): Row {
  const value = cost.medianNanos / 1_000;
  return {
    name: 'routing and recording CPU per request',
    value,
    unit: 'µs',
    bar: `<= ${MAXIMUM_MICROS} µs`,
    holds: value <= MAXIMUM_MICROS,
  };
}
