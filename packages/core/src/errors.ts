/** The one error type for "the caller or the outside world is wrong", and the table of its codes. Everything above depends on it. */

/**
 * Every public error code with the HTTP status it is answered with. Codes are public API: `docs/errors.md` has one row
 * for each, and a test compares the two.
 */
export const ERROR_STATUS = {
  'artifact.checksum_mismatch': 422,
  'artifact.empty': 400,
  'artifact.executable_format': 415,
  'artifact.invalid': 422,
  'artifact.not_found': 404,
  'artifact.too_large': 413,
  'artifact.unsupported_format': 415,
  'auth.forbidden': 403,
  'auth.invalid_token': 401,
  'auth.missing_token': 401,
  'baseline.not_enough_data': 409,
  'config.invalid': 400,
  'flag.already_exists': 409,
  'flag.changed': 409,
  'flag.in_use': 409,
  'flag.invalid': 400,
  'flag.not_found': 404,
  'flag.reserved': 409,
  'freeze.active': 409,
  'freeze.not_found': 404,
  'gateway.unreachable': 503,
  'hook.already_exists': 409,
  'hook.forbidden_address': 400,
  'hook.not_found': 404,
  'idempotency.key_reused': 422,
  'internal.unexpected': 500,
  'model.already_exists': 409,
  'model.invalid_output': 502,
  'model.killed': 409,
  'model.loading': 503,
  'model.name_required': 400,
  'model.no_champion': 409,
  'model.not_found': 404,
  'model.not_killed': 409,
  'model.run_failed': 500,
  'model.runtime_missing': 503,
  'plan.invalid': 400,
  'plan.not_found': 404,
  'protocol.unsupported': 406,
  'request.body_too_large': 413,
  'request.deadline_exceeded': 504,
  'request.invalid': 400,
  'request.method_not_allowed': 405,
  'request.not_found': 404,
  'request.overloaded': 503,
  'request.shutting_down': 503,
  'request.unsupported_media_type': 415,
  'rollback.no_target': 409,
  'rollback.unsafe_target': 409,
  'rollout.already_live': 409,
  'rollout.approval_missing': 409,
  'rollout.approval_refused': 409,
  'rollout.invalid_transition': 409,
  'rollout.not_found': 404,
  'rollout.start_refused': 409,
  'rollout.unfit_challenger': 409,
  'segment.changed': 409,
  'segment.in_use': 409,
  'segment.invalid': 400,
  'segment.not_found': 404,
  'snapshot.missing': 503,
  'store.busy': 503,
  'store.conflict': 409,
  'store.corrupt': 500,
  'store.locked': 503,
  'store.not_empty': 409,
  'store.write_failed': 503,
  'token.not_found': 404,
  'upstream.bad_response': 502,
  'upstream.forbidden_address': 400,
  'upstream.unreachable': 502,
  'version.already_exists': 409,
  'version.in_use': 409,
  'version.not_found': 404,
  'version.not_loaded': 409,
  'version.quarantined': 409,
} as const;

/** A code of {@link ERROR_STATUS}: `noun.problem`. */
export type ErrorCode = keyof typeof ERROR_STATUS;

/**
 * The caller or the outside world is wrong. The message says what was attempted, what is wrong with the values, and how
 * to fix it; it is shown to people as it is. A bug of ours is a plain `Error` instead.
 */
export class AppError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'AppError';
    this.code = code;
  }

  /** The HTTP status this error is answered with. */
  get status(): number {
    return ERROR_STATUS[this.code];
  }
}

/**
 * Tells an {@link AppError} of a given code from everything else that may be thrown.
 * @param codes any of these; none means any AppError
 */
export function isAppError(error: unknown, ...codes: readonly ErrorCode[]): error is AppError {
  return error instanceof AppError && (codes.length === 0 || codes.includes(error.code));
}
