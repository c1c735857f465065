/** Text as message blocks of SHA-1 and MD5, which differ only in the order of bytes. */

/**
 * The UTF-8 bytes of a text in 32-bit words, padded as both hashes ask: one bit, zeros, and the length in bits.
 * A lone surrogate is encoded as U+FFFD.
 */
export function paddedWords(text: string, isBigEndian: boolean): Int32Array {
  const bytes = utf8Bytes(text);
  const wordCount = (((bytes.length + 8) >> 6) + 1) << 4;
  const words = new Int32Array(wordCount);
  const swap = isBigEndian ? 3 : 0;
  for (let index = 0; index <= bytes.length; index += 1) {
    const byte = index === bytes.length ? 0x80 : (bytes[index] ?? 0);
    words[index >> 2] = (words[index >> 2] ?? 0) | (byte << (((index & 3) ^ swap) << 3));
  }
  words[wordCount - (isBigEndian ? 1 : 2)] = bytes.length << 3;
  words[wordCount - (isBigEndian ? 2 : 1)] = bytes.length >>> 29;
  return words;
}

function utf8Bytes(text: string): readonly number[] {
  const bytes: number[] = [];
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    const code = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return bytes;
}
