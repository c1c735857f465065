/** Reads the address of a PostgreSQL store. Understudy's own options are taken out; the rest goes to the driver. */
import { AppError } from '@understudy/core/errors';

/** Where a PostgreSQL store is, and how to use it. */
export interface PostgresAddress {
  /** What the driver is given. Holds the password. */
  readonly connectionString: string;
  /** The address without its password, for messages. */
  readonly shown: string;
  /** The schema that holds the tables. */
  readonly schema: string;
  /** Connections at most. */
  readonly poolSize: number;
  /** Whether the address leads to the server itself, so that LISTEN works. */
  readonly listens: boolean;
}

// `uselibpqcompat` gives the modes of `sslmode` the meaning that PostgreSQL's own documentation gives them.
const DRIVER_OPTIONS: ReadonlySet<string> = new Set(['host', 'port', 'user', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey']);
const SSL_MODES: ReadonlySet<string> = new Set(['disable', 'prefer', 'require', 'verify-ca', 'verify-full']);
const DEFAULT_POOL = 8;
const EXAMPLE = 'postgres://USER@HOST:5432/DATABASE?schema=understudy&pool=8&listen=on';

/**
 * @param text `postgres://USER:PASSWORD@HOST:PORT/DATABASE` with the options schema, pool, listen, host, port, user and
 *   those of TLS. The password may come from PGPASSWORD or a .pgpass file instead.
 * @throws AppError `config.invalid` on anything else
 */
export function parsePostgresAddress(text: string): PostgresAddress {
  const url = urlOf(text);
  const own = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    if (name === 'schema' || name === 'pool' || name === 'listen') own.set(name, value);
    else if (!DRIVER_OPTIONS.has(name)) throw refusal(url, `it has the option "${name}", which is unknown`);
  }
  for (const name of own.keys()) url.searchParams.delete(name);
  const sslMode = url.searchParams.get('sslmode');
  if (sslMode !== null) {
    if (!SSL_MODES.has(sslMode)) throw refusal(url, `sslmode is "${sslMode}" and not one of ${[...SSL_MODES].join(', ')}`);
    url.searchParams.set('uselibpqcompat', 'true');
  }
  if (url.pathname.length < 2) throw refusal(url, 'it names no database');
  return {
    connectionString: url.href,
    shown: shownOf(url),
    schema: schemaOf(url, own.get('schema') ?? 'understudy'),
    poolSize: poolOf(url, own.get('pool')),
    listens: listensOf(url, own.get('listen') ?? 'off'),
  };
}

function urlOf(text: string): URL {
  try {
    const url = new URL(text);
    if (url.protocol === 'postgres:' || url.protocol === 'postgresql:') return url;
  } catch {
    // Said below, without the text: it may hold a password.
  }
  throw new AppError('config.invalid', `cannot read the address of the PostgreSQL store; write it like ${EXAMPLE}`);
}

function schemaOf(url: URL, schema: string): string {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) return schema;
  throw refusal(url, `the schema "${schema}" is not made of a–z, 0–9 and _`);
}

function poolOf(url: URL, pool: string | undefined): number {
  const size = Number(pool ?? DEFAULT_POOL);
  // Two: one may wait for a lock while another looks what came of it.
  if (Number.isInteger(size) && size >= 2 && size <= 100) return size;
  throw refusal(url, `pool is "${pool ?? ''}" and not a whole number from 2 to 100`);
}

function listensOf(url: URL, listen: string): boolean {
  if (listen === 'on' || listen === 'off') return listen === 'on';
  throw refusal(url, `listen is "${listen}" and neither on nor off`);
}

function refusal(url: URL, problem: string): AppError {
  return new AppError('config.invalid', `cannot use the store ${shownOf(url)}: ${problem}; write it like ${EXAMPLE}`);
}

function shownOf(url: URL): string {
  const user = url.username === '' ? '' : `${url.username}@`;
  return `${url.protocol}//${user}${url.host}${url.pathname}`;
}
