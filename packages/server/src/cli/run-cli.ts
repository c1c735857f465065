/** Runs one command line in this process and gives back its exit code. `run-process.ts` and the tests depend on it. */
import { isAppError } from '@understudy/core/errors';
import { CommanderError } from 'commander';
import type { NameKind } from './command.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { describeFailure, exitCodeOfError } from './failure.ts';
import { lookUpNames } from './name-lookup.ts';
import { nearestOf } from './nearest.ts';
import { paletteOf, wantsColor } from './palette.ts';
import { buildProgram, type ProgramDeps, type Run } from './program.ts';
import { plain } from './terminal-text.ts';

// Only to find a name that was probably meant; an error should not keep anybody waiting.
const SUGGESTION_PATIENCE_MS = 500;

/** @param argv the words after the program's name */
export async function runCli(argv: readonly string[], deps: ProgramDeps): Promise<ExitCode> {
  const run: Run = {};
  const interrupted = interruptOf(deps.interrupt);
  try {
    const parsed = buildProgram(deps, run).parseAsync([...argv], { from: 'user' });
    const winner = await Promise.race([parsed.then(() => 'done' as const), interrupted.then(() => afterInterrupt(run, parsed))]);
    return winner === 'done' ? (run.code ?? EXIT.ok) : winner;
  } catch (error) {
    if (error instanceof CommanderError) return exitCodeOfCommander(error);
    if (deps.interrupt?.aborted === true) return sayInterrupted(run, deps);
    await sayFailure(error, run, { argv, deps });
    return exitCodeOfError(error);
  }

  async function afterInterrupt(current: Run, parsed: Promise<unknown>): Promise<ExitCode> {
    if (current.command?.endsItself !== true) {
      // Its failure is the interrupt itself, and nobody waits for it any more.
      parsed.catch(() => {});
      return sayInterrupted(current, deps);
    }
    await parsed;
    return current.code ?? EXIT.ok;
  }
}

function interruptOf(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    signal?.addEventListener('abort', () => resolve(), { once: true });
  });
}

function sayInterrupted({ session }: Run, { io }: ProgramDeps): ExitCode {
  const rest = session === undefined || session.afterInterrupt === '' ? 'nothing was changed' : session.afterInterrupt;
  io.stderr.write(`${plain(`Interrupted; ${rest}`)}\n`);
  return EXIT.interrupted;
}

/** Commander has written its message, or the help, already. */
function exitCodeOfCommander(error: CommanderError): ExitCode {
  return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
}

interface Words {
  readonly argv: readonly string[];
  readonly deps: ProgramDeps;
}

async function sayFailure(error: unknown, run: Run, { argv, deps }: Words): Promise<void> {
  const { io, env } = deps;
  const isColored = wantsColor({ env, isTty: io.canAsk ?? io.isTty, flag: !argv.includes('--no-color') });
  const text = describeFailure(error, {
    palette: paletteOf(isColored),
    withStack: argv.includes('--debug'),
    command: run.command?.path ?? '',
    suggestion: await suggest(error, run, deps),
  });
  io.stderr.write(text);
}

/** The known name that is most like one that was not found. */
async function suggest(error: unknown, { command, session, typed = {} }: Run, deps: ProgramDeps): Promise<string | undefined> {
  const missing = missingKind(error);
  if (missing === undefined || session === undefined) return undefined;
  const argument = command?.arguments?.find(({ kind }) => kind === missing);
  const word = argument === undefined ? undefined : typed[argument.name];
  if (typeof word !== 'string') return undefined;
  const model = typed['model'];
  const lookup = {
    kind: missing,
    model: typeof model === 'string' ? model : undefined,
    withinMs: deps.patienceMs ?? SUGGESTION_PATIENCE_MS,
  };
  const near = nearestOf(word, await lookUpNames(session, lookup));
  return near === word ? undefined : near;
}

function missingKind(error: unknown): NameKind | undefined {
  if (isAppError(error, 'model.not_found')) return 'model';
  if (isAppError(error, 'version.not_found')) return 'version';
  if (isAppError(error, 'rollout.not_found')) return 'rollout';
  if (isAppError(error, 'flag.not_found')) return 'flag';
  if (isAppError(error, 'segment.not_found')) return 'segment';
  return isAppError(error, 'plan.not_found') ? 'plan' : undefined;
}
