/** One model loaded into onnxruntime on the present thread. The inline runtime, the worker's thread and the inspection depend on it. */
import { AppError } from '@understudy/core/errors';
import type { Signature } from '@understudy/core/model-version';
import type * as Ort from 'onnxruntime-node';
import { reasonOf } from './onnx-failure.ts';
import { type OnnxSignature, onnxSignatureOf } from './onnx-signature.ts';
import type { Tensor, TensorData } from './runtime.ts';

export interface OnnxSession extends OnnxSignature {
  /**
   * Runs the model; the thread is busy meanwhile. Inputs must have passed the check of `tensor-check.ts`, and their data
   * must not change before this resolves.
   * @throws AppError `model.run_failed`
   */
  run(inputs: readonly Tensor[]): Promise<readonly Tensor[]>;
  /** Frees the model. No run may be under way or follow. */
  close(): Promise<void>;
}

// Models served in process are small: a second thread inside one costs more than it saves, and takes a core from serving.
// Severity 4 keeps onnxruntime from writing to our standard error; we report what fails ourselves.
const SESSION_OPTIONS: Ort.InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  executionMode: 'sequential',
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'all',
  logSeverityLevel: 4,
};

/**
 * Loads a model. Call it on the event loop only with a model known to load quickly.
 * @throws AppError `artifact.invalid`, `artifact.unsupported_format` or `model.runtime_missing`
 */
export async function openOnnxSession(path: string): Promise<OnnxSession> {
  const ort = await loadOnnxruntime();
  const session = await createSession(ort, path);
  try {
    const { signature, axisNames } = onnxSignatureOf(session);
    return { signature, axisNames, run: runnerOf(ort, session, signature), close: () => session.release() };
  } catch (error) {
    await session.release();
    throw error;
  }
}

/**
 * The optional dependency, loaded on first use.
 * @param load replaces the import; for tests
 * @throws AppError `model.runtime_missing`
 */
export async function loadOnnxruntime(load: () => Promise<typeof Ort> = () => import('onnxruntime-node')): Promise<typeof Ort> {
  try {
    return await load();
  } catch (error) {
    throw new AppError(
      'model.runtime_missing',
      `ONNX models need the package onnxruntime-node, which did not load on ${process.platform}-${process.arch}: ` +
        'run `npm install onnxruntime-node`, or serve the model from a model server and register its address',
      { cause: error },
    );
  }
}

async function createSession(ort: typeof Ort, path: string): Promise<Ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(path, SESSION_OPTIONS);
  } catch (error) {
    throw loadError(reasonOf(error, path), error);
  }
}

function loadError(reason: string, cause: unknown): AppError {
  if (reason.startsWith('Unsupported data type')) {
    const advice = 'use float32, int64 or another common element type for inputs and outputs';
    return new AppError('artifact.unsupported_format', `onnxruntime cannot pass this model's values (${reason}): ${advice}`, {
      cause,
    });
  }
  const advice = /external|\.data\b/i.test(reason)
    ? 'its weights are in a second file; save it as one file (onnx.save_model with save_as_external_data=False)'
    : 'check that the file is a whole ONNX model and loads with onnxruntime in Python';
  return new AppError('artifact.invalid', `onnxruntime cannot load the model (${reason}): ${advice}`, { cause });
}

function runnerOf(ort: typeof Ort, session: Ort.InferenceSession, { outputs }: Signature): OnnxSession['run'] {
  return async (inputs) => {
    const feeds: Record<string, Ort.Tensor> = {};
    for (const input of inputs) feeds[input.name] = toOrt(ort, input);
    let results: Ort.InferenceSession.ReturnType;
    try {
      results = await session.run(feeds);
    } catch (error) {
      throw new AppError('model.run_failed', `the model failed on this input: ${reasonOf(error)}`, { cause: error });
    }
    return outputs.map(({ name, dataType }) => {
      const result = results[name];
      if (result === undefined) throw new AppError('model.run_failed', `the model returned no output "${name}"`);
      return { name, dataType, shape: result.dims, data: dataOf(name, result.data) };
    });
  };
}

// No copies: both sides share the buffer. The commonest type first.
function toOrt({ Tensor: OrtTensor }: typeof Ort, { dataType, data, shape }: Tensor): Ort.Tensor {
  if (data instanceof Float32Array) return new OrtTensor('float32', data, shape);
  if (data instanceof BigInt64Array) return new OrtTensor('int64', data, shape);
  if (data instanceof Float64Array) return new OrtTensor('float64', data, shape);
  if (data instanceof Int32Array) return new OrtTensor('int32', data, shape);
  if (data instanceof Uint8Array) return new OrtTensor(dataType === 'BOOL' ? 'bool' : 'uint8', data, shape);
  if (data instanceof Int8Array) return new OrtTensor('int8', data, shape);
  if (data instanceof Int16Array) return new OrtTensor('int16', data, shape);
  return new OrtTensor('string', [...data], shape);
}

function dataOf(name: string, data: Ort.Tensor['data']): TensorData {
  if (
    data instanceof Float32Array ||
    data instanceof BigInt64Array ||
    data instanceof Float64Array ||
    data instanceof Int32Array ||
    data instanceof Uint8Array ||
    data instanceof Int8Array ||
    data instanceof Int16Array ||
    Array.isArray(data)
  ) {
    return data;
  }
  throw new Error(`output "${name}" has a type that its signature cannot hold`);
}
