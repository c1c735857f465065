/** Writing answers: status, our headers and a body in one go. Every way a request can end goes through here. */
import { AppError } from '@understudy/core/errors';
import { type Exchange, isOpen } from './exchange.ts';
import type { Seat } from './seat.ts';
import { sendWhole } from './whole-answer.ts';
import type { Problem } from './wire/protocol.ts';

/** What our headers say about an answer. */
export interface ReplyFacts {
  readonly seat: Seat;
  readonly reason: string;
  readonly revision: number;
  readonly requestId: string;
  /** Time that was neither the version's nor the client's. */
  readonly ownMs: number;
}

const MAX_ECHO_LENGTH = 128;

/** Our headers of an answer, as lines. */
export function understudyLines({ headers }: Exchange, { seat, reason, revision, requestId, ownMs }: ReplyFacts): string {
  const echo = headers.requestId;
  const echoLine = echo !== undefined && isPlain(echo) ? `x-request-id: ${echo}\r\n` : '';
  const ownTime = Math.round(ownMs * 1000) / 1000;
  return `${seat.linesFor(reason, revision)}x-understudy-request-id: ${requestId}\r\nserver-timing: understudy;dur=${ownTime}\r\n${echoLine}`;
}

/** Answers with a prediction. */
export function replyPrediction(exchange: Exchange, body: string, facts: ReplyFacts): void {
  if (!isOpen(exchange)) return;
  const bytes = Buffer.byteLength(body);
  const lines = `${understudyLines(exchange, facts)}content-type: application/json\r\ncontent-length: ${bytes}\r\n`;
  // Text of one byte a character is ASCII, and cheaper to write as Latin-1.
  const encoding = bytes === body.length ? 'latin1' : 'utf8';
  atEndOfTurn(() => {
    if (isOpen(exchange)) sendWhole(exchange, { status: 200, lines, body, encoding, isDated: false });
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
  const { res, protocol } = exchange;
  if (!isOpen(exchange)) return;
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const requestId = facts?.requestId ?? exchange.fallbackId();
  const body = protocol.encodeProblem(problem, requestId);
  const ours = facts === undefined ? `x-understudy-request-id: ${requestId}\r\n` : understudyLines(exchange, facts);
  const lines = `${ours}x-understudy-error: ${problem.code}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${ADVICE.get(problem.status) ?? ''}`;
  sendWhole(exchange, { status: problem.status, lines, body, encoding: 'utf8', isDated: false });
}

/** What a client should do next, by the status. */
const ADVICE: ReadonlyMap<number, string> = new Map([
  [401, 'www-authenticate: Bearer\r\n'],
  [503, 'retry-after: 1\r\n'],
]);

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
