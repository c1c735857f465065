// `understudy serve` as a process of its own, as containers and units run it; tests of deploy/ start it.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../packages/server/src/free-port.contract.ts';
import { ROOT } from './image-recipe.ts';

const READY_WITHIN_MS = 30_000;
const MAX_PROBLEMS = 4096;

export interface Serving {
  readonly process: ChildProcess;
  /** What it has written to stdout so far. */
  readonly greeting: string;
  readonly controlPort: number;
  readonly gatewayPort: number;
  /** Sends SIGTERM to the program, and gives its exit code. */
  stop(): Promise<number | null>;
}

export interface ServingOptions {
  readonly cwd: string;
  readonly settings: Readonly<Record<string, string>>;
  /** A program and its arguments that start what stands behind them, such as strace. */
  readonly under?: readonly string[];
}

/** Starts it with nothing of the caller's environment, and waits until it is ready. */
export async function startServing({ cwd, settings, under = [] }: ServingOptions): Promise<Serving> {
  const [controlPort, gatewayPort] = [await freePort(), await freePort()];
  const ports = { UNDERSTUDY_CONTROL_PORT: `${controlPort}`, UNDERSTUDY_GATEWAY_PORT: `${gatewayPort}` };
  const env = { PATH: '/usr/bin:/bin', HOME: cwd, UNDERSTUDY_LOG_LEVEL: 'warn', ...ports, ...settings };
  const [command, ...args] = [...under, process.execPath, join(ROOT, 'packages/server/bin/understudy.js'), 'serve'];
  const child = spawn(command ?? process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const killed = (): boolean => child.kill('SIGKILL');
  // However the tests end, nothing is left behind.
  process.once('exit', killed);
  const ended = once(child, 'exit') as Promise<[number | null]>;
  void ended.then(() => process.off('exit', killed));
  let [greeting, problems] = ['', ''];
  const started = Promise.withResolvers<void>();
  // Written at once, so that the rest has come with the first line.
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    greeting += text;
    if (/^(?:control plane|gateway) .*\n/m.test(greeting)) started.resolve();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    problems = (problems + text).slice(-MAX_PROBLEMS);
  });
  void ended.then(([code]) => started.reject(new Error(`the program ended with ${code} before it was ready: ${problems}`)));
  const limit = setTimeout(() => {
    killed();
    started.reject(new Error(`the program was not ready within ${READY_WITHIN_MS} ms: ${problems}`));
  }, READY_WITHIN_MS);
  await started.promise.finally(() => clearTimeout(limit));
  return {
    process: child,
    get greeting() {
      return greeting;
    },
    controlPort,
    gatewayPort,
    async stop() {
      process.kill(under.length === 0 ? processIdOf(child) : childOf(processIdOf(child)), 'SIGTERM');
      const [code] = await ended;
      return code;
    },
  };
}

/** The admin token that the first start shows, found as deploy/compose/up.sh finds it in the log. */
export function firstTokenIn(greeting: string): string {
  const script = readFileSync(join(ROOT, 'deploy/compose/up.sh'), 'utf8');
  const [, sed] = /sed -n '([^']+)'/.exec(script) ?? [];
  if (sed === undefined) throw new Error('deploy/compose/up.sh does not take the token out of the log with sed any more');
  return execFileSync('sed', ['-n', sed], { input: greeting, encoding: 'utf8' }).trim();
}

function processIdOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('the program did not start');
  return child.pid;
}

function childOf(parent: number): number {
  const [first] = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ');
  if (first === undefined || first === '') throw new Error(`process ${parent} has no child`);
  return Number(first);
}
