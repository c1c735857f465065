/** Opens sockets to one model server: the address is checked, the time limited, TLS verified. The connections of a pool depend on it. */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { allowedAddressOf, serverNameOf } from './upstream-address.ts';

export interface ConnectTarget {
  /** IPv6 addresses in brackets or without. */
  readonly hostname: string;
  readonly port: number;
  readonly isTls: boolean;
  /** For everything: the name, the connection and the TLS handshake. */
  readonly connectTimeoutMs: number;
}

/** Told about one socket: at most `onOpen`, then bytes and drains, at the end `onDown`. Nothing after it was given up. */
export interface SocketEvents {
  onOpen(socket: Socket): void;
  /** @param bytes valid only during the call */
  onBytes(bytes: Buffer): void;
  /** @param error undefined when the server closed in an orderly way */
  onDown(error: Error | undefined): void;
}

/** Begins to connect; the function returned gives the socket up, whatever state it is in. */
export type Connector = (events: SocketEvents) => () => void;

const READ_BYTES = 64 * 1024;
// Finds connections whose other end is gone without a word, such as a machine that lost its power.
const TCP_KEEP_ALIVE_MS = 60_000;

// All plain sockets read into it: the event loop reads one at a time, and its reader is done with it before the next. TLS is
// different: writing to one socket may make another one read, in the middle of our reader's work.
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

export function openConnector(target: ConnectTarget): Connector {
  let session: Buffer | undefined;

  function makeSocket(host: string, onBytes: (bytes: Buffer) => void): Socket {
    const { port, hostname, isTls } = target;
    if (!isTls) return connectPlain({ host, port, ...TCP, onread: { buffer: readBuffer, callback: readerOf(onBytes) } });
    const servername = serverNameOf(hostname);
    const tls: TLSSocket = connectTls({
      host,
      port,
      ...TCP,
      ALPNProtocols: ['http/1.1'],
      ...(servername === undefined ? {} : { servername }),
      ...(session === undefined ? {} : { session }),
    });
    tls.on('session', (next: Buffer) => {
      session = next;
    });
    tls.on('data', onBytes);
    return tls;
  }

  return (events) => {
    const attempt = openAttempt(target, events);
    allowedAddressOf(target.hostname)
      .then((host) => attempt.use(() => makeSocket(host, (bytes) => attempt.onBytes(bytes))))
      .catch((error: unknown) => attempt.fail(error instanceof Error ? error : new Error(String(error))));
    return () => attempt.giveUp();
  };
}

const TCP = { noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS } as const;

function readerOf(onBytes: (bytes: Buffer) => void): (length: number) => boolean {
  return (length) => {
    onBytes(readBuffer.subarray(0, length));
    return true;
  };
}

interface Attempt {
  onBytes(bytes: Buffer): void;
  use(make: () => Socket): void;
  fail(error: Error | undefined): void;
  giveUp(): void;
}

/** One socket from its name to its end. */
function openAttempt({ isTls, connectTimeoutMs, hostname, port }: ConnectTarget, events: SocketEvents): Attempt {
  let socket: Socket | undefined;
  let isOver = false;
  const timer = setTimeout(() => {
    fail(new Error(`cannot connect to ${hostname}:${port} within ${connectTimeoutMs} ms`));
  }, connectTimeoutMs);
  const giveUp = (): void => {
    isOver = true;
    clearTimeout(timer);
    socket?.destroy();
  };
  const fail = (error: Error | undefined): void => {
    if (isOver) return;
    giveUp();
    events.onDown(error);
  };
  return {
    onBytes(bytes) {
      if (!isOver) events.onBytes(bytes);
    },
    use(make) {
      if (isOver) return;
      const made = make();
      socket = made;
      made.once(isTls ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer);
        if (!isOver) events.onOpen(made);
      });
      // Stays to the end: an error of a socket that was given up must not end the process.
      made.on('error', fail);
      made.once('end', () => fail(undefined));
      made.once('close', () => fail(undefined));
    },
    fail,
    giveUp,
  };
}
