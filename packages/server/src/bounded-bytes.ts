/** Reads a body that others send, up to a limit. Answers of providers and what comes over the local socket are read by it. */
import type { Readable } from 'node:stream';

/** Undefined when there is more; the rest is not read then. */
export async function boundedBytes(stream: Readable, mostBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > mostBytes) return undefined;
    chunks.push(part);
  }
  return Buffer.concat(chunks);
}
