// A client of server-sent events over a socket of its own: reads, and comes back after the time it was told, as EventSource does.
import { type ClientRequest, get, type IncomingMessage } from 'node:http';

export interface StreamPlace {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface StreamListener {
  /** Where to connect; asked before every attempt. */
  place(): Promise<StreamPlace> | StreamPlace;
  opened?(): void;
  heard(event: ServerEvent): void;
  /** Something that a restart of the server does not explain. */
  problem(text: string): void;
}

export interface ServerEvent {
  readonly name: string;
  readonly data: string;
}

export interface EventStream {
  /** Breaks the connection and comes back at once, as after a network that failed for everybody. */
  breakAndReturn(): void;
  /** For good. */
  close(): void;
}

// What EventSource does when no server has told it anything.
const DEFAULT_RETRY_MS = 1000;
// The server is away, or ends: what every client sees of a restart.
const AWAY = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE']);

export function openEventStream(listener: StreamListener): EventStream {
  let retryMs = DEFAULT_RETRY_MS;
  let attempt = 0;
  let request: ClientRequest | undefined;

  function comeBack(which: number, afterMs: number): void {
    if (which !== attempt || which < 0) return;
    attempt += 1;
    const next = attempt;
    setTimeout(() => void connect(next), afterMs);
  }

  async function connect(which: number): Promise<void> {
    let place: StreamPlace;
    try {
      place = await listener.place();
    } catch {
      return comeBack(which, retryMs);
    }
    if (which !== attempt) return;
    request = get(place.url, { agent: false, headers: { accept: 'text/event-stream', ...place.headers } });
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (which === attempt && !AWAY.has(error.code ?? '')) listener.problem(`stream: ${error.message}`);
      comeBack(which, retryMs);
    });
    request.on('response', (response) => {
      if (response.statusCode !== 200) {
        if (response.statusCode !== 503) listener.problem(`stream: ${response.statusCode} at ${place.url.split('?', 1)[0]}`);
        response.resume();
        return comeBack(which, retryMs);
      }
      response.on('error', () => undefined);
      response.on('close', () => comeBack(which, retryMs));
      listener.opened?.();
      read(response, (event) => (event.name === 'retry' ? (retryMs = Number(event.data)) : listener.heard(event)));
    });
  }

  void connect(attempt);
  return {
    close() {
      attempt = -1;
      request?.destroy();
    },
    breakAndReturn() {
      const broken = request;
      comeBack(attempt, 0);
      broken?.destroy();
    },
  };
}

function read(response: IncomingMessage, heard: (event: ServerEvent) => void): void {
  let rest = '';
  response.setEncoding('utf8').on('data', (text: string) => {
    const frames = (rest + text).split('\n\n');
    rest = frames.pop() ?? '';
    for (const frame of frames) for (const event of eventsOf(frame)) heard(event);
  });
}

function eventsOf(frame: string): readonly ServerEvent[] {
  const fields = frame.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);
  const field = (name: string): string | undefined => fields.find(([key]) => key === name)?.[1];
  const [retry, data, name = 'message'] = [field('retry'), field('data'), field('event')];
  return [...(retry === undefined ? [] : [{ name: 'retry', data: retry }]), ...(data === undefined ? [] : [{ name, data }])];
}
