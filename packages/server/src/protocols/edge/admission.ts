/** Who may ask about flags, and with which state they are answered. The flag protocols with keys in headers depend on it. */
import { AppError } from '@understudy/core/errors';
import type { FlagState, KeyCheck, ProtocolPorts } from '../flag-world.ts';

/** A caller whose key is known. */
export interface Admission {
  readonly state: FlagState;
  readonly key: Extract<KeyCheck, { readonly outcome: 'known' }>;
}

/**
 * @param secrets the forms that the caller's key may have, most likely first
 * @throws AppError 503 while nothing is loaded or keys cannot be looked up, 401 when no form is a key for sure
 */
export async function admit(ports: Pick<ProtocolPorts, 'world' | 'keys'>, secrets: readonly string[]): Promise<Admission> {
  const state = ports.world.now();
  if (state === undefined) throw new AppError('snapshot.missing', 'the flags are not loaded yet; try again');
  if (secrets.length === 0) throw new AppError('auth.missing_token', 'the request has no SDK key');
  for (const secret of secrets) {
    const key = await ports.keys.check(secret).catch(unavailable);
    if (key.outcome === 'known') return { state, key };
    if (key.outcome === 'unavailable') unavailable();
  }
  throw new AppError('auth.invalid_token', 'the SDK key of the request is unknown');
}

/** SDKs come back after it, which they do not after being told that their key is unknown. */
function unavailable(cause?: unknown): never {
  throw new AppError('store.busy', 'SDK keys cannot be looked up at the moment; try again', { cause });
}
