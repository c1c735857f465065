/** Who presents a key of an SDK: tokens in other systems' forms, looked up by digest, and our own. Flag protocols let SDKs in by it. */
import { allows, type Token } from '@understudy/core/token';
import type { Clock } from '../clock.ts';
import { digestOf, foreignFamily, isDigestOf, parseToken } from '../token-secret.ts';

/** `server` keys read all rules; `client` keys read evaluated flags only. */
export type KeyAnswer =
  | { readonly outcome: 'known'; readonly name: string; readonly use: 'server' | 'client' }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'unavailable' };

export interface SdkKeys {
  /** `unknown` is said only after a look at what is stored now: SDKs give up for good on it. */
  check(secret: string): Promise<KeyAnswer>;
}

export interface SdkKeysPorts {
  readonly tokens: {
    tokens(): readonly Token[] | undefined;
    /** @returns whether the tokens at hand are those that are stored */
    refresh(): Promise<boolean>;
  };
  readonly clock: Clock;
}

interface Index {
  readonly of: readonly Token[] | undefined;
  readonly byId: ReadonlyMap<string, Token>;
  readonly byDigest: ReadonlyMap<string, Token>;
}

// Longer than any key; what is longer is not hashed.
const MAX_LENGTH = 500;

export function openSdkKeys({ tokens, clock }: SdkKeysPorts): SdkKeys {
  let index = indexOf(tokens.tokens());

  function find(secret: string): KeyAnswer | undefined {
    const newest = tokens.tokens();
    if (newest !== index.of) index = indexOf(newest);
    const token = tokenOf(index, secret);
    if (token === undefined) return undefined;
    if (token.expiresAtMs !== undefined && clock.nowMs() >= token.expiresAtMs) return undefined;
    if (allows(token.scopes, 'flags')) return { outcome: 'known', name: token.name, use: 'server' };
    return allows(token.scopes, 'flags-client') ? { outcome: 'known', name: token.name, use: 'client' } : undefined;
  }

  return {
    async check(secret) {
      if (secret.length > MAX_LENGTH) return { outcome: 'unknown' };
      const known = find(secret);
      if (known !== undefined) return known;
      // The key may be newer than what is at hand.
      const isCurrent = await tokens.refresh();
      return find(secret) ?? { outcome: isCurrent ? 'unknown' : 'unavailable' };
    },
  };
}

function indexOf(tokens: readonly Token[] | undefined): Index {
  const all = tokens ?? [];
  const foreign = all.filter(({ sdk }) => foreignFamily(sdk) !== undefined);
  return {
    of: tokens,
    byId: new Map(all.filter(({ sdk }) => foreignFamily(sdk) === undefined).map((token) => [token.id, token])),
    byDigest: new Map(foreign.map((token) => [token.sha256, token])),
  };
}

function tokenOf({ byId, byDigest }: Index, secret: string): Token | undefined {
  const parts = parseToken(secret);
  const token = parts === undefined ? byDigest.get(digestOf(secret)) : byId.get(parts.id);
  return token !== undefined && isDigestOf(parts?.secret ?? secret, token.sha256) ? token : undefined;
}
