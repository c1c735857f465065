/** Starts the commit loop, listens to its acknowledgements and waits for its end. The crash tests depend on it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { PlantedBugs } from '../sqlite-writer.ts';
import { CHILD_ENVIRONMENT } from './child-environment.contract.ts';
import type { Workload } from './operations.ts';

export interface ChildTask {
  readonly file: string;
  readonly first: number;
  readonly count: number;
  readonly workload: Workload;
  readonly planted: PlantedBugs;
}

/** How a run of the loop ended. */
export interface ChildRun {
  readonly exitCode: number | null;
  readonly isReady: boolean;
  /** Operations in the order they were acknowledged. */
  readonly acked: readonly number[];
  /** From the last sign of life to the end. */
  readonly silentMs: number;
  readonly errors: string;
}

const CHILD = fileURLToPath(new URL('./commit-loop.child.ts', import.meta.url));

/**
 * @param tracer command and arguments to run the child under; empty for none
 * @param killAfterMs kills the child so long after its loop began
 */
export function runChild(task: ChildTask, tracer: readonly string[], killAfterMs?: number): Promise<ChildRun> {
  return runLoop(
    [...tracer, process.execPath, CHILD, JSON.stringify(task)],
    killAfterMs === undefined ? undefined : { afterMs: killAfterMs, first: 'ready' },
  );
}

/**
 * Runs any program that says `ready` and then `ack` with a number for each thing it was promised.
 * @param words command and arguments
 * @param kill kills the child so long after its first `ready` or `ack`
 */
export async function runLoop(
  words: readonly string[],
  kill?: { readonly afterMs: number; readonly first: 'ready' | 'ack' },
): Promise<ChildRun> {
  const [command = '', ...rest] = words;
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: CHILD_ENVIRONMENT });
  let output = '';
  let errors = '';
  let lastSignMs = performance.now();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const isFirst = kill !== undefined && !output.includes(kill.first) && (output + text).includes(kill.first);
    if (isFirst) setTimeout(() => child.kill('SIGKILL'), kill.afterMs);
    output += text;
    lastSignMs = performance.now();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  await once(child, 'close');
  const silentMs = performance.now() - lastSignMs;
  // An acknowledgement counts when its line is whole: the client has read it.
  const lines = output.split('\n').slice(0, -1);
  const acked = lines.filter((line) => line.startsWith('ack ')).map((line) => Number(line.split(' ')[1]));
  return { exitCode: child.exitCode, isReady: lines[0] === 'ready', acked, silentMs, errors };
}
