/** Gateway reports in a PostgreSQL store: evidence blocks, who was heard of, and what may be forgotten. */
import type { GatewayReport, ServiceReport } from '@understudy/contract/report';
import { cohortOf } from '@understudy/core/feedback';
import { z } from 'zod';
import { durable, type PostgresPlantedBugs } from './postgres-commit-sql.ts';
import type { PostgresConnection, Statement } from './postgres-connection.ts';
import { openReportBatches, type PendingReport } from './report-batches.ts';
import { blockText, evidenceOfRow, gatewayOfRow, gatewayStateText } from './rows.ts';
import type { Store } from './store.ts';

// Some milliseconds of deleting, after which others get their turn.
const ROWS_PER_TURN = 2000;

type EvidenceMethods = Pick<Store, 'appendReport' | 'sealEvidence' | 'evidence' | 'gateways' | 'prune'>;

export function openPostgresEvidence(connection: PostgresConnection, planted: PostgresPlantedBugs = {}): EvidenceMethods {
  const { repeat } = connection;
  const { schema } = connection.address;
  const append = appendStatement(schema, planted);
  const batches = openReportBatches(async (environment, reports) => {
    const rows = await repeat('store reports', append(environment, reports));
    return new Set(
      z
        .array(z.object({ place: z.int() }))
        .parse(rows)
        .map(({ place }) => place),
    );
  });
  return {
    // A report is stored once under its number, so that one whose answer was lost can simply be sent again.
    appendReport: (environment, report, seenAtMs) => batches.add(environment, { report, seenAtMs }),
    sealEvidence: async (environment, atMs) => {
      // Waits for reports that are being stored, as they hold the lock of the head.
      const text = `
        INSERT INTO "${schema}".evidence_heads AS h (environment, cursor, seen_at_ms) VALUES ($1, 0, $2::float8)
        ON CONFLICT (environment) DO UPDATE SET seen_at_ms = excluded.seen_at_ms WHERE h.seen_at_ms < excluded.seen_at_ms`;
      await repeat('seal evidence', { text, values: [environment, atMs] });
    },
    evidence: async (environment, { afterCursor, model, sinceMs, limit }) => {
      // As it never falls from one cursor to the next, everything from the first on was seen since.
      const first = `SELECT cursor FROM "${schema}".evidence WHERE environment = $1 AND seen_at_ms >= $4::float8 ORDER BY seen_at_ms, cursor LIMIT 1`;
      const text = `
        SELECT cursor, seen_at_ms, block FROM "${schema}".evidence
        WHERE environment = $1 AND cursor > $2::bigint ${model === undefined ? 'AND $5::text IS NULL' : 'AND model = $5'}
          AND ${sinceMs === undefined ? '$4::float8 IS NULL' : `cursor >= (${first})`}
        ORDER BY cursor LIMIT $3::bigint`;
      const rows = await repeat('read evidence', { text, values: [environment, afterCursor, limit, sinceMs, model] });
      return rows.map(evidenceOfRow);
    },
    gateways: async (environment) => {
      const text = `SELECT gateway, boot, revision, seen_at_ms, readiness FROM "${schema}".gateways WHERE environment = $1 ORDER BY gateway`;
      return (await repeat('read the gateways', { text, values: [environment] })).map(gatewayOfRow);
    },
    prune: async (environment, { evidenceMs, feedbackMs, idempotencyMs }) => {
      const old = (table: string, key: string, column: string): string => `
        DELETE FROM "${schema}".${table} WHERE environment = $1 AND (${key}) IN (
          SELECT ${key} FROM "${schema}".${table} WHERE environment = $1 AND ${column} < $2::float8 LIMIT ${ROWS_PER_TURN}
        ) RETURNING 1`;
      const all = async (text: string, before: number): Promise<number> => {
        for (let total = 0; ;) {
          const rows = await repeat('delete what is old', { text, values: [environment, before] });
          total += rows.length;
          if (rows.length < ROWS_PER_TURN) return total;
        }
      };
      await all(old('reports', 'gateway, boot, sequence', 'seen_at_ms'), evidenceMs);
      await all(old('feedback', 'model, cohort, request, name', 'cohort'), cohortOf(feedbackMs));
      return {
        evidence: await all(old('evidence', 'cursor', 'start_ms'), evidenceMs),
        idempotency: await all(old('idempotency', 'key', 'at_ms'), idempotencyMs),
      };
    },
  };
}

/**
 * Stores reports of different gateways in one statement and gives the places of those that were new. Cursors are given
 * out under the lock of the environment's evidence head, which is held until they can be seen: no reader ever passes one
 * that comes later. What is stored together was seen together.
 */
function appendStatement(schema: string, planted: PostgresPlantedBugs) {
  const text = `
    WITH incoming AS (
      SELECT * FROM unnest($2::int[], $3::text[], $4::text[], $5::bigint[], $6::float8[], $7::bigint[], $8::text[])
        AS r (place, gateway, boot, sequence, seen_at_ms, revision, readiness)
    ), fresh AS (
      INSERT INTO "${schema}".reports (environment, gateway, boot, sequence, seen_at_ms)
      SELECT $1, gateway, boot, sequence, seen_at_ms FROM incoming WHERE ${durable(planted)} IS NOT NULL ORDER BY gateway
      ON CONFLICT DO NOTHING RETURNING gateway, boot, sequence
    ), stored AS (
      SELECT incoming.* FROM incoming JOIN fresh USING (gateway, boot, sequence)
    ), blocks AS (
      SELECT b.model, b.start_ms, b.block, stored.seen_at_ms, row_number() OVER (ORDER BY b.nth) AS nth
      FROM unnest($9::int[], $10::text[], $11::float8[], $12::text[]) WITH ORDINALITY AS b (place, model, start_ms, block, nth)
      JOIN stored USING (place)
    ), total AS (
      SELECT count(*) AS count, coalesce(max(seen_at_ms), '-Infinity') AS seen_at_ms FROM blocks
    ), head AS (
      INSERT INTO "${schema}".evidence_heads AS h (environment, cursor, seen_at_ms)
      SELECT $1, count, seen_at_ms FROM total WHERE EXISTS (SELECT FROM stored)
      ON CONFLICT (environment) DO UPDATE
        SET cursor = h.cursor + excluded.cursor, seen_at_ms = greatest(h.seen_at_ms, excluded.seen_at_ms)
      RETURNING cursor, seen_at_ms
    ), evidence AS (
      INSERT INTO "${schema}".evidence (environment, cursor, model, start_ms, seen_at_ms, block)
      SELECT $1, head.cursor - total.count + blocks.nth, blocks.model, blocks.start_ms, head.seen_at_ms, blocks.block
      FROM blocks, head, total
    ), status AS (
      INSERT INTO "${schema}".gateways AS g (environment, gateway, boot, sequence, revision, seen_at_ms, readiness)
      SELECT $1, gateway, boot, sequence, revision, stored.seen_at_ms, readiness
      FROM stored, head WHERE readiness IS NOT NULL ORDER BY gateway
      ON CONFLICT (environment, gateway) DO UPDATE SET boot = excluded.boot, sequence = excluded.sequence,
        revision = excluded.revision, seen_at_ms = excluded.seen_at_ms, readiness = excluded.readiness
      WHERE g.boot <> excluded.boot OR g.sequence < excluded.sequence
    )
    SELECT place FROM stored`;
  return (environment: string, pending: readonly PendingReport[]): Statement => {
    const reports = pending.map(({ report, seenAtMs }, place) => columnsOf(report, place, seenAtMs));
    const blocks = pending.flatMap(({ report }, place) => report.blocks.map((block) => ({ place, block })));
    const column = <Row, Value>(rows: readonly Row[], of: (row: Row) => Value): Value[] => rows.map((row) => of(row));
    const values = [
      ...[0, 1, 2, 3, 4, 5, 6].map((index) => column(reports, (report) => report[index])),
      column(blocks, ({ place }) => place),
      column(blocks, ({ block }) => block.model),
      column(blocks, ({ block }) => block.startMs),
      column(blocks, ({ block }) => blockText(block)),
    ];
    return { text, values: [environment, ...values] };
  };
}

function columnsOf(report: GatewayReport | ServiceReport, place: number, seenAtMs: number): readonly unknown[] {
  const { gateway, boot, sequence } = report;
  const status = 'readiness' in report ? [report.revision, gatewayStateText(report)] : [null, null];
  return [place, gateway, boot, sequence, seenAtMs, ...status];
}
