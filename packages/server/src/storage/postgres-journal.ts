/** Reads and checks the journal of a PostgreSQL store. */
import { type JournalChecker, openJournalChecker } from './journal-check.ts';
import type { PostgresConnection } from './postgres-connection.ts';
import { readEverything } from './postgres-documents.ts';
import { documentOfRow, entryOfRow } from './rows.ts';
import type { JournalCheck, JournalQuery, Store } from './store.ts';

const COLUMNS = 'environment, revision, at_ms, actor, action, reason, changes, previous_hash, hash';
// Some milliseconds of hashing, after which requests get their turn.
const ENTRIES_PER_TURN = 200;

export function openPostgresJournal(connection: PostgresConnection): Pick<Store, 'journal' | 'verifyJournal'> {
  return {
    journal: async (environment, query) => {
      const rows = await connection.repeat('read the journal', journalStatement(connection.address.schema, environment, query));
      return rows.map(entryOfRow);
    },
    verifyJournal: (environment) => check(connection, environment),
  };
}

function journalStatement(schema: string, environment: string, query: JournalQuery) {
  const { afterRevision = 0, beforeRevision = Number.MAX_SAFE_INTEGER, subject, order, limit } = query;
  const range = 'environment = $1 AND revision > $2::bigint AND revision < $3::bigint';
  const ofSubject = `AND revision IN (SELECT revision FROM "${schema}".journal_subjects WHERE kind = $5 AND id = $6 AND ${range})`;
  const text = `
    SELECT ${COLUMNS} FROM "${schema}".journal WHERE ${range} ${subject === undefined ? '' : ofSubject}
    ORDER BY revision ${order === 'newest-first' ? 'DESC' : 'ASC'} LIMIT $4::bigint`;
  const ids = subject === undefined ? [] : [subject.kind, subject.id];
  return { text, values: [environment, afterRevision, beforeRevision, limit, ...ids] };
}

/**
 * Recomputes the whole chain and compares the present documents with it. The documents are read first, at one head: the
 * entries up to that head never change, so commits may happen meanwhile.
 */
async function check(connection: PostgresConnection, environment: string): Promise<JournalCheck> {
  const { head, hash, documents } = await readEverything(connection, environment);
  const checker = openJournalChecker();
  const text = `
    SELECT ${COLUMNS} FROM "${connection.address.schema}".journal
    WHERE environment = $1 AND revision > $2::bigint AND revision <= $3::bigint ORDER BY revision LIMIT ${ENTRIES_PER_TURN}`;
  for (;;) {
    const rows = await connection.repeat('check the journal', { text, values: [environment, checker.revision(), head] });
    for (const row of rows) {
      if (!checker.accept(() => entryOfRow(row))) return checker.result();
    }
    if (rows.length < ENTRIES_PER_TURN) break;
  }
  const result = checker.finish(() => documents.map(documentOfRow));
  return headProblem(result, checker, hash) ?? result;
}

/** The head is kept beside the journal, so that entries that were cut off its end are missed too. */
function headProblem(result: JournalCheck, checker: JournalChecker, hash: string): JournalCheck | undefined {
  if (!result.intact || result.head === hash) return undefined;
  const entries = checker.revision();
  return { intact: false, entries, brokenAtRevision: entries + 1, problem: 'the head of the environment is not the last entry' };
}
