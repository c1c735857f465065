/** Starts the commit loop on PostgreSQL, listens to its acknowledgements and kills it. The tests of faults depend on it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { CHILD_ENVIRONMENT } from './child-environment.contract.ts';

export interface PostgresTask {
  readonly address: string;
  readonly writer: string;
  readonly first: number;
}

const CHILD = fileURLToPath(new URL('./postgres-loop.child.ts', import.meta.url));

/** @param killAfterMs kills the child so long after its loop began */
export async function runPostgresChild(task: PostgresTask, killAfterMs: number) {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: CHILD_ENVIRONMENT,
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (output === '') setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  await once(child, 'close');
  // An acknowledgement counts when its line is whole: the client has read it.
  const lines = output.split('\n').slice(0, -1);
  const acked = lines.filter((line) => line.startsWith('ack ')).map((line) => Number(line.split(' ')[1]));
  return { acked, errors };
}
