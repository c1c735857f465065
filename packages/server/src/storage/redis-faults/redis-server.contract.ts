/** Starts real Redis or Valkey servers for tests, on free ports, in temporary directories. Every test of the Redis store depends on it. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../free-port.contract.ts';

/** A server that a test may kill and start again on the same data. */
export interface TestServer {
  readonly port: number;
  readonly url: string;
  readonly directory: string;
  /** Ends without any warning. */
  kill(): Promise<void>;
  /** Stops answering, or goes on; connections stay. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Starts again after it ended, and waits until it answers. */
  start(): Promise<void>;
  /** Waits until the process has ended by itself. */
  ended(): Promise<void>;
  /** Runs redis-cli against it. */
  cli(...words: readonly string[]): string;
  /** Ends it and deletes its data. */
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly program?: string;
  /** More settings, as command-line words; they win over ours. */
  readonly settings?: readonly string[];
  /** Words to put before the command, such as a tracer. */
  readonly under?: readonly string[];
  readonly directory?: string;
}

// Loading what a test wrote takes milliseconds; a machine that eight people share may take its time.
const START_MS = 20_000;

const REDIS = 'redis-server';
// Of the machine, or as scripts/valkey.sh unpacks it.
const VALKEYS = ['valkey-server', fileURLToPath(new URL('../../../../../.cache/valkey/usr/bin/valkey-server', import.meta.url))];
const [VALKEY] = VALKEYS.filter(isInstalled);

/** What most tests run on: Redis, unless UNDERSTUDY_REDIS_PROGRAM says `valkey-server`. */
const PROGRAM = process.env['UNDERSTUDY_REDIS_PROGRAM'] === 'valkey-server' ? (VALKEY ?? 'valkey-server') : REDIS;

/** The programs of this machine that the store must work with. Redis must be there; Valkey may be. */
export function serverPrograms(): readonly { readonly name: string; readonly program: string }[] {
  const redis = { name: 'Redis', program: REDIS };
  if (VALKEY !== undefined) return [redis, { name: 'Valkey', program: VALKEY }];
  process.stderr.write('valkey-server is not there: the store is NOT tested on Valkey in this run\n');
  return [redis];
}

function isInstalled(program: string): boolean {
  return spawnSync(program, ['--version']).error === undefined;
}

export async function startRedis(options: ServerOptions = {}): Promise<TestServer> {
  const { program = PROGRAM, settings = [], under = [] } = options;
  if (!isInstalled(program)) {
    throw new Error(
      `cannot test the Redis store: ${program} is not installed. Run npm test once, which installs it, or set UNDERSTUDY_SKIP_REDIS=1 to leave these tests out`,
    );
  }
  const directory = options.directory ?? mkdtempSync(path.join(tmpdir(), 'understudy-redis-'));
  const port = await freePort();
  let child: ChildProcess | undefined;
  let output = '';

  const words = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--appendonly', 'yes'];
  words.push('--appendfsync', 'always', '--save', '', '--logfile', '', ...settings);
  const cli = (...rest: readonly string[]): string =>
    execFileSync('redis-cli', ['-e', '-p', String(port), ...rest], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim();

  async function start(): Promise<void> {
    const [command = program, ...rest] = [...under, program, ...words];
    // In a group of its own: a tracer that is killed would leave what it traced.
    const started = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    child = started;
    started.stdout.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-4000)));
    started.stderr.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-4000)));
    const endMs = performance.now() + START_MS;
    for (;;) {
      if (started.exitCode !== null || performance.now() > endMs) throw new Error(`${program} does not start: ${output}`);
      const answer = spawnSync('redis-cli', ['-p', String(port), 'ping'], { encoding: 'utf8' });
      if (answer.stdout.includes('PONG')) return;
      await sleep(10);
    }
  }

  const ended = async (): Promise<void> => {
    if (child !== undefined && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  };
  const killGroup = (): void => {
    const isRunning = child?.exitCode === null && child.signalCode === null;
    if (isRunning && child?.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  const kill = async (): Promise<void> => {
    killGroup();
    await ended();
  };
  // However the tests end, nothing is left behind.
  process.once('exit', killGroup);
  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}/0?timeout-ms=15000`,
    directory,
    kill,
    signal: (signal) => void child?.kill(signal),
    start,
    ended,
    cli,
    close: async () => {
      child?.kill('SIGCONT');
      await kill();
      process.off('exit', killGroup);
      if (options.directory === undefined) rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Three primaries without replicas. */
export async function startCluster(): Promise<{ readonly servers: readonly TestServer[]; close(): Promise<void> }> {
  const servers: TestServer[] = [];
  const close = async (): Promise<void> => {
    for (const server of servers) await server.close();
  };
  try {
    const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '5000', '--cluster-port'];
    for (let n = 0; n < 3; n += 1) servers.push(await startRedis({ settings: [...settings, String(await freePort())] }));
    const nodes = servers.map(({ port }) => `127.0.0.1:${port}`);
    execFileSync('redis-cli', ['--cluster', 'create', ...nodes, '--cluster-replicas', '0', '--cluster-yes'], {
      encoding: 'utf8',
    });
    for (const server of servers) {
      while (!server.cli('cluster', 'info').includes('cluster_state:ok')) await sleep(20);
    }
    return { servers, close };
  } catch (error) {
    await close();
    throw error;
  }
}
