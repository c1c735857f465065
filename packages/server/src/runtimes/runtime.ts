/** How a gateway gets predictions from a version: a model run in this process, or a model server elsewhere. The gateway depends on it. */
import type { DataType, Signature, UpstreamProtocol } from '@understudy/core/model-version';
import type { AnswerHandler, UpstreamCall } from './upstream-call.ts';

/** Flat row-major data of a tensor; BYTES tensors hold texts. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | readonly string[];

/** A named input or output with its actual shape; BOOL data is 0 or 1 in a Uint8Array. */
export interface Tensor {
  readonly name: string;
  readonly dataType: DataType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** What one run gave. */
export interface OnnxRun {
  readonly outputs: readonly Tensor[];
  /**
   * Milliseconds that the run took. On the event loop runs take turns; the time that one waited for its turn is the fault of
   * neither model and is not in it. A worker's own queue is.
   */
  readonly ms: number;
}

/** A model loaded into this process. `inline` runs on the event loop, `worker` off it; chosen by measuring at load. */
export interface OnnxRuntime {
  readonly kind: 'onnx';
  readonly signature: Signature;
  readonly placement: 'inline' | 'worker';
  /** Median milliseconds of one single-row run on the event loop, measured after warm-up. */
  readonly measuredMs: number;
  /**
   * Runs the model once.
   * @param deadlineMs a worker's run is given up after so many milliseconds; an inline run cannot be interrupted
   * @throws AppError `model.run_failed` when the model fails on these inputs, `request.deadline_exceeded`,
   *   `request.overloaded` when the worker's queue is full
   */
  run(inputs: readonly Tensor[], deadlineMs: number): Promise<OnnxRun>;
  close(): Promise<void>;
}

/** A model server that requests are forwarded to, in its own protocol. */
export interface UpstreamRuntime {
  readonly kind: 'upstream';
  readonly protocol: UpstreamProtocol;
  /** The server's base address, without a trailing slash. */
  readonly url: string;
  /** The model's name over there. */
  readonly remoteModel: string;
  /** Posts a prediction request. The function returned gives it up; the handler hears nothing after that. */
  send(call: UpstreamCall, handler: AnswerHandler): () => void;
  /**
   * Asks again what was asked at opening: whether the server is there, and says that its model is ready where its protocol can.
   * @throws AppError `upstream.unreachable` or `upstream.bad_response`
   */
  assertThere(): Promise<void>;
  close(): Promise<void>;
}

export type Runtime = OnnxRuntime | UpstreamRuntime;
