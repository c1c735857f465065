/** One connection to a model server, carrying one request at a time. The pool depends on it. */
import type { Socket } from 'node:net';
import type { Connector } from './http1-connector.ts';
import type { ParsedHead } from './http1-head.ts';
import {
  declaredLengthOf,
  type Http1Request,
  requestHeadOf,
  type RequestTarget,
  startUpload,
  writeWhole,
} from './http1-request.ts';
import { openResponseParser, type ResponseParser } from './http1-response-parser.ts';
import type { AnswerFlow, AnswerHandler } from './upstream-call.ts';

/** A request on its way. */
export interface Order {
  readonly request: Http1Request;
  readonly handler: AnswerHandler;
  /** Whether it may be sent again on another connection, when this one was closed before a byte of the answer came. */
  canRetry: boolean;
  /** Nobody wants the answer any more; its handler hears nothing. */
  isGivenUp: boolean;
  /** What carries it, or has carried it. */
  connection: Connection | undefined;
}

export interface ConnectionContext {
  readonly connect: Connector;
  readonly target: RequestTarget;
  readonly nowMs: () => number;
  /** For how long an unused connection is kept when the server does not say. */
  readonly keepMs: number;
}

/** What a connection tells its pool. */
export interface ConnectionEvents {
  /** The answer is whole; the pool tells its handler. */
  onAnswered(order: Order): void;
  /** It can carry another request. */
  onFree(): void;
  /** It is gone; an order that it could not carry and that may be sent again comes back. */
  onGone(order: Order | undefined): void;
}

export interface Connection {
  /** Sends a request, at once or as soon as the connection is open. Only for a connection that carries none. */
  send(order: Order): void;
  /** Whether another request may be sent on it. */
  isFresh(): boolean;
  /** Closes when unused for too long, or when the answer has paused for longer than `idleTimeoutMs`. */
  sweep(idleTimeoutMs: number): void;
  /** Breaks the order off, if it is the one being carried. */
  abandon(order: Order): void;
  /** Closes; who waits for an answer is told `error`. */
  close(error: Error): void;
}

// We close a second before the server says that it will: a request must not meet its closing.
const HINT_MARGIN_SECONDS = 1;
const MAX_HINT_SECONDS = 60;

interface Link {
  readonly context: ConnectionContext;
  readonly events: ConnectionEvents;
  readonly parser: ResponseParser;
  giveUpSocket: () => void;
  socket: Socket | undefined;
  isClosed: boolean;
  /** What it carries. */
  order: Order | undefined;
  /** Of the answer that has begun. */
  head: ParsedHead | undefined;
  /** Whether a byte came since the request was sent. */
  hasBytes: boolean;
  lastByteMs: number;
  /** Whether the receiver holds the answer back. */
  isPaused: boolean;
  /** While the request's body is still being sent. */
  stopUpload: (() => void) | undefined;
  /** Whether it has carried a request before this one. */
  isReused: boolean;
  freshUntilMs: number;
}

const UNUSED = {
  socket: undefined,
  isClosed: false,
  order: undefined,
  head: undefined,
  hasBytes: false,
  lastByteMs: 0,
  isPaused: false,
  stopUpload: undefined,
  isReused: false,
  freshUntilMs: 0,
} as const;

export function openConnection(context: ConnectionContext, events: ConnectionEvents): Connection {
  const link: Link = {
    context,
    events,
    giveUpSocket: () => {},
    ...UNUSED,
    parser: openResponseParser({
      onHead(head) {
        link.head = head;
        if (link.order !== undefined) link.order.handler.onStart(head.answer, flowOf(link, link.order));
      },
      onBody: (chunk) => link.order?.handler.onData(chunk),
      onComplete: (excess) => complete(link, excess),
    }),
  };
  link.giveUpSocket = context.connect({
    onOpen(socket) {
      link.socket = socket;
      if (link.order !== undefined) begin(link, socket, link.order);
    },
    onBytes: (bytes) => read(link, bytes),
    onDown: (error) => down(link, error),
  });
  return {
    send(order) {
      link.order = order;
      if (link.socket !== undefined) begin(link, link.socket, order);
    },
    isFresh: () => !link.isClosed && context.nowMs() < link.freshUntilMs,
    sweep: (idleTimeoutMs) => sweep(link, idleTimeoutMs),
    abandon(order) {
      if (link.order === order) finish(link, {});
    },
    close: (error) => finish(link, { error }),
  };
}

function begin(link: Link, socket: Socket, { request }: Order): void {
  link.parser.begin();
  link.hasBytes = false;
  link.head = undefined;
  try {
    write(link, socket, request);
  } catch (error) {
    finish(link, { error: errorOf(error) });
  }
}

function write(link: Link, socket: Socket, request: Http1Request): void {
  const head = requestHeadOf(request, link.context.target);
  const { body, headers } = request;
  if (Buffer.isBuffer(body)) {
    writeWhole(socket, head, body);
    return;
  }
  const length = declaredLengthOf(headers);
  const onSent = (): void => {
    link.stopUpload = undefined;
  };
  link.stopUpload = startUpload(socket, { head, body, length, onSent, onError: (error) => finish(link, { error }) });
}

function read(link: Link, bytes: Buffer): void {
  // Nobody asked: it would be taken for the answer to the next request.
  if (link.order === undefined) {
    finish(link, {});
    return;
  }
  link.hasBytes = true;
  link.lastByteMs = link.context.nowMs();
  try {
    link.parser.read(bytes);
  } catch (error) {
    // Of the parser, or of the handler.
    finish(link, { error: errorOf(error) });
  }
}

/** The server has closed, or the socket has failed. */
function down(link: Link, error: Error | undefined): void {
  const { order } = link;
  if (order !== undefined && !link.hasBytes) {
    const canReturn = link.isReused && order.canRetry;
    order.canRetry = false;
    const cause = error ?? new Error('the server closed the connection without an answer');
    finish(link, canReturn ? { returned: order } : { error: cause });
    return;
  }
  try {
    if (error === undefined) link.parser.end();
    finish(link, { error });
  } catch (cutOff) {
    finish(link, { error: errorOf(cutOff) });
  }
}

function complete(link: Link, excess: boolean): void {
  const { head, socket, order } = link;
  const isSent = link.stopUpload === undefined && socket?.writableLength === 0;
  const keepMs = isSent && !excess && head?.keepsAlive === true ? keepMsOf(link.context, head) : 0;
  link.order = undefined;
  if (order !== undefined) link.events.onAnswered(order);
  if (keepMs <= 0) {
    finish(link, {});
    return;
  }
  link.isReused = true;
  link.freshUntilMs = link.context.nowMs() + keepMs;
  if (link.isPaused) resume(link);
  link.events.onFree();
}

function keepMsOf({ keepMs }: ConnectionContext, { keepAliveSeconds }: ParsedHead): number {
  if (keepAliveSeconds === undefined) return keepMs;
  return (Math.min(keepAliveSeconds, MAX_HINT_SECONDS) - HINT_MARGIN_SECONDS) * 1000;
}

function sweep(link: Link, idleTimeoutMs: number): void {
  const now = link.context.nowMs();
  if (link.order === undefined) {
    if (now >= link.freshUntilMs) finish(link, {});
  } else if (link.head !== undefined && !link.isPaused && now - link.lastByteMs >= idleTimeoutMs) {
    finish(link, { error: new Error(`the answer paused for ${idleTimeoutMs} ms`) });
  }
}

interface Ending {
  /** For who waits for an answer. */
  readonly error?: Error | undefined;
  /** For the pool. */
  readonly returned?: Order;
}

/** Closes the connection, once. */
function finish(link: Link, { error, returned }: Ending): void {
  if (link.isClosed) return;
  link.isClosed = true;
  link.parser.stop();
  link.stopUpload?.();
  link.giveUpSocket();
  const { order } = link;
  link.order = undefined;
  if (error !== undefined) order?.handler.onError(error);
  link.events.onGone(returned);
}

/** Says nothing more once its answer is over: the socket then belongs to another request. */
function flowOf(link: Link, order: Order): AnswerFlow {
  return {
    pause() {
      if (link.order !== order || link.isPaused) return;
      link.isPaused = true;
      link.socket?.pause();
    },
    resume() {
      if (link.order === order && link.isPaused) resume(link);
    },
  };
}

function resume(link: Link): void {
  link.isPaused = false;
  link.lastByteMs = link.context.nowMs();
  link.socket?.resume();
}

export function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
