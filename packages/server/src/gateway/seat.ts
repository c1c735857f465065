/** A version's place on an arm of one model, with everything about it that no request changes. Made with the routing table. */
import type { Arm } from '@understudy/core/evidence';
import type { Pairing } from '@understudy/core/pair-counter';
import type { TrialPorts } from './challenger-trial.ts';
import type { CellKey, EvidenceCell } from './evidence-cell.ts';
import type { LoadedVersion } from './loaded-version.ts';
import type { Recorder } from './recorder.ts';
import type { CounterCell, RequestCounters } from './request-counters.ts';
import type { RequestIdMint, RequestIds } from './request-id.ts';
import type { ShadowLanes } from './shadow-lane.ts';

export interface Seat {
  readonly arm: Arm;
  readonly model: string;
  readonly version: string;
  readonly loaded: LoadedVersion;
  readonly binEdges: readonly number[] | undefined;
  readonly evidence: EvidenceCell;
  readonly counters: CounterCell;
  readonly mintId: RequestIdMint;
  /** The headers that all its answers have that are given for one reason and under one revision, as lines. */
  linesFor(reason: string, revision: number): string;
  /**
   * The same place for requests that chance did not send here: they are no comparison, so neither their evidence nor their
   * ids are of the rollout. Itself when it is outside of a rollout.
   */
  outside(): Seat;
}

export interface SeatMakers {
  readonly environment: string;
  readonly recorder: Pick<Recorder, 'openCell'>;
  readonly counters: RequestCounters;
  readonly ids: RequestIds;
  readonly trials: TrialPorts;
  readonly shadows: Pick<ShadowLanes, 'laneOf'>;
}

/** Where a version sits. */
export interface Place extends Pick<CellKey, 'rollout' | 'step'> {
  readonly arm: Seat['arm'];
  readonly binEdges: readonly number[] | undefined;
  /** Only of a shadow. */
  readonly pairing?: Pairing;
}

/** Seats a version. */
export function openSeat(makers: SeatMakers, loaded: LoadedVersion, { binEdges, pairing, ...place }: Place): Seat {
  const { arm } = place;
  const key = { model: loaded.model, version: loaded.version, ...place };
  // Most rollouts never need it.
  let outside: Seat | undefined;
  const seat: Seat = {
    arm,
    model: loaded.model,
    version: loaded.version,
    loaded,
    binEdges,
    evidence: makers.recorder.openCell({ key, binEdges, ...(pairing === undefined ? {} : { pairing }) }),
    counters: makers.counters.cellOf(loaded.model, loaded.version, arm),
    mintId: makers.ids.mintFor({ environment: makers.environment, ...key }),
    linesFor: openLines({ version: loaded.version, arm }),
    // A method, as objects with getters of their own have shapes of their own, which the hot path would feel.
    outside() {
      return (outside ??= place.rollout === undefined ? seat : openSeat(makers, loaded, { arm, binEdges }));
    },
  };
  return seat;
}

/** There are few reasons, and a seat seldom sees a second revision: every text is made once. */
function openLines({ version, arm }: Pick<Seat, 'version' | 'arm'>): Seat['linesFor'] {
  const made = new Map<string, { readonly revision: number; readonly lines: string }>();
  return (reason, revision) => {
    const present = made.get(reason);
    if (present?.revision === revision) return present.lines;
    const lines = `x-understudy-version: ${version}\r\nx-understudy-arm: ${arm}\r\nx-understudy-reason: ${reason}\r\nx-understudy-revision: ${revision}\r\n`;
    made.set(reason, { revision, lines });
    return lines;
  };
}
