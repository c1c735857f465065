/** A version that gets copies of one model's requests, ready to be read by the hot path. Model entries have at most one. */
import type { SnapshotModel, SnapshotShadow } from '@understudy/core/snapshot';
import { isDeepStrictEqual } from 'node:util';
import type { LoadedVersion } from './loaded-version.ts';
import { openSeat, type Seat, type SeatMakers } from './seat.ts';
import type { ShadowLane } from './shadow-lane.ts';

export interface ShadowSeat {
  readonly shadow: SnapshotShadow;
  /** Where its answers count; nobody ever gets one. */
  readonly seat: Seat;
  readonly lane: ShadowLane;
}

interface ShadowSources {
  readonly model: SnapshotModel;
  readonly versions: ReadonlyMap<string, LoadedVersion>;
  readonly makers: SeatMakers;
  readonly former: ShadowSeat | undefined;
}

/** The shadow's seat once its version is ready; the former one when nothing about it has changed. */
export function shadowSeatOf({ model, versions, makers, former }: ShadowSources): ShadowSeat | undefined {
  const { shadow, binEdges, isKilled } = model;
  if (shadow === undefined || isKilled) return undefined;
  const loaded = versions.get(shadow.version);
  if (loaded?.runtime === undefined) return undefined;
  if (former?.seat.loaded === loaded && isDeepStrictEqual([former.shadow, former.seat.binEdges], [shadow, binEdges]))
    return former;
  const { rollout, step, lines, comparison } = shadow;
  const trial = rollout === undefined || step === undefined ? {} : { rollout, step };
  const seat = openSeat(makers, loaded, { arm: 'shadow', binEdges, ...trial, pairing: { lines, comparison, binEdges } });
  return { shadow, seat, lane: makers.shadows.laneOf(model.name) };
}
