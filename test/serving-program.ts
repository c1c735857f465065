/** `understudy serve` as a process of its own: whatever stops, kills or misleads one in a test starts it here. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CHILD_ENVIRONMENT } from '../packages/server/src/storage/crash/child-environment.contract.ts';

const PROGRAM = fileURLToPath(new URL('../packages/server/bin/understudy.js', import.meta.url));

// Long enough for a machine that is busy.
const GREETS_WITHIN_MS = 40_000;

export interface ServingProgram {
  /** What it has printed when it began to listen. */
  readonly greeting: string;
  /** Addresses; empty where its role has none. */
  readonly controlUrl: string;
  readonly gatewayUrl: string;
  /** The first admin token. @throws Error unless this start made it */
  readonly firstToken: () => string;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Asks it to end, and waits. @returns its exit code */
  readonly stop: () => Promise<number | null>;
  /** Ends it without any warning, if it still runs. */
  readonly kill: () => Promise<void>;
}

export interface ServingOptions {
  /** By their names in the environment, without `UNDERSTUDY_`. Ports are free ones unless they are given. */
  readonly settings: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What else is in its environment; as much as in ours unless given. */
  readonly env?: NodeJS.ProcessEnv;
  /** A program and its arguments that start what stands behind them, such as strace. */
  readonly under?: readonly string[];
}

/** Starts it, and waits until it greets. Nothing is left behind, however the tests end. */
export async function startServing({
  settings,
  cwd,
  env = CHILD_ENVIRONMENT,
  under = [],
}: ServingOptions): Promise<ServingProgram> {
  const all = { CONTROL_PORT: '0', GATEWAY_PORT: '0', LOG_LEVEL: 'warn', ...settings };
  const named = Object.entries(all).map(([name, value]) => [`UNDERSTUDY_${name}`, value] as const);
  const [command, ...args] = [...under, process.execPath, PROGRAM, 'serve'];
  const child = spawn(command, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...env, ...Object.fromEntries(named) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(child, 'close').finally(() => process.off('exit', kill));
  let problems = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (problems = (problems + text).slice(-4000)));
  const limit = setTimeout(kill, GREETS_WITHIN_MS);
  // It greets in one write.
  const greeted = new Promise<string>((resolve) => child.stdout.setEncoding('utf8').once('data', resolve));
  const greeting = await Promise.race([greeted, ended.then(() => undefined)]).finally(() => clearTimeout(limit));
  if (greeting === undefined) throw new Error(`the program ended before it greeted, or did not greet in time: ${problems}`);
  return {
    greeting,
    controlUrl: /^control plane +(\S+)/m.exec(greeting)?.[1] ?? '',
    gatewayUrl: /^gateway +(\S+)/m.exec(greeting)?.[1] ?? '',
    firstToken: () => {
      const token = /shown this once:\s+(\S+)/.exec(greeting)?.[1];
      if (token === undefined) throw new Error(`this start showed no token: ${greeting}`);
      return token;
    },
    signal: (signal) => void child.kill(signal),
    stop: async () => {
      if (under.length === 0) child.kill('SIGTERM');
      else process.kill(onlyChildOf(child.pid), 'SIGTERM');
      await ended;
      return child.exitCode;
    },
    kill: async () => {
      kill();
      await ended;
    },
  };
}

function onlyChildOf(parent: number | undefined): number {
  const [first = ''] = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ');
  if (first === '') throw new Error(`process ${parent} has no child`);
  return Number(first);
}
