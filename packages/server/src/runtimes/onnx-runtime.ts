/** Opens a version's ONNX model for serving and decides where it runs. The registry's loader depends on it; see docs/decisions/0004. */
import { stat } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { AppError } from '@understudy/core/errors';
import type { Signature } from '@understudy/core/model-version';
import { type OnnxProbe, probeOnnx, singleRowOf } from './onnx-probe.ts';
import { type OnnxSession, openOnnxSession } from './onnx-session.ts';
import type { LoadedModel } from './onnx-thread.ts';
import { openLazyWorker } from './onnx-lazy-worker.ts';
import { type OnnxWorker, type OnnxWorkerOptions, closedError, openOnnxWorker } from './onnx-worker.ts';
import type { OnnxRun, OnnxRuntime, Tensor } from './runtime.ts';
import { tensorCheckOf } from './tensor-check.ts';

export interface OpenOnnxRuntimeOptions extends OnnxWorkerOptions {
  /** What the version was registered with; the file must match it. */
  readonly signature: Signature;
  /**
   * The longest an inline run should hold the event loop; 1 ms unless told. A model goes inline when its median is under
   * half of it; larger batches of an inline model go to a worker. 0 puts every model into a worker.
   */
  readonly inlineLimitMs?: number;
}

/** A runtime that also tells what its made-up rows showed; when they failed, that is worth a line in the log. */
export interface OpenedOnnxRuntime extends OnnxRuntime {
  readonly probe: OnnxProbe;
}

const INLINE_LIMIT_MS = 1;
// Reading and optimising a file holds the event loop too: a larger file, or one slow to load in the worker, stays there.
const INLINE_MAX_BYTES = 5 * 1024 * 1024;
// The first model of a process also pays 20 to 30 ms for onnxruntime's own start, which the inline load does not repeat.
const INLINE_MAX_LOAD_MS = 100;
// The measuring runs again, cut short: a model that goes inline makes them all in less.
const WARM_UP_BUDGET_MS = 20;
const CLOCK_STEP_MS = 0.001;

/**
 * Loads a model, warms it up and measures it, all in a worker thread, so that serving never waits for it. A model that is small
 * and well under `inlineLimitMs` is then loaded again on the event loop and its worker closed.
 * @throws AppError `artifact.invalid`, `artifact.unsupported_format` or `model.runtime_missing`
 */
export async function openOnnxRuntime(options: OpenOnnxRuntimeOptions): Promise<OpenedOnnxRuntime> {
  const { signature, inlineLimitMs = INLINE_LIMIT_MS } = options;
  const worker = await openOnnxWorker(options);
  try {
    checkSignature(signature, worker.model.signature);
    const { size } = await stat(options.path);
    const runtime = { kind: 'onnx', signature, measuredMs: worker.model.probe.medianMs, probe: worker.model.probe } as const;
    if (!canRunInline(worker.model, size, inlineLimitMs))
      return { ...runtime, placement: 'worker', ...runInWorker(worker, signature) };
    const session = await openOnnxSession(options.path);
    await warmUp(session);
    await worker.close();
    return {
      ...runtime,
      placement: 'inline',
      ...runInline({ session, options, singleRowMs: runtime.measuredMs, inlineLimitMs }),
    };
  } catch (error) {
    await worker.close();
    throw error;
  }
}

/** A file under a registered version's name that is not what was registered must not answer in its place. */
function checkSignature(registered: Signature, actual: Signature): void {
  const isSame =
    isDeepStrictEqual(registered.inputs, actual.inputs) &&
    isDeepStrictEqual(registered.outputs, actual.outputs) &&
    actual.outputs.some(({ name }) => name === registered.prediction);
  if (isSame) return;
  throw new AppError(
    'artifact.invalid',
    'the model has other inputs or outputs than its version was registered with: register it anew',
  );
}

type Runner = Pick<OnnxRuntime, 'run' | 'close'>;

function runInWorker(worker: OnnxWorker, signature: Signature): Runner {
  const check = tensorCheckOf(signature.inputs, worker.model.axisNames);
  return {
    async run(inputs, deadlineMs) {
      check(inputs);
      return timed(() => worker.run(inputs, deadlineMs));
    },
    close: () => worker.close(),
  };
}

interface InlineOptions {
  readonly session: OnnxSession;
  readonly options: OnnxWorkerOptions;
  readonly singleRowMs: number;
  readonly inlineLimitMs: number;
}

function runInline({ session, options, singleRowMs, inlineLimitMs }: InlineOptions): Runner {
  const { inputs: specs } = session.signature;
  const check = tensorCheckOf(specs, session.axisNames);
  const singleRowValues = singleRowOf(specs, 0).reduce((count, { data }) => count + data.length, 0);
  // A batch costs at most about its number of rows times one row.
  const inlineMaxValues = singleRowValues * Math.floor(inlineLimitMs / Math.max(singleRowMs, CLOCK_STEP_MS));
  const batches = openLazyWorker(options);
  const gate = openGate();

  return {
    async run(inputs, deadlineMs) {
      if (check(inputs) > inlineMaxValues) return timed(() => batches.run(inputs, deadlineMs));
      gate.enter();
      try {
        return await takeTurn(() => session.run(inputs));
      } finally {
        gate.leave();
      }
    },
    async close() {
      if (!(await gate.close())) return;
      await session.close();
      await batches.close();
    },
  };
}

async function timed(run: () => Promise<readonly Tensor[]>): Promise<OnnxRun> {
  const startMs = performance.now();
  const outputs = await run();
  return { outputs, ms: performance.now() - startMs };
}

// When the last run on the event loop ended, of whichever model: the loop is the same for all of them.
let lastTurnEndMs = 0;

/** Runs begin when they are asked for, or when the one before has ended, whichever is later. */
async function takeTurn(run: () => Promise<readonly Tensor[]>): Promise<OnnxRun> {
  const askedMs = performance.now();
  const outputs = await run();
  const endMs = performance.now();
  const ms = endMs - Math.max(askedMs, lastTurnEndMs);
  lastTurnEndMs = endMs;
  return { outputs, ms };
}

interface Gate {
  enter(): void;
  leave(): void;
  /** Resolves when everybody has left; false when it was closed before. */
  close(): Promise<boolean>;
}

/** Counts the runs inside a session, so that it is freed after the last. */
function openGate(): Gate {
  let inside = 0;
  let onEmpty: (() => void) | undefined;
  return {
    enter() {
      if (onEmpty !== undefined) throw closedError();
      inside += 1;
    },
    leave() {
      inside -= 1;
      if (inside === 0) onEmpty?.();
    },
    async close() {
      if (onEmpty !== undefined) return false;
      await new Promise<void>((resolve) => {
        onEmpty = resolve;
        if (inside === 0) resolve();
      });
      return true;
    },
  };
}

/** The first runs of a session are slow; whether they are answered was seen in the worker. */
async function warmUp(session: OnnxSession): Promise<void> {
  await probeOnnx(session, { budgetMs: WARM_UP_BUDGET_MS });
}

function canRunInline({ loadMs, probe }: LoadedModel, bytes: number, inlineLimitMs: number): boolean {
  return (
    probe.outcome === 'ran' && probe.medianMs < inlineLimitMs / 2 && bytes <= INLINE_MAX_BYTES && loadMs <= INLINE_MAX_LOAD_MS
  );
}
