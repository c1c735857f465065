/** The default backend: one SQLite file, or memory for tests. `open-store.ts` opens it; everybody else sees the port. */
import type { Database } from 'better-sqlite3';
import { refuseSenseless } from './commit-check.ts';
import { openCommitListeners } from './commit-listeners.ts';
import { GENESIS_HASH } from './journal-hash.ts';
import { decisionOfRow, documentOfRow, headOfRow, idempotencyOfRow } from './rows.ts';
import { prepareCommit } from './sqlite-commit.ts';
import { type Connection, type ConnectionOptions, openConnection } from './sqlite-connection.ts';
import { openEvidence } from './sqlite-evidence.ts';
import { openFeedbackTable } from './sqlite-feedback.ts';
import { checkJournal, prepareJournal } from './sqlite-journal.ts';
import type { Commit, CommitResult, EnvironmentDocuments, Store } from './store.ts';

/** Options of {@link openSqliteStore}. */
export type SqliteOptions = ConnectionOptions;

/**
 * Opens the store in a file, which is created when it does not exist, or `:memory:`. One process at a time.
 * @throws AppError `store.locked` when another process has the file open, `store.corrupt` when it is damaged,
 *   `config.invalid` when a newer release wrote it
 */
export async function openSqliteStore(file: string, options: SqliteOptions = {}): Promise<Store> {
  const connection = openConnection(file, options);
  const { database, read } = connection;
  const journal = prepareJournal(database);
  const { commit, onCommit } = openCommits(connection, options);
  return {
    commit,
    onCommit,
    ...openDocuments(connection),
    ...openEvidence(connection),
    ...openFeedbackTable(connection),
    journal: async (environment, query) => read('read the journal', () => journal(environment, query)),
    verifyJournal: (environment) => checkJournal(connection, environment),
    close: async () => connection.close(),
  };
}

function openCommits({ database, write, acknowledged }: Connection, options: SqliteOptions): Pick<Store, 'commit' | 'onCommit'> {
  const apply = prepareCommit(database, options.planted?.noCompareAndSet !== true);
  const { tell, onCommit } = openCommitListeners();
  const head = database.prepare('SELECT revision, hash FROM journal WHERE environment = ? ORDER BY revision DESC LIMIT 1');
  return {
    commit: async (commit: Commit): Promise<CommitResult> => {
      refuseSenseless(commit);
      const result = write(`commit "${commit.action}"`, 'durable', () => apply(commit));
      if (result.outcome === 'committed') {
        acknowledged?.note(commit.environment, headOfRow(head.get(commit.environment)));
        tell(commit.environment, result.revision);
      }
      return result;
    },
    onCommit,
  };
}

type Reads = 'read' | 'list' | 'readAll' | 'revision' | 'findIdempotent' | 'decisions';

function openDocuments({ database, read }: Connection): Pick<Store, Reads> {
  const statements = prepareReads(database);
  const headOf = (environment: string) => {
    const row = statements.head.get(environment);
    return row === undefined ? { revision: 0, hash: GENESIS_HASH } : headOfRow(row);
  };
  // One connection and no await in between: both statements see the same revision.
  const readAll = (environment: string): EnvironmentDocuments => ({
    revision: headOf(environment).revision,
    documents: statements.all.all(environment).map(documentOfRow),
  });
  return {
    read: async (environment, kind, id) =>
      read(`read ${kind} "${id}"`, () => {
        const row = statements.one.get(environment, kind, id);
        return row === undefined ? undefined : documentOfRow(row);
      }),
    list: async (environment, kind, prefix = '') =>
      read(`list each ${kind}`, () => statements.some.all({ environment, kind, prefix }).map(documentOfRow)),
    readAll: async (environment) => read('read all documents', () => readAll(environment)),
    revision: async (environment) => read('read the revision', () => headOf(environment).revision),
    findIdempotent: async (environment, key) =>
      read('look up an idempotency key', () => {
        const row = statements.idempotency.get(environment, key);
        return row === undefined ? undefined : idempotencyOfRow(row);
      }),
    decisions: async (environment, rollout, limit) =>
      read('read decisions', () => statements.decisions.all(environment, rollout, limit).map(decisionOfRow)),
  };
}

function prepareReads(database: Database) {
  const document = 'SELECT kind, id, revision, body FROM documents WHERE environment =';
  return {
    one: database.prepare(`${document} ? AND kind = ? AND id = ?`),
    // `substr` rather than LIKE, in which "_" and "%" of an id would be wildcards.
    some: database.prepare(
      `${document} @environment AND kind = @kind AND id >= @prefix AND substr(id, 1, length(@prefix)) = @prefix ORDER BY id`,
    ),
    all: database.prepare(`${document} ? ORDER BY kind, id`),
    head: database.prepare('SELECT revision, hash FROM journal WHERE environment = ? ORDER BY revision DESC LIMIT 1'),
    idempotency: database.prepare('SELECT key, request, answer FROM idempotency WHERE environment = ? AND key = ?'),
    decisions: database.prepare(
      `SELECT rollout, window, revision, at_ms, decision FROM decisions
       WHERE environment = ? AND rollout = ? ORDER BY revision DESC LIMIT ?`,
    ),
  };
}
