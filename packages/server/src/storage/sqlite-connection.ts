/** Opens a SQLite file safely and keeps a second process out. The SQLite store does all of its work through it. */
import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import path from 'node:path';
import { AppError } from '@understudy/core/errors';
import Sqlite, { type Database } from 'better-sqlite3';
import { z } from 'zod';
import { BALLAST_BYTES, openBallast } from './ballast.ts';
import { liveHolder, namedHolder, removeHolder, writeHolder } from './holder-file.ts';
import { type AcknowledgedFile, openAcknowledged, refuseForgetful } from './sqlite-acknowledged.ts';
import { refuseAlteredDocuments } from './sqlite-document-check.ts';
import { failureOf, isBusy } from './sqlite-failure.ts';
import { migrate } from './sqlite-schema.ts';
import { openWriter, type Writer, type WriterOptions } from './sqlite-writer.ts';
import { RESTORE_HINT } from './restore-hint.ts';

/** How a SQLite file is opened. */
export interface ConnectionOptions extends WriterOptions {
  /** Disk space kept in reserve beside the database; 0 for none. */
  readonly ballastBytes?: number;
}

/** An open database. Reads and writes throw AppError as the port promises, and say what was attempted. */
export interface Connection extends Writer {
  readonly database: Database;
  /** Nothing where nothing outlives the process. */
  readonly acknowledged: AcknowledgedFile | undefined;
  readonly close: () => void;
}

// A predecessor that was told to stop may need a moment to let go.
const LOCK_WAIT_MS = 1000;

/**
 * Opens or creates a database file, or one in memory.
 * @throws AppError `store.locked` when another process has it, `store.corrupt` when it is damaged
 */
export function openConnection(file: string, options: ConnectionOptions): Connection {
  const inMemory = file === ':memory:';
  const holderFile = `${file}.lock`;
  if (!inMemory) {
    refuseSecondHolder(file, liveHolder(holderFile));
    createFile(file);
  }
  const existed = !inMemory && statSync(file).size > 0;
  const database = openDatabase(file);
  try {
    configure(database);
    // The log's name too must survive a power cut. SQLite syncs the directory later, without a look at the result.
    if (!inMemory) onDisk(file, () => syncDirectory(path.dirname(file)));
    if (existed) refuseDamaged(database, file);
    migrate(database);
    if (existed) refuseWrongContent(database, file);
    if (!inMemory) writeHolder(holderFile);
  } catch (error) {
    database.close();
    if (isBusy(error)) refuseSecondHolder(file, namedHolder(holderFile) ?? 'another program');
    throw failureOf(`open the database "${file}"`, error);
  }
  const bytes = inMemory ? 0 : (options.ballastBytes ?? BALLAST_BYTES);
  const ballast = openBallast(path.join(path.dirname(file), 'ballast'), bytes);
  const acknowledged = inMemory ? undefined : openAcknowledged(file);
  const close = () => {
    acknowledged?.close();
    // In this order, so that the next process's file is not taken for ours.
    if (!inMemory) removeHolder(holderFile);
    database.close();
  };
  return { database, acknowledged, ...openWriter(database, ballast, options), close };
}

function createFile(file: string): void {
  const directory = path.dirname(file);
  onDisk(file, () => {
    const firstMade = mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (firstMade !== undefined) {
      const top = path.dirname(path.resolve(firstMade));
      for (let made = path.resolve(directory); made !== top;) syncDirectory((made = path.dirname(made)));
    }
    // SQLite gives its log the same permissions: nobody else reads tokens' digests or the journal.
    closeSync(openSync(file, 'a', 0o600));
  });
}

function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function onDisk(file: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new AppError(
      'store.write_failed',
      `cannot create the database "${file}": ${said}; check the disk, and let the server write to its data directory`,
      { cause: error },
    );
  }
}

function openDatabase(file: string): Database {
  try {
    return new Sqlite(file, { timeout: LOCK_WAIT_MS });
  } catch (error) {
    throw failureOf(`open the database "${file}"`, error);
  }
}

function configure(database: Database): void {
  // The kernel drops this lock when the process dies, however it dies, and no clock or pid can be wrong about it.
  database.pragma('locking_mode = EXCLUSIVE');
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.pragma('foreign_keys = ON');
  // A checkpoint that SQLite starts by itself hides its errors, so the writer starts them.
  database.pragma('wal_autocheckpoint = 0');
  database.exec('BEGIN IMMEDIATE; COMMIT');
}

function refuseSecondHolder(file: string, holder: string | undefined): void {
  if (holder === undefined) return;
  throw new AppError(
    'store.locked',
    `cannot open the database "${file}": ${holder} has it open; stop that one, or give this one another data directory`,
  );
}

function refuseDamaged(database: Database, file: string): void {
  const found = database.pragma('quick_check(1)', { simple: true });
  if (found === 'ok') return;
  throw new AppError(
    'store.corrupt',
    `cannot open the database "${file}": it is damaged (${String(found)}); move it away with its "-wal" file and ${RESTORE_HINT}`,
  );
}

/** What SQLite does not look at: whether the newest changes are there, and whether documents are what they were. */
function refuseWrongContent(database: Database, file: string): void {
  const hash = database.prepare('SELECT hash FROM journal WHERE environment = ? AND revision = ?').pluck();
  refuseForgetful(file, (environment, revision) => z.string().optional().parse(hash.get(environment, revision)));
  refuseAlteredDocuments(database, file);
}
