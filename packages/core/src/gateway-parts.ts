/** What each gateway brought to the intervals that are still open. The ledger takes it when an interval is closed. */
import { EMPTY_TALLY, mergeTallies } from './evidence.ts';
import { type Arms, type ConcurrentBlock, intervalOf, NO_ARMS, type StoredBlock } from './evidence-pool.ts';
import { NO_GATEWAY } from './gateway-roster.ts';

/** What every gateway did in an interval, by its name; what nobody's name was on is under {@link NO_GATEWAY}. */
export type GatewayParts = ReadonlyMap<string, Arms>;

export interface OpenParts {
  /** Remembers a block that was poured into the pool. */
  add(stored: StoredBlock): void;
  /** Gives what a closed block is made of, and forgets it. */
  take(closed: Pick<ConcurrentBlock, 'startMs' | 'step' | 'stratum'>): GatewayParts;
}

const NOBODY: GatewayParts = new Map();

/** Holds tallies that the pool has added up already, for as long as their intervals are open. */
export function openParts(): OpenParts {
  const intervals = new Map<string, Map<string, Arms>>();
  return {
    add(stored) {
      const { step = -1, stratum = '', gateway = NO_GATEWAY, arm, tally } = stored.block;
      const key = keyOf({ startMs: intervalOf(stored), step, stratum });
      const parts = intervals.get(key) ?? new Map<string, Arms>();
      const present = parts.get(gateway) ?? NO_ARMS;
      const sum = present[arm] === EMPTY_TALLY ? tally : mergeTallies(present[arm], tally);
      parts.set(gateway, { ...present, [arm]: sum });
      intervals.set(key, parts);
    },
    take(closed) {
      const key = keyOf(closed);
      const parts = intervals.get(key) ?? NOBODY;
      intervals.delete(key);
      return parts;
    },
  };
}

function keyOf({ startMs, step, stratum }: Pick<ConcurrentBlock, 'startMs' | 'step' | 'stratum'>): string {
  return `${startMs} ${step} ${stratum}`;
}
