/** State in PostgreSQL, shared by any number of processes. `open-store.ts` opens it; everybody else sees the port. */
import { randomUUID } from 'node:crypto';
import { AppError } from '@understudy/core/errors';
import { z } from 'zod';
import { refuseSenseless } from './commit-check.ts';
import { openCommitQueue } from './commit-queue.ts';
import { parsePostgresAddress } from './postgres-address.ts';
import { openPostgresCommit } from './postgres-commit.ts';
import type { PostgresPlantedBugs } from './postgres-commit-sql.ts';
import { openPostgresConnection, pause, type PostgresConnection, refuseOldServer } from './postgres-connection.ts';
import { openPostgresDocuments } from './postgres-documents.ts';
import { openPostgresEvidence } from './postgres-evidence.ts';
import { openPostgresFeedback } from './postgres-feedback.ts';
import { failureOf, isWrongAddress, troubleOf } from './postgres-failure.ts';
import { openPostgresHints, type PostgresHints } from './postgres-hints.ts';
import { openPostgresJournal } from './postgres-journal.ts';
import { migrate } from './postgres-schema.ts';
import { openPostgresSecrets } from './postgres-secrets.ts';
import type { ServerTime } from '../shared-clock.ts';
import type { SecretKeeper } from './secret-keeper.ts';
import type { CommitResult, Store } from './store.ts';

/** Options of {@link openPostgresStore}; the defaults are right but in tests. */
export interface PostgresOptions {
  /** How long a call waits at most, all tries together, before it throws `store.busy`. */
  readonly deadlineMs?: number;
  /** How long opening waits for a server that does not answer yet. */
  readonly openWithinMs?: number;
  /** How often the database is asked whether other processes have committed. */
  readonly pollMs?: number;
  readonly planted?: PostgresPlantedBugs;
}

// Callers of the API wait two seconds at most, and something has to be left for the answer.
const DEADLINE_MS = 1800;
// A database that is started together with this process needs some seconds.
const OPEN_WITHIN_MS = 15_000;
// With it a kill switch reaches every process within a second, also where nobody listens.
const POLL_MS = 500;

/**
 * Opens the store at an address and brings its tables to the newest form.
 * @throws AppError `config.invalid` when the address, the rights or the release do not fit, `store.busy` when nobody
 *   answers there
 */
export async function openPostgresStore(
  address: string,
  options: PostgresOptions = {},
): Promise<Store & SecretKeeper & ServerTime> {
  const { deadlineMs = DEADLINE_MS, openWithinMs = OPEN_WITHIN_MS, pollMs = POLL_MS, planted = {} } = options;
  const connection = openPostgresConnection(parsePostgresAddress(address), { deadlineMs });
  const instance = randomUUID();
  try {
    await prepare(connection, openWithinMs);
    const hints = await openPostgresHints(connection, { instance, pollMs });
    return {
      ...openCommits(connection, { hints, instance, planted }),
      ...openPostgresDocuments(connection),
      ...openPostgresEvidence(connection, planted),
      ...openPostgresFeedback(connection, planted),
      ...openPostgresJournal(connection),
      ...openPostgresSecrets(connection),
      onCommit: hints.onCommit,
      async serverMs() {
        const text = 'SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms';
        const [row] = await connection.repeat('read the time', { text });
        return z.object({ ms: z.coerce.number() }).parse(row).ms;
      },
      close: async () => {
        await hints.close();
        await connection.close();
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** Looks at the server and migrates, again and again while it does not answer. Everything in it may be done twice. */
export async function prepare(connection: PostgresConnection, withinMs: number): Promise<void> {
  const { address, run, deadline } = connection;
  const attempt = `open the store ${address.shown}`;
  const until = deadline(withinMs);
  for (let tries = 0; ; tries += 1) {
    try {
      const [row] = await run({ text: "SELECT current_setting('server_version_num')::int AS version" }, deadline());
      refuseOldServer(z.object({ version: z.int() }).parse(row).version, address.shown);
      await migrate(connection);
      return;
    } catch (error) {
      if (isWrongAddress(error)) throw wrongAddress(attempt, error);
      if (troubleOf(error) === 'final' || !(await pause(tries, until))) throw failureOf(attempt, error);
    }
  }
}

function wrongAddress(attempt: string, error: unknown): AppError {
  const said = error instanceof Error ? error.message : String(error);
  const fix = 'check user, password and database in its address; the database has to exist';
  return new AppError('config.invalid', `cannot ${attempt}: ${said}; ${fix}`, { cause: error });
}

interface Commits {
  readonly hints: PostgresHints;
  readonly instance: string;
  readonly planted: PostgresPlantedBugs;
}

function openCommits(connection: PostgresConnection, { hints, instance, planted }: Commits): Pick<Store, 'commit'> {
  const apply = openPostgresCommit(connection, { instance, planted });
  const inTurn = openCommitQueue();
  return {
    commit: async (commit): Promise<CommitResult> => {
      refuseSenseless(commit);
      const deadline = connection.deadline();
      const result = await inTurn(commit.environment, () => apply(commit, deadline));
      if (result.outcome === 'committed') hints.announce(commit.environment, result.revision);
      return result;
    },
  };
}
