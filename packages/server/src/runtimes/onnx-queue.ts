/** Runs that wait for a model's worker: first come first served, bounded, each with a deadline. `onnx-worker.ts` depends on it. */
import { AppError } from '@understudy/core/errors';
import type { Tensor } from './runtime.ts';

/** A run somebody waits for. After its deadline, settling it does nothing. */
export interface QueuedRun {
  readonly inputs: readonly Tensor[];
  succeed(outputs: readonly Tensor[]): void;
  fail(error: unknown): void;
}

export interface RunQueue {
  /** @throws AppError `request.overloaded` at once, `request.deadline_exceeded` later */
  add(inputs: readonly Tensor[], deadlineMs: number): Promise<readonly Tensor[]>;
  /** Takes the run that has waited longest. */
  take(): QueuedRun | undefined;
  failAll(error: Error): void;
}

// The longest delay setTimeout knows, 24.8 days; a longer deadline is none.
const TIMER_MAX_MS = 2 ** 31 - 1;

/** @param limit runs that may wait; the one being run does not count */
export function openRunQueue(limit: number): RunQueue {
  const waiting = new Set<QueuedRun>();

  function add(inputs: readonly Tensor[], deadlineMs: number): Promise<readonly Tensor[]> {
    return new Promise((resolve, reject) => {
      if (waiting.size >= limit) {
        const told = `${String(limit)} runs already wait for this model: send fewer at a time, or serve it with a model server`;
        reject(new AppError('request.overloaded', told));
        return;
      }
      const run: QueuedRun = {
        inputs,
        succeed(outputs) {
          clearTimeout(timer);
          resolve(outputs);
        },
        fail(error) {
          clearTimeout(timer);
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      };
      const giveUp = (): void => {
        waiting.delete(run);
        reject(deadlineError(deadlineMs));
      };
      const timer = deadlineMs > TIMER_MAX_MS ? undefined : setTimeout(giveUp, Math.max(0, deadlineMs));
      waiting.add(run);
    });
  }

  function take(): QueuedRun | undefined {
    const [first] = waiting;
    if (first !== undefined) waiting.delete(first);
    return first;
  }

  function failAll(error: Error): void {
    for (let run = take(); run !== undefined; run = take()) run.fail(error);
  }

  return { add, take, failAll };
}

export function deadlineError(deadlineMs: number): AppError {
  return new AppError('request.deadline_exceeded', `the model did not answer within ${deadlineMs.toFixed(0)} ms`);
}
