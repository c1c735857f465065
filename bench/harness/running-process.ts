// Starts programs pinned to one core and stops them whatever happens; everything the benchmarks launch goes through here.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

// The server has one core and its load the other, so "one core" means the same for every contestant.
export const SERVER_CORE = 0;
export const LOAD_CORE = 1;

const STOP_GRACE_MS = 3_000;
const KEPT_OUTPUT_CHARS = 64_000;

export interface ProcessRequest {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Left out: the process may run on any core. */
  readonly core?: number;
  readonly cwd?: string;
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Gives a Node program a channel, on which it is heard and can be told. */
  readonly onMessage?: (message: unknown) => void;
}

export interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  readonly isRunning: () => boolean;
  /** The end of what it wrote, both streams, for error messages. */
  readonly output: () => string;
  /** Tells a program that was started with `onMessage`. */
  readonly send: (message: object) => void;
  readonly stop: () => Promise<void>;
}

interface LaunchedProcess extends RunningProcess {
  readonly stdout: Readable;
  readonly closed: Promise<number | undefined>;
}

const running = new Set<LaunchedProcess>();

/** @throws Error when the command cannot be started at all */
export async function startProcess(request: ProcessRequest): Promise<RunningProcess> {
  return await launch(request);
}

/**
 * Runs a command to its end.
 * @returns its standard output
 * @throws Error when it fails or is still running at the deadline
 */
export async function runCommand(request: ProcessRequest, deadlineMs: number): Promise<string> {
  const launched = await launch(request);
  let stdout = '';
  launched.stdout.on('data', (text: string) => {
    stdout += text;
  });
  const deadline = new AbortController();
  const late = sleep(deadlineMs, 'late' as const, { signal: deadline.signal }).catch(() => 'late' as const);
  const outcome = await Promise.race([launched.closed, late]);
  deadline.abort();
  if (outcome === 0) return stdout;
  await launched.stop();
  const problem = outcome === 'late' ? `was still running after ${deadlineMs} ms` : `ended with code ${outcome ?? 'none'}`;
  throw new Error(`${request.name} ${problem}: ${launched.output()}`);
}

/** Ends everything that is still running, servers and commands alike. */
export async function stopAllProcesses(): Promise<void> {
  await Promise.allSettled([...running].map((each) => each.stop()));
}

/** The last resort of an exiting process, which cannot wait: kills at once. */
export function killAllProcesses(): void {
  for (const each of running) signalGroup(each.pid, 'SIGKILL');
}

async function launch({ name, command, args, core, cwd, env, onMessage }: ProcessRequest): Promise<LaunchedProcess> {
  const [program, programArgs] = core === undefined ? [command, args] : ['taskset', ['-c', String(core), command, ...args]];
  // Detached: its own process group, so that workers it forks are stopped with it.
  const options = { detached: true, env: { ...process.env, ...env }, ...(cwd === undefined ? {} : { cwd }) };
  const child = spawn(program, [...programArgs], {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe', onMessage === undefined ? 'ignore' : 'ipc'],
  });
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error(`${name} was started without its output`);
  let output = '';
  for (const stream of [stdout, stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-KEPT_OUTPUT_CHARS);
    });
  }
  const closed = new Promise<number | undefined>((resolve) => {
    child.once('close', (code) => resolve(code ?? undefined));
  });
  const pid = await pidOf(child, name);
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const stop = (): Promise<void> => stopGroup(pid, closed);
  if (onMessage !== undefined) child.on('message', onMessage);
  const send = (message: object): void => void child.send(message);
  const launched = { name, pid, stdout, closed, isRunning, send, output: () => output, stop };
  running.add(launched);
  void closed.then(() => running.delete(launched));
  return launched;
}

function pidOf(child: ChildProcess, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new Error(`cannot start ${name}: ${cause.message}`, { cause })));
    child.once('spawn', () => {
      if (child.pid !== undefined) resolve(child.pid);
    });
  });
}

async function stopGroup(pid: number, closed: Promise<unknown>): Promise<void> {
  signalGroup(pid, 'SIGTERM');
  const grace = new AbortController();
  const patience = sleep(STOP_GRACE_MS, undefined, { signal: grace.signal }).catch(() => undefined);
  await Promise.race([closed, patience]);
  grace.abort();
  // Also after a clean end: a worker that outlived its parent is still in the group.
  signalGroup(pid, 'SIGKILL');
  await closed;
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // ESRCH: the group has already ended, which is what we want.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
