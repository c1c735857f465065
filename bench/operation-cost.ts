// Measures the CPU of a synchronous operation too short to be measured once.
import { medianOf } from './statistics.ts';

// Enough for the engine to have compiled the operation and seen its types.
const WARM_UP_ROUNDS = 3;

export interface OperationRequest {
  /** Receives 0, 1, 2, … through all rounds. */
  readonly operation: (index: number) => void;
  readonly rounds: number;
  readonly operationsPerRound: number;
}

/** CPU of this process per operation, garbage collection included. */
export interface OperationCost {
  readonly medianNanos: number;
  readonly leastNanos: number;
  readonly mostNanos: number;
}

export function measureOperation({ operation, rounds, operationsPerRound }: OperationRequest): OperationCost {
  const nanos: number[] = [];
  let index = 0;
  for (let round = -WARM_UP_ROUNDS; round < rounds; round += 1) {
    const end = index + operationsPerRound;
    const before = process.cpuUsage();
    for (; index < end; index += 1) operation(index);
    const { user, system } = process.cpuUsage(before);
    if (round >= 0) nanos.push(((user + system) * 1_000) / operationsPerRound);
  }
  return { medianNanos: medianOf(nanos), leastNanos: Math.min(...nanos), mostNanos: Math.max(...nanos) };
}

export function costText({ medianNanos, leastNanos, mostNanos }: OperationCost): string {
  return `median ${Math.round(medianNanos)} ns, rounds from ${Math.round(leastNanos)} to ${Math.round(mostNanos)} ns`;
}
