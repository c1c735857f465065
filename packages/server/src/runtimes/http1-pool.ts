/** Connections to one model server, kept between requests. Bounded in connections and in requests that wait for one. */
import { performance } from 'node:perf_hooks';
import { AppError } from '@understudy/core/errors';
import { type Connection, type ConnectionContext, errorOf, openConnection, type Order } from './http1-connection.ts';
import { openConnector } from './http1-connector.ts';
import type { Http1Request } from './http1-request.ts';
import type { AnswerHandler } from './upstream-call.ts';

export interface Http1PoolOptions {
  /** Connections at most; as many requests again may wait for one. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** An answer that has begun may pause for so long, unless its receiver holds it back. */
  readonly idleTimeoutMs: number;
}

/** Time as the pool sees it; tests have their own. */
export interface PoolTime {
  readonly nowMs: () => number;
  /** Calls again and again until the function returned is called; does not keep the process alive. */
  every(ms: number, run: () => void): () => void;
}

export interface PoolSize {
  readonly connections: number;
  /** Those of the connections that carry no request. */
  readonly idle: number;
  /** Requests without a connection. */
  readonly waiting: number;
}

export interface Http1Pool {
  /** Sends a request. The handler is told later, never during this call; the function returned gives the request up. */
  send(request: Http1Request, handler: AnswerHandler): () => void;
  /** Breaks off what is under way, and tells its handlers. */
  close(): void;
  size(): PoolSize;
}

// Common servers keep an unused connection for 5 s (Node, uvicorn) or longer.
const KEEP_MS = 4000;
const HTTP_PORT = 80;
const HTTPS_PORT = 443;
// How late a pause or an unused connection is noticed at worst.
const SWEEP_MS = 500;

const systemTime: PoolTime = {
  nowMs: () => performance.now(),
  every(ms, run) {
    const timer = setInterval(run, ms).unref();
    return () => clearInterval(timer);
  },
};

interface Pool {
  readonly context: ConnectionContext;
  readonly limit: number;
  readonly open: Set<Connection>;
  /** The one used last is on top: the others grow old, and few connections stay when there is little to do. */
  readonly idle: Connection[];
  /** Became free in this turn of the event loop: what followed the answer may not have been read yet. */
  resting: Connection[];
  readonly waiting: Set<Order>;
  /** Requests of this turn of the event loop. */
  outbox: Order[];
  /** Whose answers became whole in this turn. */
  answered: Order[];
  isScheduled: boolean;
  isClosed: boolean;
}

/** @param origin `http:` or `https:`; its path does not count */
export function openHttp1Pool(origin: URL, options: Http1PoolOptions, time: PoolTime = systemTime): Http1Pool {
  const pool: Pool = {
    context: contextOf(origin, options, time),
    limit: options.connections,
    open: new Set(),
    idle: [],
    resting: [],
    waiting: new Set(),
    outbox: [],
    answered: [],
    isScheduled: false,
    isClosed: false,
  };
  const stopSweep = time.every(SWEEP_MS, () => {
    for (const connection of pool.open) connection.sweep(options.idleTimeoutMs);
  });
  return {
    send: (request, handler) => send(pool, request, handler),
    close() {
      pool.isClosed = true;
      stopSweep();
      for (const connection of pool.open) connection.close(closing());
      for (const order of pool.waiting) order.handler.onError(closing());
      pool.waiting.clear();
    },
    size: () => ({ connections: pool.open.size, idle: pool.idle.length + pool.resting.length, waiting: pool.waiting.size }),
  };
}

function send(pool: Pool, request: Http1Request, handler: AnswerHandler): () => void {
  const canRetry = Buffer.isBuffer(request.body);
  const order: Order = { request, handler, canRetry, isGivenUp: false, connection: undefined };
  pool.outbox.push(order);
  schedule(pool);
  return () => {
    order.isGivenUp = true;
    pool.waiting.delete(order);
    order.connection?.abandon(order);
  };
}

/**
 * Once a turn, when the event loop has looked at all sockets. What an unused connection has to say, an answer nobody asked for
 * or its end, must be heard before a request is written to it: so requests wait for the end of the turn, and a connection
 * rests for one after its answer. Answers are told at the end of the turn too: what their receivers write then goes out at once,
 * and wakes the other side up once (measured: a tenth less CPU for a request).
 */
function schedule(pool: Pool): void {
  if (pool.isScheduled) return;
  pool.isScheduled = true;
  setImmediate(endTurn, pool);
}

function endTurn(pool: Pool): void {
  pool.isScheduled = false;
  for (const order of pool.waiting) {
    const connection = available(pool);
    if (connection === undefined) break;
    pool.waiting.delete(order);
    carry(connection, order);
  }
  const orders = pool.outbox;
  pool.outbox = [];
  for (const order of orders) if (!order.isGivenUp) place(pool, order);
  const answered = pool.answered;
  pool.answered = [];
  for (const order of answered) if (!order.isGivenUp) tellEnd(order.handler);
  const rested = pool.resting;
  pool.resting = [];
  for (const connection of rested) pool.idle.push(connection);
  if (rested.length > 0 && pool.waiting.size > 0) schedule(pool);
}

function tellEnd(handler: AnswerHandler): void {
  try {
    handler.onEnd();
  } catch (error) {
    handler.onError(errorOf(error));
  }
}

function place(pool: Pool, order: Order): void {
  const connection = pool.isClosed ? undefined : available(pool);
  if (connection !== undefined) carry(connection, order);
  else if (pool.isClosed) order.handler.onError(closing());
  else if (pool.waiting.size < pool.limit) pool.waiting.add(order);
  else order.handler.onError(overloaded(pool.limit));
}

function available(pool: Pool): Connection | undefined {
  return freshest(pool.idle) ?? (pool.open.size < pool.limit ? openOne(pool) : undefined);
}

function freshest(idle: Connection[]): Connection | undefined {
  for (let found = idle.pop(); found !== undefined; found = idle.pop()) {
    if (found.isFresh()) return found;
    found.close(closing());
  }
  return undefined;
}

function openOne(pool: Pool): Connection {
  const connection: Connection = openConnection(pool.context, {
    onAnswered(order) {
      pool.answered.push(order);
      schedule(pool);
    },
    onFree() {
      pool.resting.push(connection);
      schedule(pool);
    },
    onGone: (returned) => replace(pool, connection, returned),
  });
  pool.open.add(connection);
  return connection;
}

/** A place is free: for the request that has lost its connection, or for one that waits. */
function replace(pool: Pool, gone: Connection, returned: Order | undefined): void {
  pool.open.delete(gone);
  remove(pool.idle, gone);
  remove(pool.resting, gone);
  if (returned === undefined) {
    if (pool.waiting.size > 0) schedule(pool);
  } else if (pool.isClosed) returned.handler.onError(closing());
  else carry(openOne(pool), returned);
}

function remove(from: Connection[], gone: Connection): void {
  const index = from.indexOf(gone);
  if (index >= 0) from.splice(index, 1);
}

function carry(connection: Connection, order: Order): void {
  order.connection = connection;
  connection.send(order);
}

function contextOf(origin: URL, { connectTimeoutMs }: Http1PoolOptions, time: PoolTime): ConnectionContext {
  const isTls = origin.protocol === 'https:';
  const defaultPort = isTls ? HTTPS_PORT : HTTP_PORT;
  const port = origin.port === '' ? defaultPort : Number(origin.port);
  return {
    connect: openConnector({ hostname: origin.hostname, port, isTls, connectTimeoutMs }),
    target: { host: origin.host },
    nowMs: time.nowMs,
    keepMs: KEEP_MS,
  };
}

function closing(): Error {
  return new Error('the connections to the model server are being closed');
}

function overloaded(limit: number): AppError {
  return new AppError('request.overloaded', `${limit} requests already wait for this model server. Try again in a moment`);
}
