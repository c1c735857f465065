/** The tables of the PostgreSQL store and the steps that lead to them. Opening a database runs the steps it has not seen. */
import { AppError } from '@understudy/core/errors';
import { z } from 'zod';
import { inTransaction, type PostgresConnection, type Query } from './postgres-connection.ts';

/** One step of the schema. Its place in the list is its number; a step that was released never changes. */
export interface Migration {
  readonly title: string;
  /** `$schema` stands for the schema. */
  readonly statements: readonly string[];
}

const text = 'TEXT COLLATE "C" NOT NULL';

/** All steps, oldest first. The table `migrations` counts those that a database has seen. */
export const MIGRATIONS: readonly Migration[] = [
  {
    title: 'documents, journal, decisions, evidence, feedback, secrets',
    statements: [
      // The row that every commit of an environment compares and sets.
      `CREATE TABLE $schema.heads (environment ${text} PRIMARY KEY, revision BIGINT NOT NULL, hash TEXT NOT NULL)`,
      `CREATE TABLE $schema.documents (
        environment ${text}, kind ${text}, id ${text}, revision BIGINT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (environment, kind, id)
      )`,
      // `attempt` names the commit that wrote an entry, so that one whose answer was lost can be found.
      `CREATE TABLE $schema.journal (
        environment ${text}, revision BIGINT NOT NULL, at_ms DOUBLE PRECISION NOT NULL, actor TEXT NOT NULL,
        action TEXT NOT NULL, reason TEXT NOT NULL, changes TEXT NOT NULL, previous_hash TEXT NOT NULL,
        hash TEXT NOT NULL, attempt UUID NOT NULL,
        PRIMARY KEY (environment, revision)
      )`,
      `CREATE TABLE $schema.journal_subjects (
        environment ${text}, kind ${text}, id ${text}, revision BIGINT NOT NULL,
        PRIMARY KEY (environment, kind, id, revision),
        FOREIGN KEY (environment, revision) REFERENCES $schema.journal (environment, revision)
      )`,
      `CREATE TABLE $schema.decisions (
        environment ${text}, rollout ${text}, "window" BIGINT NOT NULL, revision BIGINT NOT NULL,
        at_ms DOUBLE PRECISION NOT NULL, decision TEXT NOT NULL,
        PRIMARY KEY (environment, rollout, "window"),
        FOREIGN KEY (environment, revision) REFERENCES $schema.journal (environment, revision)
      )`,
      'CREATE INDEX decisions_newest ON $schema.decisions (environment, rollout, revision)',
      `CREATE TABLE $schema.idempotency (
        environment ${text}, key ${text}, request TEXT NOT NULL, answer TEXT NOT NULL, at_ms DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (environment, key)
      )`,
      'CREATE INDEX idempotency_age ON $schema.idempotency (environment, at_ms)',
      `CREATE TABLE $schema.reports (
        environment ${text}, gateway ${text}, boot ${text}, sequence BIGINT NOT NULL, seen_at_ms DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (environment, gateway, boot, sequence)
      )`,
      'CREATE INDEX reports_age ON $schema.reports (environment, seen_at_ms)',
      // Locked by whoever stores evidence, so that a cursor is never seen before an older one.
      `CREATE TABLE $schema.evidence_heads (
        environment ${text} PRIMARY KEY, cursor BIGINT NOT NULL, seen_at_ms DOUBLE PRECISION NOT NULL
      )`,
      `CREATE TABLE $schema.evidence (
        environment ${text}, cursor BIGINT NOT NULL, model ${text}, start_ms DOUBLE PRECISION NOT NULL,
        seen_at_ms DOUBLE PRECISION NOT NULL, block TEXT NOT NULL,
        PRIMARY KEY (environment, cursor)
      )`,
      'CREATE INDEX evidence_of_model ON $schema.evidence (environment, model, cursor)',
      'CREATE INDEX evidence_age ON $schema.evidence (environment, start_ms)',
      'CREATE INDEX evidence_seen ON $schema.evidence (environment, seen_at_ms, cursor)',
      `CREATE TABLE $schema.gateways (
        environment ${text}, gateway ${text}, boot TEXT NOT NULL, sequence BIGINT NOT NULL, revision BIGINT NOT NULL,
        seen_at_ms DOUBLE PRECISION NOT NULL, readiness TEXT NOT NULL,
        PRIMARY KEY (environment, gateway)
      )`,
      `CREATE TABLE $schema.secrets (name ${text} PRIMARY KEY, value BYTEA NOT NULL)`,
      // What was said of requests: '' and -1 for those outside of a rollout.
      `CREATE TABLE $schema.feedback (
        environment ${text}, model ${text}, cohort BIGINT NOT NULL, request ${text}, name ${text}, version TEXT NOT NULL,
        arm TEXT NOT NULL, rollout TEXT NOT NULL, step INTEGER NOT NULL, lag INTEGER NOT NULL,
        value DOUBLE PRECISION NOT NULL, given_at_ms DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (environment, model, cohort, request, name)
      )`,
      'CREATE INDEX feedback_age ON $schema.feedback (environment, cohort)',
    ],
  },
];

// "understudy" in hexadecimal, cut to what fits: who migrates waits for who migrates.
const MIGRATION_LOCK = '0x756e64657273';
// Another process may be migrating a large database.
const LOCK_WAIT_MS = 60_000;

/**
 * Brings a schema to its newest form. Each step and its number commit together, so an interruption in between leaves the
 * old schema or the new one, and running again finishes the rest. Processes that do it at once wait for one another.
 * @throws AppError `config.invalid` when a newer release wrote the schema; otherwise errors of the driver
 */
export async function migrate(
  connection: Pick<PostgresConnection, 'begin' | 'address'>,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  const { schema } = connection.address;
  const begin = 'BEGIN ISOLATION LEVEL READ COMMITTED';
  const seen = await inTransaction(connection, begin, (query) => stepsSeen(query, schema));
  refuseNewer(seen, migrations.length, connection.address.shown);
  if (seen === migrations.length) return;
  for (const [index, migration] of migrations.entries()) {
    await inTransaction(connection, begin, (query) => takeStep(query, { schema, number: index + 1, migration }));
  }
}

interface Step {
  readonly schema: string;
  readonly number: number;
  readonly migration: Migration;
}

async function takeStep(query: Query, { schema, number, migration }: Step): Promise<void> {
  await query({ text: `SET LOCAL lock_timeout = ${LOCK_WAIT_MS}` });
  await query({ text: 'SET LOCAL statement_timeout = 0' });
  await query({ text: 'SET LOCAL synchronous_commit = on' });
  // Of the transaction and not of the session: a pooler gives the session to others.
  await query({ text: `SELECT pg_advisory_xact_lock(${Number(MIGRATION_LOCK)})` });
  if ((await stepsSeen(query, schema)) >= number) return;
  if (number === 1) await createSchema(query, schema);
  for (const statement of migration.statements) await query({ text: statement.replaceAll('$schema', `"${schema}"`) });
  await query({ text: `INSERT INTO "${schema}".migrations (number, title) VALUES ($1, $2)`, values: [number, migration.title] });
}

async function createSchema(query: Query, schema: string): Promise<void> {
  const [found] = await query({ text: 'SELECT 1 FROM pg_namespace WHERE nspname = $1', values: [schema] });
  // Asked first: IF NOT EXISTS needs the right to create a schema even when there is one.
  if (found === undefined) await query({ text: `CREATE SCHEMA "${schema}"` });
  await query({
    text: `CREATE TABLE "${schema}".migrations (
      number INTEGER PRIMARY KEY, title TEXT NOT NULL, at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
    )`,
  });
}

/** How many steps a database has seen; 0 for one without our tables. */
async function stepsSeen(query: Query, schema: string): Promise<number> {
  // Not with to_regclass: its answer may be older than a commit that we have just waited for.
  const text =
    "SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE nspname = $1 AND relname = 'migrations'";
  if ((await query({ text, values: [schema] })).length === 0) return 0;
  const [newest] = await query({ text: `SELECT coalesce(max(number), 0) AS number FROM "${schema}".migrations` });
  return z.object({ number: z.int().nonnegative() }).parse(newest).number;
}

function refuseNewer(seen: number, known: number, shown: string): void {
  if (seen <= known) return;
  throw new AppError(
    'config.invalid',
    `cannot open the store ${shown}: its schema is number ${seen} and this release knows ${known}; run the newer release that wrote it, or restore a backup from before the upgrade`,
  );
}
