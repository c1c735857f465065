/**
 * Notes beside a SQLite database how far it was acknowledged, so that changes that a damaged log lost are missed. SQLite
 * itself takes a log that is damaged for one that ends there.
 */
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { AppError } from '@understudy/core/errors';
import { z } from 'zod';
import { RESTORE_HINT } from './restore-hint.ts';

/** The last change of an environment that somebody was told of. */
export interface Acknowledged {
  readonly revision: number;
  readonly hash: string;
}

export interface AcknowledgedFile {
  /** Takes note of a change that is on stable storage, before anybody is told of it. */
  readonly note: (environment: string, acknowledged: Acknowledged) => void;
  readonly close: () => void;
}

const Notes = z.record(z.string(), z.object({ revision: z.int().positive(), hash: z.string() }));
type Notes = z.infer<typeof Notes>;

// Room is taken at once, so that a note fits on a disk that is full.
const BLOCK = 4096;

/** Where the notes of a database are. */
export function acknowledgedFileOf(file: string): string {
  return `${file}.acknowledged`;
}

/**
 * Goes on where the file ends.
 *
 * A note is never synced. It is written after the change that it names is on stable storage, so whatever a power cut
 * leaves of it names a change that is there; an older note only sees less.
 */
export function openAcknowledged(file: string): AcknowledgedFile {
  const name = acknowledgedFileOf(file);
  const notes = new Map(Object.entries(readNotes(name)));
  const handle = openSync(name, existsSync(name) ? 'r+' : 'w+', 0o600);
  return {
    note: (environment, acknowledged) => {
      notes.set(environment, acknowledged);
      const text = JSON.stringify(Object.fromEntries(notes));
      const line = `${digestOf(text)} ${text}\n`;
      const bytes = Buffer.from(line.padEnd(Math.ceil(line.length / BLOCK) * BLOCK));
      try {
        writeSync(handle, bytes, 0, bytes.length, 0);
      } catch {
        // The change is stored. The note that is there stays true, and the next change tries again.
      }
    },
    close: () => closeSync(handle),
  };
}

/**
 * Compares a database with its notes.
 * @param hashAt the hash of an entry of the journal, undefined when it is not there
 * @throws AppError `store.corrupt` when the database lacks a change that was acknowledged
 */
export function refuseForgetful(file: string, hashAt: (environment: string, revision: number) => string | undefined): void {
  const name = acknowledgedFileOf(file);
  for (const [environment, { revision, hash }] of Object.entries(readNotes(name))) {
    const found = hashAt(environment, revision);
    if (found === hash) continue;
    const what = found === undefined ? 'is not there' : 'is another one';
    const fix = `${RESTORE_HINT}; if an older copy was put here on purpose, delete "${name}"`;
    throw new AppError(
      'store.corrupt',
      `cannot open the database "${file}": revision ${revision} of "${environment}" was acknowledged and ${what}: the file or its "-wal" file is damaged or older. Keep both as they are and ${fix}`,
    );
  }
}

/** Nothing when there are none, or when they are damaged themselves: they only help to find damage. */
function readNotes(name: string): Notes {
  if (!existsSync(name)) return {};
  const [, digest, text] = /^([0-9a-f]{64}) (.*)$/m.exec(readFileSync(name, 'utf8')) ?? [];
  return text === undefined || digestOf(text) !== digest ? {} : Notes.parse(JSON.parse(text));
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
