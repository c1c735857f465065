/** Bodies as SDKs send them: JSON under any content type, also compressed, with a digest that tells a repeated one. */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { UnleashProblem } from './problem.ts';

/** A body that was read. */
export interface ReceivedBody {
  readonly json: unknown;
  /** Of the bytes as they were sent. */
  readonly digest: string;
}

// A report of 10,000 flags is about 1 MB. SDKs stop reporting for good when they are refused, so the limit is far off.
const MAX_BODY_BYTES = 5 * 1024 * 1024;
const MAX_INFLATED_BYTES = 20 * 1024 * 1024;

const DECOMPRESS = { gzip: promisify(gunzip), deflate: promisify(inflate), br: promisify(brotliDecompress) };

/** Reads the bodies of a plugin's routes; beacons of browsers come as text/plain, so the content type decides nothing. */
export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES },
    async (request: FastifyRequest, bytes: Buffer) => {
      const plain = await decompressed(bytes, request.headers['content-encoding']);
      const body: ReceivedBody = { json: parsed(plain), digest: createHash('sha256').update(bytes).digest('base64url') };
      return body;
    },
  );
}

async function decompressed(bytes: Buffer, encoding = 'identity'): Promise<Buffer> {
  const name = encoding.trim().toLowerCase();
  if (name === 'identity' || name === '') return bytes;
  if (name !== 'gzip' && name !== 'deflate' && name !== 'br') {
    throw new UnleashProblem(415, `the content-encoding "${name}" is unknown; send gzip, deflate, br or none`);
  }
  try {
    return await DECOMPRESS[name](bytes, { maxOutputLength: MAX_INFLATED_BYTES });
  } catch (error) {
    throw new UnleashProblem(400, `the body is not ${name} of at most ${MAX_INFLATED_BYTES} bytes`, { cause: error });
  }
}

function parsed(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  try {
    const json: unknown = JSON.parse(bytes.toString('utf8'));
    return json;
  } catch (error) {
    throw new UnleashProblem(400, 'the body is not JSON', { cause: error });
  }
}
