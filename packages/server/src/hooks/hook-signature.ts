/** Signatures of messages, as the Standard Webhooks specification has them. Receivers check them with any of its libraries. */
import { createHmac } from 'node:crypto';
import type { Hook } from '@understudy/core/hook';

/**
 * A hook's signing secret. It is made from a key that is kept apart from documents and journal, so that neither of them signs
 * anything; it never changes while the hook and the key exist.
 * @param key secret bytes of this installation
 * @returns `whsec_` and base64, as libraries take it
 */
export function secretOf(key: Uint8Array, { name, salt }: Pick<Hook, 'name' | 'salt'>): string {
  return `whsec_${createHmac('sha256', key).update(`hook ${name} ${salt}`).digest('base64')}`;
}

/** The three headers of a signed message. */
export function signatureHeaders(
  secret: string,
  { id, atMs, body }: { readonly id: string; readonly atMs: number; readonly body: string },
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(atMs / 1000));
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
