/** Python programs as real processes, in the environment that `scripts/python-packages.sh` makes. Tests of Python SDKs depend on it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PYTHON = join(ROOT, '.cache/python/bin/python');
const EXAMPLES = join(ROOT, 'examples/python');
const PROBLEM = join(ROOT, '.cache/python-problem.txt');

const isSkipped = process.env['UNDERSTUDY_SKIP_PYTHON'] === '1';
if (isSkipped) console.warn('UNDERSTUDY_SKIP_PYTHON=1: the tests of the Python SDKs are SKIPPED');

/** `describe`, unless the one who runs the tests has said to go without Python. */
export const describeWithPython: typeof describe.skip = isSkipped ? describe.skip : describe;

/** A running Python program. */
export interface PythonProcess {
  /** What it wrote to stderr, line by line. */
  readonly log: readonly string[];
  /** Ends it, and waits until it has; SIGTERM unless told, so that it can send what it still has. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** A service of `examples/python`. */
export interface PythonService extends PythonProcess {
  readonly url: string;
}

/** A program that answers each line of JSON with one. */
export interface PythonDriver extends PythonProcess {
  ask(question: unknown): Promise<unknown>;
}

/** Starts a service on a free port and waits until it listens. */
export async function startService(module: string, env: Readonly<Record<string, string>>): Promise<PythonService> {
  const args = ['-m', 'uvicorn', '--app-dir', EXAMPLES, '--port', '0', '--no-access-log', `${module}:app`];
  const { child, log, onLine, failed, stop } = startPython(args, env);
  const listening = new Promise<string>((resolve) => {
    onLine((line) => {
      const [, url] = /Uvicorn running on (http:\/\/[\d.:]+)/.exec(line) ?? [];
      if (url !== undefined) resolve(url);
    });
  });
  child.stdout?.resume();
  return { url: await Promise.race([listening, failed]), log, stop };
}

/** Starts a script that lies beside the tests. */
export function startDriver(script: string, args: readonly string[]): PythonDriver {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { child, log, failed, stop } = startPython([path, ...args], {});
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('a driver has pipes');
  const waiting: ((line: string) => void)[] = [];
  createInterface({ input: stdout }).on('line', (line) => waiting.shift()?.(line));
  return {
    log,
    stop,
    async ask(question) {
      const answered = new Promise<string>((resolve) => waiting.push(resolve));
      stdin.write(`${JSON.stringify(question)}\n`);
      const answer: unknown = JSON.parse(await Promise.race([answered, failed]));
      return answer;
    },
  };
}

interface Started {
  readonly child: ChildProcess;
  readonly log: readonly string[];
  readonly onLine: (listener: (line: string) => void) => void;
  /** Rejects when the program ends before it was asked to. */
  readonly failed: Promise<never>;
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>;
}

function startPython(args: readonly string[], env: Readonly<Record<string, string>>): Started {
  assertPython();
  const child = spawn(PYTHON, args, {
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1', NO_PROXY: '127.0.0.1', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const log: string[] = [];
  const lines = createInterface({ input: child.stderr }).on('line', (line) => log.push(line));
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`it ended with ${String(code ?? signal)}`));
  });
  const failed = ended.then((why) => {
    throw new Error(`python ${args.join(' ')}: ${why}\n${log.slice(-20).join('\n')}`);
  });
  // Whoever waits for an answer sees it; nobody has to be waiting.
  failed.catch(() => undefined);
  return {
    child,
    log,
    onLine: (listener) => void lines.on('line', listener),
    failed,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      await ended;
    },
  };
}

/** @throws Error that says how to get the Python SDKs when they are missing */
export function assertPython(): void {
  if (existsSync(PYTHON) && existsSync(join(ROOT, '.cache/python/requirements.sha256'))) return;
  const why = existsSync(PROBLEM)
    ? readFileSync(PROBLEM, 'utf8')
    : 'They come with `npm test`, or `sh scripts/python-packages.sh`.';
  throw new Error(`the Python SDKs that this test runs are not installed. ${why}`);
}
