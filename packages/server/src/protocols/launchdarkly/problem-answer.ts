/** Errors as JSON with a code and a sentence, in the statuses that do not silence an SDK for good without need. */
import { AppError } from '@understudy/core/errors';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ProtocolPorts } from '../flag-world.ts';
import { MAX_EVENT_BYTES, unreadable } from './event-body.ts';

export interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** Errors of ours are logged here, once. */
export function answerProblem(log: ProtocolPorts['log'], error: unknown, { request, reply }: Exchange): FastifyReply {
  const problem = problemOf(error);
  if (problem.status >= 500) {
    const { code, message } = problem;
    log.warn({ route: request.routeOptions.url, code, message, err: problem.cause ?? error }, 'launchdarkly.request_failed');
  }
  if (problem.status === 503 && !reply.hasHeader('retry-after')) reply.header('retry-after', 1);
  return send(reply, problem);
}

export function answerUnknownAddress({ method, url }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const what = `${method} ${url.slice(0, 200)}`;
  const served = '/all, /sdk/latest-all, /sdk/latest-flags, /sdk/flags/:key, /sdk/segments/:key, /bulk, /diagnostic and /status';
  return send(reply, new AppError('request.not_found', `${what} is not served; server-side SDKs find here ${served}`));
}

function send(reply: FastifyReply, { code, message, status }: AppError): FastifyReply {
  return reply.status(status).type('application/json; charset=utf-8').send(JSON.stringify({ code, message }));
}

function problemOf(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof Error && 'code' in error && error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return unreadable(`they are larger than ${MAX_EVENT_BYTES} bytes`, error);
  }
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode < 500) {
    return new AppError('request.invalid', `the request cannot be used: ${error.message}`, { cause: error });
  }
  return new AppError('internal.unexpected', 'something went wrong inside Understudy; its log has the details', { cause: error });
}
