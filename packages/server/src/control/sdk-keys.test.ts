import type { Scope, SdkFamily } from '@understudy/core/token';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HUMAN, openTestWorld, type TestWorld } from '../commands/test-world.ts';
import { createToken, revokeToken } from '../commands/tokens.ts';
import { compileRegex } from '../regex.ts';
import { type FlagFeed, openFlagFeed } from './flag-feed.ts';
import { openSdkKeys, type SdkKeys } from './sdk-keys.ts';

let world: TestWorld;
let feed: FlagFeed;
let keys: SdkKeys;

beforeEach(async () => {
  world = await openTestWorld();
  const log = { warn: (): void => {}, error: (): void => {} };
  feed = await openFlagFeed({ ...world.context, compileRegex, timers: { after: () => () => {} }, log });
  keys = openSdkKeys({ tokens: feed, clock: world.context.clock });
});

afterEach(() => feed.close());

interface Wish {
  readonly sdk: SdkFamily;
  readonly scope: Scope;
  readonly form: RegExp;
}

const FORMS: readonly Wish[] = [
  { sdk: 'unleash', scope: 'flags', form: /^\*:production\.[0-9a-f]{64}$/ },
  { sdk: 'unleash', scope: 'flags-client', form: /^\*:production\.[0-9a-f]{64}$/ },
  { sdk: 'launchdarkly', scope: 'flags', form: /^sdk-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/ },
  { sdk: 'flagsmith', scope: 'flags', form: /^ser\.[\w-]{43}$/ },
  { sdk: 'flagsmith', scope: 'flags-client', form: /^[\w-]{43}$/ },
  { sdk: 'openfeature', scope: 'flags', form: /^us_[0-9a-f]{12}_[\w-]{43}$/ },
  { sdk: 'openfeature', scope: 'flags-client', form: /^us_[0-9a-f]{12}_[\w-]{43}$/ },
];

describe('a key for an SDK', () => {
  it.each(FORMS)('of $sdk with $scope has the form it expects, and opens what it is for', async ({ sdk, scope, form }) => {
    const { secret, token } = await createToken(world.context, HUMAN, { name: 'shop', scopes: [scope], sdk });
    expect(secret).toMatch(form);
    expect(JSON.stringify(await world.store.readAll('production'))).not.toContain(secret);
    const use = scope === 'flags' ? 'server' : 'client';
    expect(await keys.check(secret)).toEqual({ outcome: 'known', name: 'shop', use });
    expect(await keys.check(`${secret.slice(0, -1)}${secret.endsWith('0') ? '1' : '0'}`)).toEqual({ outcome: 'unknown' });
    await revokeToken(world.context, HUMAN, { token: token.id });
    await feed.refresh();
    expect(await keys.check(secret)).toEqual({ outcome: 'unknown' });
  });

  it.each<{ readonly name: string; readonly sdk: SdkFamily; readonly scopes: readonly Scope[]; readonly says: string }>([
    { name: 'with another scope', sdk: 'unleash', scopes: ['read'], says: 'has exactly one, "flags" for servers' },
    { name: 'with two scopes', sdk: 'unleash', scopes: ['flags', 'flags-client'], says: 'has exactly one' },
    { name: 'for browsers of LaunchDarkly', sdk: 'launchdarkly', scopes: ['flags-client'], says: 'are not served' },
  ])('$name is refused', async ({ sdk, scopes, says }) => {
    await expect(createToken(world.context, HUMAN, { name: 'shop', scopes, sdk })).rejects.toThrow(says);
  });

  it('may be a token of ours with the scope', async () => {
    const { secret } = await createToken(world.context, HUMAN, { name: 'both', scopes: ['predict', 'flags'] });
    expect(await keys.check(secret)).toEqual({ outcome: 'known', name: 'both', use: 'server' });
    const other = await createToken(world.context, HUMAN, { name: 'other', scopes: ['predict'] });
    expect(await keys.check(other.secret)).toEqual({ outcome: 'unknown' });
  });

  it('ends when it expires', async () => {
    const input = { name: 'short', scopes: ['flags'], sdk: 'unleash', expiresInMs: 1000 } as const;
    const { secret } = await createToken(world.context, HUMAN, input);
    expect((await keys.check(secret)).outcome).toBe('known');
    world.wait(1000);
    expect((await keys.check(secret)).outcome).toBe('unknown');
  });

  it.each(['', 'us_', 'us_nobody_0123456789abcdef', '*:production.', 'x'.repeat(100_000)])(
    'that is %j is unknown',
    async (text) => {
      expect(await keys.check(text)).toEqual({ outcome: 'unknown' });
    },
  );

  it('is never called unknown while what is stored cannot be read', async () => {
    const { secret } = await createToken(world.context, HUMAN, { name: 'shop', scopes: ['flags'], sdk: 'unleash' });
    await feed.refresh();
    const broken = openSdkKeys({
      tokens: { tokens: () => feed.tokens(), refresh: () => Promise.resolve(false) },
      clock: world.context.clock,
    });
    expect((await broken.check(secret)).outcome).toBe('known');
    expect((await broken.check('something else')).outcome).toBe('unavailable');
  });
});
