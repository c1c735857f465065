/** SHA-1 of a text, for the buckets of LaunchDarkly. Not for security. Here because core also runs in browsers, synchronously. */
import { paddedMessage } from './utf8.ts';

// Both are kept from call to call, because new arrays cost more than the rounds.
const schedule = new Int32Array(80);
const state = new Int32Array(5);

/**
 * SHA-1 of a text's UTF-8 encoding.
 * @returns five unsigned 32-bit words, the first is the highest
 * Source: FIPS 180-4, §6.1.
 */
export function sha1(text: string): readonly [number, number, number, number, number] {
  const { words, length } = paddedMessage(text, true);
  state[0] = 0x67452301;
  state[1] = 0xefcdab89;
  state[2] = 0x98badcfe;
  state[3] = 0x10325476;
  state[4] = 0xc3d2e1f0;
  for (let start = 0; start < length; start += 16) {
    expand(words, start);
    compress();
  }
  return [wordAt(0), wordAt(1), wordAt(2), wordAt(3), wordAt(4)];
}

function wordAt(index: number): number {
  return (state[index] ?? 0) >>> 0;
}

function expand(words: Int32Array, start: number): void {
  for (let round = 0; round < 16; round += 1) schedule[round] = words[start + round] ?? 0;
  for (let round = 16; round < 80; round += 1) {
    const mixed =
      (schedule[round - 3] ?? 0) ^ (schedule[round - 8] ?? 0) ^ (schedule[round - 14] ?? 0) ^ (schedule[round - 16] ?? 0);
    schedule[round] = (mixed << 1) | (mixed >>> 31);
  }
}

function compress(): void {
  let a = state[0] ?? 0;
  let b = state[1] ?? 0;
  let c = state[2] ?? 0;
  let d = state[3] ?? 0;
  let e = state[4] ?? 0;
  for (let round = 0; round < 80; round += 1) {
    let mixed = 0;
    if (round < 20) mixed = ((b & c) | (~b & d)) + 0x5a827999;
    else if (round < 40) mixed = (b ^ c ^ d) + 0x6ed9eba1;
    else if (round < 60) mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    else mixed = (b ^ c ^ d) + 0xca62c1d6;
    const next = (((a << 5) | (a >>> 27)) + mixed + e + (schedule[round] ?? 0)) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = next;
  }
  state[0] = (state[0] ?? 0) + a;
  state[1] = (state[1] ?? 0) + b;
  state[2] = (state[2] ?? 0) + c;
  state[3] = (state[3] ?? 0) + d;
  state[4] = (state[4] ?? 0) + e;
}
