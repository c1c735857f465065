/**
 * The one commit rule on PostgreSQL. One statement reads what a commit is about; one writes all of it, if the head of the
 * environment is still the one that was read. Where several processes commit at once, those who came too late wait in line
 * for the head and then have it for both statements: otherwise whoever is fastest wins again and again. The server ends
 * that when the process hangs, so it holds nobody up for longer than half a second.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '@understudy/core/errors';
import { GENESIS_HASH, hashOfEntry } from './journal-hash.ts';
import { LOCK_WAIT_MS, lookStatement, type PostgresPlantedBugs, writeStatement } from './postgres-commit-sql.ts';
import { type Deadline, pause, type PostgresConnection, type Query, type Rows, type Transaction } from './postgres-connection.ts';
import { failureOf, troubleOf } from './postgres-failure.ts';
import { documentOfRow, idempotencyOfRow } from './rows.ts';
import type { Commit, CommitResult, IdempotencyRecord, JournalEntry, StoredDocument } from './store.ts';

/** Applies a commit, or says why nothing was changed. Waits no longer than the deadline. */
export type ApplyCommit = (commit: Commit, deadline: Deadline) => Promise<CommitResult>;

/** One call of commit, over all of its tries. */
interface Attempt {
  readonly id: string;
  readonly commit: Commit;
  readonly deadline: Deadline;
  /**
   * The revision of a try whose answer was lost, and what was heard instead. As long as the head is older, that try may
   * still succeed: then it is the same change on the same head as the next try, and only one of the two can win.
   */
  lost: { readonly revision: number; readonly heard: string } | undefined;
}

/** What the database holds about a commit, seen at one moment. */
interface Seen {
  readonly head: number;
  readonly hash: string;
  /** Whether the try that was lost has written its entry. */
  readonly isOurs: boolean;
  readonly isDecided: boolean;
  readonly record: IdempotencyRecord | undefined;
  readonly documents: ReadonlyMap<string, StoredDocument>;
}

// Where somebody else was faster a moment ago, somebody else will be again.
const IN_LINE_FOR_MS = 1000;
// Some hundred times what both statements take.
const HANGS_MS = 500;
const BEGIN = `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = ${HANGS_MS}; SET LOCAL lock_timeout = ${LOCK_WAIT_MS}`;

/** @param instance names this process in notifications, so that it does not listen to itself */
export function openPostgresCommit(
  connection: PostgresConnection,
  options: { readonly instance: string; readonly planted?: PostgresPlantedBugs },
): ApplyCommit {
  const { atOnce, inLine } = openTries(connection, options);
  /** By environment, until when it is better to wait in line from the start. */
  const crowded = new Map<string, number>();

  return async (commit, deadline) => {
    const attempt: Attempt = { id: randomUUID(), commit, deadline, lost: undefined };
    for (let tries = 0; ; tries += 1) {
      const isCrowded = performance.now() < (crowded.get(commit.environment) ?? 0);
      try {
        const result = await (isCrowded ? inLine(attempt) : atOnce(attempt));
        if (result !== undefined) return result;
        crowded.set(commit.environment, performance.now() + IN_LINE_FOR_MS);
        if (deadline.leftMs() <= 0) throw givenUp(attempt, new HeadMoved());
      } catch (error) {
        const isHopeless = error instanceof AppError || troubleOf(error) === 'final';
        if (isHopeless || !(await pause(tries, deadline))) throw givenUp(attempt, error);
      }
    }
  };
}

/** One try at a commit; undefined when somebody else was faster. */
type Try = (attempt: Attempt) => Promise<CommitResult | undefined>;

function openTries(
  connection: PostgresConnection,
  { instance, planted = {} }: { readonly instance: string; readonly planted?: PostgresPlantedBugs },
): { readonly atOnce: Try; readonly inLine: Try } {
  const { schema } = connection.address;
  const look = lookStatement(schema);
  const write = writeStatement(schema, { instance, planted });
  const lock = `SELECT FROM "${schema}".heads WHERE environment = $1 FOR UPDATE`;

  async function tryOn(attempt: Attempt, { query, commit: settle }: Pick<Transaction, 'query' | 'commit'>) {
    const { commit, id } = attempt;
    const seen = seenIn(await query(look(commit, { attempt: id, revision: attempt.lost?.revision ?? 0 })));
    if (attempt.lost !== undefined && seen.head >= attempt.lost.revision) {
      if (seen.isOurs) return { outcome: 'committed', revision: attempt.lost.revision } as const;
      attempt.lost = undefined;
    }
    const refusal = refusalOf(commit, seen, planted.noCompareAndSet !== true);
    if (refusal !== undefined) return refusal;
    const entry = entryOf(commit, seen);
    try {
      const rows = await query(write({ commit, entry, attempt: id }));
      await settle();
      return rows.length > 0 ? ({ outcome: 'committed', revision: entry.revision } as const) : undefined;
    } catch (error) {
      if (troubleOf(error) === 'lost' && planted.repeatBlindly !== true) {
        attempt.lost = { revision: entry.revision, heard: error instanceof Error ? error.message : String(error) };
      }
      throw error;
    }
  }

  return {
    // Each statement by itself: no lock outlives it.
    atOnce: (attempt) => {
      const query: Query = (statement) => connection.run(statement, attempt.deadline);
      return tryOn(attempt, { query, commit: async () => undefined });
    },
    inLine: async (attempt) => {
      const transaction = await connection.begin(BEGIN, attempt.deadline);
      try {
        await transaction.query({ text: lock, values: [attempt.commit.environment] });
        const result = await tryOn(attempt, transaction);
        // Nothing was written when it is not over yet.
        await transaction.commit();
        return result;
      } finally {
        transaction.rollback();
      }
    },
  };
}

class HeadMoved extends Error {
  constructor() {
    super('others committed again and again');
    this.name = 'HeadMoved';
  }
}

/** Tells the truth about a commit that nobody has seen succeed. */
function givenUp({ commit, lost }: Attempt, error: unknown): unknown {
  const what = `commit "${commit.action}"`;
  if (error instanceof HeadMoved) {
    return new AppError('store.busy', `cannot ${what}: ${error.message}; nothing was changed, ask again`, { cause: error });
  }
  if (lost === undefined) return failureOf(what, error);
  return new AppError(
    'store.busy',
    `cannot say what came of ${what}: the connection was lost before the answer (${lost.heard}); ask again with the same idempotency key, or look whether it was made`,
    { cause: error },
  );
}

const LookRow = z.object({
  head: z.int().positive().nullable(),
  hash: z.string().nullable(),
  is_ours: z.boolean(),
  is_decided: z.boolean(),
  key: z.string().nullable(),
  request: z.string().nullable(),
  answer: z.string().nullable(),
  kind: z.string().nullable(),
  id: z.string().nullable(),
  revision: z.number().nullable(),
  body: z.string().nullable(),
});

// One for each write, and one where there is none.
const LookRows = z.tuple([LookRow], LookRow);

function seenIn(rows: Rows): Seen {
  const found = LookRows.parse(rows);
  const [{ head, hash, is_ours: isOurs, is_decided: isDecided, key, request, answer }] = found;
  const documents = found
    .filter(({ id }) => id !== null)
    .map(({ kind, id, revision, body }) => documentOfRow({ kind, id, revision, body }));
  return {
    head: head ?? 0,
    hash: hash ?? GENESIS_HASH,
    isOurs,
    isDecided,
    record: key === null ? undefined : idempotencyOfRow({ key, request, answer }),
    documents: new Map(documents.map((document) => [`${document.kind}/${document.id}`, document])),
  };
}

function refusalOf(commit: Commit, seen: Seen, checksRevisions: boolean): CommitResult | undefined {
  if (seen.record !== undefined) return { outcome: 'replayed', record: seen.record };
  if (commit.decision !== undefined && seen.isDecided) {
    return { outcome: 'already-decided', rollout: commit.decision.rollout, window: commit.decision.window };
  }
  for (const { kind, id, expectedRevision } of commit.writes) {
    const actualRevision = seen.documents.get(`${kind}/${id}`)?.revision ?? 0;
    if (checksRevisions && actualRevision !== expectedRevision) {
      return { outcome: 'conflict', kind, id, expectedRevision, actualRevision };
    }
  }
  return undefined;
}

function entryOf({ environment, actor, action, reason, atMs, writes }: Commit, seen: Seen): JournalEntry {
  const changes = writes.map(({ kind, id, body }) => {
    const before = seen.documents.get(`${kind}/${id}`)?.body ?? null;
    return { kind, id, before, after: body ?? null };
  });
  const entry = { environment, revision: seen.head + 1, atMs, actor, action, reason, changes, previousHash: seen.hash };
  return { ...entry, hash: hashOfEntry(entry) };
}
