/** Keeps something up to date: a stream while there can be one, polls where streams are cut, patience while nobody answers. */
import { pause, type FeedPorts } from './ports.ts';

/** How an attempt went. */
export type Attempt =
  /** The server said that this is the newest, or sent the newest. A stream has then ended. */
  | { readonly outcome: 'heard'; readonly retryMs?: number }
  /** No answer, or none that can be used. */
  | { readonly outcome: 'failed'; readonly retryAfterMs?: number }
  /** The server does not take the key: it will not a second later either. */
  | { readonly outcome: 'refused' };

/** What is kept up to date, and how. Neither call ever rejects. */
export interface Upstream {
  /** Listens until the stream ends. */
  stream(signal: AbortSignal): Promise<Attempt>;
  /** Asks once. */
  poll(signal: AbortSignal): Promise<Attempt>;
  /** The server could not be reached, neither by stream nor by poll. */
  lost(): void;
}

/** Times of waiting. */
export interface UpkeepTimes {
  /** Between polls where streams are cut; spread by a quarter both ways. */
  readonly pollMs: number;
}

// Full jitter: uniform between nothing and a limit that doubles, so that the clients of a server that restarts spread.
const BACKOFF_MS = { first: 1000, longest: 30_000 } as const;
// Somebody may give the key back; nobody needs to know within a second.
const REFUSED_MS = 300_000;
// Proxies that cut streams are seldom repaired, but they are.
const POLLS_BETWEEN_STREAMS = 6;
// A stream that lived shorter counts as a failure: something on the way may cut each one as soon as it opens.
const SHORT_STREAM_MS = 5000;

/** Runs until the signal is aborted. Never rejects. */
export async function keepUp(upstream: Upstream, { pollMs }: UpkeepTimes, { signal, ...ports }: UpkeepPorts): Promise<void> {
  let failures = 0;
  const wait = (ms: number): Promise<void> => pause(ms, signal, ports);
  while (!signal.aborted) {
    const openedAtMs = ports.nowMs();
    const stream = await upstream.stream(signal);
    if (signal.aborted) return;
    if (stream.outcome === 'heard') {
      failures = ports.nowMs() - openedAtMs < SHORT_STREAM_MS ? failures + 1 : 0;
      await wait(failures > 1 ? backoffMs(failures, ports) : (stream.retryMs ?? backoffMs(1, ports)));
      continue;
    }
    const polled = stream.outcome === 'refused' ? stream : await pollWhileGood(upstream, pollMs, { ...ports, signal });
    if (signal.aborted) return;
    if (polled.outcome === 'heard') {
      failures = 0;
      continue;
    }
    upstream.lost();
    failures += 1;
    if (polled.outcome === 'refused') await wait(REFUSED_MS * (0.5 + ports.random() / 2));
    else await wait(Math.max(backoffMs(failures, ports), polled.retryAfterMs ?? 0));
  }
}

/** What keeping up needs. */
export interface UpkeepPorts extends Pick<FeedPorts, 'after' | 'random' | 'nowMs'> {
  readonly signal: AbortSignal;
}

/** @returns the first attempt that is not good, or a good one when it is time to try a stream again */
async function pollWhileGood(upstream: Upstream, pollMs: number, ports: UpkeepPorts): Promise<Attempt> {
  for (let polls = 1; ; polls += 1) {
    const polled = await upstream.poll(ports.signal);
    if (polled.outcome !== 'heard' || ports.signal.aborted) return polled;
    await pause(pollMs * (0.75 + ports.random() / 2), ports.signal, ports);
    if (polls === POLLS_BETWEEN_STREAMS) return polled;
  }
}

/** Full jitter. */
export function backoffMs(failures: number, { random }: Pick<FeedPorts, 'random'>): number {
  return random() * Math.min(BACKOFF_MS.longest, BACKOFF_MS.first * 2 ** Math.min(failures - 1, 20));
}

/** What `Retry-After` says in seconds, as milliseconds; undefined when it says nothing that can be used. */
export function retryAfterMs(headers: Headers): number | undefined {
  const text = headers.get('retry-after') ?? '';
  return /^\d{1,4}$/.test(text) ? Number(text) * 1000 : undefined;
}
