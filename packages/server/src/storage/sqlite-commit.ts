/** The one commit rule on SQLite tables: everything in a commit, or nothing. Runs inside the caller's transaction. */
import type { Database } from 'better-sqlite3';
import { canonicalJson, jsonText } from './canonical-json.ts';
import { GENESIS_HASH, hashOfEntry } from './journal-hash.ts';
import { documentOfRow, headOfRow, idempotencyOfRow } from './rows.ts';
import type { Commit, CommitResult, Json, JournalChange, StoredDocument, Write } from './store.ts';

/** Applies a commit to the tables, or says why nothing was changed. */
export type ApplyCommit = (commit: Commit) => CommitResult;

/** Prepares the statements of a commit. `checksRevisions` is false only to show that the tests of races would notice. */
export function prepareCommit(database: Database, checksRevisions: boolean): ApplyCommit {
  const statements = prepareStatements(database);
  const insert = prepareInserts(database);

  function present({ environment }: Commit, { kind, id }: Write): StoredDocument | undefined {
    const row = statements.document.get(environment, kind, id);
    return row === undefined ? undefined : documentOfRow(row);
  }

  function refusalOf(commit: Commit, documents: readonly (StoredDocument | undefined)[]): CommitResult | undefined {
    const { environment, decision, idempotency } = commit;
    const stored = idempotency && statements.idempotency.get(environment, idempotency.key);
    if (stored !== undefined) return { outcome: 'replayed', record: idempotencyOfRow(stored) };
    if (decision !== undefined && statements.decision.get(environment, decision.rollout, decision.window) !== undefined) {
      return { outcome: 'already-decided', rollout: decision.rollout, window: decision.window };
    }
    for (const [index, { kind, id, expectedRevision }] of commit.writes.entries()) {
      const actualRevision = documents[index]?.revision ?? 0;
      if (checksRevisions && actualRevision !== expectedRevision) {
        return { outcome: 'conflict', kind, id, expectedRevision, actualRevision };
      }
    }
    return undefined;
  }

  return (commit) => {
    const documents = commit.writes.map((write) => present(commit, write));
    const refusal = refusalOf(commit, documents);
    if (refusal !== undefined) return refusal;
    const { environment, actor, action, reason, atMs, writes } = commit;
    const head = statements.head.get(environment);
    const { revision: last, hash: previousHash } = head === undefined ? { revision: 0, hash: GENESIS_HASH } : headOfRow(head);
    const revision = last + 1;
    const changes = writes.map((write, index) => changeOf(write, documents[index]?.body));
    const entry = { environment, revision, atMs, actor, action, reason, changes, previousHash };
    insert.entry({ ...entry, hash: hashOfEntry(entry) });
    for (const write of writes) insert.write(environment, revision, write);
    insert.rest(commit, revision);
    return { outcome: 'committed', revision };
  };
}

function changeOf({ kind, id, body }: Write, before: Json | undefined): JournalChange {
  return { kind, id, before: before ?? null, after: body ?? null };
}

function prepareStatements(database: Database) {
  return {
    head: database.prepare('SELECT revision, hash FROM journal WHERE environment = ? ORDER BY revision DESC LIMIT 1'),
    document: database.prepare('SELECT kind, id, revision, body FROM documents WHERE environment = ? AND kind = ? AND id = ?'),
    decision: database.prepare('SELECT 1 FROM decisions WHERE environment = ? AND rollout = ? AND window = ?'),
    idempotency: database.prepare('SELECT key, request, answer FROM idempotency WHERE environment = ? AND key = ?'),
  };
}

function prepareInserts(database: Database) {
  const entry = database.prepare('INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const subject = database.prepare('INSERT INTO journal_subjects VALUES (?, ?, ?, ?)');
  const upsert = database.prepare(
    `INSERT INTO documents VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET revision = excluded.revision, body = excluded.body`,
  );
  const remove = database.prepare('DELETE FROM documents WHERE environment = ? AND kind = ? AND id = ?');
  const decision = database.prepare('INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?)');
  const idempotency = database.prepare('INSERT INTO idempotency VALUES (?, ?, ?, ?, ?)');

  return {
    entry: (row: Parameters<typeof hashOfEntry>[0] & { readonly hash: string }) => {
      const changes = canonicalJson(row.changes.map(({ kind, id, before, after }) => ({ kind, id, before, after })));
      const { environment, revision, atMs, actor, action, reason, previousHash, hash } = row;
      entry.run(environment, revision, atMs, actor, action, reason, changes, previousHash, hash);
    },
    write: (environment: string, revision: number, { kind, id, body }: Write) => {
      subject.run(environment, kind, id, revision);
      if (body === undefined) remove.run(environment, kind, id);
      else upsert.run(environment, kind, id, revision, canonicalJson(body));
    },
    rest: ({ environment, atMs, ...commit }: Commit, revision: number) => {
      if (commit.decision !== undefined) {
        const { rollout, window } = commit.decision;
        decision.run(environment, rollout, window, revision, atMs, jsonText(commit.decision.decision));
      }
      if (commit.idempotency !== undefined) {
        const { key, request, answer } = commit.idempotency;
        idempotency.run(environment, key, request, canonicalJson(answer), atMs);
      }
    },
  };
}
