/** Reads everything out of a SQLite store, and fills an empty one. The file belongs to this process meanwhile. */
import type { Database } from 'better-sqlite3';
import { AppError } from '@understudy/core/errors';
import { z } from 'zod';
import { GENESIS_HASH } from './journal-hash.ts';
import { openConnection } from './sqlite-connection.ts';
import {
  columnsOf,
  type DumpableStore,
  DumpRecord,
  ENVIRONMENT_TABLES,
  type EnvironmentTable,
  ORDER_OF,
  ROWS_AT_ONCE,
} from './store-dump.ts';

/** Where the key lies that a SQLite store keeps in a file of its own. */
export interface SecretFiles {
  readonly read: () => Promise<readonly { readonly name: string; readonly value: string }[]>;
  readonly write: (name: string, value: string) => Promise<void>;
}

const Row = z.record(z.string(), z.union([z.string(), z.number()]));
const EnvironmentRow = z.object({ environment: z.string(), revision: z.int(), hash: z.string() });

/** @throws AppError `store.locked` while a server has the file open */
export function openSqliteDump(file: string, secrets: SecretFiles): DumpableStore {
  const { database, close } = openConnection(file, { ballastBytes: 0 });
  return {
    shown: `sqlite file ${file}`,
    dump: () => dump(database, secrets),
    load: (records) => load(database, { records, secrets, file }),
    close: async () => close(),
  };
}

async function* dump(database: Database, secrets: SecretFiles): AsyncGenerator<DumpRecord> {
  for (const head of headsOf(database)) {
    yield { table: 'environment', ...head };
    for (const table of ENVIRONMENT_TABLES) yield* rowsOf(database, table, head.environment);
  }
  for (const secret of await secrets.read()) yield { table: 'secrets', ...secret };
}

function headsOf(database: Database): readonly z.infer<typeof EnvironmentRow>[] {
  const all = ENVIRONMENT_TABLES.map((table) => `SELECT environment FROM ${table}`).join(' UNION ');
  const rows = database
    .prepare(
      `SELECT known.environment, coalesce(newest.revision, 0) AS revision, coalesce(newest.hash, '${GENESIS_HASH}') AS hash
       FROM (${all}) AS known LEFT JOIN journal AS newest ON newest.environment = known.environment
         AND newest.revision = (SELECT max(revision) FROM journal WHERE environment = known.environment)
       ORDER BY known.environment`,
    )
    .all();
  return z.array(EnvironmentRow).parse(rows);
}

function* rowsOf(database: Database, table: EnvironmentTable, environment: string): Generator<DumpRecord> {
  const order = ORDER_OF[table].map(quoted).join(', ');
  const own = columnsOf(table).map(quoted).join(', ');
  const select = `SELECT ${own}, ${order} FROM ${table} WHERE environment = ?`;
  const after = `AND (${order}) > (${ORDER_OF[table].map(() => '?').join(', ')})`;
  const limit = `ORDER BY ${order} LIMIT ${ROWS_AT_ONCE}`;
  let last: readonly (string | number)[] = [];
  for (;;) {
    const statement = database.prepare(`${select} ${last.length === 0 ? '' : after} ${limit}`);
    const rows = z.array(Row).parse(statement.all(environment, ...last));
    for (const row of rows) {
      last = ORDER_OF[table].map((column) => row[column] ?? '');
      const fields = columnsOf(table).map((column) => [column, row[column]] as const);
      yield DumpRecord.parse({ table, environment, ...Object.fromEntries(fields) });
    }
    if (rows.length < ROWS_AT_ONCE) return;
  }
}

interface Load {
  readonly records: AsyncIterable<DumpRecord>;
  readonly secrets: SecretFiles;
  readonly file: string;
}

async function load(database: Database, { records, secrets, file }: Load): Promise<void> {
  if (headsOf(database).length > 0) {
    throw new AppError(
      'store.not_empty',
      `cannot fill ${file}: it holds something already; name a store that does not exist yet`,
    );
  }
  const kept: { name: string; value: string }[] = [];
  const insert = inserts(database);
  database.exec('BEGIN IMMEDIATE');
  try {
    for await (const record of records) {
      if (record.table === 'secrets') kept.push(record);
      else insert(record);
    }
    // Before the rows: a key without them does no harm, and they without the key could not be asked about older requests.
    for (const { name, value } of kept) await secrets.write(name, value);
    database.exec('COMMIT');
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK');
    throw error;
  }
  database.pragma('wal_checkpoint(TRUNCATE)');
}

function inserts(database: Database): (record: Exclude<DumpRecord, { table: 'secrets' }>) => void {
  const statements = new Map(
    ENVIRONMENT_TABLES.map((table) => {
      const columns = ['environment', ...columnsOf(table)];
      const names = columns.map(quoted).join(', ');
      return [
        table,
        database.prepare(`INSERT INTO ${table} (${names}) VALUES (${columns.map((name) => `@${name}`).join(', ')})`),
      ];
    }),
  );
  const subject = database.prepare(
    `INSERT INTO journal_subjects (environment, kind, id, revision)
     SELECT @environment, value ->> 'kind', value ->> 'id', @revision FROM json_each(@changes)`,
  );
  return (record) => {
    // SQLite's head is the newest entry of the journal.
    if (record.table === 'environment') return;
    const { table, ...row } = record;
    statements.get(table)?.run(row);
    if (table === 'journal') subject.run(row);
  };
}

function quoted(column: string): string {
  return `"${column}"`;
}
