/** Errors as JSON with a code and a sentence, in the statuses that do not silence an SDK for good without need. */
import { AppError } from '@understudy/core/errors';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Refusal, refusalOf, setRefusalHeaders } from '../edge/refusal.ts';
import type { ProtocolPorts } from '../flag-world.ts';

/** Errors of ours are logged here, once. */
export function answerProblem(log: ProtocolPorts['log'], error: unknown, reply: FastifyReply): FastifyReply {
  const refusal = refusalOf(error, log);
  // SDKs never send again after 413 and 415.
  const isBadBody = refusal.status === 413 || refusal.status === 415;
  return send(reply, isBadBody ? { status: 400, code: 'request.invalid', message: refusal.message } : refusal);
}

export function answerUnknownAddress({ method, url }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const what = `${method} ${url.slice(0, 200)}`;
  const served = '/all, /sdk/latest-all, /sdk/latest-flags, /sdk/flags/:key, /sdk/segments/:key, /bulk, /diagnostic and /status';
  return send(reply, new AppError('request.not_found', `${what} is not served; server-side SDKs find here ${served}`));
}

function send(reply: FastifyReply, { code, message, status }: Refusal): FastifyReply {
  setRefusalHeaders(reply, { status });
  return reply.status(status).type('application/json; charset=utf-8').send(JSON.stringify({ code, message }));
}
