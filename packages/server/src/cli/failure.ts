/** A failure in words: what, why, how to fix it, and the exit code. `runCli` ends every failing command through it. */
import { AppError, type ErrorCode } from '@understudy/core/errors';
import { EXIT, EXIT_OF, type ExitCode } from './exit-codes.ts';
import type { Palette } from './palette.ts';
import { plain } from './terminal-text.ts';
import { UsageError } from './usage-error.ts';

const HINTS: Partial<Readonly<Record<ErrorCode, string>>> = {
  'auth.missing_token': 'log in with `understudy login`, or set UNDERSTUDY_TOKEN_FILE',
  'auth.invalid_token': 'log in again with `understudy login`; the token may be revoked or of another environment',
  'auth.forbidden': 'ask an admin for a token with the scope: understudy token create <name> --scope operate',
  'upstream.unreachable': 'give the address with --url or UNDERSTUDY_URL; `understudy doctor` looks closer',
  'upstream.bad_response': 'check that the address is an Understudy control plane: understudy doctor',
  'model.not_found': 'see what there is: understudy model list',
  'version.not_found': 'see what there is: understudy version list <model>',
  'rollout.not_found': 'see what there is: understudy rollout list',
  'plan.not_found': 'see what there is: understudy plan list',
  'flag.not_found': 'see what there is: understudy flag list',
  'flag.changed': 'read it again with `understudy flag get <flag> -o yaml`, put your change in, and save that',
  'flag.already_exists': 'add --replace when they are to be replaced, or delete them first',
  'segment.not_found': 'see what there is: understudy segment list',
  'segment.changed': 'read it again with `understudy segment get <segment> -o yaml`, put your change in, and save that',
  'token.not_found': 'see what there is: understudy token list',
  'rollout.already_live': 'see it with `understudy rollout get <model>`; end it with promote, abort or rollback',
  'store.conflict': 'somebody changed it at the same time; look again, then repeat the command',
};

export interface FailureOptions {
  readonly palette: Palette;
  /** `--debug`. */
  readonly withStack: boolean;
  /** The command that was typed, for its help. */
  readonly command: string;
  /** A name that was probably meant. */
  readonly suggestion?: string | undefined;
}

/** How to fix what a code says, where that is always the same. */
export function hintOf(code: ErrorCode): string | undefined {
  return HINTS[code];
}

export function exitCodeOfError(error: unknown): ExitCode {
  if (error instanceof AppError) return EXIT_OF[error.code];
  return error instanceof UsageError ? EXIT.usage : EXIT.error;
}

/** Lines for stderr. Nothing of the outside world can act on the terminal in them. */
export function describeFailure(error: unknown, options: FailureOptions): string {
  const { palette, withStack, suggestion } = options;
  const message = error instanceof Error ? error.message : String(error);
  const lines = [`${palette.red('error:')} ${plain(message)}`];
  if (suggestion !== undefined) lines.push(`  did you mean "${plain(suggestion)}"?`);
  const fix = fixOf(error, options.command);
  if (fix !== undefined) lines.push(`  fix: ${fix}`);
  if (error instanceof AppError) lines.push(`  code: ${error.code}`);
  if (withStack) lines.push(...stackLines(error));
  return `${lines.join('\n')}\n`;
}

function fixOf(error: unknown, command: string): string | undefined {
  if (error instanceof AppError) return hintOf(error.code);
  if (error instanceof UsageError) return `see: ${`understudy ${command}`.trim()} --help`;
  return 'this is a bug of the command line; add --debug and report what it prints';
}

function stackLines(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [];
  const own = (error.stack ?? '').split('\n').map(plain);
  return error.cause === undefined ? own : [...own, 'caused by', ...stackLines(error.cause)];
}
