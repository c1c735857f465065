/** The question before a severe change, and what scripts do instead of answering it. */
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Session } from './session.ts';
import { UsageError } from './usage-error.ts';

/**
 * Asks y/N, default no, after saying what will happen. Not with `--yes` or `--dry-run`.
 * @returns the exit code to end with, or undefined to go on
 * @throws UsageError when nobody can be asked
 */
export async function confirm(session: Session, effect: readonly string[]): Promise<ExitCode | undefined> {
  if (session.isDryRun) return undefined;
  for (const line of effect) session.note(line);
  if (session.isConfirmed) return undefined;
  if (!session.canAsk) throw new UsageError('this asks for a confirmation, and nobody can be asked here: add --yes');
  const { confirm: question } = await import('@clack/prompts');
  const { io } = session.deps;
  const answer = await question({
    message: 'Go on?',
    initialValue: false,
    input: io.stdin,
    output: io.stderr,
    signal: session.signal,
  });
  if (answer === true) return undefined;
  session.note('Nothing was changed.');
  return EXIT.error;
}
