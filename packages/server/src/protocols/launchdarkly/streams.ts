/** The open event streams of SDKs: every piece of news is one buffer, written to all of them. */
import type { ServerResponse } from 'node:http';
import type { ProtocolPorts } from '../flag-world.ts';

/** What streams may cost. */
export interface StreamLimits {
  /** Beyond it, a new stream is refused; SDKs come back by themselves. */
  readonly maxStreams: number;
  /** A stream that has more than this unsent, beyond its first event, is cut: the SDK reconnects and starts afresh. */
  readonly maxBacklogBytes: number;
  readonly heartbeatMs: number;
  /** SDKs are told to reconnect after a random time in this range, so that they do not come all at once. */
  readonly retryMs: readonly [low: number, high: number];
}

export const STREAM_LIMITS: StreamLimits = {
  // About 40 KiB each: 400 MiB.
  maxStreams: 10_000,
  maxBacklogBytes: 1024 * 1024,
  // LaunchDarkly's SDKs give up a stream after 300 s of silence, load balancers after 60 s, some after 30 s.
  heartbeatMs: 15_000,
  retryMs: [1000, 4000],
};

export interface Streams {
  readonly size: number;
  isFull(): boolean;
  /** @param first the event that a new stream begins with */
  open(response: ServerResponse, secret: string, first: Buffer): void;
  send(news: Buffer): void;
  /** Ends all streams. */
  close(): void;
}

export interface StreamPorts extends Pick<ProtocolPorts, 'log'> {
  /** Whether a key that opened a stream may go on reading it. */
  readonly isWelcome: (secret: string) => Promise<boolean>;
}

interface Stream {
  readonly response: ServerResponse;
  readonly secret: string;
  readonly maxBacklogBytes: number;
}

// A comment, which SDKs skip.
const HEARTBEAT = Buffer.from(':\n\n');

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // Proxies of the nginx family hold events back otherwise.
  'x-accel-buffering': 'no',
};

export function openStreams(limits: StreamLimits, { log, isWelcome }: StreamPorts): Streams {
  const streams = new Set<Stream>();
  const cut = (stream: Stream, reason: string): void => {
    streams.delete(stream);
    log.warn({ reason, backlogBytes: stream.response.writableLength }, 'launchdarkly.stream_cut');
    stream.response.destroy();
  };
  const send = (news: Buffer): void => {
    for (const stream of streams) {
      if (stream.response.writableLength > stream.maxBacklogBytes) cut(stream, 'it reads too slowly');
      else stream.response.write(news);
    }
  };
  const expel = async (): Promise<void> => {
    for (const secret of new Set([...streams].map((stream) => stream.secret))) {
      if (await isWelcome(secret)) continue;
      for (const stream of streams) if (stream.secret === secret) cut(stream, 'its key is no longer valid');
    }
  };
  const heart = setInterval(() => {
    send(HEARTBEAT);
    expel().catch((error: unknown) => log.warn({ err: error }, 'launchdarkly.key_check_failed'));
  }, limits.heartbeatMs).unref();
  return {
    get size() {
      return streams.size;
    },
    isFull: () => streams.size >= limits.maxStreams,
    open(response, secret, first) {
      const stream = { response, secret, maxBacklogBytes: limits.maxBacklogBytes + first.byteLength };
      const forget = (): void => void streams.delete(stream);
      response.on('close', forget).on('error', forget);
      response.writeHead(200, HEADERS);
      response.write(`retry: ${between(limits.retryMs)}\n\n`);
      response.write(first);
      streams.add(stream);
    },
    send,
    close() {
      clearInterval(heart);
      for (const { response } of streams) response.end();
      streams.clear();
    },
  };
}

function between([low, high]: readonly [number, number]): number {
  return Math.round(low + Math.random() * (high - low));
}
