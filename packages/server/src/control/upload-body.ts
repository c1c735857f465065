/** Uploads as a stream with a limit: a model file may be larger than the memory of this machine. */
import { Readable } from 'node:stream';
import { AppError } from '@understudy/core/errors';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Hands bodies of content-type application/octet-stream on unread; those of other types are answered with 415. */
export function passUploads(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
}

/**
 * The bytes of an upload.
 * @throws AppError `artifact.too_large`: at once when its length is announced, else when the limit is passed; `artifact.empty`
 */
export function uploadOf(request: FastifyRequest, maxBytes: number): AsyncIterable<Uint8Array> {
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > maxBytes) throw tooLarge(`${announced} bytes`, maxBytes);
  if (!(request.body instanceof Readable)) {
    throw new AppError(
      'artifact.empty',
      'nothing was uploaded; send the file as the body, with content-type application/octet-stream',
    );
  }
  return limited(request.body, maxBytes);
}

async function* limited(stream: Readable, maxBytes: number): AsyncGenerator<Uint8Array> {
  let seen = 0;
  for await (const chunk of whole(stream)) {
    if (!(chunk instanceof Uint8Array)) throw new Error('an upload gave something else than bytes');
    seen += chunk.length;
    if (seen > maxBytes) throw tooLarge(`more than ${maxBytes} bytes`, maxBytes);
    yield chunk;
  }
}

/** The stream, with a client that goes away told from a failure of ours. */
async function* whole(stream: Readable): AsyncGenerator<unknown> {
  try {
    // Not destroyed when it is refused half way: that would reset the connection, and the reason would be lost.
    yield* stream.iterator({ destroyOnReturn: false });
  } catch (error) {
    throw new AppError('request.invalid', 'the upload broke off before it was complete', { cause: error });
  }
}

function tooLarge(size: string, maxBytes: number): AppError {
  return new AppError('artifact.too_large', `the upload has ${size}; this server takes files of up to ${maxBytes} bytes`);
}
