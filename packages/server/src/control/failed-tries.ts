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
  readonly left: number;
  readonly atMs: number;
}

const TRIES_PER_MINUTE = 20;
const TRIES_PER_MS = TRIES_PER_MINUTE / 60_000;
const MAX_ADDRESSES = 10_000;

export function openFailedTries(clock: Clock): FailedTries {
  // In the order of last use, so that the first one is forgotten when there are too many.
  const buckets = new Map<string, Bucket>();
  return {
    record(address) {
      const atMs = clock.nowMs();
      const last = buckets.get(address) ?? { left: TRIES_PER_MINUTE, atMs };
      const left = Math.min(TRIES_PER_MINUTE, last.left + (atMs - last.atMs) * TRIES_PER_MS);
      buckets.delete(address);
      buckets.set(address, { left: left < 1 ? left : left - 1, atMs });
      const [oldest] = buckets.keys();
      if (buckets.size > MAX_ADDRESSES && oldest !== undefined) buckets.delete(oldest);
      return left < 1 ? Math.ceil((1 - left) / TRIES_PER_MS / 1000) : 0;
    },
  };
}
