/** What an error of Redis or of the connection to it means for the caller. The link to the server throws nothing else. */
import { AppError, type ErrorCode } from '@understudy/core/errors';

/** What an attempt that failed leaves to do. */
export type Prospect =
  /** The same commands may be sent again: the connection broke, or the server asks for a moment. */
  | 'again'
  /** Sending them again would fail again. */
  | 'refused';

interface Refusal {
  readonly code: ErrorCode;
  readonly fix: string;
}

// By the first word of the server's answer.
const REFUSALS: Readonly<Record<string, Refusal>> = {
  OOM: { code: 'store.write_failed', fix: 'the server is at its maxmemory: give it more, nothing was changed' },
  MISCONF: {
    code: 'store.write_failed',
    fix: "the server cannot write to its disk: make room or repair it (see the server's log)",
  },
  NOREPLICAS: { code: 'store.write_failed', fix: 'bring the replicas back, or lower min-replicas-to-write; nothing was changed' },
  READONLY: { code: 'store.write_failed', fix: 'the address is that of a replica: give that of the primary' },
  WRONGTYPE: { code: 'store.corrupt', fix: 'another program wrote to our keys: give Understudy a database of its own' },
  NOAUTH: { code: 'config.invalid', fix: 'put user and password into the address' },
  WRONGPASS: { code: 'config.invalid', fix: 'check user and password in the address' },
  NOPERM: { code: 'config.invalid', fix: 'let this user run the commands of docs/how-to/redis.md' },
  CROSSSLOT: { code: 'store.corrupt', fix: 'this is a bug: please report it' },
  LOADING: { code: 'store.busy', fix: 'the server is loading its data: try again in a moment' },
  BUSY: { code: 'store.busy', fix: 'a script of another program blocks the server: end it with SCRIPT KILL' },
  TRYAGAIN: { code: 'store.busy', fix: 'the cluster is moving data: try again in a moment' },
  CLUSTERDOWN: { code: 'store.busy', fix: 'the cluster has no majority: bring its nodes back' },
  MASTERDOWN: { code: 'store.busy', fix: 'the server has lost its primary: bring it back' },
};

// A replica that was promoted or an overloaded server is often well again within the patience of one call.
const TEMPORARY = new Set(['LOADING', 'BUSY', 'TRYAGAIN', 'CLUSTERDOWN', 'MASTERDOWN', 'READONLY']);

/** Whether an error is an answer of the server, so that nothing of that command was done later. */
export function isAnswer(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

/** Whether a script is unknown to the server, after a restart for example. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && isAnswer(error) && wordOf(error) === 'NOSCRIPT';
}

/** What can be done about an error; undefined when it is a bug of ours. */
export function prospectOf(error: unknown): Prospect | undefined {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) return undefined;
  if (!isAnswer(error)) return 'again';
  if (lacksPermission(error)) return 'refused';
  if (isKilledScript(error) || TEMPORARY.has(wordOf(error))) return 'again';
  return wordOf(error) in REFUSALS ? 'refused' : undefined;
}

/** The error that the port promises. `outcome` says what is known of the change. */
export function failureOf(
  error: Error,
  attempt: string,
  { place, outcome }: { readonly place: string; readonly outcome: string },
): AppError {
  const cause = { cause: withoutCommand(error) };
  const refusal = isAnswer(error) ? REFUSALS[lacksPermission(error) ? 'NOPERM' : wordOf(error)] : undefined;
  if (refusal !== undefined) {
    return new AppError(
      refusal.code,
      `cannot ${attempt}: the Redis server ${place} says "${error.message}"; ${refusal.fix}`,
      cause,
    );
  }
  const code = outcome === UNKNOWN_OUTCOME ? 'store.write_failed' : 'store.busy';
  const said = isAnswer(error) ? `says "${error.message}"` : `does not answer (${error.message})`;
  return new AppError(code, `cannot ${attempt}: the Redis server ${place} ${said}; ${outcome}`, cause);
}

/** The same without what was sent, which the driver adds: it holds documents, and errors are logged. */
export function withoutCommand(error: Error): Error {
  const bare = new Error(error.message);
  bare.name = error.name;
  return bare;
}

/** When an answer was lost and could not be found out. */
export const UNKNOWN_OUTCOME = 'whether it happened is unknown: ask again with the same idempotency key';

/** Redis 6, Redis 7 and Valkey each say it in another way when it is a script that may not. */
function lacksPermission(error: Error): boolean {
  return wordOf(error) === 'NOPERM' || /can't run this command|NOPERM|has no permissions to run/.test(error.message);
}

function isKilledScript(error: Error): boolean {
  return error.message.includes('Script killed by user');
}

function wordOf(error: Error): string {
  return /^-?([A-Z]+)\b/.exec(error.message)?.[1] ?? '';
}
