/** Totals of the whole gateway since its start, beside those of each version. Plain numbers that the hot path adds to. */

export interface GatewayCounts {
  /** Requests without a subject, routed by chance. */
  noSubject: number;
  /** Requests that a challenger would have got, had it spoken their protocol. */
  otherProtocol: number;
  /** Requests refused by us as the caller's mistake or for lack of capacity. */
  refused: number;
  /** Requests that failed by a bug of ours. */
  bugs: number;
  /** Snapshots that did not fit. */
  refusedSnapshots: number;
  /** Breakers that opened, again after a failed probe included. */
  breakerOpenings: number;
  /** Requests of a challenger that its breaker sent to the champion. */
  breakerDiverted: number;
  /** Requests sent to a challenger to see whether its breaker may close. */
  breakerProbes: number;
}

/** All zero. */
export function newGatewayCounts(): GatewayCounts {
  return {
    noSubject: 0,
    otherProtocol: 0,
    refused: 0,
    bugs: 0,
    refusedSnapshots: 0,
    breakerOpenings: 0,
    breakerDiverted: 0,
    breakerProbes: 0,
  };
}
