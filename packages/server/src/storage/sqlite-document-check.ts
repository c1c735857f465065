/**
 * Compares the documents of a SQLite database with what the journal last made of them. SQLite checks how its pages hang
 * together, not what is in them, so a bit that flipped in a document would otherwise be believed.
 */
import type { Database } from 'better-sqlite3';
import { AppError, isAppError } from '@understudy/core/errors';
import { z } from 'zod';
import { canonicalJson } from './canonical-json.ts';
import { hashOfEntry } from './journal-hash.ts';
import { RESTORE_HINT } from './restore-hint.ts';
import { documentOfRow, entryOfRow } from './rows.ts';
import type { JournalEntry, StoredDocument } from './store.ts';

const Subjects = z.array(z.object({ kind: z.string(), id: z.string(), revision: z.int() }));
const Environments = z.array(z.string());
const COLUMNS = 'environment, revision, at_ms, actor, action, reason, changes, previous_hash, hash';

/**
 * Takes time with the number of documents, not with the length of the journal, of which it reads the entries that last
 * changed a document. Older ones are for {@link Store.verifyJournal}.
 * @throws AppError `store.corrupt` naming the first document that is not what its last entry made it
 */
export function refuseAlteredDocuments(database: Database, file: string): void {
  const known =
    'SELECT environment FROM documents UNION SELECT environment FROM journal_subjects UNION SELECT environment FROM journal';
  for (const environment of Environments.parse(database.prepare(known).pluck().all())) {
    const problem = problemOf(database, environment);
    if (problem === undefined) continue;
    throw new AppError(
      'store.corrupt',
      `cannot open the database "${file}": in the environment "${environment}" ${problem}. Keep the file as it is and ${RESTORE_HINT}`,
    );
  }
}

function problemOf(database: Database, environment: string): string | undefined {
  const entry = database.prepare(`SELECT ${COLUMNS} FROM journal WHERE environment = ? AND revision = ?`);
  const head = z
    .int()
    .nullable()
    .parse(database.prepare('SELECT max(revision) FROM journal WHERE environment = ?').pluck().get(environment));
  try {
    const documents = documentsOf(database, environment);
    const last = lastChanges(database, environment);
    for (const revision of new Set([...last.keys(), head ?? 0])) {
      const row = entry.get(environment, revision);
      if (row === undefined) return `entry ${revision} of the journal is missing`;
      const problem = problemOfEntry(entryOfRow(row), { revision, names: last.get(revision) ?? [], documents });
      if (problem !== undefined) return problem;
    }
    const [unknown] = documents.keys();
    return unknown === undefined ? undefined : `no entry of the journal made ${unknown}`;
  } catch (error) {
    if (isAppError(error, 'store.corrupt')) return error.message;
    throw error;
  }
}

/** Names of documents, by the revision that changed them last. */
function lastChanges(database: Database, environment: string): ReadonlyMap<number, readonly string[]> {
  const text = 'SELECT kind, id, max(revision) AS revision FROM journal_subjects WHERE environment = ? GROUP BY kind, id';
  const last = new Map<number, string[]>();
  for (const { kind, id, revision } of Subjects.parse(database.prepare(text).all(environment))) {
    const names = last.get(revision) ?? [];
    names.push(nameOf(kind, id));
    last.set(revision, names);
  }
  return last;
}

function documentsOf(database: Database, environment: string): Map<string, StoredDocument> {
  const rows = database.prepare('SELECT kind, id, revision, body FROM documents WHERE environment = ?').all(environment);
  return new Map(rows.map(documentOfRow).map((document) => [nameOf(document.kind, document.id), document]));
}

interface Compared {
  readonly revision: number;
  /** Documents that no later entry changed. */
  readonly names: readonly string[];
  /** Those that were not compared yet. */
  readonly documents: Map<string, StoredDocument>;
}

function problemOfEntry(entry: JournalEntry, { revision, names, documents }: Compared): string | undefined {
  if (entry.revision !== revision || hashOfEntry(entry) !== entry.hash)
    return `entry ${revision} of the journal is not what it was`;
  const after = new Map(entry.changes.map((change) => [nameOf(change.kind, change.id), change.after]));
  for (const name of names) {
    const made = after.get(name);
    if (made === undefined) return `entry ${revision} of the journal did not change ${name}`;
    const document = documents.get(name);
    documents.delete(name);
    const isRight =
      made === null
        ? document === undefined
        : document?.revision === revision && canonicalJson(document.body) === canonicalJson(made);
    if (!isRight) return `${name} is not what entry ${revision} of the journal made it`;
  }
  return undefined;
}

function nameOf(kind: string, id: string): string {
  return `${kind} "${id}"`;
}
