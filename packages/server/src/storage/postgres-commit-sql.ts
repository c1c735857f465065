/** The two statements of a commit on PostgreSQL. `postgres-commit.ts` says why two are enough. */
import { canonicalJson, jsonText } from './canonical-json.ts';
import type { Statement } from './postgres-connection.ts';
import type { Commit, JournalEntry } from './store.ts';

/** Bugs to plant, so that a test can show that it would notice them. Never set otherwise. */
export interface PostgresPlantedBugs {
  /** Overwrite whatever is there. */
  readonly noCompareAndSet?: boolean;
  /** Write on a head that has moved meanwhile. */
  readonly noHeadCheck?: boolean;
  /** After a lost connection do the change again, without a look at what became of the first time. */
  readonly repeatBlindly?: boolean;
  /** Acknowledge before the server has the change on stable storage. */
  readonly relaxedCommits?: boolean;
}

/** The channel on which a commit tells who listens: schema, instance, revision and environment, with spaces in between. */
export const CHANNEL = 'understudy';

// Far longer than a statement takes, and shorter than a caller waits.
export const LOCK_WAIT_MS = 1000;

/** What a commit is about, seen at one moment: a single statement has a single snapshot, in every isolation level. */
export function lookStatement(schema: string) {
  const text = `
    SELECT h.revision AS head, h.hash,
      EXISTS (SELECT FROM "${schema}".journal WHERE environment = $1 AND revision = $2::bigint AND attempt = $3::uuid) AS is_ours,
      EXISTS (SELECT FROM "${schema}".decisions WHERE environment = $1 AND rollout = $4 AND "window" = $5::bigint) AS is_decided,
      i.key, i.request, i.answer, d.kind, d.id, d.revision, d.body
    FROM (SELECT 1) AS always
    LEFT JOIN "${schema}".heads AS h ON h.environment = $1
    LEFT JOIN "${schema}".idempotency AS i ON i.environment = $1 AND i.key = $6
    LEFT JOIN unnest($7::text[], $8::text[]) AS w (kind, id) ON true
    LEFT JOIN "${schema}".documents AS d ON d.environment = $1 AND d.kind = w.kind AND d.id = w.id`;
  return (commit: Commit, lost: { readonly attempt: string; readonly revision: number }): Statement => {
    const { environment, decision, idempotency, writes } = commit;
    const columns = [writes.map(({ kind }) => kind), writes.map(({ id }) => id)];
    const values = [decision?.rollout, decision?.window, idempotency?.key, ...columns];
    return { text, values: [environment, lost.revision, lost.attempt, ...values] };
  };
}

/** A commit as it is to be written. */
export interface Written {
  readonly commit: Commit;
  readonly entry: JournalEntry;
  /** Names the call of commit, so that its entry can be recognized. */
  readonly attempt: string;
}

/**
 * All of a commit in one statement. It gives a row when the head was still the one before the entry, and changes nothing
 * otherwise: each part takes its rows from the part that moves the head. Whoever comes second waits for the head's row.
 */
export function writeStatement(
  schema: string,
  { instance, planted }: { readonly instance: string; readonly planted: PostgresPlantedBugs },
) {
  const text = `
    WITH head AS (
      INSERT INTO "${schema}".heads AS h (environment, revision, hash)
      SELECT $1, $2::bigint, $3
      WHERE set_config('lock_timeout', '${LOCK_WAIT_MS}', true) IS NOT NULL AND ${durable(planted)} IS NOT NULL
      ON CONFLICT (environment) DO UPDATE SET revision = excluded.revision, hash = excluded.hash
      WHERE ${planted.noHeadCheck === true ? '$4::text IS NOT NULL' : 'h.revision = excluded.revision - 1 AND h.hash = $4'}
      RETURNING revision
    ), entry AS (
      INSERT INTO "${schema}".journal
        (environment, revision, at_ms, actor, action, reason, changes, previous_hash, hash, attempt)
      SELECT $1, revision, $5::float8, $6, $7, $8, $9, $4, $3, $10::uuid FROM head
    ), written AS (
      SELECT w.kind, w.id, w.body FROM head, unnest($11::text[], $12::text[], $13::text[]) AS w (kind, id, body)
    ), subjects AS (
      INSERT INTO "${schema}".journal_subjects (environment, kind, id, revision) SELECT $1, kind, id, $2::bigint FROM written
    ), put AS (
      INSERT INTO "${schema}".documents (environment, kind, id, revision, body)
      SELECT $1, kind, id, $2::bigint, body FROM written WHERE body IS NOT NULL
      ON CONFLICT (environment, kind, id) DO UPDATE SET revision = excluded.revision, body = excluded.body
    ), removed AS (
      DELETE FROM "${schema}".documents AS d USING written AS w
      WHERE w.body IS NULL AND d.environment = $1 AND d.kind = w.kind AND d.id = w.id
    ), decided AS (
      INSERT INTO "${schema}".decisions (environment, rollout, "window", revision, at_ms, decision)
      SELECT $1, $14, $15::bigint, $2::bigint, $5::float8, $16 FROM head WHERE $14::text IS NOT NULL
    ), remembered AS (
      INSERT INTO "${schema}".idempotency (environment, key, request, answer, at_ms)
      SELECT $1, $17, $18, $19, $5::float8 FROM head WHERE $17::text IS NOT NULL
    )
    SELECT pg_notify('${CHANNEL}', '${schema} ${instance} ' || revision || ' ' || $1::text) FROM head`;
  return ({ commit, entry, attempt }: Written): Statement => ({ text, values: valuesOf(commit, entry, attempt) });
}

function valuesOf(
  { environment, writes, decision, idempotency }: Commit,
  entry: JournalEntry,
  attempt: string,
): readonly unknown[] {
  const { revision, hash, previousHash, atMs, actor, action, reason } = entry;
  const changes = canonicalJson(entry.changes.map(({ kind, id, before, after }) => ({ kind, id, before, after })));
  const bodies = writes.map(({ body }) => (body === undefined ? null : canonicalJson(body)));
  const head = [environment, revision, hash, previousHash, atMs, actor, action, reason, changes, attempt];
  const written = [writes.map(({ kind }) => kind), writes.map(({ id }) => id), bodies];
  const decided = [decision?.rollout, decision?.window, decision && jsonText(decision.decision)];
  const remembered = [idempotency?.key, idempotency?.request, idempotency && canonicalJson(idempotency.answer)];
  return [...head, ...written, ...decided, ...remembered];
}

/** Sets for this transaction that it is on stable storage before anybody hears of it, whatever the server's own setting. */
export function durable({ relaxedCommits }: Pick<PostgresPlantedBugs, 'relaxedCommits'>): string {
  if (relaxedCommits === true) return "set_config('synchronous_commit', 'off', true)";
  // The one stronger setting stays.
  const level = "CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END";
  return `set_config('synchronous_commit', ${level}, true)`;
}
