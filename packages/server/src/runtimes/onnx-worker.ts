/** A model run off the event loop: a thread, the queue before it, and a new thread after a crash. `onnx-runtime.ts` depends on it. */
import { AppError } from '@understudy/core/errors';
import { type RunQueue, openRunQueue } from './onnx-queue.ts';
import { type LoadedModel, type OnnxThread, type OnnxThreadOptions, openOnnxThread, settlesWithin } from './onnx-thread.ts';
import type { Tensor } from './runtime.ts';

export interface OnnxWorker {
  readonly model: LoadedModel;
  /** As `OnnxRuntime.run`, but the inputs must have passed the check of `tensor-check.ts`. */
  run(inputs: readonly Tensor[], deadlineMs: number): Promise<readonly Tensor[]>;
  /** Refuses new runs, lets those under way end, then ends the thread. */
  close(): Promise<void>;
}

export interface OnnxWorkerOptions extends Pick<OnnxThreadOptions, 'path' | 'startWorker'> {
  /** Runs that may wait; 64 unless told. */
  readonly queueLimit?: number;
  /** The thread must have loaded and tried the model by then; 60 s unless told. */
  readonly loadLimitMs?: number;
  /** Wait before the second restart in a row; doubles with each further one, up to 100 times this. 100 ms unless told. */
  readonly restartDelayMs?: number;
}

// A large model from a slow disk takes tens of seconds; nothing waits for it but its own version.
const LOAD_LIMIT_MS = 60_000;
const QUEUE_LIMIT = 64;
const RESTART_DELAY_MS = 100;
const RESTART_DELAY_MAX_FACTOR = 100;
// Enough for 20 runs of a model that anybody serves synchronously; a slower one is measured with fewer.
const PROBE_BUDGET_MS = 500;
// A run still not over then is stuck; its thread is left alone, because terminating it aborts the process.
const CLOSE_LIMIT_MS = 5000;

/** @throws AppError `artifact.invalid`, `artifact.unsupported_format` or `model.runtime_missing` */
export async function openOnnxWorker(options: OnnxWorkerOptions): Promise<OnnxWorker> {
  const { queueLimit = QUEUE_LIMIT, restartDelayMs = RESTART_DELAY_MS, loadLimitMs = LOAD_LIMIT_MS } = options;
  const threadOptions: OnnxThreadOptions = { ...options, loadLimitMs, probeBudgetMs: PROBE_BUDGET_MS };
  const thread = await openOnnxThread(threadOptions);
  const queue = openRunQueue(queueLimit);
  return superviseThread({
    thread,
    queue,
    restartDelayMs,
    restart: () => openOnnxThread({ ...threadOptions, probeBudgetMs: 0 }),
  });
}

interface Supervision {
  readonly thread: OnnxThread;
  readonly queue: RunQueue;
  readonly restartDelayMs: number;
  readonly restart: () => Promise<OnnxThread>;
}

type WorkerState =
  | { readonly phase: 'up' | 'draining'; readonly thread: OnnxThread }
  | { readonly phase: 'waiting'; readonly timer: NodeJS.Timeout }
  | { readonly phase: 'starting'; readonly started: Promise<void> }
  | { readonly phase: 'closed' };

function superviseThread({ thread, queue, restartDelayMs, restart }: Supervision): OnnxWorker {
  let state: WorkerState = { phase: 'closed' };
  let crashesInARow = 0;
  const drain = drainerOf(queue, {
    thread: () => (state.phase === 'up' || state.phase === 'draining' ? state.thread : undefined),
    onAnswer: () => (crashesInARow = 0),
  });

  function up(next: OnnxThread): void {
    state = { phase: 'up', thread: next };
    void next.exited.then(() => {
      if (state.phase === 'up' && state.thread === next) down();
    });
  }

  function down(): void {
    const factor = crashesInARow === 0 ? 0 : Math.min(2 ** (crashesInARow - 1), RESTART_DELAY_MAX_FACTOR);
    crashesInARow += 1;
    const start = (): void => {
      state = { phase: 'starting', started: tryRestart() };
    };
    state = { phase: 'waiting', timer: setTimeout(start, factor * restartDelayMs) };
    queue.failAll(restartError());
  }

  async function tryRestart(): Promise<void> {
    const next = await restart().catch(() => undefined);
    if (state.phase === 'closed') await next?.close(CLOSE_LIMIT_MS);
    else if (next === undefined) down();
    else up(next);
  }

  up(thread);
  return {
    model: thread.model,
    async run(inputs, deadlineMs) {
      if (state.phase === 'closed' || state.phase === 'draining') throw closedError();
      if (state.phase !== 'up') throw restartError();
      const outputs = queue.add(inputs, deadlineMs);
      void drain();
      return outputs;
    },
    async close() {
      const last = state;
      if (last.phase === 'up') {
        state = { phase: 'draining', thread: last.thread };
        await settlesWithin(CLOSE_LIMIT_MS, drain());
        queue.failAll(closedError());
        await last.thread.close(CLOSE_LIMIT_MS);
      }
      state = { phase: 'closed' };
      if (last.phase === 'waiting') clearTimeout(last.timer);
      if (last.phase === 'starting') await last.started;
    },
  };
}

interface Drain {
  readonly thread: () => OnnxThread | undefined;
  readonly onAnswer: () => void;
}

/**
 * A function that hands the queue's runs to the thread until none is left; called again meanwhile, it is the same work.
 * One run at a time: a run that waits here can still be given up for nothing, one handed to the thread cannot.
 */
function drainerOf(queue: RunQueue, { thread, onAnswer }: Drain): () => Promise<void> {
  let isDraining = false;
  let drained = Promise.resolve();

  async function drainQueue(): Promise<void> {
    for (let run = queue.take(); run !== undefined; run = queue.take()) {
      try {
        const present = thread();
        if (present === undefined) throw restartError();
        run.succeed(await present.run(run.inputs));
        onAnswer();
      } catch (error) {
        run.fail(error);
      }
    }
    isDraining = false;
  }

  return () => {
    if (!isDraining) {
      isDraining = true;
      drained = drainQueue();
    }
    return drained;
  };
}

function restartError(): AppError {
  return new AppError(
    'model.run_failed',
    "the model's worker crashed and is being restarted: send the request again in a moment",
  );
}

/** For a request that chose this version just before it was unloaded. */
export function closedError(): AppError {
  return new AppError('model.run_failed', 'the version was unloaded meanwhile: send the request again');
}
