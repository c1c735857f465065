/** How a token is written, read and checked. Gateway, control API and token commands share it, so that one token opens all doors. */
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type { SdkFamily } from '@understudy/core/token';

/** The two parts of a token: the id it is looked up by, and the secret that proves it. */
export interface TokenParts {
  readonly id: string;
  readonly secret: string;
}

// The prefix lets scanners find a leaked token; an id has no "_", so that the first one ends it.
const TOKEN = /^us_([0-9A-Za-z-]{1,64})_([0-9A-Za-z_-]{16,256})$/;

/** The token as it is sent: `us_ID_SECRET`. */
export function formatToken(id: string, secret: string): string {
  return `us_${id}_${secret}`;
}

/** @returns undefined when the text is not a token of ours */
export function parseToken(text: string): TokenParts | undefined {
  const [, id, secret] = TOKEN.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** 256 random bits as text. */
export function randomSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** Families whose SDKs expect keys of a form of their own. Those of OpenFeature send what they are given, so they get our tokens. */
export type ForeignFamily = Exclude<SdkFamily, 'openfeature'>;

/** @returns undefined for SDKs that take our own tokens */
export function foreignFamily(sdk: SdkFamily | undefined): ForeignFamily | undefined {
  return sdk === 'openfeature' ? undefined : sdk;
}

/** A new key in the form that the SDKs of a family expect: Unleash's name the environment, Flagsmith's for servers begin with `ser.`. */
export function newSdkKey(
  family: ForeignFamily,
  { environment, use }: { readonly environment: string; readonly use: 'server' | 'client' },
): string {
  switch (family) {
    case 'unleash':
      return `*:${environment}.${randomBytes(32).toString('hex')}`;
    case 'launchdarkly':
      return `sdk-${randomUUID()}`;
    case 'flagsmith':
      return use === 'server' ? `ser.${randomSecret()}` : randomSecret();
  }
}

/** Lower-case hexadecimal SHA-256. A plain digest is enough, as a secret is 122 random bits or more and not a password. */
export function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Whether a digest is that of a secret, compared in constant time. */
export function isDigestOf(secret: string, sha256: string): boolean {
  const actual = Buffer.from(digestOf(secret));
  const expected = Buffer.from(sha256);
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}
