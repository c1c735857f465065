import { createHash, createHmac } from 'node:crypto';
import { expect, it } from 'vitest';
import { openRequestId, openRequestIds, type RequestOrigin } from './request-id.ts';

const KEY = Buffer.alloc(32, 3);
const ORIGIN: RequestOrigin = {
  environment: 'production',
  model: 'fraud',
  version: 'v2',
  arm: 'challenger',
  rollout: 'fraud-4',
  step: 2,
};

it.each([
  { name: 'in a rollout', origin: ORIGIN },
  { name: 'outside a rollout', origin: { environment: 'staging', model: 'm', version: '1.0-rc_2', arm: 'champion' } as const },
])('says where a request went $name', ({ origin }) => {
  const mint = openRequestIds(KEY, 'g1 b1').mintFor(origin);
  expect(openRequestId(KEY, mint(1_700_000_000_123.2))).toEqual({ ...origin, atMs: 1_700_000_000_123, counter: 2 });
  expect(openRequestId(KEY, mint(1_700_000_000_123.9))).toEqual({ ...origin, atMs: 1_700_000_000_123, counter: 3 });
  expect(openRequestId(KEY, mint(1_700_000_000_123.9))).toMatchObject({ counter: 4 });
  expect(openRequestId(KEY, mint(1_700_000_000_124))).toEqual({ ...origin, atMs: 1_700_000_000_124, counter: 6 });
});

it('signs two ids with one HMAC-SHA256, 120 bits each', () => {
  const mint = openRequestIds(KEY, 'g1 b1').mintFor(ORIGIN);
  const ids = [mint(5), mint(5)].map((id) => id.split('.'));
  const hmacKey = createHash('sha256').update(KEY).digest('hex');
  const signed = [...(ids[0] ?? []).slice(0, 4), '1'].join('.');
  const signature = createHmac('sha256', hmacKey).update(signed).digest('base64url');
  expect(ids.map((parts) => parts.at(-2))).toEqual(['2', '3']);
  expect(ids.map((parts) => parts.at(-1))).toEqual([signature.slice(0, 20), signature.slice(20, 40)]);
});

it('never gives an id twice, whoever asks in one millisecond', () => {
  const ids = openRequestIds(KEY, 'g1 b1');
  const mints = [ids.mintFor(ORIGIN), ids.mintFor(ORIGIN), ids.mintFor({ ...ORIGIN, arm: 'champion' })];
  const made = Array.from({ length: 3000 }, (_, index) => mints[index % 3]?.(5 + Math.floor(index / 700)));
  expect(new Set(made).size).toBe(3000);
  expect(made.every((id) => openRequestId(KEY, id ?? '') !== undefined)).toBe(true);
});

it('refuses another way to write a counter, and the tag of the twin', () => {
  const mint = openRequestIds(KEY, 'g1 b1').mintFor(ORIGIN);
  const [first, second] = [mint(5).split('.'), mint(5).split('.')];
  const withCounter = (count: string): string => first.with(-2, count).join('.');
  expect(openRequestId(KEY, withCounter('2'))).toBeDefined();
  for (const count of ['02', '+2', '2x!', '2 ', '-2', '', '3', '4'])
    expect(openRequestId(KEY, withCounter(count))).toBeUndefined();
  expect(openRequestId(KEY, first.with(-1, second.at(-1) ?? '').join('.'))).toBeUndefined();
});

it.each([0, 1])('refuses every id with a character changed, cut off or added (place %i of a pair)', (place) => {
  const mint = openRequestIds(KEY, 'g1 b1').mintFor(ORIGIN);
  const id = [mint(5), mint(5)][place] ?? '';
  for (let index = 0; index < id.length; index++) {
    const other = id[index] === 'A' ? 'B' : 'A';
    expect(openRequestId(KEY, id.slice(0, index) + other + id.slice(index + 1))).toBeUndefined();
    expect(openRequestId(KEY, id.slice(0, index))).toBeUndefined();
  }
  expect(openRequestId(KEY, `${id}A`)).toBeUndefined();
  expect(openRequestId(Buffer.alloc(32, 4), id)).toBeUndefined();
});

it('gives different ids to gateways that count alike', () => {
  const [first, second] = ['g1 b1', 'g2 b1'].map((instance) => openRequestIds(KEY, instance).mintFor(ORIGIN)(5));
  expect(first).not.toBe(second);
});

it('refuses a key that could be guessed', () => {
  expect(() => openRequestIds(Buffer.alloc(16), 'g1')).toThrow('at least 32 bytes');
});
