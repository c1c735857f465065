/** Decides whether a request with an SDK key is answered. SDKs stop for good on 401 and 403: those are said only when sure. */
import { AppError } from '@understudy/core/errors';
import type { KeyCheck, ProtocolPorts } from '../flag-world.ts';

/** @returns the name of the key @throws AppError with the status to answer */
export async function admitKey(
  secret: string | undefined,
  { world, keys, log }: Pick<ProtocolPorts, 'world' | 'keys' | 'log'>,
): Promise<string> {
  if (world.now() === undefined) {
    throw new AppError('snapshot.missing', 'the flags are not loaded yet; try again in a moment');
  }
  if (secret === undefined || secret === '') {
    throw new AppError('auth.missing_token', 'the header "Authorization" must hold an SDK key, without "Bearer"');
  }
  const check = await keys.check(secret).catch((error: unknown): KeyCheck => {
    log.warn({ err: error }, 'launchdarkly.key_check_failed');
    return { outcome: 'unavailable' };
  });
  switch (check.outcome) {
    case 'known':
      if (check.use === 'server') return check.name;
      throw new AppError('auth.forbidden', `the key "${check.name}" is a client key; server-side SDKs need a server key`);
    case 'unknown':
      throw new AppError(
        'auth.invalid_token',
        'the SDK key is unknown: it is mistyped, was deleted, or belongs to another environment',
      );
    case 'unavailable':
      throw new AppError('store.busy', 'SDK keys cannot be looked up at the moment; try again');
  }
}

/** Whether a stream may stay open: a key that cannot be looked up right now has not lost its rights. */
export async function mayStay(secret: string, { keys }: Pick<ProtocolPorts, 'keys'>): Promise<boolean> {
  const check = await keys.check(secret);
  return check.outcome === 'unavailable' || (check.outcome === 'known' && check.use === 'server');
}
