/** The tables of the SQLite store and the steps that lead to them. Opening a database runs the steps it has not seen. */
import { AppError } from '@understudy/core/errors';
import type { Database } from 'better-sqlite3';

/** One step of the schema. Its place in the list is its number; a step that was released never changes. */
export interface Migration {
  readonly title: string;
  readonly sql: string;
}

/** All steps, oldest first. `user_version` counts those that a database has seen. */
export const MIGRATIONS: readonly Migration[] = [
  {
    title: 'documents, journal, decisions, evidence',
    sql: `
      CREATE TABLE documents (
        environment TEXT NOT NULL,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (environment, kind, id)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE journal (
        environment TEXT NOT NULL,
        revision INTEGER NOT NULL,
        at_ms REAL NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        reason TEXT NOT NULL,
        changes TEXT NOT NULL,
        previous_hash TEXT NOT NULL,
        hash TEXT NOT NULL,
        PRIMARY KEY (environment, revision)
      ) STRICT;

      CREATE TABLE journal_subjects (
        environment TEXT NOT NULL,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        PRIMARY KEY (environment, kind, id, revision),
        FOREIGN KEY (environment, revision) REFERENCES journal (environment, revision)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE decisions (
        environment TEXT NOT NULL,
        rollout TEXT NOT NULL,
        window INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        at_ms REAL NOT NULL,
        decision TEXT NOT NULL,
        UNIQUE (environment, rollout, window),
        FOREIGN KEY (environment, revision) REFERENCES journal (environment, revision)
      ) STRICT;
      CREATE INDEX decisions_newest ON decisions (environment, rollout, revision);

      CREATE TABLE idempotency (
        environment TEXT NOT NULL,
        key TEXT NOT NULL,
        request TEXT NOT NULL,
        answer TEXT NOT NULL,
        at_ms REAL NOT NULL,
        PRIMARY KEY (environment, key)
      ) STRICT;
      CREATE INDEX idempotency_age ON idempotency (environment, at_ms);

      CREATE TABLE reports (
        environment TEXT NOT NULL,
        gateway TEXT NOT NULL,
        boot TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        seen_at_ms REAL NOT NULL,
        PRIMARY KEY (environment, gateway, boot, sequence)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX reports_age ON reports (environment, seen_at_ms);

      CREATE TABLE evidence (
        cursor INTEGER PRIMARY KEY AUTOINCREMENT,
        environment TEXT NOT NULL,
        model TEXT NOT NULL,
        start_ms REAL NOT NULL,
        block TEXT NOT NULL
      ) STRICT;
      -- Each index ends in the cursor, so a read after a cursor is one range of an index.
      CREATE INDEX evidence_of_environment ON evidence (environment);
      CREATE INDEX evidence_of_model ON evidence (environment, model);
      CREATE INDEX evidence_age ON evidence (environment, start_ms);

      CREATE TABLE gateways (
        environment TEXT NOT NULL,
        gateway TEXT NOT NULL,
        boot TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        seen_at_ms REAL NOT NULL,
        readiness TEXT NOT NULL,
        PRIMARY KEY (environment, gateway)
      ) STRICT;
    `,
  },
  {
    title: 'when evidence was stored',
    sql: `
      ALTER TABLE evidence ADD COLUMN seen_at_ms REAL NOT NULL DEFAULT 0;
      -- Nobody knows it of older evidence: not before it began, nor before anything stored earlier began.
      UPDATE evidence
        SET seen_at_ms = known.at_ms,
          block = json_set(
            block, '$.tally.coldLatency', json('[]'), '$.tally.bins', json('{}'), '$.tally.scores', json('{}')
          )
        FROM (
          SELECT cursor, max(start_ms) OVER (PARTITION BY environment ORDER BY cursor) AS at_ms FROM evidence
        ) AS known
        WHERE known.cursor = evidence.cursor;
      CREATE INDEX evidence_seen ON evidence (environment, seen_at_ms);
    `,
  },
  {
    title: 'feedback',
    sql: `
      CREATE TABLE feedback (
        environment TEXT NOT NULL,
        model TEXT NOT NULL,
        cohort INTEGER NOT NULL,
        request TEXT NOT NULL,
        name TEXT NOT NULL,
        version TEXT NOT NULL,
        arm TEXT NOT NULL,
        -- '' and -1 outside of a rollout.
        rollout TEXT NOT NULL,
        step INTEGER NOT NULL,
        lag INTEGER NOT NULL,
        value REAL NOT NULL,
        given_at_ms REAL NOT NULL,
        PRIMARY KEY (environment, model, cohort, request, name)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX feedback_age ON feedback (environment, cohort);
    `,
  },
];

/**
 * Brings a database to the newest schema. Each step and its number commit together, so a crash in between leaves the
 * old schema or the new one, and running again finishes the rest.
 * @throws AppError `config.invalid` when the database was written by a newer release
 */
export function migrate(database: Database, migrations: readonly Migration[] = MIGRATIONS): void {
  const seen = Number(database.pragma('user_version', { simple: true }));
  if (seen > migrations.length) {
    throw new AppError(
      'config.invalid',
      `cannot open the database: its schema is number ${seen} and this release knows ${migrations.length}; run the newer release that wrote it, or restore a backup from before the upgrade`,
    );
  }
  for (const [index, migration] of migrations.entries()) {
    if (index < seen) continue;
    database
      .transaction(() => {
        database.exec(migration.sql);
        database.pragma(`user_version = ${index + 1}`);
      })
      .immediate();
  }
}
