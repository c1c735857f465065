/** The command line in the real process: its streams, Ctrl-C and exit code. `main.ts` depends on it. */
import type { ExitCode } from './exit-codes.ts';
import type { CliIo } from './io.ts';
import type { ProgramDeps } from './program.ts';
import { runCli } from './run-cli.ts';

const DEFAULT_COLUMNS = 80;

/** What the process cannot find out by itself. */
export type ProcessDeps = Pick<ProgramDeps, 'env' | 'clock' | 'release' | 'localChecks' | 'extraCommands'>;

/** Runs the words that the process was started with and sets its exit code. Ctrl-C ends it at once. */
export async function runProcess(deps: ProcessDeps): Promise<void> {
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort();
  process.once('SIGINT', onSignal);
  // A reader that has enough, such as `head`, is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const code = await runCli(process.argv.slice(2), {
    ...deps,
    io: processIo(),
    cwd: process.cwd(),
    interrupt: interrupt.signal,
  });
  process.removeListener('SIGINT', onSignal);
  finish(code, interrupt.signal.aborted);
}

function processIo(): CliIo {
  const { stdin, stdout, stderr } = process;
  return {
    stdin,
    stdout,
    stderr,
    isTty: stdout.isTTY,
    canAsk: stdin.isTTY && stderr.isTTY,
    get columns() {
      return stdout.columns > 0 ? stdout.columns : DEFAULT_COLUMNS;
    },
  };
}

/** After an interrupt something may still be under way, and nobody waits for it. */
function finish(code: ExitCode, isInterrupted: boolean): void {
  process.exitCode = code;
  if (isInterrupted) process.exit(code);
}
