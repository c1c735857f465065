/** Reads a chunked body, strictly and in pieces of any size. The answer parser depends on it. */
import { badAnswer } from './http1-head.ts';

export interface ChunkedBody {
  /** Expects the first chunk. */
  begin(): void;
  /**
   * Reads from `start`; data goes to the receiver as it comes.
   * @returns where the body ended, or `bytes.length` when it did not
   * @throws AppError `upstream.bad_response`
   */
  read(bytes: Buffer, start: number): number;
  readonly isComplete: boolean;
}

const LF = 0x0a;
// A size, and extensions that nobody uses: enough for a signature, too little to hide work in.
const MAX_SIZE_LINE = 512;
// Trailers are dropped; no real server sends more than a checksum and a status.
const MAX_TRAILER_LENGTH = 8 * 1024;

const LINE_END_LENGTH = 2;

const TOKEN = "[\\w!#$%&'*+\\-.^`|~]+";
const QUOTED = '"(?:[\\t !\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])*"';
/** RFC 9112 §7.1.1 without the blanks that it only tolerates; 13 digits stay below 2^53. */
const SIZE_LINE = new RegExp(`^([\\da-f]{1,13})(?:;${TOKEN}(?:=(?:${TOKEN}|${QUOTED}))?)*$`, 'i');
const TRAILER_LINE = new RegExp(`^${TOKEN}:[\\t\\x20-\\x7e\\x80-\\xff]*$`);

type LinePart = 'size' | 'data-end' | 'trailer';

const LINE_LIMITS: Readonly<Record<LinePart, number>> = { size: MAX_SIZE_LINE, 'data-end': 0, trailer: MAX_TRAILER_LENGTH };

/**
 * @param onData called with a range of the bytes being read
 * @param isStopped whether the receiver wants no more
 */
export function openChunkedBody(
  onData: (bytes: Buffer, start: number, end: number) => void,
  isStopped: () => boolean,
): ChunkedBody {
  const line = openLineReader();
  let part: LinePart | 'data' | 'complete' = 'size';
  let remaining = 0;
  let trailerLength = 0;

  function readData(bytes: Buffer, start: number): number {
    const end = Math.min(bytes.length, start + remaining);
    remaining -= end - start;
    if (remaining === 0) part = 'data-end';
    onData(bytes, start, end);
    return end;
  }

  function takeLine(text: string, of: LinePart): void {
    switch (of) {
      case 'size':
        remaining = sizeOf(text);
        part = remaining === 0 ? 'trailer' : 'data';
        return;
      case 'data-end':
        part = 'size';
        return;
      case 'trailer':
        trailerLength += text.length + LINE_END_LENGTH;
        if (text === '') part = 'complete';
        else assertTrailer(text, trailerLength);
    }
  }

  return {
    begin() {
      part = 'size';
      trailerLength = 0;
      line.clear();
    },
    read(bytes, start) {
      let at = start;
      while (at < bytes.length && part !== 'complete' && !isStopped()) {
        if (part === 'data') at = readData(bytes, at);
        else {
          at = line.read(bytes, at, LINE_LIMITS[part]);
          const text = line.take();
          if (text !== undefined) takeLine(text, part);
        }
      }
      return at;
    },
    get isComplete() {
      return part === 'complete';
    },
  };
}

function sizeOf(line: string): number {
  const size = SIZE_LINE.exec(line)?.[1];
  if (size === undefined) throw badAnswer('a chunk does not begin with its size');
  return Number.parseInt(size, 16);
}

function assertTrailer(line: string, lengthOfAll: number): void {
  if (lengthOfAll > MAX_TRAILER_LENGTH) throw badAnswer('its trailers are too long');
  if (!TRAILER_LINE.test(line)) throw badAnswer('a trailer is no header line');
}

interface LineReader {
  /** @returns where reading goes on: behind the line when it is whole */
  read(bytes: Buffer, start: number, maxLength: number): number;
  /** The line without its end, once it is whole. */
  take(): string | undefined;
  clear(): void;
}

/** Gathers one line that ends in CR LF and in nothing else. */
function openLineReader(): LineReader {
  let text = '';
  let isWhole = false;
  return {
    read(bytes, start, maxLength) {
      const limit = Math.min(bytes.length, start + maxLength + LINE_END_LENGTH - text.length);
      const found = bytes.subarray(start, limit).indexOf(LF);
      const end = found < 0 ? limit : start + found + 1;
      text += bytes.toString('latin1', start, end);
      const isEndless = found < 0 && text.length >= maxLength + LINE_END_LENGTH;
      const returnAt = text.indexOf('\r');
      const isBroken =
        found < 0 ? returnAt >= 0 && returnAt !== text.length - 1 : returnAt < 0 || returnAt !== text.length - LINE_END_LENGTH;
      if (isEndless || isBroken) throw badAnswer('a line of its chunked body does not end properly');
      isWhole = found >= 0;
      return end;
    },
    take() {
      if (!isWhole) return undefined;
      const line = text.slice(0, -LINE_END_LENGTH);
      text = '';
      isWhole = false;
      return line;
    },
    clear() {
      text = '';
      isWhole = false;
    },
  };
}
