/** Open streams: each change goes to all of them as the same bytes; those that do not keep up, or whose key is revoked, are cut. */
import type { ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { mayStay } from '../edge/key-check.ts';
import type { ProtocolPorts } from '../flag-world.ts';
import { changeFrame, openingFrame } from './feature-bytes.ts';
import type { FeatureChange, FeatureFeed, Features } from './feature-feed.ts';

export interface StreamHubOptions {
  readonly maxStreams: number;
  readonly heartbeatMs: number;
  /** What a stream may be behind, in bytes, before it is cut. */
  readonly maxBehindBytes: number;
}

export interface StreamHub {
  readonly hasRoom: () => boolean;
  /** Takes over an answer, beginning with these features or what of them was missed. */
  open(raw: ServerResponse, features: Features, subscriber: Subscriber): void;
  /** Ends all streams; SDKs come back by themselves. */
  close(): void;
}

/** Who streams, and the last event they have seen. */
export interface Subscriber {
  readonly secret: string;
  readonly lastEventId: string | undefined;
}

interface Stream {
  readonly raw: ServerResponse;
  readonly secret: string;
  readonly mostBehindBytes: number;
  /** Heartbeats since everything was last sent. */
  beatsBehind: number;
}

const HEARTBEAT = Buffer.from(':\n\n');
// At 15 s a beat: a peer that acknowledges nothing for a minute is not there, or will not be helped by more.
const MOST_BEATS_BEHIND = 4;
// Writing to one stream takes some 30 µs; requests of the gateway in between should not wait longer than a few milliseconds.
const STREAMS_AT_ONCE = 200;

type HubPorts = Pick<ProtocolPorts, 'keys' | 'log'> & { readonly feed: FeatureFeed };

export function openStreamHub(ports: HubPorts, options: StreamHubOptions): StreamHub {
  const { feed, log } = ports;
  const streams = new Set<Stream>();
  let sending: Promise<void> = Promise.resolve();
  let isClosed = false;

  /** Those that open meanwhile begin with the features after the change. */
  function announce(change: FeatureChange): void {
    const audience = [...streams];
    const frame = changeFrame(change);
    sending = sending
      .then(() => sendInTurns(audience, (stream) => send(stream, frame)))
      .catch((error: unknown) => log.warn({ err: error }, 'unleash.sending_failed'));
  }

  function send(stream: Stream, frame: Buffer): void {
    if (!streams.has(stream)) return;
    if (stream.raw.writableLength > stream.mostBehindBytes) cut(stream, 'too far behind');
    else stream.raw.write(frame);
  }

  function cut(stream: Stream, why: string): void {
    log.info({ why, behindBytes: stream.raw.writableLength }, 'unleash.stream_cut');
    streams.delete(stream);
    stream.raw.destroy();
  }

  const stopListening = feed.onChange(announce);
  const timer = setInterval(() => {
    for (const stream of streams) {
      if (isStalled(stream)) cut(stream, 'takes nothing');
      else send(stream, HEARTBEAT);
    }
    void endRevoked(streams, ports);
  }, options.heartbeatMs).unref();

  return {
    hasRoom: () => streams.size < options.maxStreams,
    open(raw, features, { secret, lastEventId }) {
      const missed = lastEventId === undefined ? undefined : feed.since((tag) => tag === lastEventId);
      const frame = openingFrame(features, missed);
      const stream = { raw, secret, mostBehindBytes: options.maxBehindBytes + frame.length, beatsBehind: 0 };
      streams.add(stream);
      raw.once('close', () => streams.delete(stream));
      raw.writeHead(200, STREAM_HEADERS);
      raw.write(`retry: ${retryMs(streams.size)}\n\n`);
      raw.write(frame);
      // A request that was let in just before: a server that closes waits for all that is open.
      if (isClosed) raw.end();
    },
    close() {
      isClosed = true;
      clearInterval(timer);
      stopListening();
      for (const { raw } of streams) raw.end();
      streams.clear();
    },
  };
}

/** Counts the heartbeats since everything was last sent. */
function isStalled(stream: Stream): boolean {
  stream.beatsBehind = stream.raw.writableLength > 0 ? stream.beatsBehind + 1 : 0;
  return stream.beatsBehind >= MOST_BEATS_BEHIND;
}

async function sendInTurns(audience: readonly Stream[], send: (stream: Stream) => void): Promise<void> {
  for (const [index, stream] of audience.entries()) {
    if (index > 0 && index % STREAMS_AT_ONCE === 0) await setImmediate();
    send(stream);
  }
}

/** A stream outlives the look at its key by days. */
async function endRevoked(streams: ReadonlySet<Stream>, ports: HubPorts): Promise<void> {
  for (const secret of new Set([...streams].map((stream) => stream.secret))) {
    const isGood = await mayStay(ports, secret);
    if (!isGood) for (const stream of streams) if (stream.secret === secret) stream.raw.end();
  }
}

const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  // Compressed or kept back by something on the way, an event would arrive late.
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** How long an SDK should wait before it comes back: spread over more time, the more of them would come back together. */
function retryMs(streams: number): number {
  return Math.round(1000 + Math.random() * Math.min(Math.max(streams, 1000), 10_000));
}
