/** MD5 of a text, for the buckets of Flagsmith. Not for security. Here because core also runs in browsers, synchronously. */
import { paddedMessage } from './utf8.ts';

const SHIFTS = Int32Array.of(7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21);
const SINES = Int32Array.from({ length: 64 }, (_, index) => Math.floor(Math.abs(Math.sin(index + 1)) * 2 ** 32) | 0);

// Kept from call to call, because a new array costs more than the rounds.
const state = new Int32Array(4);

/**
 * MD5 of a text's UTF-8 encoding.
 * @returns four unsigned 32-bit words of the digest as it is printed, the first is the highest
 * Source: RFC 1321, §3.
 */
export function md5(text: string): readonly [number, number, number, number] {
  const { words, length } = paddedMessage(text, false);
  state[0] = 0x67452301;
  state[1] = 0xefcdab89;
  state[2] = 0x98badcfe;
  state[3] = 0x10325476;
  for (let start = 0; start < length; start += 16) compress(words, start);
  return [printed(0), printed(1), printed(2), printed(3)];
}

function compress(words: Int32Array, start: number): void {
  let a = state[0] ?? 0;
  let b = state[1] ?? 0;
  let c = state[2] ?? 0;
  let d = state[3] ?? 0;
  for (let step = 0; step < 64; step += 1) {
    let mixed = 0;
    let word = step;
    if (step < 16) mixed = (b & c) | (~b & d);
    else if (step < 32) {
      mixed = (d & b) | (~d & c);
      word = (5 * step + 1) & 15;
    } else if (step < 48) {
      mixed = b ^ c ^ d;
      word = (3 * step + 5) & 15;
    } else {
      mixed = c ^ (b | ~d);
      word = (7 * step) & 15;
    }
    const sum = (a + mixed + (words[start + word] ?? 0) + (SINES[step] ?? 0)) | 0;
    const shift = SHIFTS[((step >> 4) << 2) | (step & 3)] ?? 0;
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
  }
  state[0] = (state[0] ?? 0) + a;
  state[1] = (state[1] ?? 0) + b;
  state[2] = (state[2] ?? 0) + c;
  state[3] = (state[3] ?? 0) + d;
}

/** A digest is printed with its lowest byte first. */
function printed(index: number): number {
  const word = state[index] ?? 0;
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
