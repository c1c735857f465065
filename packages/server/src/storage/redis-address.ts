/** The address of a Redis store, taken apart. The store and the follower of `rollout:{name}` hashes open connections by it. */
import { AppError } from '@understudy/core/errors';
import { z } from 'zod';

/** Where a server is and how long to be patient with it. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  /** More nodes of the same cluster, for when the first is down. */
  readonly others: readonly { readonly host: string; readonly port: number }[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  readonly isEncrypted: boolean;
  /** How many replicas must have a change before it is acknowledged. */
  readonly waitReplicas: number;
  /** How long an operation may take altogether. */
  readonly patienceMs: number;
}

const DEFAULT_PORT = 6379;
// An API that waits for its store answers within two seconds, with an error if need be.
const DEFAULT_PATIENCE_MS = 2000;

const HostAndPort = z.string().regex(/^[^:,\s]+:\d{1,5}$/, 'write HOST:PORT,HOST:PORT');

const Parameters = z.strictObject({
  also: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(HostAndPort))
    .default([]),
  'wait-replicas': z.coerce.number().int().min(0).max(100).default(0),
  'timeout-ms': z.coerce.number().int().min(100).max(60_000).default(DEFAULT_PATIENCE_MS),
});

/**
 * Reads `redis://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETERS`; `rediss://` is encrypted.
 * @throws AppError `config.invalid`, never with the password in it
 */
export function parseRedisAddress(text: string): RedisAddress {
  const url = URL.parse(text);
  if (url === null || !['redis:', 'rediss:'].includes(url.protocol) || url.hostname === '') {
    throw invalid('write redis://HOST:PORT, or rediss://HOST:PORT with encryption');
  }
  const [, database] = /^\/?(\d{0,4})$/.exec(url.pathname) ?? [];
  if (database === undefined) throw invalid(`"${url.pathname}" is no number of a database; write redis://HOST:PORT/0`);
  const parsed = Parameters.safeParse(Object.fromEntries(url.searchParams));
  if (!parsed.success) throw invalid(`its parameters are wrong: ${z.prettifyError(parsed.error)}`);
  const { also, 'wait-replicas': waitReplicas, 'timeout-ms': patienceMs } = parsed.data;
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    others: also.map((one) => {
      const [host = '', port = ''] = one.split(':');
      return { host, port: Number(port) };
    }),
    username: url.username === '' ? undefined : decodeURIComponent(url.username),
    password: url.password === '' ? undefined : decodeURIComponent(url.password),
    database: Number(database),
    isEncrypted: url.protocol === 'rediss:',
    waitReplicas,
    patienceMs,
  };
}

/** For messages: host and port, no secret. */
export function placeOf({ host, port }: Pick<RedisAddress, 'host' | 'port'>): string {
  return `${host}:${port}`;
}

function invalid(problem: string): AppError {
  return new AppError('config.invalid', `cannot use the address of the Redis server: ${problem}`);
}
