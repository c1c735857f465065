import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { murmur3 } from './murmur3.ts';

fc.configureGlobal({ seed: 1 });

/** The algorithm as its author wrote it down, over bytes; slow and plain. */
function murmur3OfBytes(bytes: Uint8Array, seed: number): number {
  const rotate = (value: number, by: number) => (value << by) | (value >>> (32 - by));
  const scramble = (block: number) => Math.imul(rotate(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
  const at = (index: number) => bytes[index] ?? 0;
  const blocks = Math.floor(bytes.length / 4);
  let hash = seed;
  for (let index = 0; index < blocks * 4; index += 4) {
    hash ^= scramble(at(index) | (at(index + 1) << 8) | (at(index + 2) << 16) | (at(index + 3) << 24));
    hash = Math.imul(rotate(hash, 13), 5) + 0xe6546b64;
  }
  const tail = blocks * 4;
  if (tail < bytes.length) hash ^= scramble(at(tail) | (at(tail + 1) << 8) | (at(tail + 2) << 16));
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

// UTF-16 units of every kind: half of all random ones would otherwise be plain text.
const anyText = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd800, max: 0xdfff }), fc.nat(127)))
  .map((units) => String.fromCharCode(...units));

describe('murmur3', () => {
  it.each([
    { text: '', seed: 0, hash: 0 },
    { text: '', seed: 1, hash: 0x514e28b7 },
    { text: '', seed: 0xffffffff, hash: 0x81f16f39 },
    { text: '\0\0\0\0', seed: 0, hash: 0x2362f9de },
    { text: 'a', seed: 0x9747b28c, hash: 0x7fa09ea6 },
    { text: 'aa', seed: 0x9747b28c, hash: 0x5d211726 },
    { text: 'aaa', seed: 0x9747b28c, hash: 0x283e0130 },
    { text: 'aaaa', seed: 0x9747b28c, hash: 0x5a97808a },
    { text: 'abcd', seed: 0x9747b28c, hash: 0xf0478627 },
    { text: 'Hello, world!', seed: 0x9747b28c, hash: 0x24884cba },
    { text: 'ππππππππ', seed: 0x9747b28c, hash: 0xd58063c1 },
    { text: 'The quick brown fox jumps over the lazy dog', seed: 0x9747b28c, hash: 0x2fa826cd },
    { text: 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq', seed: 0, hash: 0xee925b90 },
  ])('hashes $text with seed $seed as every other implementation does', ({ text, seed, hash }) => {
    expect(murmur3(text, seed)).toBe(hash);
  });

  it('hashes the same bytes that a UTF-8 encoder writes, for any text and seed', () => {
    fc.assert(
      fc.property(anyText, fc.nat(0xffffffff), (text, seed) => {
        expect(murmur3(text, seed)).toBe(murmur3OfBytes(new TextEncoder().encode(text), seed));
      }),
      { numRuns: 1000 },
    );
  });

  it('hashes a lone surrogate as the replacement character', () => {
    expect(murmur3('a\ud83db', 7)).toBe(murmur3('a\ufffdb', 7));
    expect(murmur3('\udc00', 7)).toBe(murmur3('\ufffd', 7));
  });
});
