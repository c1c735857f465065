/** Refusals as Unleash's SDKs and their users read them: a name, a sentence, no inside. Every route of the protocol depends on it. */
import type { FastifyReply } from 'fastify';
import { refusalOf } from '../edge/refusal.ts';
import type { ProtocolPorts } from '../flag-world.ts';

/**
 * What SDKs do with a status decides which one is sent. 401 and 403 make an SDK give up until its process is restarted, so
 * they are said only of a key that is surely wrong; 429 makes a streaming SDK poll instead; 503 makes every SDK try again.
 */
export type ProblemStatus = 400 | 403 | 404 | 429 | 503;

/** A request that is refused. */
export class UnleashProblem extends Error {
  readonly status: ProblemStatus;

  constructor(status: ProblemStatus, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

const NAMES: Readonly<Record<number, string>> = {
  400: 'BadDataError',
  401: 'AuthenticationRequired',
  403: 'NoAccessError',
  404: 'NotFoundError',
  413: 'ContentTooLarge',
  415: 'ContentTypeError',
  429: 'TooManyStreams',
  503: 'NotReady',
};

// A server that starts is ready within seconds; SDKs that know the header are not told to wait longer than their own interval.
const RETRY_AFTER_SECONDS = 5;

/** Answers a request that failed; errors of ours are logged once, here. */
export function answerProblem(log: ProtocolPorts['log'], error: unknown, reply: FastifyReply): FastifyReply {
  const { status, message } = error instanceof UnleashProblem ? error : refusalOf(error, log);
  if (status === 503 || status === 429) reply.header('retry-after', RETRY_AFTER_SECONDS);
  const body = { name: NAMES[status] ?? 'UnexpectedError', message, details: [{ message }] };
  return reply.status(status).type('application/json; charset=utf-8').send(JSON.stringify(body));
}
