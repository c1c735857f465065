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
  expect(openRequestId(KEY, mint(1_700_000_000_123.9))).toEqual({ ...origin, atMs: 1_700_000_000_123, counter: 1 });
  expect(openRequestId(KEY, mint(1_700_000_000_124))).toMatchObject({ counter: 2 });
});

it('signs with HMAC-SHA256, cut to 120 bits', () => {
  const id = openRequestIds(KEY, 'g1 b1').mintFor(ORIGIN)(5);
  const end = id.lastIndexOf('.');
  const hmacKey = createHash('sha256').update(KEY).digest('hex');
  expect(id.slice(end + 1)).toBe(createHmac('sha256', hmacKey).update(id.slice(0, end)).digest('base64url').slice(0, 20));
});

it('refuses every id with a character changed, cut off or added', () => {
  const id = openRequestIds(KEY, 'g1 b1').mintFor(ORIGIN)(5);
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
