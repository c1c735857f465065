/** How requests of two arms ended lately, in slots of fixed number: memory never grows with traffic. The breaker counts in these. */

/** Requests of one arm, and how many of them failed. */
export interface ArmOutcomes {
  readonly requests: number;
  readonly failures: number;
}

/** Both arms over the same time. */
export interface PairedOutcomes {
  readonly champion: ArmOutcomes;
  readonly challenger: ArmOutcomes;
}

/** A sliding window over the time that it is told. Every method is O(1) amortised and allocates nothing but the answer of `seen`. */
export interface OutcomeWindow {
  /** Counts a request that ended. Time that goes back counts in the newest slot. */
  add(atMs: number, arm: keyof PairedOutcomes, isFailure: boolean): void;
  /** Everything that ended within the window. */
  seen(atMs: number): PairedOutcomes;
  clear(): void;
}

// Champion's requests and failures, then the challenger's.
const FIELDS = 4;
const FIELD_OF = { champion: 0, challenger: 2 } as const;

/**
 * Opens an empty window.
 * @param slotMs length of a slot, > 0; the window is cut at whole slots
 * @param slots number of slots, ≥ 1
 */
export function openOutcomeWindow(slotMs: number, slots: number): OutcomeWindow {
  const counts = new Uint32Array(slots * FIELDS);
  const totals = new Uint32Array(FIELDS);
  let newest = 0;

  const clear = (): void => {
    counts.fill(0);
    totals.fill(0);
  };

  /** Forgets the slots that have left the window. */
  const moveTo = (atMs: number): void => {
    const slot = Math.floor(atMs / slotMs);
    if (slot <= newest) return;
    if (slot - newest >= slots) clear();
    else {
      for (let each = newest + 1; each <= slot; each++) {
        const start = (each % slots) * FIELDS;
        for (let field = 0; field < FIELDS; field++) {
          totals[field] = (totals[field] ?? 0) - (counts[start + field] ?? 0);
          counts[start + field] = 0;
        }
      }
    }
    newest = slot;
  };

  const count = (field: number): void => {
    const place = (newest % slots) * FIELDS + field;
    counts[place] = (counts[place] ?? 0) + 1;
    totals[field] = (totals[field] ?? 0) + 1;
  };

  return {
    add(atMs, arm, isFailure) {
      moveTo(atMs);
      count(FIELD_OF[arm]);
      if (isFailure) count(FIELD_OF[arm] + 1);
    },
    seen(atMs) {
      moveTo(atMs);
      const [ours = 0, oursFailed = 0, theirs = 0, theirsFailed = 0] = totals;
      return {
        champion: { requests: ours, failures: oursFailed },
        challenger: { requests: theirs, failures: theirsFailed },
      };
    },
    clear,
  };
}
