/** Reading a request's body into memory, up to a limit. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { AppError } from '@understudy/core/errors';

/** The whole body, or its beginning when it is larger than was asked for. */
export type ReadBody =
  | { readonly isWhole: true; readonly bytes: Buffer }
  | { readonly isWhole: false; readonly stream: Readable };

/** The sender went away before the body was complete. */
export class ClientGone extends Error {
  constructor() {
    super('the client closed the connection');
    this.name = 'ClientGone';
  }
}

/**
 * Reads the whole body.
 * @throws AppError `request.body_too_large`; {@link ClientGone}
 */
export async function readWhole(req: IncomingMessage, limit: number): Promise<Buffer> {
  const body = await readUpTo(req, limit);
  if (!body.isWhole) throw tooLarge(limit);
  return body.bytes;
}

/** @throws AppError `request.body_too_large` by what the sender announces */
export function assertLength(declared: string | undefined, limit: number): void {
  if (declared !== undefined && Number(declared) > limit) throw tooLarge(limit);
}

/**
 * Reads a body until it ends or exceeds `limit`; then the rest stays with the sender until the stream is read.
 * @throws ClientGone
 */
export function readUpTo(req: IncomingMessage, limit: number): Promise<ReadBody> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const stop = (): void => {
      req.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
    };
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      length += chunk.length;
      if (length <= limit) return;
      stop();
      req.pause();
      resolve({ isWhole: false, stream: Readable.from(continued(chunks, req), { objectMode: false }) });
    };
    const onEnd = (): void => {
      stop();
      const [first] = chunks;
      resolve({ isWhole: true, bytes: first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks, length) });
    };
    const onGone = (): void => {
      stop();
      reject(new ClientGone());
    };
    req.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
  });
}

async function* continued(beginning: readonly Buffer[], rest: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  yield* beginning;
  yield* rest;
}

function tooLarge(limit: number): AppError {
  return new AppError(
    'request.body_too_large',
    `cannot read the body: it is larger than ${limit} bytes. Send fewer rows at once`,
  );
}
