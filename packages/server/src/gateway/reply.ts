/** Writing answers: status, our headers and a body in one go. Every way a request can end goes through here. */
import { AppError } from '@understudy/core/errors';
import { type Exchange, isOpen } from './exchange.ts';
import type { Problem } from './wire/protocol.ts';

/** What our headers say about an answer. */
export interface ReplyFacts {
  readonly version: string;
  readonly arm: string;
  readonly reason: string;
  readonly revision: number;
  readonly requestId: string;
  /** Time that was neither the version's nor the client's. */
  readonly ownMs: number;
}

const MAX_ECHO_LENGTH = 128;
const RETRY_AFTER_SECONDS = '1';

/** Our headers of an answer, names and values by turns. */
export function understudyHeaders(exchange: Exchange, facts: ReplyFacts): string[] {
  const headers = [
    'x-understudy-version',
    facts.version,
    'x-understudy-arm',
    facts.arm,
    'x-understudy-reason',
    facts.reason,
    'x-understudy-revision',
    String(facts.revision),
    'x-understudy-request-id',
    facts.requestId,
    'server-timing',
    `understudy;dur=${Math.round(facts.ownMs * 1000) / 1000}`,
  ];
  const echo = exchange.headers.requestId;
  if (echo !== undefined && isPlain(echo)) headers.push('x-request-id', echo);
  return headers;
}

/** Answers with a prediction. */
export function replyPrediction(exchange: Exchange, body: string, facts: ReplyFacts): void {
  if (!isOpen(exchange)) return;
  const headers = understudyHeaders(exchange, facts);
  const bytes = Buffer.byteLength(body);
  headers.push('content-type', 'application/json', 'content-length', String(bytes));
  // Text of one byte a character is ASCII, and cheaper to write as Latin-1.
  atEndOfTurn(() => {
    if (isOpen(exchange)) exchange.res.writeHead(200, headers).end(body, bytes === body.length ? 'latin1' : 'utf8');
  });
}

let outbox: (() => void)[] = [];

/** Answers of one turn of the event loop go out together: the other side is woken up once for all of them. */
function atEndOfTurn(write: () => void): void {
  if (outbox.push(write) === 1) setImmediate(writeAll);
}

function writeAll(): void {
  const writes = outbox;
  outbox = [];
  for (const write of writes) write();
}

/** A body without a version behind it: health, metadata, metrics. */
export function replyPlain(
  exchange: Pick<Exchange, 'req' | 'res'>,
  status: number,
  body: { readonly type: string; readonly text: string },
): void {
  const headers = [
    'content-type',
    body.type,
    'content-length',
    String(Buffer.byteLength(body.text)),
    'cache-control',
    'no-store',
  ];
  exchange.res.writeHead(status, headers).end(exchange.req.method === 'HEAD' ? undefined : body.text);
}

/** A JSON document without a version behind it. */
export function replyJson(exchange: Pick<Exchange, 'req' | 'res'>, status: number, value: unknown): void {
  replyPlain(exchange, status, { type: 'application/json', text: JSON.stringify(value) });
}

/** Answers with a failure in the shape of the request's protocol. */
export function replyProblem(exchange: Exchange, problem: Problem, facts?: ReplyFacts): void {
  const { res, req, protocol } = exchange;
  if (!isOpen(exchange)) return;
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const requestId = facts?.requestId ?? exchange.fallbackId();
  const body = protocol.encodeProblem(problem, requestId);
  const headers = facts === undefined ? ['x-understudy-request-id', requestId] : understudyHeaders(exchange, facts);
  headers.push(
    'x-understudy-error',
    problem.code,
    'content-type',
    'application/json',
    'content-length',
    String(Buffer.byteLength(body)),
  );
  if (problem.status === 401) headers.push('www-authenticate', 'Bearer');
  if (problem.status === 503) headers.push('retry-after', RETRY_AFTER_SECONDS);
  // Reading on only to throw a large body away would let anybody keep us busy.
  if (!req.complete) res.shouldKeepAlive = false;
  res.writeHead(problem.status, headers).end(req.method === 'HEAD' ? undefined : body);
}

/** A thrown failure as the sender is told. What is not an AppError is our bug: its text stays inside. */
export function problemOf(error: unknown): Problem {
  if (error instanceof AppError) return { status: error.status, code: error.code, message: error.message };
  return { status: 500, code: 'internal.unexpected', message: 'the gateway failed; its log says why, under the request id' };
}

/** Visible ASCII of moderate length; anything else could end up in somebody's log or terminal. */
function isPlain(text: string): boolean {
  if (text.length === 0 || text.length > MAX_ECHO_LENGTH) return false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x21 || code > 0x7e) return false;
  }
  return true;
}
