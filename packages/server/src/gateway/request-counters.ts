/** Totals since the start for the metrics page, bounded in number. Unlike evidence they include forced and refused requests. */

/** How a call ended. `rescued`: the champion answered instead. `forced`: answered, but no evidence. `abandoned`: the client left. */
export type Outcome = 'ok' | 'error' | 'timeout' | 'invalid' | 'rejected' | 'rescued' | 'forced' | 'abandoned';

/** Totals of one model, version and arm. */
export interface CounterCell {
  add(outcome: Outcome, latencyMs: number): void;
}

/** Plain data of one {@link CounterCell}. */
export interface RequestTotals {
  readonly model: string;
  readonly version: string;
  readonly arm: string;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  /** Requests per bucket of {@link LATENCY_BOUNDS_MS}, not cumulated; the last one is everything above. */
  readonly latencyBuckets: readonly number[];
  readonly latencySumMs: number;
}

export interface RequestCounters {
  /** The cell of a version on an arm, `other` beyond a thousand. */
  cellOf(model: string, version: string, arm: string): CounterCell;
  totals(): readonly RequestTotals[];
}

/** Upper bounds of the latency buckets in milliseconds: 1-2.5-5 steps from half a millisecond to ten seconds. */
export const LATENCY_BOUNDS_MS: readonly number[] = [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/** More label sets than this make a metrics page useless and slow; the rest is counted together. */
const MAX_CELLS = 1000;

export function openRequestCounters(): RequestCounters {
  const cells = new Map<string, CounterCell & { totals(): RequestTotals }>();
  return {
    cellOf(model, version, arm) {
      const isFull = cells.size >= MAX_CELLS;
      const name = JSON.stringify([model, version, arm]);
      const key = cells.has(name) || !isFull ? name : 'other';
      const present = cells.get(key);
      if (present !== undefined) return present;
      const labels = key === 'other' ? { model: 'other', version: 'other', arm: 'other' } : { model, version, arm };
      const cell = openCounterCell(labels);
      cells.set(key, cell);
      return cell;
    },
    totals: () => [...cells.values()].map((cell) => cell.totals()),
  };
}

function openCounterCell(labels: Pick<RequestTotals, 'model' | 'version' | 'arm'>): CounterCell & { totals(): RequestTotals } {
  const outcomes: Record<Outcome, number> = {
    ok: 0,
    error: 0,
    timeout: 0,
    invalid: 0,
    rejected: 0,
    rescued: 0,
    forced: 0,
    abandoned: 0,
  };
  const buckets = new Float64Array(LATENCY_BOUNDS_MS.length + 1);
  let latencySumMs = 0;
  return {
    add(outcome, latencyMs) {
      outcomes[outcome]++;
      latencySumMs += latencyMs;
      let bucket = 0;
      while (bucket < LATENCY_BOUNDS_MS.length && latencyMs > (LATENCY_BOUNDS_MS[bucket] ?? 0)) bucket++;
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    },
    totals: () => ({ ...labels, outcomes: { ...outcomes }, latencyBuckets: [...buckets], latencySumMs }),
  };
}
