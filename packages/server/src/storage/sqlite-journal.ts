/** Reads and checks the journal of a SQLite store. */
import { setImmediate } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import { openJournalChecker } from './journal-check.ts';
import { documentOfRow, entryOfRow } from './rows.ts';
import type { Connection } from './sqlite-connection.ts';
import type { JournalCheck, JournalEntry, JournalQuery } from './store.ts';

const COLUMNS = 'environment, revision, at_ms, actor, action, reason, changes, previous_hash, hash';
// Some milliseconds of hashing, after which requests get their turn.
const ENTRIES_PER_TURN = 200;

/** Entries of the journal that a query asks for. */
export function prepareJournal(database: Database): (environment: string, query: JournalQuery) => JournalEntry[] {
  const range = 'environment = @environment AND revision > @after AND revision < @before';
  const subject = `revision IN (SELECT revision FROM journal_subjects WHERE kind = @kind AND id = @id AND ${range})`;
  const statement = (where: string, order: 'ASC' | 'DESC') =>
    database.prepare(`SELECT ${COLUMNS} FROM journal WHERE ${where} ORDER BY revision ${order} LIMIT @limit`);
  const all = { 'oldest-first': statement(range, 'ASC'), 'newest-first': statement(range, 'DESC') };
  const some = {
    'oldest-first': statement(`${range} AND ${subject}`, 'ASC'),
    'newest-first': statement(`${range} AND ${subject}`, 'DESC'),
  };
  return (environment, query) => {
    const statements = query.subject === undefined ? all : some;
    const rows = statements[query.order ?? 'oldest-first'].all({
      environment,
      after: query.afterRevision ?? 0,
      before: query.beforeRevision ?? Number.MAX_SAFE_INTEGER,
      limit: query.limit,
      ...query.subject,
    });
    return rows.map(entryOfRow);
  };
}

/** Recomputes the whole chain and compares the present documents with it. Commits may happen meanwhile. */
export async function checkJournal({ database, read }: Connection, environment: string): Promise<JournalCheck> {
  const entries = database.prepare(
    `SELECT ${COLUMNS} FROM journal WHERE environment = ? AND revision > ? ORDER BY revision LIMIT ${ENTRIES_PER_TURN}`,
  );
  const documents = database.prepare('SELECT kind, id, revision, body FROM documents WHERE environment = ?');
  const checker = openJournalChecker();
  for (;;) {
    const rows = read('check the journal', () => entries.all(environment, checker.revision()));
    for (const row of rows) {
      if (!checker.accept(() => entryOfRow(row))) return checker.result();
    }
    // The documents are read in the same turn as the last entries: no commit comes in between.
    if (rows.length < ENTRIES_PER_TURN) {
      const present = read('check the documents', () => documents.all(environment));
      return checker.finish(() => present.map(documentOfRow));
    }
    await setImmediate();
  }
}
