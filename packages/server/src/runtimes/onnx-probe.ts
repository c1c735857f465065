/** Tries a freshly loaded model on made-up rows: does it run, and how fast. The worker's thread and the inspection depend on it. */
import type { DataType, TensorSpec } from '@understudy/core/model-version';
import { reasonOf } from './onnx-failure.ts';
import type { OnnxSession } from './onnx-session.ts';
import type { Tensor, TensorData } from './runtime.ts';
import { FREE } from './tensor-check.ts';

/**
 * What the made-up rows showed. `failed` is no verdict on the model: an encoder of categories or a free feature dimension
 * refuses every made-up row and serves real ones well.
 */
export type OnnxProbe =
  | { readonly outcome: 'ran'; readonly medianMs: number }
  | { readonly outcome: 'failed'; readonly medianMs: number; readonly reason: string };

export interface OnnxProbeOptions {
  /** No run begins after so many milliseconds, but for one that warms up and one that is timed. */
  readonly budgetMs: number;
}

// The first run takes up to fifty times a later one, and our own code needs about a hundred calls to be compiled.
const WARM_UP_RUNS = 100;
const WARM_UP_SHARE = 0.2;
const TIMED_RUNS = 20;

type Fill = 0 | 1;

/** Runs rows of zeros; where these fail, rows of ones. */
export async function probeOnnx(session: OnnxSession, { budgetMs }: OnnxProbeOptions): Promise<OnnxProbe> {
  const zeros = await probeWith(session, singleRowOf(session.signature.inputs, 0), budgetMs);
  if (zeros.outcome === 'ran') return zeros;
  const ones = await probeWith(session, singleRowOf(session.signature.inputs, 1), budgetMs);
  return ones.outcome === 'ran' ? ones : zeros;
}

/** A made-up request of one row: free dimensions are 1, every value is `fill`. */
export function singleRowOf(specs: readonly TensorSpec[], fill: Fill): readonly Tensor[] {
  return specs.map(({ name, dataType, shape }) => {
    const sizes = shape.map((size) => (size === FREE ? 1 : size));
    return { name, dataType, shape: sizes, data: filled(dataType, valueCountOf(sizes), fill) };
  });
}

function valueCountOf(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

async function probeWith(session: OnnxSession, inputs: readonly Tensor[], budgetMs: number): Promise<OnnxProbe> {
  const startMs = performance.now();
  try {
    await timesOf({ session, inputs, runs: WARM_UP_RUNS, untilMs: startMs + budgetMs * WARM_UP_SHARE });
    const timed = await timesOf({ session, inputs, runs: TIMED_RUNS, untilMs: startMs + budgetMs });
    return { outcome: 'ran', medianMs: medianOf(timed) };
  } catch (error) {
    return { outcome: 'failed', medianMs: performance.now() - startMs, reason: reasonOf(error) };
  }
}

interface TimedRuns {
  readonly session: OnnxSession;
  readonly inputs: readonly Tensor[];
  readonly runs: number;
  readonly untilMs: number;
}

/** Milliseconds of each run; stops early when the time is over. */
async function timesOf({ session, inputs, runs, untilMs }: TimedRuns): Promise<readonly number[]> {
  const timesMs: number[] = [];
  let nowMs = performance.now();
  // The first run counts whatever the time is: a model must have been tried once.
  while (timesMs.length < runs && (nowMs < untilMs || timesMs.length === 0)) {
    await session.run(inputs);
    const thenMs = nowMs;
    nowMs = performance.now();
    timesMs.push(nowMs - thenMs);
  }
  return timesMs;
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function filled(dataType: DataType, length: number, fill: Fill): TensorData {
  switch (dataType) {
    case 'BOOL':
    case 'UINT8':
      return new Uint8Array(length).fill(fill);
    case 'INT8':
      return new Int8Array(length).fill(fill);
    case 'INT16':
      return new Int16Array(length).fill(fill);
    case 'INT32':
      return new Int32Array(length).fill(fill);
    case 'INT64':
      return new BigInt64Array(length).fill(BigInt(fill));
    case 'FP32':
      return new Float32Array(length).fill(fill);
    case 'FP64':
      return new Float64Array(length).fill(fill);
    case 'BYTES':
      return Array.from({ length }, () => String(fill));
  }
}
