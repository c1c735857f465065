/** What an error of PostgreSQL or of the way to it means. The connection throws nothing else for a database that cannot do its work. */
import { AppError, type ErrorCode } from '@understudy/core/errors';
import pg from 'pg';
import { RESTORE_HINT } from './restore-hint.ts';

/**
 * `again`: nothing was done, the next try may succeed. `lost`: the connection went away, and nobody knows whether the
 * statement was done. `final`: nothing was done, and trying again would not help.
 */
export type Trouble = 'again' | 'lost' | 'final';

/** The connection was given up because the answer took too long. */
export class TooLate extends Error {
  constructor(waitedMs: number) {
    super(`no answer within ${Math.round(waitedMs)} ms`);
    this.name = 'TooLate';
  }
}

/** Serialization failure, deadlock, lock not available, cancelled by its own time-out. */
const AGAIN: ReadonlySet<string> = new Set(['40001', '40P01', '55P03', '57014']);
/** Shut down or killed by an administrator, crashed, idle for too long. The change may have been made. */
const LOST: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03', '57P05', '25P03']);

/** What an error of a statement means. */
export function troubleOf(error: unknown): Trouble {
  if (!(error instanceof pg.DatabaseError)) return isOfConnection(error) ? 'lost' : 'final';
  const code = error.code ?? '';
  if (AGAIN.has(code)) return 'again';
  if (mayBeTheEnd(code) && error.severity !== 'ERROR') return 'lost';
  // 58000 and class 08 also come from poolers that lost their server.
  return LOST.has(code) || code.startsWith('08') || code === '58000' || code === '53300' ? 'lost' : 'final';
}

/**
 * Whether a server may have ended itself over this: its disk, its memory, or itself is broken. Then the change may have
 * been made all the same. Its severity is a word in the server's language, so the only one that says otherwise is looked for.
 */
function mayBeTheEnd(code: string): boolean {
  return code.startsWith('53') || code.startsWith('58') || code.startsWith('XX');
}

/** Whether no connection can come of trying again: the address, the name or the password is wrong. */
export function isWrongAddress(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && (code.startsWith('28') || code === '3D000');
}

const NOTHING = 'nothing was changed';

/** Errors that only a person can end, and what to do about them. */
const FIXES: ReadonlyMap<string, readonly [ErrorCode, string]> = new Map([
  ['25006', ['store.write_failed', `the server is read-only: give the address of the primary; ${NOTHING}`]],
  ['42501', ['store.write_failed', `give the user rights on the schema and its tables; ${NOTHING}`]],
  ['53100', ['store.write_failed', `the disk of the server is full: free some space, ${NOTHING}`]],
  ['53200', ['store.write_failed', `the server has no memory left; ${NOTHING}`]],
  ['42P01', ['store.corrupt', `a table is missing: ${RESTORE_HINT}`]],
  ['42703', ['store.corrupt', `a table is not what it was: ${RESTORE_HINT}`]],
  ['3F000', ['store.corrupt', `the schema is missing: ${RESTORE_HINT}`]],
]);

/** The error that the port promises, or the given one when it is a bug of ours. Nothing was changed by what was attempted. */
export function failureOf(attempt: string, error: unknown): unknown {
  if (error instanceof AppError) return error;
  const code = codeOf(error);
  const said = error instanceof Error ? error.message : String(error);
  const failure = (kind: ErrorCode, fix: string) =>
    new AppError(kind, `cannot ${attempt}: ${said}${code === undefined ? '' : ` (${code})`}; ${fix}`, { cause: error });
  if (isWrongAddress(error)) return failure('store.busy', 'check user, password and database in the address of the store');
  if (troubleOf(error) !== 'final') return failure('store.busy', `${NOTHING}, ask again`);
  const [kind, fix] = FIXES.get(code ?? '') ?? [];
  if (kind !== undefined && fix !== undefined) return failure(kind, fix);
  const isDamage = code?.startsWith('XX0') === true || code?.startsWith('58') === true;
  return isDamage ? failure('store.corrupt', `check the server's disk and log, and ${RESTORE_HINT}`) : error;
}

/** An error of the socket, of the name's resolution, or of the driver about a connection that is gone. */
function isOfConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof TooLate || 'syscall' in error) return true;
  if (error instanceof AggregateError) return error.errors.every(isOfConnection);
  return /connection|timeout|not queryable/i.test(error.message) && !(error instanceof TypeError);
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof pg.DatabaseError) return error.code;
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
