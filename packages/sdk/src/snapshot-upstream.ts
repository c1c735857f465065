/** Gets snapshots from a server, by stream and by poll. `open-flags.ts` keeps itself up to date by it. */
import { boundedText } from './bounded-text.ts';
import { readEvents } from './event-stream.ts';
import type { SdkPorts } from './ports.ts';
import { sentenceOf, type TellProblem } from './problem.ts';
import { SDK_RELEASE } from './release.ts';
import { type Attempt, retryAfterMs, type Upstream } from './upkeep.ts';

/** Where news of snapshots goes. */
export interface SnapshotNews {
  /** Of the snapshot at hand that the server knows; undefined when there is none. */
  knownId(): string | undefined;
  /** @returns whether it can be used */
  take(id: string, body: string, source: 'stream' | 'poll'): boolean;
  /** The server said, or let know by still being there, that the snapshot at hand is the newest. */
  confirm(source: 'stream' | 'poll'): void;
  lost(): void;
}

export interface SnapshotUpstreamOptions {
  readonly url: string;
  readonly key: string;
  readonly news: SnapshotNews;
  readonly tell: TellProblem;
  readonly ports: SdkPorts;
}

// A server on the other side of the earth and a large document.
const ANSWER_MS = 10_000;
// Three heartbeats of the server.
const IDLE_MS = 45_000;
// Larger than any set of flags somebody maintains; a body beyond it is not from our server.
const MAX_SNAPSHOT_LENGTH = 64 * 1024 * 1024;

export function openSnapshotUpstream(options: SnapshotUpstreamOptions): Upstream {
  return {
    stream: (signal) => attempt(options, signal, listen),
    poll: (signal) => attempt(options, signal, ask),
    lost: () => options.news.lost(),
  };
}

type Try = (options: SnapshotUpstreamOptions, limits: Limits) => Promise<Attempt>;

interface Limits {
  readonly signal: AbortSignal;
  /** The answer has begun; from now on silence is what counts. */
  readonly begun: () => void;
}

/** One try with a deadline for the beginning of its answer. */
async function attempt(options: SnapshotUpstreamOptions, closing: AbortSignal, one: Try): Promise<Attempt> {
  const { ports, tell, url } = options;
  const deadline = new AbortController();
  const stop = (): void => deadline.abort(new Error('closed'));
  closing.addEventListener('abort', stop);
  const cancel = ports.after(ANSWER_MS, () => deadline.abort(new Error(`no answer within ${ANSWER_MS} ms`)));
  try {
    return await one(options, { signal: deadline.signal, begun: cancel });
  } catch (error) {
    if (!closing.aborted) tell({ code: 'server.unreachable', message: `no news of flags from ${url}: ${sentenceOf(error)}` });
    return { outcome: 'failed' };
  } finally {
    cancel();
    closing.removeEventListener('abort', stop);
  }
}

async function listen(options: SnapshotUpstreamOptions, { signal, begun }: Limits): Promise<Attempt> {
  const { news, ports } = options;
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
    idleMs: IDLE_MS,
    maxLength: MAX_SNAPSHOT_LENGTH,
    onRetry: (ms) => void (retryMs = ms),
    onEvent({ event, data, id }) {
      if (event === 'snapshot') isCurrent = news.take(id, data, 'stream');
      if (event === 'current') isCurrent = data === news.knownId();
    },
    onBytes() {
      begun();
      isHeard = true;
      // Whatever comes on a stream that has told what is the newest says that it still is.
      if (isCurrent) news.confirm('stream');
    },
  }).catch((error: unknown) => {
    if (!isHeard) throw error;
    if (!signal.aborted) options.tell({ code: 'server.unreachable', message: `the stream of flags broke: ${sentenceOf(error)}` });
  });
  if (!isHeard) throw new Error('the stream ended before anything came');
  if (!isCurrent) return { outcome: 'failed' };
  return { outcome: 'heard', ...(retryMs === undefined ? {} : { retryMs }) };
}

async function ask(options: SnapshotUpstreamOptions, { signal }: Limits): Promise<Attempt> {
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
    tell({ code: 'snapshot.too_large', message: `the snapshot has more than ${MAX_SNAPSHOT_LENGTH} characters` });
    return { outcome: 'failed' };
  }
  const id = /^(?:W\/)?"(.*)"$/.exec(response.headers.get('etag') ?? '')?.[1] ?? '';
  return news.take(id, body, 'poll') ? { outcome: 'heard' } : { outcome: 'failed' };
}

function get({ url, key, ports }: SnapshotUpstreamOptions, place: string, init: RequestInit): Promise<Response> {
  const headers = {
    authorization: `Bearer ${key}`,
    'x-understudy-sdk': SDK_RELEASE,
    ...Object.fromEntries(new Headers(init.headers)),
  };
  return ports.fetch(`${url.replace(/\/+$/, '')}/flags/v1/${place}`, { ...init, headers, redirect: 'error', cache: 'no-store' });
}

/** An answer without a snapshot. */
async function refusal({ url, tell }: SnapshotUpstreamOptions, response: Response): Promise<Attempt> {
  const { status, headers } = response;
  const { text: said } = await boundedText(response, 500);
  const isForGood = status === 401 || status === 403;
  tell({
    code: isForGood ? 'key.refused' : 'server.refused',
    message: `${url} answers ${status} to the question for flags${said === '' ? '' : `: ${said}`}`,
  });
  if (isForGood) return { outcome: 'refused' };
  const after = retryAfterMs(headers);
  return { outcome: 'failed', ...(after === undefined ? {} : { retryAfterMs: after }) };
}
