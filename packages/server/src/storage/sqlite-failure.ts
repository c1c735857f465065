/** What an error of SQLite means for the caller. The connection throws nothing else for a database that cannot do its work. */
import { AppError } from '@understudy/core/errors';
import Sqlite from 'better-sqlite3';
import { RESTORE_HINT } from './restore-hint.ts';

/** Whether an error says that the disk is full. Nothing was written; the next try may succeed. */
export function isDiskFull(error: unknown): boolean {
  return codeOf(error) === 'SQLITE_FULL';
}

/** Whether an error says that somebody else holds the database. */
export function isBusy(error: unknown): boolean {
  return codeOf(error)?.startsWith('SQLITE_BUSY') ?? false;
}

/**
 * Whether nothing may be written after this error. A failed fsync drops the pages from the kernel's cache, so a second
 * one reports success for data that is gone; only recovery at the next start can tell what is on the disk.
 */
export function isFatalForWrites(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && (code.startsWith('SQLITE_IOERR') || isCorruptCode(code));
}

/** The error that the port promises, or the given one when it is a bug of ours. */
export function failureOf(attempt: string, error: unknown): unknown {
  const code = codeOf(error);
  if (code === undefined) return error;
  const said = error instanceof Error ? error.message : String(error);
  const failure = (kind: 'store.write_failed' | 'store.corrupt' | 'store.busy', fix: string) =>
    new AppError(kind, `cannot ${attempt}: ${said} (${code}); ${fix}`, { cause: error });
  if (isCorruptCode(code)) return failure('store.corrupt', `stop the server, keep the file as it is, and ${RESTORE_HINT}`);
  if (code.startsWith('SQLITE_BUSY')) return failure('store.busy', 'another program has the database open: close it');
  if (code === 'SQLITE_FULL') return failure('store.write_failed', 'the disk is full: free some space, nothing was changed');
  if (code === 'SQLITE_IOERR_READ' || code === 'SQLITE_IOERR_SHORT_READ') {
    return failure('store.corrupt', `check the disk and ${RESTORE_HINT}`);
  }
  if (code.startsWith('SQLITE_IOERR')) {
    return failure('store.write_failed', 'check the disk and restart; ask again with the same idempotency key');
  }
  if (code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_CANTOPEN') || code === 'SQLITE_PERM') {
    return failure('store.write_failed', 'let the server write to the data directory and the files in it');
  }
  return error;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Sqlite.SqliteError ? error.code : undefined;
}

function isCorruptCode(code: string): boolean {
  return code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB';
}
