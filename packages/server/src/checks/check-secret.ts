/** The secrets that checks send along. A plan names a variable of the server; what is in it never leaves this process otherwise. */
import type { CheckAuth } from '@understudy/core/checks/config';

/** Reads a variable of the server's environment. */
export type ReadVariable = (name: string) => string | undefined;

/** The header to send, or why there is none. */
export type Authorization = { readonly headers: Readonly<Record<string, string>> } | { readonly problem: string };

/**
 * The secret for a request.
 * With a second variable, `…_ORIGIN`, an operator says where it may go: whoever writes plans cannot have it sent elsewhere.
 */
export function authorizationFor(auth: CheckAuth | undefined, url: string, read: ReadVariable): Authorization {
  if (auth === undefined) return { headers: {} };
  const { kind, variable } = auth;
  const secret = (read(variable) ?? '').trim();
  if (secret === '') return { problem: `the server has no variable ${variable}; set it where the server is started` };
  if (!/^[\x20-\x7e]+$/.test(secret)) return { problem: `the variable ${variable} holds what cannot be sent in a header` };
  if (kind === 'basic' && !secret.includes(':')) return { problem: `the variable ${variable} does not hold user:password` };
  const origin = (read(`${variable}_ORIGIN`) ?? '').trim();
  if (origin !== '' && URL.parse(origin)?.origin !== new URL(url).origin) {
    return { problem: `${variable}_ORIGIN says that ${variable} is only for ${origin}` };
  }
  const value = kind === 'bearer' ? `Bearer ${secret}` : `Basic ${Buffer.from(secret).toString('base64')}`;
  return { headers: { authorization: value } };
}
