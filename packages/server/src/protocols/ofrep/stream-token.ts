/** Short-lived tokens in the addresses of event streams, as an EventSource sends no headers. The OFREP protocol depends on it. */
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface StreamTokens {
  /** The same for a while, so that a client sees the same address; good for at least {@link WINDOW_MS}. */
  issue(atMs: number): string;
  isValid(token: string, atMs: number): boolean;
}

// Long enough for a phone to come back out of a tunnel, short enough for an address in somebody's log to be worthless.
export const WINDOW_MS = 5 * 60_000;

const TOKEN = /^(\d{1,15})\.([\w-]{43})$/;

/** Which window a moment is in. An answer that names a token is only valid in the token's window. */
export function windowAt(atMs: number): number {
  return Math.floor(atMs / WINDOW_MS);
}

/** @param environment tokens of another one are not valid */
export function signStreams(secret: Uint8Array, environment: string): StreamTokens {
  const macOf = (window: number): string =>
    createHmac('sha256', secret).update(`ofrep ${window} ${environment}`).digest('base64url');
  return {
    issue(atMs) {
      const window = windowAt(atMs);
      return `${window}.${macOf(window)}`;
    },
    isValid(token, atMs) {
      const [, text = '', mac = ''] = TOKEN.exec(token) ?? [];
      const [window, now] = [Number(text), windowAt(atMs)];
      // The next one as well: another server's clock may be ahead.
      const isNear = text !== '' && window >= now - 1 && window <= now + 1;
      return isNear && timingSafeEqual(Buffer.from(mac), Buffer.from(macOf(window)));
    },
  };
}
