/** Where a subject stands on the staircase: a fixed bucket for each salt, and the boundary it is compared with. Routing depends on it. */
import { murmur3 } from './murmur3.ts';

/** Number of buckets; a share of 1 % is 1 000 of them. Frozen: changing it would move every subject. */
export const BUCKET_COUNT = 100_000;

// Unleash's variant seed, so that its SDKs put a subject into the same bucket as the gateway does.
const VARIANT_SEED = 86_028_157;

/**
 * The fixed bucket of a subject under a salt.
 * @param salt the rollout's salt; it is kept when a rollout is retried, so that nobody changes sides
 * @param subject the sticky key of a request, any text
 * @returns integer in [0, {@link BUCKET_COUNT})
 * Source: Unleash client specification, variant hash: murmur3 of `salt:subject` modulo the total weight.
 */
export function bucketOf(salt: string, subject: string): number {
  return murmur3(`${salt}:${subject}`, VARIANT_SEED) % BUCKET_COUNT;
}

/**
 * The number of buckets that a share takes. Buckets below it are on the challenger, so a larger share keeps everybody
 * who was already there.
 * @param percent share of subjects, in [0, 100]; finer than 0.001 % is rounded
 * @returns integer in [0, {@link BUCKET_COUNT}]
 */
export function boundaryOf(percent: number): number {
  return Math.round((percent / 100) * BUCKET_COUNT);
}
