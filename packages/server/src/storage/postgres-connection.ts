/** Connections to PostgreSQL with deadlines. The PostgreSQL store does all of its work through it. No statement leaves anything in a session. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@understudy/core/errors';
import pg from 'pg';
import type { PostgresAddress } from './postgres-address.ts';
import { failureOf, TooLate, troubleOf } from './postgres-failure.ts';

/** One statement. The text is fixed; whatever comes from outside is a value. */
export interface Statement {
  readonly text: string;
  readonly values?: readonly unknown[];
}

export type Rows = readonly unknown[];
export type Query = (statement: Statement) => Promise<Rows>;

/** Ends with one of the two; the connection is lent until then. */
export interface Transaction {
  readonly query: Query;
  /** Does nothing when it is over. */
  readonly commit: () => Promise<void>;
  /** May be called after a failure, and twice. */
  readonly rollback: () => void;
}

/** When an attempt has to be over. Monotonic. */
export interface Deadline {
  leftMs(): number;
}

export interface PostgresConnection {
  readonly address: PostgresAddress;
  /** Runs one statement once, and says nothing about what a failure means. */
  readonly run: (statement: Statement, deadline: Deadline) => Promise<Rows>;
  /** Runs a statement that may be done twice, again after each lost connection, until the deadline. Throws as the port promises. */
  readonly repeat: (attempt: string, statement: Statement, deadline?: Deadline) => Promise<Rows>;
  /** Opens a transaction on a connection of its own, for several statements. Each of them ends with the deadline, where there is one. */
  readonly begin: (text: string, deadline?: Deadline) => Promise<Transaction>;
  readonly deadline: (ms?: number) => Deadline;
  readonly close: () => Promise<void>;
}

export interface ConnectionLimits {
  /** How long a caller waits at most, all tries together. */
  readonly deadlineMs: number;
}

// Nobody is helped by a queue that takes longer to work off than its callers wait.
const MOST_WAITING = 1000;
const IDLE_MS = 30_000;
const FIRST_PAUSE_MS = 4;
const LONGEST_PAUSE_MS = 250;
// Of int8: revisions, cursors, sequences. All of them are counts far below 2⁵³.
const INT8 = 20;

/** Opens no connection yet; the first statement does. */
export function openPostgresConnection(address: PostgresAddress, { deadlineMs }: ConnectionLimits): PostgresConnection {
  const pool = openPool(address, deadlineMs);
  const deadline = (ms = deadlineMs): Deadline => {
    const endsMs = performance.now() + ms;
    return { leftMs: () => endsMs - performance.now() };
  };

  async function run(statement: Statement, until: Deadline): Promise<Rows> {
    const client = await borrow(pool, until);
    try {
      const rows = await inTime(rowsOf(client, statement), until.leftMs());
      client.release();
      return rows;
    } catch (error) {
      client.release(troubleOf(error) === 'lost');
      throw error;
    }
  }

  return {
    address,
    run,
    deadline,
    repeat: async (attempt, statement, until = deadline()) => {
      for (let tries = 0; ; tries += 1) {
        try {
          return await run(statement, until);
        } catch (error) {
          if (troubleOf(error) === 'final' || !(await pause(tries, until))) throw failureOf(attempt, error);
        }
      }
    },
    begin: async (text, until) => beginOn(await borrow(pool, until ?? deadline()), text, until),
    close: () => pool.end(),
  };
}

async function beginOn(client: pg.PoolClient, text: string, until: Deadline | undefined): Promise<Transaction> {
  let isOver = false;
  const release = (isBroken: boolean): void => {
    if (!isOver) client.release(isBroken);
    isOver = true;
  };
  // A connection that is closed rolls back, whatever state it is in.
  const rollback = (): void => release(true);
  const query: Query = (statement) => {
    const rows = rowsOf(client, statement);
    return until === undefined ? rows : inTime(rows, until.leftMs());
  };
  try {
    await query({ text });
  } catch (error) {
    rollback();
    throw error;
  }
  return {
    query,
    rollback,
    commit: async () => {
      if (isOver) return;
      await query({ text: 'COMMIT' });
      release(false);
    },
  };
}

/** Several statements in one transaction. Whatever `body` throws rolls it back. */
export async function inTransaction<T>(
  { begin }: Pick<PostgresConnection, 'begin'>,
  text: string,
  body: (query: Query) => Promise<T>,
): Promise<T> {
  const transaction = await begin(text);
  try {
    const result = await body(transaction.query);
    await transaction.commit();
    return result;
  } finally {
    transaction.rollback();
  }
}

async function borrow(pool: pg.Pool, until: Deadline): Promise<pg.PoolClient> {
  if (pool.waitingCount >= MOST_WAITING || until.leftMs() <= 0) throw new TooLate(0);
  const coming = pool.connect();
  try {
    return await inTime(coming, until.leftMs());
  } catch (error) {
    // One that comes too late goes back. What it failed with was said already.
    coming.then(
      (client) => client.release(),
      () => undefined,
    );
    throw error;
  }
}

/** Waits longer after each try, and never past the deadline. False when it has passed. */
export async function pause(tries: number, until: Deadline, longestMs = LONGEST_PAUSE_MS): Promise<boolean> {
  const most = Math.min(FIRST_PAUSE_MS * 2 ** tries, longestMs);
  // Spread, so that those who met once do not meet again.
  const ms = most * (0.5 + Math.random() / 2);
  if (until.leftMs() <= ms) return false;
  await sleep(ms);
  return until.leftMs() > 0;
}

/** What the driver needs to open a connection, for the pool and for the one that listens. */
export function clientOptions({ connectionString }: PostgresAddress, timeoutMs: number): pg.ClientConfig {
  return {
    connectionString,
    application_name: 'understudy',
    keepAlive: true,
    connectionTimeoutMillis: timeoutMs,
    types: { getTypeParser: (oid: number, format?: 'text' | 'binary') => (oid === INT8 ? Number : textParser(oid, format)) },
  };
}

function textParser(oid: number, format: 'text' | 'binary' = 'text'): unknown {
  return format === 'binary' ? pg.types.getTypeParser(oid, 'binary') : pg.types.getTypeParser(oid, 'text');
}

function openPool(address: PostgresAddress, deadlineMs: number): pg.Pool {
  const pool = new pg.Pool({ ...clientOptions(address, deadlineMs), max: address.poolSize, idleTimeoutMillis: IDLE_MS });
  // The statement under way hears of a lost connection by itself; an idle one is replaced. Neither may end the process.
  const ignore = (): void => undefined;
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', ignore));
  return pool;
}

async function rowsOf(client: pg.ClientBase, { text, values = [] }: Statement): Promise<Rows> {
  const result = await client.query({ text, values: [...values] });
  return result.rows;
}

/** @throws TooLate when the time is over first; the caller gives the connection up */
async function inTime<T>(work: Promise<T>, leftMs: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new TooLate(leftMs)), Math.max(0, leftMs));
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Refuses a server that is too old to do what the store relies on. */
export function refuseOldServer(version: number, shown: string): void {
  // 120000: floating-point numbers are written so that they read back exactly.
  if (version >= 120_000) return;
  throw new AppError('config.invalid', `cannot use the store ${shown}: PostgreSQL 12 or newer is needed, and this is ${version}`);
}
