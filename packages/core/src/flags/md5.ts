/** MD5 of a text, for the buckets of Flagsmith. Not for security. Here because core also runs in browsers, synchronously. */
import { paddedWords } from './utf8.ts';

const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const SINES = Int32Array.from({ length: 64 }, (_, index) => Math.floor(Math.abs(Math.sin(index + 1)) * 2 ** 32) | 0);

/**
 * MD5 of a text's UTF-8 encoding.
 * @returns four unsigned 32-bit words of the digest as it is printed, the first is the highest
 * Source: RFC 1321, §3.
 */
export function md5(text: string): readonly [number, number, number, number] {
  const message = paddedWords(text, false);
  let [h0, h1, h2, h3] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let start = 0; start < message.length; start += 16) {
    let [a, b, c, d] = [h0, h1, h2, h3];
    for (let step = 0; step < 64; step += 1) {
      const round = step >> 4;
      const word = message[start + wordOf(round, step)] ?? 0;
      const sum = (a + mix(round, b, [c, d]) + word + (SINES[step] ?? 0)) | 0;
      const shift = SHIFTS[(round << 2) | (step & 3)] ?? 0;
      a = d;
      d = c;
      c = b;
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
    }
    h0 = (h0 + a) | 0;
    h1 = (h1 + b) | 0;
    h2 = (h2 + c) | 0;
    h3 = (h3 + d) | 0;
  }
  return [swapped(h0), swapped(h1), swapped(h2), swapped(h3)];
}

function mix(round: number, b: number, [c, d]: readonly [number, number]): number {
  if (round === 0) return (b & c) | (~b & d);
  if (round === 1) return (d & b) | (~d & c);
  return round === 2 ? b ^ c ^ d : c ^ (b | ~d);
}

function wordOf(round: number, step: number): number {
  if (round === 0) return step;
  if (round === 1) return (5 * step + 1) & 15;
  return (round === 2 ? 3 * step + 5 : 7 * step) & 15;
}

function swapped(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
