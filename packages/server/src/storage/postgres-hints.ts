/** Tells listeners that an environment has moved on: by this process at once, by others through LISTEN and by asking. */
import pg from 'pg';
import { z } from 'zod';
import { openCommitListeners } from './commit-listeners.ts';
import { CHANNEL } from './postgres-commit-sql.ts';
import { clientOptions, type PostgresConnection } from './postgres-connection.ts';
import type { Store } from './store.ts';

export interface PostgresHints {
  readonly onCommit: Store['onCommit'];
  /** A commit of this process. */
  readonly announce: (environment: string, revision: number) => void;
  readonly close: () => Promise<void>;
}

export interface HintOptions {
  readonly instance: string;
  /** How often the database is asked whether others have committed. */
  readonly pollMs: number;
}

type Listener = (environment: string, revision: number) => void;

// Longer after each failure, so that a server that is down is not stormed.
const LONGEST_RECONNECT_MS = 5000;

/** Opens after the schema: reads where each environment is, so that only what comes later is told. */
export async function openPostgresHints(connection: PostgresConnection, options: HintOptions): Promise<PostgresHints> {
  const { tell, onCommit, isEmpty } = openCommitListeners();
  const known = await headsOf(connection);

  /** Of somebody else. Told once, by whichever way it comes first. */
  function hear(environment: string, revision: number): void {
    if (revision <= (known.get(environment) ?? 0)) return;
    known.set(environment, revision);
    tell(environment, revision);
  }

  const poll = openPoll(async () => {
    if (isEmpty()) return;
    for (const [environment, revision] of await headsOf(connection)) hear(environment, revision);
  }, options.pollMs);
  const ears = connection.address.listens ? openEars(connection, { ...options, hear, catchUp: poll.now }) : undefined;
  return {
    onCommit,
    announce: (environment, revision) => {
      known.set(environment, Math.max(revision, known.get(environment) ?? 0));
      tell(environment, revision);
    },
    close: async () => {
      await Promise.all([poll.close(), ears?.close()]);
    },
  };
}

async function headsOf({ repeat, address }: PostgresConnection): Promise<Map<string, number>> {
  const rows = await repeat('read the revisions', { text: `SELECT environment, revision FROM "${address.schema}".heads` });
  const heads = z.array(z.object({ environment: z.string(), revision: z.int() })).parse(rows);
  return new Map(heads.map(({ environment, revision }) => [environment, revision]));
}

interface Poll {
  readonly now: () => void;
  readonly close: () => Promise<void>;
}

function openPoll(ask: () => Promise<void>, everyMs: number): Poll {
  let isClosed = false;
  let asking: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  function now(): void {
    clearTimeout(timer);
    if (isClosed) return;
    // A failure is no news: a hint is missed, and the next one makes up for it.
    asking = asking.then(ask).catch(() => undefined);
    void asking.then(() => {
      clearTimeout(timer);
      if (!isClosed) timer = setTimeout(now, everyMs).unref();
    });
  }

  timer = setTimeout(now, everyMs).unref();
  return {
    now,
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      await asking;
    },
  };
}

interface Ears extends HintOptions {
  readonly hear: Listener;
  /** Something may have been missed. */
  readonly catchUp: () => void;
}

/** A connection of its own that listens, and is opened again whenever it is lost. */
function openEars({ address, deadline }: PostgresConnection, { instance, hear, catchUp }: Ears): Pick<PostgresHints, 'close'> {
  let isClosed = false;
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;

  function retry(lost: pg.Client): void {
    if (isClosed || client !== lost) return;
    client = undefined;
    failures += 1;
    const mostMs = Math.min(LONGEST_RECONNECT_MS, 100 * 2 ** failures);
    timer = setTimeout(() => void open(), mostMs * Math.random()).unref();
  }

  async function open(): Promise<void> {
    const opened = new pg.Client(clientOptions(address, deadline().leftMs()));
    client = opened;
    opened.on('error', () => retry(opened));
    opened.on('end', () => retry(opened));
    opened.on('notification', ({ payload }) => {
      const [schema, by, revision, environment] = (payload ?? '').split(' ');
      if (schema === address.schema && by !== instance && environment !== undefined) hear(environment, Number(revision));
    });
    try {
      await opened.connect();
      await opened.query(`LISTEN ${CHANNEL}`);
      failures = 0;
      catchUp();
    } catch {
      // Nobody waits for a hint; the poll goes on meanwhile.
      retry(opened);
      await opened.end().catch(() => undefined);
    }
  }

  void open();
  return {
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      await client?.end().catch(() => undefined);
    },
  };
}
