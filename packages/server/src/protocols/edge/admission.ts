/** Who may ask about flags, and with which state they are answered. All flag protocols depend on it. */
import { AppError } from '@understudy/core/errors';
import type { FlagState, KeyCheck, ProtocolPorts } from '../flag-world.ts';
import { checkKey } from './key-check.ts';

/** A caller whose key is known. */
export interface Admission {
  readonly state: FlagState;
  readonly key: Extract<KeyCheck, { readonly outcome: 'known' }>;
}

/** What a request presents. */
export interface Presented {
  /** The forms that the caller's key may have, most likely first; none when there is no key. */
  readonly secrets: readonly string[];
  /** Where the key belongs, for people who left it out. */
  readonly place: string;
}

/** @throws AppError 503 while nothing is loaded or keys cannot be looked up, 401 when no form is a key for sure */
export async function admit(
  ports: Pick<ProtocolPorts, 'world' | 'keys' | 'log'>,
  { secrets, place }: Presented,
): Promise<Admission> {
  const state = stateOf(ports);
  if (secrets.length === 0) throw new AppError('auth.missing_token', `the request has no SDK key: send it as ${place}`);
  for (const secret of secrets) {
    const key = await checkKey(ports, secret);
    if (key.outcome === 'known') return { state, key };
    if (key.outcome === 'unavailable') {
      throw new AppError('store.busy', 'SDK keys cannot be looked up at the moment; try again');
    }
  }
  throw new AppError(
    'auth.invalid_token',
    'the SDK key is unknown: it is mistyped, was revoked, or belongs to another environment',
  );
}

/** @throws AppError 503 while nothing is loaded */
export function stateOf({ world }: Pick<ProtocolPorts, 'world'>): FlagState {
  const state = world.now();
  if (state === undefined) throw new AppError('snapshot.missing', 'the flags are not loaded yet; try again in a moment');
  return state;
}
