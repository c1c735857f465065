/** The one address that chooses where state is kept. Configuration and commands read it; `storage/open-store.ts` opens what it names. */
import { resolve } from 'node:path';
import { AppError } from '@understudy/core/errors';

/** What an address names. */
export type StoreAddress =
  | { readonly kind: 'sqlite'; readonly directory: string }
  /** With the password, where the address holds one. */
  | { readonly kind: 'postgres'; readonly url: string }
  | { readonly kind: 'redis'; readonly url: string };

/**
 * @param text `sqlite:DIRECTORY`, `postgres://…`, or `redis://…` (Valkey, too; `rediss://` is encrypted)
 * @throws AppError `config.invalid` for anything else, without a password that it may hold
 */
export function parseStoreAddress(text: string): StoreAddress {
  const [, scheme = '', rest = ''] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  switch (scheme) {
    case 'sqlite':
      if (rest === '') throw refusal(text, 'it names no directory');
      return { kind: 'sqlite', directory: resolve(rest) };
    case 'postgres':
    case 'postgresql':
      if (!rest.startsWith('//')) throw refusal(text, 'it does not begin with postgres://');
      return { kind: 'postgres', url: text };
    case 'redis':
    case 'rediss':
      if (!rest.startsWith('//')) throw refusal(text, 'it does not begin with redis://');
      return { kind: 'redis', url: text };
    case 'valkey':
    case 'valkeys':
      throw refusal(text, 'Valkey speaks what Redis speaks and is named by redis:// or rediss://');
    default:
      throw refusal(text, scheme === '' ? 'it has no scheme' : `"${scheme}:" is unknown`);
  }
}

/** The address without its password. */
export function withoutPassword(text: string): string {
  return text.replace(/^([a-z]+:\/\/[^/@:]*):[^@]*@/, '$1@');
}

function refusal(text: string, problem: string): AppError {
  return new AppError(
    'config.invalid',
    `cannot open the store "${withoutPassword(text)}": ${problem}; write sqlite:DIRECTORY, for example sqlite:./understudy-data, postgres://USER@HOST:5432/DATABASE, or redis://USER@HOST:6379/0`,
  );
}
