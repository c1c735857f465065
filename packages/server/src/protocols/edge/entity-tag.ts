/** Entity tags: what an answer was, so that an SDK that has it already gets 304. Whatever is polled depends on it. */
import { createHash } from 'node:crypto';

/** A tag of some content, without quotes: equal content has equal tags, in every process. */
export function tagOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  // So that parts which only together are the same differ.
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('base64url').slice(0, 22);
}

/** A tag as a header has it. */
export function quoted(tag: string): string {
  return `"${tag}"`;
}

/** The tags of `If-None-Match`, without quotes. A proxy that compresses makes them weak, which is the same to us. */
export function tagsOf(ifNoneMatch: string | undefined): readonly string[] {
  return [...(ifNoneMatch ?? '').matchAll(/"([^"]*)"/g)].map(([, tag = '']) => tag);
}
