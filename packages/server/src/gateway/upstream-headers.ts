/** Which headers cross the gateway, in either direction. What is not ours to pass on ends here. */
import type { AnswerHead } from '../runtimes/upstream-call.ts';
import { ownTokenOf } from '../authentication.ts';
import { linesOf } from './header-lines.ts';

// RFC 9110 §7.6.1, and what the next connection sets for itself.
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

// `host` and `expect` belong to one connection. Compressed answers could not be checked. Who the client is, we say ourselves.
const NOT_FORWARDED: ReadonlySet<string> = new Set(['host', 'expect', 'accept-encoding', 'forwarded', 'x-real-ip', 'via']);

const OURS = 'x-understudy-';

export interface ForwardedRequest {
  readonly rawHeaders: readonly string[];
  /** The header of that name. */
  readonly connection: string | undefined;
  readonly remoteAddress: string | undefined;
  readonly requestId: string;
  /** False when the body is in memory: its length is then known anyway. */
  readonly keepsLength: boolean;
}

/** Headers for an upstream, names and values by turns. */
export function forwardedHeaders(request: ForwardedRequest): string[] {
  const { rawHeaders, connection, remoteAddress, requestId, keepsLength } = request;
  const listed = listedIn(connection);
  const headers: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = forwardedNameOf(rawHeaders[index] ?? '');
    const value = rawHeaders[index + 1] ?? '';
    if (name === NONE || listed?.has(name) === true) continue;
    if (name === 'content-length' && !keepsLength) continue;
    if (name === 'authorization' && ownTokenOf(value) !== undefined) continue;
    headers.push(name, value);
  }
  if (remoteAddress !== undefined) headers.push('x-forwarded-for', remoteAddress);
  headers.push('x-understudy-request-id', requestId);
  return headers;
}

const NONE = '';
// Clients send few different names; who sends many makes no more than this of them, and not larger.
const MAX_KNOWN_NAMES = 1000;
const MAX_KNOWN_LENGTH = 64;
const knownNames = new Map<string, string>();

/** A header's name as it is passed on, in lower case; {@link NONE} when it is not. */
function forwardedNameOf(rawName: string): string {
  const known = knownNames.get(rawName);
  if (known !== undefined) return known;
  const lower = rawName.toLowerCase();
  const name = isForwarded(lower) ? lower : NONE;
  if (knownNames.size < MAX_KNOWN_NAMES && rawName.length <= MAX_KNOWN_LENGTH) knownNames.set(rawName, name);
  return name;
}

function isForwarded(name: string): boolean {
  if (HOP_BY_HOP.has(name) || NOT_FORWARDED.has(name)) return false;
  if (name.startsWith(OURS) || name.startsWith('x-forwarded-')) return false;
  // Some servers read `_` as `-`, so such a name could pass for one that was stripped.
  return !name.includes('_');
}

/** An upstream's headers on their way to the client. */
export interface PassedOnHeaders {
  readonly lines: string;
  readonly isDated: boolean;
}

const DATE_LINE = /^date:/m;

// Heads that repeat are one object (http1-response-parser.ts), so what is made of them is made once, too.
const passedOn = new WeakMap<AnswerHead, PassedOnHeaders>();

/** What is passed on of an answer's headers. */
export function passedOnHeadersOf(head: AnswerHead): PassedOnHeaders {
  const known = passedOn.get(head);
  if (known !== undefined) return known;
  const lines = linesOf(listToPassOn(head));
  const made = { lines, isDated: DATE_LINE.test(lines) };
  passedOn.set(head, made);
  return made;
}

function listToPassOn({ headers }: AnswerHead): string[] {
  const list: string[] = [];
  const { connection } = headers;
  const listed = listedIn(typeof connection === 'string' ? connection : connection?.join(','));
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || HOP_BY_HOP.has(name) || listed?.has(name) === true || name.startsWith(OURS)) continue;
    if (name === 'x-request-id') continue;
    if (typeof value === 'string') list.push(name, value);
    else for (const item of value) list.push(name, item);
  }
  return list;
}

function listedIn(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined;
  return new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
}
