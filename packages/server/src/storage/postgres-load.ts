/** Writes records of a dump into PostgreSQL tables, many rows a statement. Runs inside of the caller's transaction. */
import { randomUUID } from 'node:crypto';
import type { Query } from './postgres-connection.ts';
import { entryOfRow } from './rows.ts';
import { columnsOf, type DumpRecord, type DumpTable, ROWS_AT_ONCE } from './store-dump.ts';

export interface BatchWriter {
  add(record: DumpRecord): Promise<void>;
  /** Writes what is left. */
  flush(): Promise<void>;
}

type RecordOf<Table extends DumpTable> = Extract<DumpRecord, { table: Table }>;

// Documents may be large: a statement takes so many characters, or as many rows as usual.
const CHARACTERS_AT_ONCE = 4 * 1024 * 1024;

export function openBatchWriter(query: Query, schema: string): BatchWriter {
  const tables = openTables(query, schema);
  let batch: DumpRecord[] = [];
  let characters = 0;

  async function flush(): Promise<void> {
    const [first] = batch;
    if (first === undefined) return;
    if (first.table === 'environment') await tables.putHeads(batch.filter(isOf('environment')));
    else if (first.table === 'secrets') await tables.putSecrets(batch.filter(isOf('secrets')));
    else if (first.table === 'journal') await tables.putJournal(batch.filter(isOf('journal')));
    else if (first.table === 'evidence') await tables.putEvidence(batch.filter(isOf('evidence')));
    else await tables.put(first.table, ['environment', ...columnsOf(first.table)], batch);
    batch = [];
    characters = 0;
  }

  return {
    flush,
    add: async (record) => {
      const [first] = batch;
      const isOther = first !== undefined && (first.table !== record.table || environmentOf(first) !== environmentOf(record));
      if (isOther || batch.length >= ROWS_AT_ONCE || characters >= CHARACTERS_AT_ONCE) await flush();
      batch.push(record);
      characters += sizeOf(record);
    },
  };
}

/** Each takes rows of one table and of one environment. */
function openTables(query: Query, schema: string) {
  // Cursors are given anew, from 1 in each environment.
  const cursors = new Map<string, number>();

  /** JSON takes rows of every type through one value, and numbers exactly. */
  async function put(table: string, columns: readonly string[], rows: readonly object[]): Promise<void> {
    const names = columns.map((column) => `"${column}"`).join(', ');
    const text = `
      INSERT INTO "${schema}".${table} (${names})
      SELECT ${names} FROM json_populate_recordset(NULL::"${schema}".${table}, $1::json)`;
    await query({ text, values: [JSON.stringify(rows)] });
  }

  return {
    put,
    putHeads: (heads: readonly RecordOf<'environment'>[]): Promise<void> => {
      const written = heads.filter(({ revision }) => revision > 0);
      return put('heads', ['environment', 'revision', 'hash'], written);
    },
    putJournal: async (entries: readonly RecordOf<'journal'>[]): Promise<void> => {
      const rows = entries.map((entry) => ({ ...entry, attempt: randomUUID() }));
      await put('journal', ['environment', ...columnsOf('journal'), 'attempt'], rows);
      const subjects = entries.flatMap(({ table: _table, ...row }) => {
        const { environment, revision, changes } = entryOfRow(row);
        return changes.map(({ kind, id }) => ({ environment, kind, id, revision }));
      });
      await put('journal_subjects', ['environment', 'kind', 'id', 'revision'], subjects);
    },
    putEvidence: async (blocks: readonly RecordOf<'evidence'>[]): Promise<void> => {
      const rows = blocks.map((block) => {
        const cursor = (cursors.get(block.environment) ?? 0) + 1;
        cursors.set(block.environment, cursor);
        return { ...block, cursor };
      });
      await put('evidence', ['environment', 'cursor', ...columnsOf('evidence')], rows);
      const last = rows.at(-1);
      if (last === undefined) return;
      const text = `
        INSERT INTO "${schema}".evidence_heads (environment, cursor, seen_at_ms) VALUES ($1, $2, $3)
        ON CONFLICT (environment) DO UPDATE SET cursor = excluded.cursor, seen_at_ms = excluded.seen_at_ms`;
      await query({ text, values: [last.environment, last.cursor, last.seen_at_ms] });
    },
    putSecrets: async (secrets: readonly RecordOf<'secrets'>[]): Promise<void> => {
      const text = `
        INSERT INTO "${schema}".secrets (name, value) VALUES ($1, decode($2, 'base64'))
        ON CONFLICT (name) DO UPDATE SET value = excluded.value`;
      for (const { name, value } of secrets) await query({ text, values: [name, value] });
    },
  };
}

function isOf<Table extends DumpTable>(table: Table): (record: DumpRecord) => record is RecordOf<Table> {
  return (record): record is RecordOf<Table> => record.table === table;
}

function environmentOf(record: DumpRecord): string | undefined {
  return record.table === 'secrets' ? undefined : record.environment;
}

/** Only what may be large. */
function sizeOf(record: DumpRecord): number {
  if (record.table === 'journal') return record.changes.length;
  if (record.table === 'documents') return record.body.length;
  return record.table === 'evidence' ? record.block.length : 0;
}
