/** Secrets that follow from the one key that is stored, so that every process with that key has the same ones, also after a restart. */
import { createHmac } from 'node:crypto';

/** @returns 32 bytes for a purpose; from one purpose's nobody learns the key or another's */
export type SecretFor = (purpose: string) => Uint8Array;

export function deriveSecrets(key: Uint8Array): SecretFor {
  // Request ids are signed with the key's digest, so that the two have nothing in common.
  return (purpose) => createHmac('sha256', key).update(`derived secret: ${purpose}`).digest();
}
