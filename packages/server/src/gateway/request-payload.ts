/** A request's body on its way to versions: in memory, or a stream when it is large and nobody here has to read it. */
import type { Readable } from 'node:stream';
import { AppError } from '@understudy/core/errors';
import type { Exchange } from './exchange.ts';
import type { GatewayOptions } from './gateway-options.ts';
import { openParsedBody, type ParsedBody } from './request-fields.ts';
import type { ModelEntry } from './model-entry.ts';

export interface Payload {
  /** A stream can be sent to one version only, so its failure cannot be rescued. */
  readonly body: Buffer | Readable;
  /** Absent for a stream. */
  readonly parsed?: ParsedBody;
}

/** How much of a body is wanted. */
export interface BodyDemand {
  readonly limitBytes: number;
  /** Whether somebody here has to read it, so that one beyond the limit cannot be passed on unread. */
  readonly isNeeded: boolean;
}

/**
 * What this model wants of the body; a sender that waits for it is told to go on.
 * @throws AppError `request.body_too_large`
 */
export function demandBody(
  { req, res, headers, version }: Exchange,
  entry: ModelEntry,
  limits: Pick<GatewayOptions, 'bodyLimitBytes' | 'rescuableBodyBytes'>,
): BodyDemand {
  const isForced = version !== undefined || headers.forcedVersion !== undefined;
  const isNeeded = entry.readsJson || !isAllUpstream(entry, isForced);
  const limitBytes = isNeeded ? limits.bodyLimitBytes : limits.rescuableBodyBytes;
  // Refused by its announced length, a body need not come at all.
  if (isNeeded && headers.contentLength !== undefined && Number(headers.contentLength) > limitBytes) throw tooLarge(limitBytes);
  if (headers.expect !== undefined && req.httpVersionMinor > 0) res.writeContinue();
  return { limitBytes, isNeeded };
}

/**
 * The body as it goes on.
 * @param whole undefined when it is larger than was asked for
 * @throws AppError `request.body_too_large`
 */
export function payloadOf({ req }: Exchange, whole: Buffer | undefined, { limitBytes, isNeeded }: BodyDemand): Payload {
  if (whole !== undefined) return { body: whole, parsed: openParsedBody(whole) };
  if (isNeeded) throw tooLarge(limitBytes);
  return { body: req };
}

/** A shadow never makes a body needed: what is too large to copy is not copied. Only who insists on its version needs it. */
function isAllUpstream({ versions, model }: ModelEntry, isForced: boolean): boolean {
  const copied = isForced ? undefined : model.shadow?.version;
  for (const { runtime, version } of versions.values()) if (runtime?.kind === 'onnx' && version !== copied) return false;
  return true;
}

function tooLarge(limit: number): AppError {
  return new AppError(
    'request.body_too_large',
    `cannot read the body: it is larger than ${limit} bytes. Send fewer rows at once`,
  );
}
