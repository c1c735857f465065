/** Which headers cross the gateway, in either direction. What is not ours to pass on ends here. */
import { ownTokenOf } from './authentication.ts';

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
  readonly remoteAddress: string | undefined;
  readonly requestId: string;
  /** False when the body is in memory: its length is then known anyway. */
  readonly keepsLength: boolean;
}

/** Headers for an upstream, names and values by turns. */
export function forwardedHeaders({ rawHeaders, remoteAddress, requestId, keepsLength }: ForwardedRequest): string[] {
  const listed = listedInConnection(rawHeaders);
  const headers: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const value = rawHeaders[index + 1] ?? '';
    if (HOP_BY_HOP.has(name) || NOT_FORWARDED.has(name) || listed?.has(name) === true) continue;
    if (name.startsWith(OURS) || name.startsWith('x-forwarded-')) continue;
    // Some servers read `_` as `-`, so such a name could pass for one that was stripped.
    if (name.includes('_')) continue;
    if (name === 'content-length' && !keepsLength) continue;
    if (name === 'authorization' && ownTokenOf(value) !== undefined) continue;
    headers.push(name, value);
  }
  if (remoteAddress !== undefined) headers.push('x-forwarded-for', remoteAddress);
  headers.push('x-understudy-request-id', requestId);
  return headers;
}

/** Adds an upstream's headers to ours, names and values by turns. */
export function appendAnswerHeaders(
  to: string[],
  answer: Readonly<Record<string, string | readonly string[] | undefined>>,
  isBuffered: boolean,
): void {
  const listed = listedIn(typeof answer['connection'] === 'string' ? answer['connection'] : undefined);
  for (const name in answer) {
    const value = answer[name];
    if (value === undefined || HOP_BY_HOP.has(name) || listed?.has(name) === true || name.startsWith(OURS)) continue;
    if (isBuffered && name === 'content-length') continue;
    if (name === 'x-request-id') continue;
    if (typeof value === 'string') to.push(name, value);
    else for (const item of value) to.push(name, item);
  }
}

function listedInConnection(rawHeaders: readonly string[]): ReadonlySet<string> | undefined {
  let listed: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if ((rawHeaders[index] ?? '').toLowerCase() !== 'connection') continue;
    listed = listed === undefined ? rawHeaders[index + 1] : `${listed},${rawHeaders[index + 1] ?? ''}`;
  }
  return listedIn(listed);
}

function listedIn(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined;
  return new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
}
