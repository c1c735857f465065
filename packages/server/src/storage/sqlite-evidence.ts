/** Gateway reports in a SQLite store: evidence blocks, who was heard of, and what may be forgotten. */
import { setImmediate } from 'node:timers/promises';
import type { GatewayReport, ServiceReport } from '@understudy/contract/report';
import { cohortOf } from '@understudy/core/feedback';
import type { Connection } from './sqlite-connection.ts';
import { blockText, evidenceOfRow, gatewayOfRow, gatewayStateText } from './rows.ts';
import type { Store } from './store.ts';

// A few milliseconds of deleting, after which requests get their turn.
const ROWS_PER_TURN = 2000;

export function openEvidence(
  connection: Connection,
): Pick<Store, 'appendReport' | 'sealEvidence' | 'evidence' | 'gateways' | 'prune'> {
  const { database, read, write } = connection;
  // In memory: this process alone writes here, and one that comes after it begins later.
  const seals = new Map<string, number>();
  const append = prepareAppend(connection, seals);
  const ofEnvironment = database.prepare(
    `SELECT cursor, seen_at_ms, block FROM evidence
     WHERE environment = @environment AND cursor > @afterCursor ORDER BY cursor LIMIT @limit`,
  );
  const ofModel = database.prepare(
    `SELECT cursor, seen_at_ms, block FROM evidence
     WHERE environment = @environment AND model = @model AND cursor > @afterCursor ORDER BY cursor LIMIT @limit`,
  );
  // As it never falls from one cursor to the next, everything from this one on was seen since.
  const firstSince = database
    .prepare('SELECT cursor FROM evidence WHERE environment = ? AND seen_at_ms >= ? ORDER BY seen_at_ms, cursor LIMIT 1')
    .pluck();
  const cursorBefore = (environment: string, sinceMs: number | undefined): number => {
    if (sinceMs === undefined) return 0;
    const first = firstSince.get(environment, sinceMs);
    return first === undefined ? Infinity : Number(first) - 1;
  };
  const gateways = database.prepare(
    'SELECT gateway, boot, revision, seen_at_ms, readiness FROM gateways WHERE environment = ? ORDER BY gateway',
  );
  return {
    // Not durable by itself: a decision's own commit makes the evidence before it durable, and a power cut that takes
    // newer evidence only leaves the engine with less to decide on.
    appendReport: async (environment, report, seenAtMs) =>
      write('store a report', 'ordered', () => append(environment, report, seenAtMs)),
    sealEvidence: async (environment, atMs) => {
      seals.set(environment, Math.max(atMs, seals.get(environment) ?? -Infinity));
    },
    evidence: async (environment, { model, sinceMs, limit, ...query }) =>
      read('read evidence', () => {
        const afterCursor = Math.max(query.afterCursor, cursorBefore(environment, sinceMs));
        const statement = model === undefined ? ofEnvironment : ofModel;
        return statement.all({ environment, model, afterCursor, limit }).map(evidenceOfRow);
      }),
    gateways: async (environment) => read('read the gateways', () => gateways.all(environment).map(gatewayOfRow)),
    prune: async (environment, before) => {
      const evidence = 'DELETE FROM evidence WHERE environment = ? AND start_ms < ? LIMIT ?';
      const reports = 'DELETE FROM reports WHERE environment = ? AND seen_at_ms < ? LIMIT ?';
      const idempotency = 'DELETE FROM idempotency WHERE environment = ? AND at_ms < ? LIMIT ?';
      const feedback = 'DELETE FROM feedback WHERE environment = ? AND cohort < ? LIMIT ?';
      await deleteInTurns(connection, reports, [environment, before.evidenceMs]);
      await deleteInTurns(connection, feedback, [environment, cohortOf(before.feedbackMs)]);
      return {
        evidence: await deleteInTurns(connection, evidence, [environment, before.evidenceMs]),
        idempotency: await deleteInTurns(connection, idempotency, [environment, before.idempotencyMs]),
      };
    },
  };
}

function prepareAppend({ database }: Connection, seals: ReadonlyMap<string, number>) {
  const seen = database.prepare('INSERT INTO reports VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING');
  const newestSeen = database
    .prepare('SELECT seen_at_ms FROM evidence WHERE environment = ? ORDER BY cursor DESC LIMIT 1')
    .pluck();
  const block = database.prepare('INSERT INTO evidence (environment, model, start_ms, seen_at_ms, block) VALUES (?, ?, ?, ?, ?)');
  const status = database.prepare(
    `INSERT INTO gateways VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET boot = excluded.boot, sequence = excluded.sequence, revision = excluded.revision,
       seen_at_ms = excluded.seen_at_ms, readiness = excluded.readiness
     WHERE gateways.boot <> excluded.boot OR gateways.sequence < excluded.sequence`,
  );
  return (environment: string, report: GatewayReport | ServiceReport, seenAtMs: number): 'stored' | 'duplicate' => {
    const { gateway, boot, sequence, blocks } = report;
    if (seen.run(environment, gateway, boot, sequence, seenAtMs).changes === 0) return 'duplicate';
    const newest = Number(newestSeen.get(environment) ?? -Infinity);
    const evidenceSeenAtMs = Math.max(seenAtMs, newest, seals.get(environment) ?? -Infinity);
    for (const one of blocks) block.run(environment, one.model, one.startMs, evidenceSeenAtMs, blockText(one));
    if ('readiness' in report) {
      status.run(environment, gateway, boot, sequence, report.revision, seenAtMs, gatewayStateText(report));
    }
    return 'stored';
  };
}

async function deleteInTurns(
  { database, write }: Connection,
  sql: string,
  [environment, before]: readonly [string, number],
): Promise<number> {
  const statement = database.prepare(sql);
  let total = 0;
  for (;;) {
    const { changes } = write('delete what is old', 'durable', () => statement.run(environment, before, ROWS_PER_TURN));
    total += changes;
    if (changes < ROWS_PER_TURN) return total;
    await setImmediate();
  }
}
