/** Sends an answer that is there as a whole, in one write. Replies and upstream arms depend on it. */
import { STATUS_CODES } from 'node:http';
import type { Exchange } from './exchange.ts';
import { listOf } from './header-lines.ts';
import { KEEP_ALIVE_MS } from './http-server.ts';

export interface WholeAnswer {
  readonly status: number;
  /** Headers without control characters, each line ending in CR LF; the length of the body among them. */
  readonly lines: string;
  readonly body: string;
  /** `latin1` sends a byte for each character; `utf8` only with headers in ASCII. */
  readonly encoding: 'latin1' | 'utf8';
  /** Whether the date is among the headers. */
  readonly isDated: boolean;
}

const KEPT_ALIVE = `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_MS / 1000}\r\n\r\n`;

/**
 * Sends an answer.
 * Node's own `writeHead` and `end` check every header once more, and put the answer through the states of a stream that is
 * written piece by piece. That costs more than everything we do about an answer, so in the plain case it goes to the socket
 * as it is, and Node is told that the answer is finished, which is all its server waits for.
 */
export function sendWhole(exchange: Exchange, answer: WholeAnswer): void {
  const { req, res } = exchange;
  const { status, lines, body, encoding } = answer;
  if (canGoAtOnce(exchange, status)) {
    const date = answer.isDated ? '' : `Date: ${dateOf(Date.now())}\r\n`;
    res.socket?.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines}${date}${KEPT_ALIVE}${body}`, encoding);
    res.emit('finish');
    return;
  }
  // Reading on only to throw a large body away would let anybody keep us busy.
  if (!req.complete) res.shouldKeepAlive = false;
  res.writeHead(status, listOf(lines)).end(req.method === 'HEAD' ? undefined : body, encoding);
}

/**
 * Whether it is this answer's turn on a connection that stays open, and the request is over. Everything else is Node's:
 * pipelined answers that have to wait, the last one of a connection, requests not read to their end, answers without a body.
 */
function canGoAtOnce({ req, res, headers }: Exchange, status: number): boolean {
  const { socket } = res;
  return (
    socket !== null &&
    socket.writable &&
    res.shouldKeepAlive &&
    !res.headersSent &&
    req.complete &&
    req.method === 'POST' &&
    headers.expect === undefined &&
    status >= 200 &&
    status !== 204 &&
    status !== 304
  );
}

let dateSecond = 0;
let dateText = '';

/** RFC 9110 §5.6.7; the same text for a whole second. */
function dateOf(nowMs: number): string {
  const second = Math.floor(nowMs / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(nowMs).toUTCString();
  }
  return dateText;
}
