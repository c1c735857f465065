/** A real PostgreSQL for tests: its own data directory, port and socket. Ends with the process that started it, however that ends. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../free-port.contract.ts';
import { openSmallDisk, type Owner, type SmallDisk } from './postgres-small-disk.contract.ts';

/** A running server. */
export interface TestServer {
  readonly port: number;
  /** The address of a new, empty schema, as a store is given it. */
  readonly newAddress: (options?: string) => string;
  /** Through another port, such as that of a pooler or of a proxy. */
  readonly through: (address: string, port: number) => string;
  /** Runs SQL as superuser, on a connection of its own. */
  readonly sql: (text: string) => Promise<readonly Record<string, unknown>[]>;
  /** As if the machine had stopped: nothing is written any more, and what was not flushed is gone. */
  readonly crash: () => Promise<void>;
  /** Ends it as an administrator does, with everything written. */
  readonly stop: () => Promise<void>;
  /** Waits until it has ended by itself. */
  readonly ended: () => Promise<void>;
  /** @param under words to put before the command, such as a tracer */
  readonly start: (under?: readonly string[]) => Promise<void>;
  /** The data directory as this process sees it. */
  readonly data: string;
  /** What the server says, in a file. */
  readonly log: string;
  /** Where the server has been given a small disk. */
  readonly disk: SmallDisk | undefined;
  /** Starts pgbouncer in transaction mode in front of it, and gives its port. */
  readonly startPooler: () => Promise<number>;
  readonly close: () => Promise<void>;
}

const READY_WITHIN_MS = 30_000;
/** Set to 1 on machines that cannot have PostgreSQL; the tests then say loudly that they did not run. */
export const isSkipped = process.env['UNDERSTUDY_SKIP_POSTGRES'] === '1';
if (isSkipped) process.stderr.write('UNDERSTUDY_SKIP_POSTGRES=1: the PostgreSQL store is NOT tested in this run\n');

export interface ServerOptions {
  /** More words for initdb. */
  readonly initialize?: readonly string[];
  /** Gives the data directory a disk of its own. */
  readonly diskMegabytes?: number;
}

/** @param settings lines of postgresql.conf on top of ours */
export async function startPostgres(settings: readonly string[] = [], options: ServerOptions = {}): Promise<TestServer> {
  const binaries = binariesOf();
  const root = mkdtempSync(path.join(tmpdir(), 'understudy-postgres-'));
  const owner = ownerOf();
  chmodSync(root, 0o755);
  const data = path.join(root, 'data');
  const sockets = path.join(root, 'sockets');
  for (const directory of [data, sockets]) {
    mkdirSync(directory, { mode: 0o700 });
    if (owner !== undefined) chownSync(directory, owner.uid, owner.gid);
  }
  const disk = options.diskMegabytes === undefined ? undefined : await openSmallDisk(data, options.diskMegabytes, owner);
  const seen = disk?.seen ?? data;
  const initialize = ['-D', data, '-U', 'understudy', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'];
  const [first = '', ...rest] = [...(disk?.inside ?? []), path.join(binaries, 'initdb'), ...initialize];
  execFileSync(first, [...rest, ...(options.initialize ?? [])], { ...owner, stdio: 'pipe', cwd: '/' });
  const port = await freePort();
  const ours = [
    `port = ${port}`,
    "listen_addresses = '127.0.0.1'",
    `unix_socket_directories = '${sockets}'`,
    'max_connections = 60',
  ];
  writeFileSync(path.join(seen, 'postgresql.auto.conf'), [...ours, 'fsync = on', ...settings, ''].join('\n'));
  const log = path.join(root, 'log');
  const begin = (under: readonly string[] = []) =>
    spawnTied([...(disk?.inside ?? []), ...under, path.join(binaries, 'postgres'), '-D', data], { log, owner, signal: 'QUIT' });
  const poolers: ChildProcess[] = [];
  let server = begin();
  let schemas = 0;
  const sql = async (text: string) => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'understudy', database: 'postgres' });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  };
  // The postmaster writes its number first.
  const end = async (signal: 'SIGQUIT' | 'SIGINT'): Promise<void> => {
    const pid = Number(readFileSync(path.join(seen, 'postmaster.pid'), 'utf8').split('\n')[0]);
    const exit = ended();
    process.kill(pid, signal);
    await exit;
  };
  const ended = async (): Promise<void> => {
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
  };
  await untilReady(() => sql('SELECT 1'), log);
  return {
    port,
    sql,
    data: seen,
    log,
    disk,
    ended,
    newAddress: (options = '') =>
      `postgres://understudy@127.0.0.1:${port}/postgres?schema=s${(schemas += 1)}_${process.pid}${options}`,
    through: (address, other) => address.replace(`:${port}/`, `:${other}/`),
    // Ends it and its children without a checkpoint.
    crash: () => end('SIGQUIT'),
    stop: () => end('SIGINT'),
    start: async (under) => {
      server = begin(under);
      await untilReady(() => sql('SELECT 1'), log);
    },
    startPooler: async () => {
      const { pooler, poolerPort } = await startPooler({ root, port, owner });
      poolers.push(pooler);
      return poolerPort;
    },
    close: async () => {
      for (const child of [...poolers, server]) await stop(child);
      await disk?.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

async function startPooler({
  root,
  port,
  owner,
}: {
  readonly root: string;
  readonly port: number;
  readonly owner: Owner | undefined;
}) {
  const binary = find('pgbouncer', ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/opt/homebrew/bin/pgbouncer'], 'pgbouncer');
  const poolerPort = await freePort();
  const settings = path.join(root, `pgbouncer-${poolerPort}.ini`);
  const lines = [
    '[databases]',
    `postgres = host=127.0.0.1 port=${port}`,
    '[pgbouncer]',
    `listen_addr = 127.0.0.1\nlisten_port = ${poolerPort}\nunix_socket_dir =`,
    'auth_type = any\nauth_file =',
    'pool_mode = transaction\ndefault_pool_size = 4\nserver_reset_query =',
  ];
  writeFileSync(settings, `${lines.join('\n').replace('postgres = ', 'postgres = user=understudy ')}\n`, { mode: 0o644 });
  const log = path.join(root, 'pooler.log');
  const pooler = spawnTied([binary, settings], { log, owner, signal: 'KILL' });
  await untilReady(async () => {
    const client = new pg.Client({ host: '127.0.0.1', port: poolerPort, user: 'understudy', database: 'postgres' });
    client.on('error', () => undefined);
    await client.connect();
    await client.end();
  }, log);
  return { pooler, poolerPort };
}

interface Tied {
  readonly log: string;
  readonly owner: Owner | undefined;
  /** What ends it at once. */
  readonly signal: 'QUIT' | 'KILL';
}

/**
 * A child whose end is tied to ours by a pipe: when we are gone, the shell reads its end and stops the child, and those of
 * the child, as a tracer does not hand the signal on.
 */
function spawnTied(command: readonly string[], { log, owner, signal }: Tied) {
  const script =
    'log=$1; signal=$2; shift 2; "$@" >>"$log" 2>&1 & child=$!; { cat >/dev/null; kill -$signal $(cat /proc/$child/task/$child/children) $child 2>/dev/null; } <&3 & wait $child; kill $! 2>/dev/null';
  writeFileSync(log, '', { flag: 'a' });
  if (owner !== undefined) chownSync(log, owner.uid, owner.gid);
  return spawn('sh', ['-c', script, 'sh', log, signal, ...command], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    cwd: '/',
    ...owner,
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.stdio[3]?.destroy();
  await ended;
}

async function untilReady(ask: () => Promise<unknown>, log: string): Promise<void> {
  const endsMs = performance.now() + READY_WITHIN_MS;
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      if (performance.now() > endsMs)
        throw new Error(`the server does not start:\n${readFileSync(log, 'utf8')}`, { cause: error });
      await sleep(20);
    }
  }
}

function binariesOf(): string {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)) : [];
  const places = [
    ...versions.map((version) => path.join(debian, version, 'bin')),
    '/usr/local/bin',
    '/opt/homebrew/bin',
    '/usr/bin',
  ];
  return path.dirname(
    find(
      'PostgreSQL',
      places.map((place) => path.join(place, 'initdb')),
      'postgresql',
    ),
  );
}

function find(what: string, places: readonly string[], debianPackage: string): string {
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  throw new Error(
    `${what} is not installed, and the tests of the PostgreSQL store need it: sudo apt-get install ${debianPackage} (or set UNDERSTUDY_SKIP_POSTGRES=1 to go without them)`,
  );
}

/** PostgreSQL refuses to run as root; Debian's package makes a user for it. */
function ownerOf(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const number = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: number('-u'), gid: number('-g') };
}
