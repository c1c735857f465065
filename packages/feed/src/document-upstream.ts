/** Gets a document from a server, by stream and by poll: the newest is all that counts. SDKs and gateways keep up to date by it. */
import { boundedText } from './bounded-text.ts';
import { readEvents } from './event-stream.ts';
import type { FeedPorts } from './ports.ts';
import { sentenceOf, type TellFeedProblem } from './problem.ts';
import { type Attempt, retryAfterMs, type Upstream } from './upkeep.ts';

/** Where news of documents goes. */
export interface DocumentNews {
  /** Of the document at hand that the server knows; undefined when there is none. */
  knownId(): string | undefined;
  /** @returns whether it can be used */
  take(id: string, body: string, source: 'stream' | 'poll'): boolean;
  /** The server said, or let know by still being there, that the document at hand is the newest. */
  confirm(source: 'stream' | 'poll'): void;
  lost(): void;
}

export interface DocumentUpstreamOptions {
  /** Base address of the server. */
  readonly url: string;
  /** Where the document is: `/flags/v1` has `/flags/v1/snapshot` and `/flags/v1/stream`. */
  readonly path: string;
  /** What it holds, for people: `flags`. */
  readonly about: string;
  readonly key: string;
  /** Sent with every request besides. */
  readonly headers: Readonly<Record<string, string>>;
  /** The longest silence of a stream, in milliseconds; 45 000 when left out: three heartbeats of our server. */
  readonly idleMs?: number;
  /** Whether a stream that is alive says that its document is the newest. If not, only its word `current` does. */
  readonly isSilenceConsent: boolean;
  readonly news: DocumentNews;
  readonly tell: TellFeedProblem;
  readonly ports: FeedPorts;
}

// A server on the other side of the earth and a large document.
const ANSWER_MS = 10_000;
// Three heartbeats of the server.
const IDLE_MS = 45_000;
// Larger than any set of flags or models somebody maintains; a body beyond it is not from our server.
const MAX_SNAPSHOT_LENGTH = 64 * 1024 * 1024;

export function openDocumentUpstream(options: DocumentUpstreamOptions): Upstream {
  return {
    stream: (signal) => attempt(options, signal, listen),
    poll: (signal) => attempt(options, signal, ask),
    lost: () => options.news.lost(),
  };
}

type Try = (options: DocumentUpstreamOptions, limits: Limits) => Promise<Attempt>;

interface Limits {
  readonly signal: AbortSignal;
  /** The answer has begun; from now on silence is what counts. */
  readonly begun: () => void;
}

/** One try with a deadline for the beginning of its answer. */
async function attempt(options: DocumentUpstreamOptions, closing: AbortSignal, one: Try): Promise<Attempt> {
  const { ports, tell, url, about } = options;
  const deadline = new AbortController();
  const stop = (): void => deadline.abort(new Error('closed'));
  closing.addEventListener('abort', stop);
  const cancel = ports.after(ANSWER_MS, () => deadline.abort(new Error(`no answer within ${ANSWER_MS} ms`)));
  try {
    return await one(options, { signal: deadline.signal, begun: cancel });
  } catch (error) {
    if (!closing.aborted) tell({ code: 'server.unreachable', message: `no news of ${about} from ${url}: ${sentenceOf(error)}` });
    return { outcome: 'failed' };
  } finally {
    cancel();
    closing.removeEventListener('abort', stop);
  }
}

async function listen(options: DocumentUpstreamOptions, { signal, begun }: Limits): Promise<Attempt> {
  const { news, ports, about, idleMs = IDLE_MS, isSilenceConsent } = options;
  const knownId = news.knownId();
  const last: Record<string, string> = knownId === undefined ? {} : { 'last-event-id': knownId };
  const response = await get(options, 'stream', { signal, headers: { accept: 'text/event-stream', ...last } });
  if (response.status !== 200 || response.body === null) return refusal(options, response);
  let isCurrent = false;
  let isHeard = false;
  let retryMs: number | undefined;
  await readEvents(response.body, {
    ...ports,
    signal,
    idleMs,
    maxLength: MAX_SNAPSHOT_LENGTH,
    onRetry: (ms) => void (retryMs = ms),
    onEvent({ event, data, id }) {
      if (event === 'snapshot') isCurrent = news.take(id, data, 'stream');
      if (event === 'current') isCurrent = data === news.knownId();
      if (isCurrent && !isSilenceConsent) news.confirm('stream');
    },
    onBytes() {
      begun();
      isHeard = true;
      // Whatever comes on a stream that has told what is the newest says that it still is.
      if (isCurrent && isSilenceConsent) news.confirm('stream');
    },
  }).catch((error: unknown) => {
    if (!isHeard) throw error;
    if (!signal.aborted)
      options.tell({ code: 'server.unreachable', message: `the stream of ${about} broke: ${sentenceOf(error)}` });
  });
  if (!isHeard) throw new Error('the stream ended before anything came');
  if (!isCurrent) return { outcome: 'failed' };
  return { outcome: 'heard', ...(retryMs === undefined ? {} : { retryMs }) };
}

async function ask(options: DocumentUpstreamOptions, { signal }: Limits): Promise<Attempt> {
  const { news, tell } = options;
  const knownId = news.knownId();
  const headers: Record<string, string> = knownId === undefined ? {} : { 'if-none-match': `"${knownId}"` };
  const response = await get(options, 'snapshot', { signal, headers });
  if (response.status === 304) {
    news.confirm('poll');
    return { outcome: 'heard' };
  }
  if (response.status !== 200) return refusal(options, response);
  const { text: body, isWhole } = await boundedText(response, MAX_SNAPSHOT_LENGTH);
  if (!isWhole) {
    tell({ code: 'snapshot.too_large', message: `the document has more than ${MAX_SNAPSHOT_LENGTH} characters` });
    return { outcome: 'failed' };
  }
  const id = /^(?:W\/)?"(.*)"$/.exec(response.headers.get('etag') ?? '')?.[1] ?? '';
  return news.take(id, body, 'poll') ? { outcome: 'heard' } : { outcome: 'failed' };
}

function get(
  { url, path, key, headers: own, ports }: DocumentUpstreamOptions,
  place: string,
  init: RequestInit,
): Promise<Response> {
  const headers = {
    authorization: `Bearer ${key}`,
    ...own,
    ...Object.fromEntries(new Headers(init.headers)),
  };
  return ports.fetch(`${url.replace(/\/+$/, '')}${path}/${place}`, { ...init, headers, redirect: 'error', cache: 'no-store' });
}

/** An answer without a snapshot. */
async function refusal({ url, about, tell }: DocumentUpstreamOptions, response: Response): Promise<Attempt> {
  const { status, headers } = response;
  const { text: said } = await boundedText(response, 500);
  const isForGood = status === 401 || status === 403;
  tell({
    code: isForGood ? 'key.refused' : 'server.refused',
    message: `${url} answers ${status} to the question for ${about}${said === '' ? '' : `: ${said}`}`,
  });
  if (isForGood) return { outcome: 'refused' };
  const after = retryAfterMs(headers);
  return { outcome: 'failed', ...(after === undefined ? {} : { retryAfterMs: after }) };
}
