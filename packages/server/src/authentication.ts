/** Who sends a request, by its bearer token and the hashes in the snapshot. Gateways and what serves them ask here. */
import { AppError } from '@understudy/core/errors';
import { allows, type Scope, type Token } from '@understudy/core/token';
import type { Clock } from './clock.ts';
import { isDigestOf, parseToken } from './token-secret.ts';

/** The sender of a request. */
export interface Caller {
  /** Undefined for a request without a token. */
  readonly token?: Token;
}

export interface Authentication {
  /** Takes over the tokens of a snapshot. */
  use(tokens: readonly Token[]): void;
  /**
   * The sender, who may do what is needed.
   * @param authorization the header's text
   * @throws AppError `auth.missing_token`, `auth.invalid_token`, `auth.forbidden`; `snapshot.missing` before the first snapshot
   */
  authenticate(authorization: string | undefined, needed: Scope): Caller;
}

const SCHEME = 'bearer ';
const PREFIX = 'us_';
const ANONYMOUS: Caller = {};
// As long as a digest, and none that a secret could be found for.
const NO_DIGEST = '0'.repeat(64);

/** @param allowAnonymous whether requests without one of our tokens may predict; a wrong token is refused all the same */
export function openAuthentication(clock: Clock, allowAnonymous: boolean): Authentication {
  // Undefined before the first snapshot: then nobody knows yet whose tokens are good.
  let tokens: ReadonlyMap<string, Token> | undefined;
  // Proven header texts: at most one for each token, so its size is the snapshot's.
  const proven = new Map<string, Caller>();

  const prove = (authorization: string): Caller => {
    if (tokens === undefined) {
      throw new AppError(
        'snapshot.missing',
        'cannot serve yet: there is no snapshot that says which tokens are good. Try again in a moment',
      );
    }
    const parts = parseToken(ownTokenOf(authorization) ?? '');
    if (parts === undefined) throw invalidToken();
    const token = tokens.get(parts.id);
    // An unknown id is compared too, so that the time does not tell ids apart.
    if (!isDigestOf(parts.secret, token?.sha256 ?? NO_DIGEST) || token === undefined) throw invalidToken();
    const caller = { token };
    proven.set(authorization, caller);
    return caller;
  };

  return {
    use(next) {
      tokens = new Map(next.map((token) => [token.id, token]));
      proven.clear();
    },
    authenticate(authorization, needed) {
      if (authorization === undefined || ownTokenOf(authorization) === undefined) {
        if (allowAnonymous && needed === 'predict') return ANONYMOUS;
        throw new AppError('auth.missing_token', 'cannot serve the request: it has no token. Send "Authorization: Bearer us_…"');
      }
      const caller = proven.get(authorization) ?? prove(authorization);
      assertAllowed(caller, needed, clock.nowMs());
      return caller;
    },
  };
}

/** Our token in an authorization header; undefined when the header is somebody else's. */
export function ownTokenOf(authorization: string): string | undefined {
  if (authorization.slice(0, SCHEME.length).toLowerCase() !== SCHEME) return undefined;
  const text = authorization.slice(SCHEME.length).trim();
  return text.startsWith(PREFIX) ? text : undefined;
}

/** @throws AppError `auth.invalid_token` when the token has expired, `auth.forbidden` when it lacks the scope */
export function assertAllowed({ token }: Caller, needed: Scope, nowMs: number): void {
  if (token === undefined) {
    throw new AppError('auth.forbidden', `cannot serve the request: it needs a token with the scope "${needed}"`);
  }
  if (token.expiresAtMs !== undefined && token.expiresAtMs <= nowMs) {
    throw new AppError(
      'auth.invalid_token',
      `token "${token.name}" expired at ${new Date(token.expiresAtMs).toISOString()}: make a new one`,
    );
  }
  if (!allows(token.scopes, needed)) {
    throw new AppError('auth.forbidden', `token "${token.name}" lacks the scope "${needed}": use a token that has it`);
  }
}

function invalidToken(): AppError {
  return new AppError(
    'auth.invalid_token',
    'cannot serve the request: the token is unknown or was revoked. Make a new one and send it whole',
  );
}
