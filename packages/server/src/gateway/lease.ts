/** When this gateway could last be sure of the control plane: shares above the safe one are lent to it for a time from then on. */

/** Renewed only by both together: a control plane that takes reports but sends no snapshots is as blind as the other way round. */
export interface Lease {
  /** The control plane said that the snapshot in use is the present one. */
  heard(atMs: number): void;
  /** It has stored a report. */
  acknowledged(atMs: number): void;
  /**
   * Since when a lease of this length is over; undefined while it holds. From the start until both have happened it is over:
   * a lease has to be given before it can be used.
   */
  overSinceMs(nowMs: number, leaseMs: number): number | undefined;
}

export function openLease(openedAtMs: number): Lease {
  let heardAtMs = -Infinity;
  let acknowledgedAtMs = -Infinity;
  return {
    heard(atMs) {
      heardAtMs = atMs;
    },
    acknowledged(atMs) {
      acknowledgedAtMs = atMs;
    },
    overSinceMs(nowMs, leaseMs) {
      const endMs = Math.min(heardAtMs, acknowledgedAtMs) + leaseMs;
      return nowMs <= endMs ? undefined : Math.max(openedAtMs, endMs);
    },
  };
}

/** Whose share is lent, and since when that is over. */
interface Lent {
  readonly model: string;
  readonly version: string;
  readonly trial: { readonly rollout: string; readonly leaseOverSinceMs?: number };
}

/** Says in the log when a lease ends and when it is given again. @returns what to call from time to time */
export function openLeaseWatch(
  lent: () => readonly Lent[],
  log: (event: string, fields: Readonly<Record<string, unknown>>) => void,
): () => void {
  let over: ReadonlyMap<string, Readonly<Record<string, unknown>>> = new Map();
  return () => {
    const now = new Map<string, Readonly<Record<string, unknown>>>();
    for (const { model, version, trial } of lent()) {
      if (trial.leaseOverSinceMs !== undefined) now.set(trial.rollout, { model, version, rollout: trial.rollout });
    }
    for (const [rollout, fields] of now) if (!over.has(rollout)) log('lease.over', fields);
    for (const [rollout, fields] of over) if (!now.has(rollout)) log('lease.renewed', fields);
    over = now;
  };
}
