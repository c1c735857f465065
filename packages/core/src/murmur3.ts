/** MurmurHash3 (x86, 32 bit) over the UTF-8 bytes of a text. Bucketing depends on it; the flag SDKs of the field use the same hash. */

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

/**
 * MurmurHash3_x86_32 of a text's UTF-8 encoding, without materialising the bytes.
 * A lone surrogate is hashed as U+FFFD, as every UTF-8 encoder would write it.
 * @param text any string
 * @param seed unsigned 32-bit integer
 * @returns unsigned 32-bit integer
 * Source: A. Appleby, MurmurHash3 (public domain), x86 32-bit variant.
 */
export function murmur3(text: string, seed: number): number {
  let hash = seed | 0;
  let block = 0;
  let shift = 0;
  let byteCount = 0;
  for (let index = 0; index < text.length; index += 1) {
    let code = text.charCodeAt(index);
    if (code >= 0xd800 && code <= 0xdfff) {
      const low = index + 1 < text.length ? text.charCodeAt(index + 1) : 0;
      const isPair = code < 0xdc00 && low >= 0xdc00 && low <= 0xdfff;
      if (isPair) index += 1;
      code = isPair ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
    }
    // The code point's UTF-8 bytes, first byte lowest, ready to be shifted into 32-bit little-endian blocks.
    let bytes = code;
    let size = 1;
    if (code >= 0x10000) {
      bytes =
        0xf0 |
        (code >> 18) |
        ((0x80 | ((code >> 12) & 63)) << 8) |
        ((0x80 | ((code >> 6) & 63)) << 16) |
        ((0x80 | (code & 63)) << 24);
      size = 4;
    } else if (code >= 0x800) {
      bytes = 0xe0 | (code >> 12) | ((0x80 | ((code >> 6) & 63)) << 8) | ((0x80 | (code & 63)) << 16);
      size = 3;
    } else if (code >= 0x80) {
      bytes = 0xc0 | (code >> 6) | ((0x80 | (code & 63)) << 8);
      size = 2;
    }
    byteCount += size;
    for (; size > 0; size -= 1) {
      block |= (bytes & 0xff) << shift;
      bytes >>>= 8;
      shift += 8;
      if (shift === 32) {
        hash = mixBlock(hash, block);
        block = 0;
        shift = 0;
      }
    }
  }
  if (shift > 0) hash ^= scramble(block);
  return finish(hash ^ byteCount);
}

function scramble(block: number): number {
  const mixed = Math.imul(block, C1);
  return Math.imul((mixed << 15) | (mixed >>> 17), C2);
}

function mixBlock(hash: number, block: number): number {
  const mixed = hash ^ scramble(block);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(value: number): number {
  let hash = value;
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return hash >>> 0;
}
