/** Transactions on the one connection: no write is acknowledged that is not where it was promised to be. */
import { AppError } from '@understudy/core/errors';
import type { Database } from 'better-sqlite3';
import type { Ballast } from './ballast.ts';
import { failureOf, isDiskFull, isFatalForWrites } from './sqlite-failure.ts';

/** What to do when writing is over, and which promise to break in a test. */
export interface WriterOptions {
  /** Called once when no write can be trusted any more. The process should exit non-zero: the next start recovers. */
  readonly onFatal?: (error: AppError) => void;
  /** Bugs to plant, so that a test of durability or of races can show that it would notice them. Never set otherwise. */
  readonly planted?: PlantedBugs;
}

/** Each one breaks a promise on purpose. */
export interface PlantedBugs {
  /** Acknowledge before the change is on stable storage. */
  readonly relaxedCommits?: boolean;
  /** Go on writing after a failed fsync. */
  readonly ignoreFatal?: boolean;
  /** Overwrite whatever is there. */
  readonly noCompareAndSet?: boolean;
}

/**
 * `durable`: on stable storage before it returns. `ordered`: in the file before every later write, and on stable storage
 * with the next durable one; a power cut may take the newest.
 */
export type Durability = 'durable' | 'ordered';

export interface Writer {
  readonly read: <T>(attempt: string, body: () => T) => T;
  /** Runs `body` in one transaction that holds the write lock from its beginning. */
  readonly write: <T>(attempt: string, durability: Durability, body: () => T) => T;
}

// With a few pages each, about the 1000 pages after which SQLite would do it by itself.
const WRITES_PER_CHECKPOINT = 200;

export function openWriter(database: Database, ballast: Ballast, options: WriterOptions): Writer {
  const checkpoint = checkpoints(database, ballast);
  const isAlwaysRelaxed = options.planted?.relaxedCommits === true;
  const transact = transactions(database, ballast, { isAlwaysRelaxed, checkpoint: checkpoint.now });
  let fatal: AppError | undefined;

  function fail(attempt: string, error: unknown): unknown {
    const failure = failureOf(attempt, error);
    if (isFatalForWrites(error) && fatal === undefined && failure instanceof AppError) {
      if (options.planted?.ignoreFatal !== true) fatal = failure;
      options.onFatal?.(failure);
    }
    return failure;
  }

  return {
    read: (attempt, body) => {
      try {
        return body();
      } catch (error) {
        throw fail(attempt, error);
      }
    },
    write: (attempt, durability, body) => {
      if (fatal !== undefined) throw refusalAfter(fatal, attempt);
      // The reserve is for people's changes; evidence would use it up within minutes.
      if (durability === 'ordered' && !ballast.restore()) throw diskFull(attempt);
      try {
        const result = transact(durability, body);
        // Before anybody hears of the commit: whatever a checkpoint finds out about the disk concerns it too.
        checkpoint.whenDue();
        return result;
      } catch (error) {
        throw fail(attempt, error);
      }
    },
  };
}

function transactions(database: Database, ballast: Ballast, options: TransactionOptions) {
  function once<T>(durability: Durability, body: () => T): T {
    database.pragma(`synchronous = ${durability === 'ordered' || options.isAlwaysRelaxed ? 'NORMAL' : 'FULL'}`);
    return database.transaction(body).immediate();
  }
  return <T>(durability: Durability, body: () => T): T => {
    try {
      return once(durability, body);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      if (durability === 'durable') ballast.release();
      // Gives the room in the log back, which is much more than a change needs.
      options.checkpoint();
      return once(durability, body);
    }
  };
}

interface TransactionOptions {
  readonly isAlwaysRelaxed: boolean;
  readonly checkpoint: () => void;
}

interface Checkpoints {
  /** Moves the log into the database, as far as the disk has room. */
  readonly now: () => void;
  /** Counts a write, and does it when there have been enough. */
  readonly whenDue: () => void;
}

function checkpoints(database: Database, ballast: Ballast): Checkpoints {
  let writes = 0;
  const now = () => {
    try {
      database.pragma('wal_checkpoint(PASSIVE)');
      writes = 0;
    } catch (error) {
      // What was committed is in the log; with a full disk the next write tries again.
      if (!isDiskFull(error)) throw error;
    }
  };
  return {
    now,
    whenDue: () => {
      writes += 1;
      // While space is short the log must not take what the reserve gave.
      if (writes >= WRITES_PER_CHECKPOINT || !ballast.isHeld()) now();
    },
  };
}

function refusalAfter(fatal: AppError, attempt: string): AppError {
  return new AppError(fatal.code, `cannot ${attempt}: nothing is written since this failure: ${fatal.message}`, { cause: fatal });
}

function diskFull(attempt: string): AppError {
  return new AppError('store.write_failed', `cannot ${attempt}: the disk is full: free some space, nothing was changed`);
}
