/** Bodies of events: perhaps compressed, of any content type. What cannot be read is answered with 400, as SDKs stop sending for good on 413 and 415. */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { JsonValue } from '@understudy/core/flags/context';
import { AppError } from '@understudy/core/errors';

/** An SDK holds back 10 000 events at most; also the limit of what a compressed body unfolds to. */
export const MAX_EVENT_BYTES = 16 * 1024 * 1024;

/** @throws AppError `request.invalid` */
export async function readEvents(body: unknown, encoding: string | undefined): Promise<readonly JsonValue[]> {
  const text = new TextDecoder().decode(await unfold(bytesOf(body), encoding));
  const events = parse(text);
  // The Node SDK repeats a diagnostic event that failed here instead of there, as a single object.
  return Array.isArray(events) ? events : [events];
}

/** What every failure to take a body is answered with. */
export function unreadable(problem: string, cause?: unknown): AppError {
  return new AppError('request.invalid', `the events cannot be read: ${problem}`, { cause });
}

const inflate = promisify(gunzip);

function bytesOf(body: unknown): Uint8Array {
  return body instanceof Uint8Array ? body : new Uint8Array();
}

async function unfold(bytes: Uint8Array, encoding = 'identity'): Promise<Uint8Array> {
  switch (encoding.toLowerCase()) {
    case 'identity':
    case '':
      return bytes;
    case 'gzip':
    case 'x-gzip':
      return await inflate(bytes, { maxOutputLength: MAX_EVENT_BYTES }).catch((error: unknown) => {
        throw unreadable(`the body is not gzip, is cut short or is larger than ${MAX_EVENT_BYTES} bytes`, error);
      });
    default:
      throw unreadable(`the content-encoding "${encoding.slice(0, 100)}" is unknown; send gzip or nothing`);
  }
}

function parse(text: string): JsonValue | readonly JsonValue[] {
  try {
    const parsed: JsonValue = JSON.parse(text);
    return parsed;
  } catch (error) {
    throw unreadable('the body is not JSON', error);
  }
}
