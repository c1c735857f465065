/** A request's body on its way to versions: in memory, or a stream when it is large and nobody here has to read it. */
import type { Readable } from 'node:stream';
import type { Exchange } from './exchange.ts';
import type { GatewayOptions } from './gateway-options.ts';
import { readUpTo, readWhole } from './request-body.ts';
import { openParsedBody, type ParsedBody } from './request-fields.ts';
import type { ModelEntry } from './model-entry.ts';

export interface Payload {
  /** A stream can be sent to one version only, so its failure cannot be rescued. */
  readonly body: Buffer | Readable;
  /** Absent for a stream. */
  readonly parsed?: ParsedBody;
}

/**
 * Reads the body as far as it must be.
 * @throws AppError `request.body_too_large`; {@link ClientGone}
 */
export async function readPayload(
  { req, headers }: Exchange,
  entry: ModelEntry,
  { bodyLimitBytes, rescuableBodyBytes }: GatewayOptions,
): Promise<Payload> {
  if (entry.readsJson || !isAllUpstream(entry)) {
    const body = await readWhole(req, bodyLimitBytes, headers.contentLength);
    return { body, parsed: openParsedBody(body) };
  }
  const read = await readUpTo(req, rescuableBodyBytes);
  return read.isWhole ? { body: read.bytes, parsed: openParsedBody(read.bytes) } : { body: read.stream };
}

function isAllUpstream({ versions }: ModelEntry): boolean {
  for (const version of versions.values()) if (version.runtime?.kind === 'onnx') return false;
  return true;
}
