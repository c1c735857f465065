/** Reads everything out of a PostgreSQL store at one moment, while others go on, and fills an empty one in one transaction. */
import { AppError } from '@understudy/core/errors';
import { z } from 'zod';
import { GENESIS_HASH } from './journal-hash.ts';
import { parsePostgresAddress } from './postgres-address.ts';
import { inTransaction, openPostgresConnection, type PostgresConnection, type Query } from './postgres-connection.ts';
import { failureOf } from './postgres-failure.ts';
import { openBatchWriter } from './postgres-load.ts';
import { prepare } from './postgres-store.ts';
import {
  columnsOf,
  type DumpableStore,
  DumpRecord,
  ENVIRONMENT_TABLES,
  type EnvironmentTable,
  ORDER_OF,
  ROWS_AT_ONCE,
} from './store-dump.ts';

const Row = z.record(z.string(), z.union([z.string(), z.number()]));
const EnvironmentRow = z.object({ environment: z.string(), revision: z.int(), hash: z.string() });
const DEADLINE_MS = 15_000;

/** @throws AppError as opening the store does */
export async function openPostgresDump(address: string): Promise<DumpableStore> {
  const connection = openPostgresConnection(parsePostgresAddress(address), { deadlineMs: DEADLINE_MS });
  try {
    await prepare(connection, DEADLINE_MS);
  } catch (error) {
    await connection.close();
    throw error;
  }
  return {
    shown: connection.address.shown,
    dump: () => dump(connection),
    load: (records) => load(connection, records),
    close: () => connection.close(),
  };
}

async function* dump(connection: PostgresConnection): AsyncGenerator<DumpRecord> {
  const { schema, shown } = connection.address;
  const attempt = `read the store ${shown}`;
  const transaction = await connection.begin('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY').catch((error: unknown) => {
    throw failureOf(attempt, error);
  });
  const query: Query = async (statement) => {
    try {
      return await transaction.query(statement);
    } catch (error) {
      throw failureOf(attempt, error);
    }
  };
  try {
    await query({ text: 'SET LOCAL statement_timeout = 0' });
    for (const head of await headsOf(query, schema)) {
      yield { table: 'environment', ...head };
      for (const table of ENVIRONMENT_TABLES) yield* rowsOf(query, { schema, table, environment: head.environment });
    }
    const secrets = await query({ text: `SELECT name, encode(value, 'base64') AS value FROM "${schema}".secrets ORDER BY name` });
    for (const secret of secrets) yield DumpRecord.parse({ table: 'secrets', ...Row.parse(secret) });
  } finally {
    transaction.rollback();
  }
}

async function headsOf(query: Query, schema: string): Promise<readonly z.infer<typeof EnvironmentRow>[]> {
  const all = ENVIRONMENT_TABLES.map((table) => `SELECT environment FROM "${schema}".${table}`).join(' UNION ');
  const text = `
    SELECT known.environment, coalesce(h.revision, 0) AS revision, coalesce(h.hash, '${GENESIS_HASH}') AS hash
    FROM (${all}) AS known LEFT JOIN "${schema}".heads AS h USING (environment) ORDER BY known.environment`;
  return z.array(EnvironmentRow).parse(await query({ text }));
}

interface Part {
  readonly schema: string;
  readonly table: EnvironmentTable;
  readonly environment: string;
}

async function* rowsOf(query: Query, { schema, table, environment }: Part): AsyncGenerator<DumpRecord> {
  const order = ORDER_OF[table].map(quoted).join(', ');
  const own = columnsOf(table).map(quoted).join(', ');
  const after = `AND (${order}) > (${ORDER_OF[table].map((_, index) => `$${index + 2}`).join(', ')})`;
  let last: readonly (string | number)[] = [];
  for (;;) {
    const text = `
      SELECT ${own}, ${order} FROM "${schema}".${table} WHERE environment = $1 ${last.length === 0 ? '' : after}
      ORDER BY ${order} LIMIT ${ROWS_AT_ONCE}`;
    const rows = z.array(Row).parse(await query({ text, values: [environment, ...last] }));
    for (const row of rows) {
      last = ORDER_OF[table].map((column) => row[column] ?? '');
      const fields = columnsOf(table).map((column) => [column, row[column]] as const);
      yield DumpRecord.parse({ table, environment, ...Object.fromEntries(fields) });
    }
    if (rows.length < ROWS_AT_ONCE) return;
  }
}

async function load(connection: PostgresConnection, records: AsyncIterable<DumpRecord>): Promise<void> {
  const { schema, shown } = connection.address;
  try {
    await inTransaction(connection, 'BEGIN ISOLATION LEVEL READ COMMITTED', async (query) => {
      await query({ text: 'SET LOCAL statement_timeout = 0' });
      await query({ text: 'SET LOCAL idle_in_transaction_session_timeout = 0' });
      await query({ text: 'SET LOCAL synchronous_commit = on' });
      // Nobody else writes before this is done.
      await query({ text: `LOCK TABLE "${schema}".heads, "${schema}".evidence_heads IN SHARE ROW EXCLUSIVE MODE` });
      if ((await headsOf(query, schema)).length > 0) {
        throw new AppError('store.not_empty', `cannot fill the store ${shown}: it holds something already; name an empty one`);
      }
      const writer = openBatchWriter(query, schema);
      for await (const record of records) await writer.add(record);
      await writer.flush();
    });
  } catch (error) {
    throw failureOf(`fill the store ${shown}`, error);
  }
}

function quoted(column: string): string {
  return `"${column}"`;
}
