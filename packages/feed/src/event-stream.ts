/** Reads server-sent events from an answer of `fetch`: an EventSource cannot send keys. Streams of changes depend on it. */
import type { FeedPorts } from './ports.ts';

/** One event. */
export interface ServerEvent {
  /** `message` when the server names none. */
  readonly event: string;
  readonly data: string;
  /** Of this event or the last one that had one. */
  readonly id: string;
}

/** What reading needs. */
export interface StreamReader extends Pick<FeedPorts, 'after'> {
  /** Ends the reading. */
  readonly signal: AbortSignal;
  /** The longest silence; servers send a comment more often than that. */
  readonly idleMs: number;
  /** An event that is longer ends the reading with an error. */
  readonly maxLength: number;
  readonly onEvent: (event: ServerEvent) => void;
  /** Called after every piece that arrives, comments included. */
  readonly onBytes: () => void;
  /** Called when the server says how long to wait before coming back. */
  readonly onRetry: (ms: number) => void;
}

/**
 * Reads until the stream ends.
 * @throws Error when it breaks, is silent for too long, or sends an event that is too long
 */
export async function readEvents(body: ReadableStream<Uint8Array>, reader: StreamReader): Promise<void> {
  const stream = body.getReader();
  const parser = openParser(reader);
  const decoder = new TextDecoder();
  let isSilent = false;
  const stop = (): void => void stream.cancel().catch(() => undefined);
  const watch = (): (() => void) =>
    reader.after(reader.idleMs, () => {
      isSilent = true;
      stop();
    });
  let cancel = watch();
  reader.signal.addEventListener('abort', stop);
  try {
    for (;;) {
      const { done, value } = await stream.read();
      if (isSilent) throw new Error(`nothing came for ${reader.idleMs} ms`);
      if (done) return;
      cancel();
      cancel = watch();
      parser.take(decoder.decode(value, { stream: true }));
      reader.onBytes();
    }
  } finally {
    cancel();
    reader.signal.removeEventListener('abort', stop);
    stop();
  }
}

/** Lines end in LF or CR LF, as those of our server and of the proxies before it do. */
function openParser({ maxLength, onEvent, onRetry }: StreamReader): { readonly take: (text: string) => void } {
  let rest = '';
  let event = '';
  let id = '';
  let data: string[] = [];
  let length = 0;

  function dispatch(): void {
    if (data.length > 0) onEvent({ event: event === '' ? 'message' : event, data: data.join('\n'), id });
    event = '';
    data = [];
    length = 0;
  }

  function line(text: string): void {
    if (text === '') {
      dispatch();
      return;
    }
    const colon = text.indexOf(':');
    const field = colon === -1 ? text : text.slice(0, colon);
    const value = colon === -1 ? '' : text.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    if (field === 'event') event = value;
    if (field === 'id') id = value;
    if (field === 'retry' && /^\d{1,9}$/.test(value)) onRetry(Number(value));
  }

  return {
    take(text) {
      length += text.length;
      if (length > maxLength) throw new Error(`an event is longer than ${maxLength} characters`);
      // What is left over has no end of a line in it, so that only the new part is looked through.
      let start = 0;
      for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
        const whole = rest + text.slice(start, end);
        rest = '';
        start = end + 1;
        line(whole.endsWith('\r') ? whole.slice(0, -1) : whole);
      }
      rest += text.slice(start);
    },
  };
}
