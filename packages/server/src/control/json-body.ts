/** JSON bodies, read more strictly than JSON.parse does: valid UTF-8, shallow, no prototype keys, no half characters. */
import { AppError } from '@understudy/core/errors';
import type { FastifyInstance } from 'fastify';

// Far more than any body needs; deeper ones only serve to overflow somebody's stack.
const MAX_DEPTH = 64;

/** Reads bodies of content-type application/json; those of other types are answered with 415. */
export function readJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, bytes: Buffer, done) => {
    if (bytes.length === 0) {
      done(null, undefined);
      return;
    }
    const text = decode(bytes);
    refuseDepth(text);
    void parse(request, text, (error, body: unknown) => {
      if (error === null && hasHalfCharacter(text, body)) done(invalid('it has half of a surrogate pair'));
      else done(error, body);
    });
  });
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw invalid('it is not valid UTF-8', error);
  }
}

function refuseDepth(text: string): void {
  let depth = 0;
  let isInString = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (isInString) {
      if (character === '\\') index += 1;
      else if (character === '"') isInString = false;
    } else if (character === '"') isInString = true;
    else if (character === '{' || character === '[') {
      depth += 1;
      if (depth > MAX_DEPTH) throw invalid(`it is nested deeper than ${MAX_DEPTH} levels`);
    } else if (character === '}' || character === ']') depth -= 1;
  }
}

/** Only an escape can make one, as the text itself was valid UTF-8. */
function hasHalfCharacter(text: string, body: unknown): boolean {
  return /\\u[dD][89a-fA-F]/.test(text) && !isWellFormed(body);
}

function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, item]) => key.isWellFormed() && isWellFormed(item));
}

function invalid(problem: string, cause?: unknown): AppError {
  return new AppError('request.invalid', `the body cannot be read as JSON: ${problem}`, { cause });
}
