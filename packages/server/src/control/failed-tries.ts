/**
 * Invalid tokens per client address, as a token bucket each in bounded memory. A valid token is let in however many
 * invalid ones came from its address: behind a proxy all share one, and nobody may lock others out of the kill switch.
 */
import type { Clock } from '../clock.ts';

/** Counts failed tries. */
export interface FailedTries {
  /** Counts one. @returns 0 while the address has tries left, else the seconds until it has one again */
  record(address: string): number;
}

interface Bucket {
  readonly leftMs: number;
  readonly atMs: number;
}

// Twenty tries a minute: a full bucket holds a minute, and each try costs three seconds.
const BUCKET_MS = 60_000;
const TRY_MS = 3000;
const MAX_ADDRESSES = 10_000;

export function openFailedTries(clock: Clock): FailedTries {
  // In the order of last use, so that the first one is forgotten when there are too many.
  const buckets = new Map<string, Bucket>();
  return {
    record(address) {
      const atMs = clock.nowMs();
      const last = buckets.get(address) ?? { leftMs: BUCKET_MS, atMs };
      const leftMs = Math.min(BUCKET_MS, last.leftMs + atMs - last.atMs);
      const isSpent = leftMs < TRY_MS;
      buckets.delete(address);
      buckets.set(address, { leftMs: isSpent ? leftMs : leftMs - TRY_MS, atMs });
      const [oldest] = buckets.keys();
      if (buckets.size > MAX_ADDRESSES && oldest !== undefined) buckets.delete(oldest);
      return isSpent ? Math.ceil((TRY_MS - leftMs) / 1000) : 0;
    },
  };
}
