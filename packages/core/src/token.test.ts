import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows, type Scope, SCOPES } from './token.ts';

fc.configureGlobal({ seed: 1 });

describe('allows', () => {
  it.each<{ has: Scope; allowed: readonly Scope[] }>([
    { has: 'flags-client', allowed: ['flags-client'] },
    { has: 'flags', allowed: ['flags-client', 'flags'] },
    { has: 'predict', allowed: ['predict'] },
    { has: 'feedback', allowed: ['feedback'] },
    { has: 'read', allowed: ['read'] },
    { has: 'operate', allowed: ['read', 'operate'] },
    { has: 'admin', allowed: SCOPES },
  ])('lets a token for $has do $allowed and nothing else', ({ has, allowed }) => {
    expect(SCOPES.filter((needed) => allows([has], needed))).toEqual(allowed);
  });

  it('lets a token without scopes do nothing', () => {
    expect(SCOPES.filter((needed) => allows([], needed))).toEqual([]);
  });

  it('lets several scopes do what each of them may, and no more', () => {
    fc.assert(
      fc.property(fc.subarray([...SCOPES]), fc.constantFrom(...SCOPES), (scopes, needed) => {
        expect(allows(scopes, needed)).toBe(scopes.some((scope) => allows([scope], needed)));
      }),
    );
  });
});
