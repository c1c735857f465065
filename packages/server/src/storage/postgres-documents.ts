/** Reads documents, decisions and idempotency records of a PostgreSQL store. Each read is one statement, so it sees one moment. */
import { AppError } from '@understudy/core/errors';
import { z } from 'zod';
import { GENESIS_HASH } from './journal-hash.ts';
import type { PostgresConnection, Rows } from './postgres-connection.ts';
import { RESTORE_HINT } from './restore-hint.ts';
import { decisionOfRow, documentOfRow, idempotencyOfRow } from './rows.ts';
import type { Store } from './store.ts';

type Reads = 'read' | 'list' | 'readAll' | 'revision' | 'findIdempotent' | 'decisions';

export function openPostgresDocuments(connection: PostgresConnection): Pick<Store, Reads> {
  const { repeat } = connection;
  const { schema } = connection.address;
  const document = `SELECT kind, id, revision, body FROM "${schema}".documents WHERE environment = $1`;
  return {
    read: async (environment, kind, id) => {
      const text = `${document} AND kind = $2 AND id = $3`;
      const [row] = await repeat(`read ${kind} "${id}"`, { text, values: [environment, kind, id] });
      return row === undefined ? undefined : documentOfRow(row);
    },
    list: async (environment, kind, prefix = '') => {
      // `starts_with` rather than LIKE, in which "_" and "%" of an id would be wildcards.
      const text = `${document} AND kind = $2 AND id >= $3 AND starts_with(id, $3) ORDER BY id`;
      return (await repeat(`list each ${kind}`, { text, values: [environment, kind, prefix] })).map(documentOfRow);
    },
    readAll: async (environment) => {
      const { head, documents } = await readEverything(connection, environment);
      return { revision: head, documents: documents.map(documentOfRow) };
    },
    revision: async (environment) => {
      const text = `SELECT revision FROM "${schema}".heads WHERE environment = $1`;
      const [row] = await repeat('read the revision', { text, values: [environment] });
      return row === undefined ? 0 : z.object({ revision: z.int() }).parse(row).revision;
    },
    findIdempotent: async (environment, key) => {
      const text = `SELECT key, request, answer FROM "${schema}".idempotency WHERE environment = $1 AND key = $2`;
      const [row] = await repeat('look up an idempotency key', { text, values: [environment, key] });
      return row === undefined ? undefined : idempotencyOfRow(row);
    },
    decisions: async (environment, rollout, limit) => {
      const text = `
        SELECT rollout, "window", revision, at_ms, decision FROM "${schema}".decisions
        WHERE environment = $1 AND rollout = $2 ORDER BY revision DESC LIMIT $3::bigint`;
      return (await repeat('read decisions', { text, values: [environment, rollout, limit] })).map(decisionOfRow);
    },
  };
}

/** The rows of all documents and the head that they belong to. */
export async function readEverything(
  { repeat, address }: Pick<PostgresConnection, 'repeat' | 'address'>,
  environment: string,
): Promise<{ readonly head: number; readonly hash: string; readonly documents: Rows }> {
  const text = `
    SELECT h.revision AS head, h.hash, d.kind, d.id, d.revision, d.body
    FROM "${address.schema}".heads AS h LEFT JOIN "${address.schema}".documents AS d USING (environment)
    WHERE environment = $1 ORDER BY d.kind, d.id`;
  const rows = z.array(EverythingRow).parse(await repeat('read all documents', { text, values: [environment] }));
  if (rows.length === 0) await refuseHeadless({ repeat, address }, environment);
  const documents = rows.filter(({ id }) => id !== null).map(({ kind, id, revision, body }) => ({ kind, id, revision, body }));
  return { head: rows[0]?.head ?? 0, hash: rows[0]?.hash ?? GENESIS_HASH, documents };
}

/** An environment without a head is empty. One that lost its head is not, and must not be taken for an empty one. */
async function refuseHeadless(
  { repeat, address: { schema } }: Pick<PostgresConnection, 'repeat' | 'address'>,
  environment: string,
): Promise<void> {
  const has = (table: string): string => `EXISTS (SELECT FROM "${schema}".${table} WHERE environment = $1)`;
  const text = `SELECT 1 WHERE NOT ${has('heads')} AND (${has('journal')} OR ${has('documents')})`;
  const rows = await repeat('read all documents', { text, values: [environment] });
  if (rows.length === 0) return;
  const problem = `cannot read the environment "${environment}": its head is gone, and its journal or its documents are not`;
  throw new AppError('store.corrupt', `${problem}; ${RESTORE_HINT}`);
}

const EverythingRow = z.object({
  head: z.int().positive(),
  hash: z.string(),
  kind: z.string().nullable(),
  id: z.string().nullable(),
  revision: z.number().nullable(),
  body: z.string().nullable(),
});
