/** Has one context evaluated by a server, and hears from it when to ask again. `remote-flags.ts` keeps itself up to date by it. */
import type { JsonValue } from '@understudy/core/flags/context';
import { boundedText } from '@understudy/feed/bounded-text';
import { readEvents } from '@understudy/feed/event-stream';
import { pause, type FeedPorts } from '@understudy/feed/ports';
import { sentenceOf } from '@understudy/feed/problem';
import type { TellProblem } from './problem.ts';
import { type Attempt, retryAfterMs, type Upstream } from '@understudy/feed/upkeep';

/** Where values go. */
export interface RemoteNews {
  knownId(): string | undefined;
  /** Path of the newest event stream. */
  eventsAt(): string | undefined;
  /** @returns whether they can be used */
  take(id: string, body: string): boolean;
  confirm(source: 'stream' | 'poll'): void;
  lost(): void;
}

export interface RemoteUpstreamOptions {
  readonly url: string;
  readonly key: string;
  /** As OFREP has it. */
  readonly context: Readonly<Record<string, JsonValue>>;
  readonly news: RemoteNews;
  readonly tell: TellProblem;
  readonly ports: FeedPorts;
}

const ANSWER_MS = 10_000;
const IDLE_MS = 45_000;
const MAX_EVENT_LENGTH = 64 * 1024;
// More than a page could use.
const MAX_VALUES_LENGTH = 16 * 1024 * 1024;
// All pages hear of a change at once; their questions need not come at once.
const REFETCH_SPREAD_MS = 200;

export function openRemoteUpstream(options: RemoteUpstreamOptions): Upstream {
  return {
    poll: (signal) => ask(options, signal),
    async stream(signal) {
      // The address of the stream is good for minutes only, so it is asked for each time.
      const asked = await ask(options, signal);
      if (asked.outcome !== 'heard' || signal.aborted) return asked;
      const path = options.news.eventsAt();
      return path === undefined ? { outcome: 'failed' } : listen(options, path, signal);
    },
    lost: () => options.news.lost(),
  };
}

/** A signal that also ends when nothing comes for a while. */
function withDeadline(signal: AbortSignal, ports: FeedPorts): { readonly signal: AbortSignal; readonly end: () => void } {
  const deadline = new AbortController();
  const stop = (): void => deadline.abort(new Error('closed'));
  signal.addEventListener('abort', stop);
  const cancel = ports.after(ANSWER_MS, () => deadline.abort(new Error(`no answer within ${ANSWER_MS} ms`)));
  return {
    signal: deadline.signal,
    end() {
      cancel();
      signal.removeEventListener('abort', stop);
    },
  };
}

async function ask(options: RemoteUpstreamOptions, closing: AbortSignal): Promise<Attempt> {
  const { url, key, context, news, tell, ports } = options;
  const knownId = news.knownId();
  const { signal, end } = withDeadline(closing, ports);
  const known: Record<string, string> = knownId === undefined ? {} : { 'if-none-match': knownId };
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...known };
  const init = { method: 'POST', headers, body: JSON.stringify({ context }), signal, cache: 'no-store' } as const;
  try {
    const response = await ports.fetch(`${url.replace(/\/+$/, '')}/ofrep/v1/evaluate/flags`, init);
    if (closing.aborted) return { outcome: 'failed' };
    if (response.status === 304) {
      news.confirm('poll');
      return { outcome: 'heard' };
    }
    const { text: body, isWhole } = await boundedText(response, MAX_VALUES_LENGTH);
    if (response.status !== 200) return refusal(options, response, body);
    if (!isWhole) {
      tell({ code: 'snapshot.too_large', message: `the values of flags have more than ${MAX_VALUES_LENGTH} characters` });
      return { outcome: 'failed' };
    }
    return !closing.aborted && news.take(response.headers.get('etag') ?? '', body) ? { outcome: 'heard' } : { outcome: 'failed' };
  } catch (error) {
    if (!closing.aborted) tell({ code: 'server.unreachable', message: `no values of flags from ${url}: ${sentenceOf(error)}` });
    return { outcome: 'failed' };
  } finally {
    end();
  }
}

async function listen(options: RemoteUpstreamOptions, path: string, closing: AbortSignal): Promise<Attempt> {
  const { url, news, tell, ports } = options;
  const { signal, end } = withDeadline(closing, ports);
  const ending = new AbortController();
  const stop = (): void => ending.abort();
  closing.addEventListener('abort', stop);
  // Whoever could not get what the stream spoke of begins again from the start.
  const refetch = openRefetch(options, ending.signal, stop);
  let isHeard = false;
  let retryMs: number | undefined;
  try {
    const response = await ports.fetch(new URL(path, url), {
      headers: { accept: 'text/event-stream' },
      signal,
      cache: 'no-store',
    });
    if (response.status !== 200 || response.body === null)
      return refusal(options, response, (await boundedText(response, 500)).text);
    await readEvents(response.body, {
      ...ports,
      signal: ending.signal,
      idleMs: IDLE_MS,
      maxLength: MAX_EVENT_LENGTH,
      onRetry: (ms) => void (retryMs = ms),
      onEvent: ({ data }) => {
        if (data.includes('"refetchEvaluation"')) refetch.soon();
      },
      onBytes() {
        end();
        isHeard = true;
        if (refetch.isDone()) news.confirm('stream');
      },
    });
  } catch (error) {
    if (!closing.aborted) tell({ code: 'server.unreachable', message: `the stream of changes broke: ${sentenceOf(error)}` });
  } finally {
    end();
    stop();
    closing.removeEventListener('abort', stop);
    await refetch.settled();
  }
  return isHeard ? { outcome: 'heard', ...(retryMs === undefined ? {} : { retryMs }) } : { outcome: 'failed' };
}

interface Refetch {
  soon(): void;
  /** Whether what is at hand is what the server last spoke of. */
  isDone(): boolean;
  settled(): Promise<void>;
}

/** One question at a time, and one more when news came meanwhile. */
function openRefetch(options: RemoteUpstreamOptions, ending: AbortSignal, onFailed: () => void): Refetch {
  let isDirty = false;
  let working: Promise<void> | undefined;
  const work = async (): Promise<void> => {
    while (isDirty && !ending.aborted) {
      await pause(options.ports.random() * REFETCH_SPREAD_MS, ending, options.ports);
      isDirty = false;
      const { outcome } = await ask(options, ending);
      if (outcome !== 'heard') onFailed();
    }
    working = undefined;
  };
  return {
    soon() {
      isDirty = true;
      working ??= work();
    },
    isDone: () => working === undefined,
    settled: () => working ?? Promise.resolve(),
  };
}

function refusal({ url, tell }: RemoteUpstreamOptions, { status, headers }: Response, body: string): Attempt {
  const isForGood = status === 401 || status === 403;
  tell({
    code: isForGood ? 'key.refused' : 'server.refused',
    message: `${url} answers ${status} to the question for flags${body === '' ? '' : `: ${body.slice(0, 500)}`}`,
  });
  if (isForGood) return { outcome: 'refused' };
  const after = retryAfterMs(headers);
  return { outcome: 'failed', ...(after === undefined ? {} : { retryAfterMs: after }) };
}
