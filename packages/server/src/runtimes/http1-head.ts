/** Reads the head of an HTTP/1.x answer: what it says, how its body is delimited, what becomes of the connection. Strict on purpose. */
import { AppError } from '@understudy/core/errors';
import type { AnswerHead } from './upstream-call.ts';

/** How a body is delimited: bytes still to come (0: there is none), chunks that say their size, or the end of the connection. */
export type BodyFraming = number | 'chunked' | 'until-close';

export interface ParsedHead {
  readonly answer: AnswerHead;
  readonly framing: BodyFraming;
  /** Whether the server keeps the connection for another request. */
  readonly keepsAlive: boolean;
  /** For how long it says it does. */
  readonly keepAliveSeconds: number | undefined;
}

/** Limits of the attack list: 64 KiB is four times what common servers send or accept. */
export const MAX_HEAD_LENGTH = 64 * 1024;
const MAX_HEADERS = 200;

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
// RFC 9110 §5.6.2 (token) and §5.5 (value; obs-text is allowed, folding and control characters are not).
const FIELD_NAME = /^[\w!#$%&'*+\-.^`|~]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const FRAMING = /^(?:content-length|transfer-encoding)$/i;
// 15 digits stay below 2^53.
const LENGTH = /^\d{1,15}$/;
const KEEP_ALIVE_TIMEOUT = /(?:^|[,;\s])timeout\s*=\s*"?(\d{1,9})/i;

/**
 * Reads everything up to and without the empty line; lines end in CR LF, the last one too.
 * @throws AppError `upstream.bad_response`
 */
export function parseHead(text: string): ParsedHead {
  const statusEnd = text.indexOf('\r\n');
  const status = STATUS_LINE.exec(text.slice(0, statusEnd));
  if (status === null) throw badAnswer('its status line is none of HTTP/1.0 or HTTP/1.1');
  const code = Number(status[2]);
  if (code === 101) throw badAnswer('it changes the protocol, which nobody asked for');
  const headers = parseFields(text, statusEnd + 2);
  const isOldVersion = status[1] === '0';
  const framing = framingOf(headers, code, isOldVersion);
  return {
    answer: { status: code, headers },
    framing,
    keepsAlive:
      !isOldVersion && framing !== 'until-close' && !isUnsafeBodyless(headers, code) && !says(headers['connection'], 'close'),
    keepAliveSeconds: keepAliveSecondsOf(headers['keep-alive']),
  };
}

/** The error for an answer that is no valid HTTP. */
export function badAnswer(problem: string): AppError {
  return new AppError('upstream.bad_response', `cannot read the model server's answer: ${problem}`);
}

type Headers = Record<string, string | string[] | undefined>;

function parseFields(text: string, start: number): Headers {
  // Without a prototype no name is special, not even `__proto__`.
  const headers: Headers = Object.create(null);
  let count = 0;
  for (let at = start; at < text.length; count++) {
    const end = text.indexOf('\r\n', at);
    const colon = text.indexOf(':', at);
    if (colon < 0 || colon > end) throw badAnswer('a header line has no colon');
    const rawName = text.slice(at, colon);
    const value = trimmed(text, colon + 1, end);
    if (!FIELD_NAME.test(rawName)) throw badAnswer('a header name has a character that is not allowed');
    if (!FIELD_VALUE.test(value)) throw badAnswer('a header value has a character that is not allowed');
    // Some readers take such a blank for a part of the value, and so read another length or no chunks.
    if (isBlank(text.charCodeAt(end - 1)) && FRAMING.test(rawName)) throw badAnswer('a blank follows the length of its body');
    if (count === MAX_HEADERS) throw badAnswer(`it has more than ${MAX_HEADERS} headers`);
    add(headers, rawName.toLowerCase(), value);
    at = end + 2;
  }
  return headers;
}

function add(headers: Headers, name: string, value: string): void {
  const before = headers[name];
  if (before === undefined) headers[name] = value;
  else if (typeof before === 'string') headers[name] = [before, value];
  else before.push(value);
}

/** Cuts the blanks around a value off. */
function trimmed(text: string, start: number, end: number): string {
  let first = start;
  let last = end;
  while (first < last && isBlank(text.charCodeAt(first))) first++;
  while (last > first && isBlank(text.charCodeAt(last - 1))) last--;
  return text.slice(first, last);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** RFC 9112 §6.3, where anything that two readers could read differently is refused. */
function framingOf(headers: Headers, status: number, isOldVersion: boolean): BodyFraming {
  const encoding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (encoding !== undefined) {
    if (length !== undefined) throw badAnswer('it has both a content length and a transfer encoding');
    if (isOldVersion) throw badAnswer('it has a transfer encoding, which HTTP/1.0 does not know');
    if (typeof encoding !== 'string' || encoding.toLowerCase() !== 'chunked') {
      throw badAnswer('its transfer encoding is not "chunked" alone');
    }
  }
  if (length !== undefined && (typeof length !== 'string' || !LENGTH.test(length))) {
    throw badAnswer('its content length is not one whole number');
  }
  if (hasNoBody(status)) return 0;
  if (encoding !== undefined) return 'chunked';
  return length === undefined ? 'until-close' : Number(length);
}

function hasNoBody(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}

/** A server that announces a body where there can be none may send it all the same: as the next answer. */
function isUnsafeBodyless(headers: Headers, status: number): boolean {
  if (!hasNoBody(status)) return false;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function says(value: string | readonly string[] | undefined, word: string): boolean {
  if (value === undefined || value === 'keep-alive') return false;
  const list = typeof value === 'string' ? value : value.join(',');
  return list.split(',').some((item) => item.trim().toLowerCase() === word);
}

function keepAliveSecondsOf(value: string | readonly string[] | undefined): number | undefined {
  if (value === undefined) return undefined;
  const found = KEEP_ALIVE_TIMEOUT.exec(typeof value === 'string' ? value : value.join(','));
  return found === null ? undefined : Number(found[1]);
}
