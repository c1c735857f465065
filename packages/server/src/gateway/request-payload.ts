/** A request's body on its way to versions: in memory, or a stream when it is large and nobody here has to read it. */
import type { Readable } from 'node:stream';
import type { Exchange } from './exchange.ts';
import type { GatewayOptions } from './gateway-options.ts';
import { assertLength, readUpTo, readWhole } from './request-body.ts';
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
export async function readPayload(exchange: Exchange, entry: ModelEntry, options: GatewayOptions): Promise<Payload> {
  const { req, headers } = exchange;
  if (entry.readsJson || !isAllUpstream(entry)) {
    // Refused by its announced length, a body need not come at all.
    assertLength(headers.contentLength, options.bodyLimitBytes);
    askForBody(exchange);
    const body = await readWhole(req, options.bodyLimitBytes);
    return { body, parsed: openParsedBody(body) };
  }
  askForBody(exchange);
  const read = await readUpTo(req, options.rescuableBodyBytes);
  return read.isWhole ? { body: read.bytes, parsed: openParsedBody(read.bytes) } : { body: read.stream };
}

/** Tells a sender that waits for it to go on (`Expect: 100-continue`). */
function askForBody({ req, res, headers }: Exchange): void {
  if (headers.expect !== undefined && req.httpVersionMinor > 0) res.writeContinue();
}

function isAllUpstream({ versions }: ModelEntry): boolean {
  for (const version of versions.values()) if (version.runtime?.kind === 'onnx') return false;
  return true;
}
