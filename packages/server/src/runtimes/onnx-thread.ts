/** One worker thread with one model in it, from start to exit. `onnx-worker.ts` depends on it and starts the next one after a crash. */
import { Worker } from 'node:worker_threads';
import { AppError } from '@understudy/core/errors';
import { type Failure, errorOf, reasonOf } from './onnx-failure.ts';
import type { OnnxProbe } from './onnx-probe.ts';
import type { OnnxSignature } from './onnx-signature.ts';
import type { Tensor } from './runtime.ts';

/** What a thread is started with. */
export interface ThreadData {
  readonly path: string;
  readonly probeBudgetMs: number;
}

export type ThreadRequest = { readonly kind: 'run'; readonly inputs: readonly Tensor[] } | { readonly kind: 'close' };

export type ThreadReply =
  | { readonly kind: 'loaded'; readonly model: LoadedModel }
  | { readonly kind: 'answered'; readonly outputs: readonly Tensor[] }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** A model as its thread found it. */
export interface LoadedModel extends OnnxSignature {
  /** The thread's time on a processor, so that a busy machine does not make a model look heavy. */
  readonly loadMs: number;
  readonly probe: OnnxProbe;
}

export interface OnnxThread {
  readonly model: LoadedModel;
  /** Resolves when the thread is gone, for whatever reason. */
  readonly exited: Promise<void>;
  /** One at a time. The inputs are copied: the caller may need them again, for a rescue or a shadow. */
  run(inputs: readonly Tensor[]): Promise<readonly Tensor[]>;
  /** Lets the present run end, then the thread. Gives up waiting after `limitMs` and leaves the thread to itself. */
  close(limitMs: number): Promise<void>;
}

export interface OnnxThreadOptions extends ThreadData {
  readonly loadLimitMs: number;
  /** Starts the thread; for tests that make it crash. */
  readonly startWorker?: (data: ThreadData) => Worker;
}

interface Waiter {
  resolve(reply: ThreadReply): void;
  reject(error: Error): void;
}

/**
 * Loads and probes a model in a new thread.
 *
 * A thread is asked to end and never terminated: terminating one inside onnxruntime aborts the whole process.
 * @throws AppError `artifact.invalid`, `artifact.unsupported_format` or `model.runtime_missing`
 */
export async function openOnnxThread(options: OnnxThreadOptions): Promise<OnnxThread> {
  const worker = (options.startWorker ?? startWorker)({ path: options.path, probeBudgetMs: options.probeBudgetMs });
  let waiter: Waiter | undefined;
  let crash: AppError | undefined;
  const next = (): Promise<ThreadReply> =>
    new Promise((resolve, reject) => {
      if (crash === undefined) waiter = { resolve, reject };
      else reject(crash);
    });
  const exited = new Promise<void>((resolve) => {
    let reason = 'it ended by itself';
    worker.on('error', (error) => (reason = reasonOf(error)));
    worker.on('exit', () => {
      crash = new AppError('model.run_failed', `the model's worker crashed (${reason})`);
      waiter?.reject(crash);
      resolve();
    });
  });
  worker.on('message', (reply: ThreadReply) => {
    const waiting = waiter;
    waiter = undefined;
    waiting?.resolve(reply);
  });
  const ask = (request: ThreadRequest): void => worker.postMessage(request);
  const model = await loadedWithin(options.loadLimitMs, next(), () => {
    ask({ kind: 'close' });
    worker.unref();
  });
  return {
    model,
    exited,
    run(inputs) {
      ask({ kind: 'run', inputs: inputs.map(compact) });
      return next().then(outputsOf);
    },
    async close(limitMs) {
      ask({ kind: 'close' });
      if (!(await settlesWithin(limitMs, exited))) worker.unref();
    },
  };
}

function startWorker(data: ThreadData): Worker {
  return new Worker(new URL('./onnx-worker.child.ts', import.meta.url), { workerData: data, name: 'onnx', execArgv: [] });
}

async function loadedWithin(limitMs: number, first: Promise<ThreadReply>, abandon: () => void): Promise<LoadedModel> {
  if (!(await settlesWithin(limitMs, first))) {
    abandon();
    throw new AppError(
      'artifact.invalid',
      `the model did not load and run once within ${String(limitMs)} ms: make it smaller or faster`,
    );
  }
  const reply = await first;
  if (reply.kind === 'loaded') return reply.model;
  throw reply.kind === 'failed' ? errorOf(reply.failure) : new Error(`a model's thread began with "${reply.kind}"`);
}

function outputsOf(reply: ThreadReply): readonly Tensor[] {
  if (reply.kind === 'answered') return reply.outputs;
  throw reply.kind === 'failed' ? errorOf(reply.failure) : new Error(`a model's thread answered a run with "${reply.kind}"`);
}

/** Whether a promise settles, either way, within so many milliseconds. */
export async function settlesWithin(limitMs: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, limitMs, false)));
  const settled = promise.then(
    () => true,
    () => true,
  );
  const isSettled = await Promise.race([settled, late]);
  clearTimeout(timer);
  return isSettled;
}

// Copying a view to another thread copies the whole buffer under it, which may be a socket's.
function compact(tensor: Tensor): Tensor {
  const { data } = tensor;
  return !ArrayBuffer.isView(data) || data.byteLength === data.buffer.byteLength ? tensor : { ...tensor, data: data.slice() };
}
