/** Open streams of server-sent events that all hear the same. The flag protocols with live updates depend on it. */
import type { ServerResponse } from 'node:http';
import { AppError } from '@understudy/core/errors';
import type { FastifyReply } from 'fastify';

export interface EventStreams {
  /**
   * Answers with a stream that stays open.
   * @param first what it begins with; may be empty
   * @param secret the key that it was opened with; the stream is cut when the key is no longer welcome
   * @throws AppError 503 when as many streams are open as there may be
   */
  open(reply: FastifyReply, first: string | Buffer, secret?: string): void;
  /** Sends the same bytes to every stream; those that have not taken earlier ones are cut. */
  send(event: Buffer): void;
  readonly count: number;
  /** Ends all streams; every later one is refused. */
  close(): void;
}

export interface EventStreamLimits {
  readonly maxStreams: number;
  /** How much may wait for a stream that does not read before it is cut, besides the last event sent to it. */
  readonly maxPendingBytes?: number;
  /** Between heartbeats, in milliseconds. */
  readonly heartbeatMs?: number;
  /** Asked at every heartbeat for every key that streams were opened with. */
  readonly isWelcome?: (secret: string) => Promise<boolean>;
}

interface Stream {
  readonly response: ServerResponse;
  readonly secret: string | undefined;
  /** A whole document takes its time on a slow line, which is no reason to cut it. */
  lastBytes: number;
}

// A stream is about 20 KiB of memory, so that this many are 100 MiB.
export const MAX_STREAMS = 5000;
// Hundreds of events: who is so far behind will ask for everything anyway.
const MAX_PENDING_BYTES = 64 * 1024;
// Half of the 30 s after which the most impatient of common proxies give up on a silent connection.
const HEARTBEAT_MS = 15_000;
const HEARTBEAT = Buffer.from(':\n\n');
// Spread, so that the clients of a server that restarts do not all come back at the same moment.
const RECONNECT_MS = { least: 500, spread: 1000 } as const;

export function openEventStreams({
  maxStreams,
  maxPendingBytes = MAX_PENDING_BYTES,
  heartbeatMs = HEARTBEAT_MS,
  isWelcome,
}: EventStreamLimits): EventStreams {
  const streams = new Set<Stream>();
  let isClosed = false;
  const send = (event: Buffer): void => {
    for (const stream of streams) {
      if (stream.response.writableLength > maxPendingBytes + stream.lastBytes) stream.response.destroy();
      else write(stream, event);
    }
  };
  const heartbeat = setInterval(() => {
    send(HEARTBEAT);
    if (isWelcome !== undefined) void expel(streams, isWelcome);
  }, heartbeatMs).unref();
  return {
    open(reply, first, secret) {
      if (isClosed || streams.size >= maxStreams) {
        throw new AppError('request.overloaded', `${streams.size} event streams are open, as many as there may be; try again`);
      }
      const stream: Stream = { response: beginStream(reply), secret, lastBytes: 0 };
      streams.add(stream);
      stream.response.once('close', () => streams.delete(stream));
      write(stream, Buffer.from(`retry: ${RECONNECT_MS.least + Math.round(Math.random() * RECONNECT_MS.spread)}\n\n`));
      if (first.length > 0) write(stream, Buffer.from(first));
    },
    send,
    get count() {
      return streams.size;
    },
    close() {
      isClosed = true;
      clearInterval(heartbeat);
      for (const { response } of streams) response.end();
    },
  };
}

function write(stream: Stream, event: Buffer): void {
  if (event !== HEARTBEAT) stream.lastBytes = event.byteLength;
  stream.response.write(event);
}

/** Cuts the streams whose key was revoked or has expired. */
async function expel(streams: ReadonlySet<Stream>, isWelcome: (secret: string) => Promise<boolean>): Promise<void> {
  for (const secret of new Set([...streams].map((stream) => stream.secret))) {
    // A key that cannot be looked up right now has not lost its rights.
    if (secret === undefined || (await isWelcome(secret).catch(() => true))) continue;
    for (const stream of streams) if (stream.secret === secret) stream.response.destroy();
  }
}

function beginStream(reply: FastifyReply): ServerResponse {
  const headers = Object.entries(reply.getHeaders());
  reply.hijack();
  const { raw } = reply;
  for (const [name, value] of headers) if (value !== undefined) raw.setHeader(name, value);
  // A stream that breaks is closed, and that is all there is to it.
  raw.on('error', () => raw.destroy());
  raw.socket?.setNoDelay(true);
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
  });
  return raw;
}
