/** What a wire protocol is to the gateway: how a request becomes tensors, and tensors an answer. One file here for each. */
import type { Signature, UpstreamProtocol } from '@understudy/core/model-version';
import type { Tensor } from '../../runtimes/runtime.ts';

/** A request body as tensors, and how its sender wants the answer. */
export interface DecodedRequest {
  readonly inputs: readonly Tensor[];
  readonly form: AnswerForm;
}

/** How the answer is to look. */
export interface AnswerForm {
  /** One row without a batch around it. */
  readonly isSingleRow: boolean;
  /** TensorFlow's column format: outputs as one array each, rather than one object for each row. */
  readonly isColumnar: boolean;
  /** Echoed (Open Inference Protocol). */
  readonly id?: string;
  /** Only these outputs, in this order; absent means all. */
  readonly outputs?: readonly string[];
}

/** What there is to say about a prediction. */
export interface Answer {
  readonly model: string;
  readonly version: string;
  readonly arm: string;
  readonly requestId: string;
  readonly latencyMs: number;
  readonly signature: Signature;
  readonly outputs: readonly Tensor[];
  readonly form: AnswerForm;
}

/** A failure as the sender is told. */
export interface Problem {
  readonly status: number;
  /** A code of `docs/errors.md`. */
  readonly code: string;
  readonly message: string;
}

export interface WireProtocol {
  readonly name: UpstreamProtocol;
  /** How to call it in a message to people. */
  readonly title: string;
  /** @throws AppError `request.invalid` with what was expected, what came and how to fix it */
  decode(body: unknown, signature: Signature): DecodedRequest;
  /** The answer's body. */
  encode(answer: Answer): string;
  /** The body of a failure, in the shape that clients of the protocol read. */
  encodeProblem(problem: Problem, requestId: string): string;
  /** What an upstream's answer predicts; undefined when it is no valid answer of this protocol. */
  predictionsOf(answer: unknown): readonly unknown[] | undefined;
}

/** The form of a batch. */
export const BATCH: AnswerForm = { isSingleRow: false, isColumnar: false };

/** The form of a single row. */
export const SINGLE_ROW: AnswerForm = { isSingleRow: true, isColumnar: false };
