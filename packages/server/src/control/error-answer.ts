/** Every error as a problem body: the code, a sentence, the request's id. Nothing of the inside ever leaves. */
import type { Problem } from '@understudy/contract/problems';
import { AppError, type ErrorCode } from '@understudy/core/errors';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { announcesBody } from './announced-body.ts';

/** Events with fields. */
export interface ControlLog {
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
}

const FRAMEWORK_ERRORS: Readonly<Record<string, readonly [code: ErrorCode, message: string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['request.body_too_large', 'the body is larger than the 1 MiB that this endpoint takes'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'request.unsupported_media_type',
    'the content-type is not one that this endpoint takes: application/json, or application/octet-stream to upload an artifact',
  ],
  FST_ERR_HANDLER_TIMEOUT: [
    'request.deadline_exceeded',
    'the request took too long and was given up; what it asked for may still happen',
  ],
  FST_ERR_BAD_URL: [
    'request.invalid',
    'the address cannot be read: it has a "%" that is not followed by two hexadecimal digits of UTF-8',
  ],
  FST_ERR_MAX_PARAM_LENGTH: ['request.invalid', 'a name in the address is too long'],
};

// Long enough for a slow client to notice the answer, too short to keep us busy with what nobody wants.
const DISCARD_MS = 5000;

/** Answers a request that failed. Errors of ours are logged once, here. */
export function answerError(log: ControlLog, error: unknown, { request, reply }: Exchange): FastifyReply {
  const problem = problemOf(error, request.id);
  if (problem.code === 'internal.unexpected') log.error({ ...placeOf(request), err: error }, 'request.failed');
  else if (problem.status >= 500)
    log.warn({ ...placeOf(request), code: problem.code, message: problem.message }, 'request.refused');
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="understudy"');
  if (problem.status === 503 && !reply.hasHeader('retry-after')) reply.header('retry-after', 1);
  if (announcesBody(request.raw) && !request.raw.readableEnded) discardRest({ request, reply });
  const body: Problem = { error: { code: problem.code, message: problem.message, requestId: request.id } };
  return reply.status(problem.status).type('application/json; charset=utf-8').serializer(JSON.stringify).send(body);
}

interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/**
 * Lets the rest of a body arrive, for a while, without looking at it: a connection that is closed while the other side
 * is sending is reset, and the answer is lost with it.
 */
function discardRest({ request, reply }: Exchange): void {
  reply.removeHeader('connection');
  const { raw } = request;
  const giveUp = setTimeout(() => raw.destroy(), DISCARD_MS).unref();
  raw.once('close', () => clearTimeout(giveUp));
}

function problemOf(error: unknown, requestId: string): AppError {
  if (error instanceof AppError) return error;
  const [code, message] = FRAMEWORK_ERRORS[textOf(error, 'code')] ?? [];
  if (code !== undefined && message !== undefined) return new AppError(code, message, { cause: error });
  if (error instanceof Error && isCallersFault(error)) {
    return new AppError('request.invalid', `the request cannot be used: ${error.message}`, { cause: error });
  }
  return new AppError(
    'internal.unexpected',
    `something went wrong inside Understudy; its log has the details under request ${requestId}`,
    { cause: error },
  );
}

function isCallersFault(error: Error): boolean {
  return 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500;
}

function placeOf({ id, method, routeOptions }: FastifyRequest): object {
  return { requestId: id, method, route: routeOptions?.url };
}

function textOf(error: unknown, name: 'code'): string {
  if (typeof error !== 'object' || error === null || !(name in error)) return '';
  const value: unknown = error[name];
  return typeof value === 'string' ? value : '';
}
