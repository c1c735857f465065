/** What LaunchDarkly's SDKs hash subjects with: one salt for a whole flag or segment, or a seed of a single split. Its renderer depends on it. */
import type { Bucketing } from './bucketing-profile.ts';
import type { Flag } from './flag.ts';

/** The document's salt, or a seed, which cannot be zero. */
export type LaunchDarklyHash = { readonly salt: string } | { readonly seed: number };

/**
 * @param key of the flag or segment, which SDKs put before its salt
 * @returns undefined when SDKs cannot compute the hash, whatever they are told
 */
export function launchDarklyHash({ profile, salt, prefix = '' }: Bucketing, key: string): LaunchDarklyHash | undefined {
  if (profile !== 'launchdarkly' || prefix !== '') return undefined;
  if (salt.startsWith(`${key}.`)) return { salt: salt.slice(key.length + 1) };
  return /^[1-9]\d{0,14}$/.test(salt) ? { seed: Number(salt) } : undefined;
}

/** The salt that a flag is written with: that of its fallthrough, or else of the first of its rules that needs one. */
export function launchDarklySalt({ key, fallthrough, rules, bucketing }: Flag): string {
  const splits = [fallthrough, ...rules.map(({ serve }) => serve)].filter((serve) => 'split' in serve);
  const needed = [...splits.map(({ split }) => split.bucketing ?? bucketing), bucketing];
  // Without one the shares stay right, and another salt still moves everybody.
  return firstSalt(needed, key) ?? bucketing.salt;
}

/** @returns undefined when none of the hashes needs a salt */
export function firstSalt(bucketings: readonly Bucketing[], key: string): string | undefined {
  const hash = bucketings.map((bucketing) => launchDarklyHash(bucketing, key)).find((one) => one !== undefined && 'salt' in one);
  return hash !== undefined && 'salt' in hash ? hash.salt : undefined;
}

/** Whether SDKs hash so when the document has this salt. */
export function isHashedWith(bucketing: Bucketing, { key, salt }: { readonly key: string; readonly salt: string }): boolean {
  const hash = launchDarklyHash(bucketing, key);
  return hash !== undefined && ('seed' in hash || hash.salt === salt);
}
