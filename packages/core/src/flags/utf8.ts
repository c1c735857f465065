/** Text as message blocks of SHA-1 and MD5, which differ only in the order of bytes. */

/** A message: so many words of the array; it is valid until the next one is made. */
export interface PaddedMessage {
  readonly words: Int32Array;
  readonly length: number;
}

// Kept from call to call, because a new array costs more than the hash of a short text.
let words: Int32Array = new Int32Array(64);
let byteCount = 0;
let swap = 0;

/**
 * The UTF-8 bytes of a text in 32-bit words, padded as both hashes ask: one bit, zeros, and the length in bits.
 * A lone surrogate is encoded as U+FFFD.
 */
export function paddedMessage(text: string, isBigEndian: boolean): PaddedMessage {
  // A UTF-16 unit takes three bytes at most.
  const most = (((text.length * 3 + 8) >> 6) + 1) << 4;
  if (words.length < most) words = new Int32Array(most);
  words.fill(0, 0, most);
  byteCount = 0;
  swap = isBigEndian ? 3 : 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) push(unit);
    else {
      const code = text.codePointAt(index) ?? 0;
      if (code > 0xffff) index += 1;
      pushCode(code >= 0xd800 && code <= 0xdfff ? 0xfffd : code);
    }
  }
  const bits = byteCount << 3;
  const high = byteCount >>> 29;
  push(0x80);
  const length = (((byteCount + 7) >> 6) + 1) << 4;
  words[length - (isBigEndian ? 1 : 2)] = bits;
  words[length - (isBigEndian ? 2 : 1)] = high;
  return { words, length };
}

function pushCode(code: number): void {
  if (code < 0x800) push(0xc0 | (code >> 6));
  else {
    if (code < 0x1_0000) push(0xe0 | (code >> 12));
    else {
      push(0xf0 | (code >> 18));
      push(0x80 | ((code >> 12) & 63));
    }
    push(0x80 | ((code >> 6) & 63));
  }
  push(0x80 | (code & 63));
}

function push(byte: number): void {
  const index = byteCount >> 2;
  words[index] = (words[index] ?? 0) | (byte << (((byteCount & 3) ^ swap) << 3));
  byteCount += 1;
}
