/** What a request that failed is told, whatever failed. The error answers of the flag protocols depend on it. */
import { AppError, type ErrorCode } from '@understudy/core/errors';
import type { FastifyReply } from 'fastify';
import type { ProtocolPorts } from '../flag-world.ts';

/** Nothing of the inside: a status and a sentence. */
export interface Refusal {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
}

/** Errors of ours are logged here, once. */
export function refusalOf(error: unknown, log: ProtocolPorts['log']): Refusal {
  if (error instanceof AppError) return error;
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (error instanceof Error && typeof status === 'number' && status >= 400 && status < 500) {
    return { status, code: 'request.invalid', message: `the request cannot be used: ${error.message}` };
  }
  log.warn({ err: error }, 'protocol.request_failed');
  return { status: 500, code: 'internal.unexpected', message: 'something went wrong inside Understudy; its log has the details' };
}

/** The headers that belong to a status. Who was refused for now comes back after a second or two, not all at once. */
export function setRefusalHeaders(reply: FastifyReply, { status }: Pick<Refusal, 'status'>): void {
  if (status === 503 && !reply.hasHeader('retry-after')) reply.header('retry-after', 1 + Math.round(Math.random()));
}
