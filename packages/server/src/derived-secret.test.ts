import { expect, it } from 'vitest';
import { deriveSecrets } from './derived-secret.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

it('is the same wherever the key is, and differs by purpose and by key', () => {
  const [one, again, other] = [1, 1, 2].map((byte) => deriveSecrets(new Uint8Array(32).fill(byte)));
  const secrets = [one?.('a'), again?.('a'), one?.('b'), other?.('a')].map((secret) => hex(secret ?? new Uint8Array()));
  expect(secrets[1]).toBe(secrets[0]);
  expect(new Set(secrets).size).toBe(3);
  expect(secrets.map(({ length }) => length)).toEqual([64, 64, 64, 64]);
});
