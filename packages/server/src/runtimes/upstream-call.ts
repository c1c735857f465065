/** One request to a model server and what comes back, as the gateway and an upstream runtime exchange it. */
import type { Readable } from 'node:stream';

/** A request in the upstream's own protocol. */
export interface UpstreamCall {
  /** Names and values by turns; neither `host` nor hop-by-hop headers. */
  readonly headers: readonly string[];
  /** A stream is sent as it comes, as fast as the upstream reads. */
  readonly body: Buffer | Readable;
}

/** Lets the receiver of an answer hold it back while its own reader is slow. */
export interface AnswerFlow {
  pause(): void;
  resume(): void;
}

/** Told about one answer: `onStart`, `onData` …, then `onEnd` or `onError`; or `onError` alone. Nothing after an abort. */
export interface AnswerHandler {
  onStart(head: AnswerHead, flow: AnswerFlow): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  onError(error: Error): void;
}

/** Status and headers of an answer; header names are in lower case. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}
