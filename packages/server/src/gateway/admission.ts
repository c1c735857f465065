/** How many requests may be in work at once. Nothing waits in a queue: a queue only makes an overload last longer. */

export interface Admission {
  /** Takes a place; false when all are taken. */
  enter(): boolean;
  leave(): void;
  readonly inFlight: number;
  /** Requests refused since the start. */
  readonly refused: number;
}

/** Opens an admission of `limit` places. */
export function openAdmission(limit: number): Admission {
  let inFlight = 0;
  let refused = 0;
  return {
    enter() {
      if (inFlight >= limit) {
        refused++;
        return false;
      }
      inFlight++;
      return true;
    },
    leave() {
      inFlight--;
    },
    get inFlight() {
      return inFlight;
    },
    get refused() {
      return refused;
    },
  };
}
