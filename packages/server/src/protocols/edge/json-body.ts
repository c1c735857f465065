/** The bodies that flag SDKs send: JSON, whatever their content type says, compressed or not. The flag protocols depend on it. */
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { AppError } from '@understudy/core/errors';
import type { JsonValue } from '@understudy/core/flags/context';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** What `request.body` is after {@link readJsonBodies}. */
export interface JsonBody {
  /** Undefined: the body is empty. */
  readonly value: JsonValue | undefined;
  /** As it was written, decompressed. */
  readonly bytes: Buffer;
}

type Decompress = (bytes: Buffer, limits: { readonly maxOutputLength: number }) => Promise<Buffer>;

const ENCODINGS: Readonly<Record<string, Decompress>> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
};

/**
 * @param maxBytes the limit of a body as it is sent
 * @param maxInflatedBytes its limit when it is decompressed
 */
export function readJsonBodies(app: FastifyInstance, maxBytes: number, maxInflatedBytes: number = maxBytes): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: maxBytes },
    async ({ headers }: FastifyRequest, sent: Buffer): Promise<JsonBody> => {
      const bytes = await decompressed(sent, headers['content-encoding'], maxInflatedBytes);
      return { value: bytes.length === 0 ? undefined : parse(bytes), bytes };
    },
  );
}

async function decompressed(sent: Buffer, header = '', maxBytes: number): Promise<Buffer> {
  const encoding = header.trim().toLowerCase();
  if (encoding === '' || encoding === 'identity' || sent.length === 0) return sent;
  const decompress = Object.hasOwn(ENCODINGS, encoding) ? ENCODINGS[encoding] : undefined;
  if (decompress === undefined) {
    const known = Object.keys(ENCODINGS).join(', ');
    throw new AppError('request.unsupported_media_type', `the body's content-encoding is none of ${known}`);
  }
  try {
    return await decompress(sent, { maxOutputLength: maxBytes });
  } catch (error) {
    if (error instanceof RangeError) {
      throw new AppError('request.body_too_large', `the body is larger than ${maxBytes} bytes`, { cause: error });
    }
    throw new AppError('request.invalid', `the body cannot be decompressed as ${encoding}`, { cause: error });
  }
}

function parse(bytes: Buffer): JsonValue {
  try {
    const value: JsonValue = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return value;
  } catch (error) {
    const problem = error instanceof SyntaxError ? error.message : 'it is not UTF-8';
    throw new AppError('request.invalid', `the body cannot be read as JSON: ${problem}`, { cause: error });
  }
}
