/** The bucket that services send when they bucket users themselves. The endpoint that people check their own line of code with depends on it. */
import { createHash } from 'node:crypto';
import { BUCKET_COUNT } from '@understudy/core/bucketing';

/**
 * The first 32 bits of SHA-256 of the subject in UTF-8, modulo the number of buckets: a line in every language. The highest
 * buckets are rarer by one in 43,000. Frozen: it is written into other people's services.
 * @returns integer in 0 … 99 999
 */
export function subjectBucket(subject: string): number {
  return createHash('sha256').update(subject, 'utf8').digest().readUInt32BE(0) % BUCKET_COUNT;
}
