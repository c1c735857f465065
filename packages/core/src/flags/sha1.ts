/** SHA-1 of a text, for the buckets of LaunchDarkly. Not for security. Here because core also runs in browsers, synchronously. */
import { paddedWords } from './utf8.ts';

/**
 * SHA-1 of a text's UTF-8 encoding.
 * @returns five unsigned 32-bit words, the first is the highest
 * Source: FIPS 180-4, §6.1.
 */
export function sha1(text: string): readonly [number, number, number, number, number] {
  const message = paddedWords(text, true);
  const schedule = new Int32Array(80);
  let [h0, h1, h2, h3, h4] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  for (let start = 0; start < message.length; start += 16) {
    let [a, b, c, d, e] = [h0, h1, h2, h3, h4];
    for (let round = 0; round < 80; round += 1) {
      const word = round < 16 ? (message[start + round] ?? 0) : nextWord(schedule, round);
      schedule[round] = word;
      const mixed = (rotate(a, 5) + mix(round, b, [c, d]) + e + word) | 0;
      e = d;
      d = c;
      c = rotate(b, 30);
      b = a;
      a = mixed;
    }
    h0 = (h0 + a) | 0;
    h1 = (h1 + b) | 0;
    h2 = (h2 + c) | 0;
    h3 = (h3 + d) | 0;
    h4 = (h4 + e) | 0;
  }
  return [h0 >>> 0, h1 >>> 0, h2 >>> 0, h3 >>> 0, h4 >>> 0];
}

function nextWord(schedule: Int32Array, round: number): number {
  const [a = 0, b = 0] = [schedule[round - 3], schedule[round - 8]];
  const [c = 0, d = 0] = [schedule[round - 14], schedule[round - 16]];
  return rotate(a ^ b ^ c ^ d, 1);
}

type Mix = (b: number, c: number, d: number) => number;

const choose: Mix = (b, c, d) => (b & c) | (~b & d);
const parity: Mix = (b, c, d) => b ^ c ^ d;
const majority: Mix = (b, c, d) => (b & c) | (b & d) | (c & d);

function mix(round: number, b: number, [c, d]: readonly [number, number]): number {
  if (round < 20) return choose(b, c, d) + 0x5a827999;
  if (round < 40) return parity(b, c, d) + 0x6ed9eba1;
  return round < 60 ? majority(b, c, d) + 0x8f1bbcdc : parity(b, c, d) + 0xca62c1d6;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
