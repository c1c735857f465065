/** JSON from outside, read strictly: what two parsers could read differently is refused. Every request body passes here. */
import { isAscii, isUtf8 } from 'node:buffer';
import { AppError } from '@understudy/core/errors';

/** Deeper nesting is refused: no tensor has so many dimensions, and recursion over it would end the process. */
export const MAX_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;

/**
 * Parses a body.
 * Refused beyond RFC 8259: nesting deeper than {@link MAX_DEPTH}, bytes that are not UTF-8, a byte order mark, numbers
 * that overflow to infinity, escapes that make lone surrogates. Of equal keys the last one counts; `__proto__` is a key
 * like any other.
 * @throws AppError `request.invalid`
 */
export function parseJson(body: Buffer): unknown {
  if (body.length === 0) throw new AppError('request.invalid', 'cannot read the body: it is empty. Send a JSON document');
  const isSuspicious = scan(body);
  const text = textOf(body);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AppError('request.invalid', `cannot read the body: it is not JSON (${messageOf(error)})`, { cause: error });
  }
  if (isSuspicious) assertPortable(value);
  return value;
}

/** Whether a value is a JSON object; its keys are the sender's, so read them only by name. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The own property of a JSON object; inherited ones do not count. */
export function propertyOf(value: unknown, key: string): unknown {
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** Checks the depth; tells whether the values need a second look: an exponent, a very long number, an escaped character. */
function scan(body: Buffer): boolean {
  let depth = 0;
  let digits = 0;
  let isSuspicious = false;
  for (let index = 0; index < body.length; index++) {
    const byte = body[index] ?? 0;
    if (byte >= 0x30 && byte <= 0x39) {
      if (++digits > 300) isSuspicious = true;
      continue;
    }
    if (byte === QUOTE) {
      const end = endOfString(body, index);
      if (end < 0) isSuspicious = true;
      index = Math.abs(end);
    } else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > MAX_DEPTH)
        throw new AppError('request.invalid', `cannot read the body: it nests deeper than ${MAX_DEPTH} levels`);
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    } else if (digits > 0 && (byte === 0x65 || byte === 0x45)) {
      isSuspicious = true;
    }
    digits = 0;
  }
  return isSuspicious;
}

/** Index of a string's closing quote (or the end of the body), negated when the string has a `\u` escape. */
function endOfString(body: Buffer, start: number): number {
  let sign = 1;
  let index = start + 1;
  while (index < body.length) {
    const byte = body[index];
    if (byte === QUOTE) break;
    if (byte === BACKSLASH) {
      index++;
      if (body[index] === LOWER_U) sign = -1;
    }
    index++;
  }
  return sign * index;
}

function textOf(body: Buffer): string {
  if (isAscii(body)) return body.toString('latin1');
  if (isUtf8(body)) return body.toString('utf8');
  throw new AppError('request.invalid', 'cannot read the body: it is not valid UTF-8');
}

/** Walks without recursion; the depth is bounded, the breadth is not. */
function assertPortable(root: unknown): void {
  const open: unknown[] = [root];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new AppError('request.invalid', 'cannot read the body: a number is too large for a 64-bit float');
    }
    if (typeof value === 'string') assertWellFormed(value);
    if (Array.isArray(value)) for (const item of value) open.push(item);
    else if (isJsonObject(value)) {
      for (const [key, item] of Object.entries(value)) {
        assertWellFormed(key);
        open.push(item);
      }
    }
  }
}

function assertWellFormed(text: string): void {
  if (!text.isWellFormed()) throw new AppError('request.invalid', 'cannot read the body: a text has half of a surrogate pair');
}

function messageOf(error: unknown): string {
  // The parser quotes the document; a caller needs the beginning only.
  return error instanceof Error ? error.message.slice(0, 120) : 'unknown';
}
