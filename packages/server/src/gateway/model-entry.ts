/** How one model is served at one moment: its seats, ready to be read by the hot path. The routing table is made of these. */
import type { UpstreamProtocol } from '@understudy/core/model-version';
import type { SnapshotModel } from '@understudy/core/snapshot';
import type { RequestField } from '@understudy/core/targeting';
import type { Runtime } from '../runtimes/runtime.ts';
import { type ChallengerTrial, openChallengerTrial } from './challenger-trial.ts';
import type { LoadedVersion } from './loaded-version.ts';
import { openSeat, type Place, type Seat, type SeatMakers } from './seat.ts';
import { type ShadowSeat, shadowSeatOf } from './shadow-seat.ts';

/** Never changed in place: a new one takes its place as a whole. */
export interface ModelEntry {
  readonly model: SnapshotModel;
  readonly revision: number;
  /** Absent when the model never had a champion that was ready here. */
  readonly champion?: Seat;
  readonly challenger?: Seat;
  /** Of the challenger, while it is there. */
  readonly trial?: ChallengerTrial;
  /** The same model when the lease of the challenger's share is over. */
  readonly cautious?: ModelEntry;
  /** Whether this is such an entry. */
  readonly isCautious: boolean;
  /** Gets copies of requests that the champion answers. */
  readonly shadow?: ShadowSeat;
  /** Protocols in which either version can answer; a request in another one is no comparison. */
  readonly spokenByBoth: SpokenByBoth;
  /** Whether subject or rules read the body. */
  readonly readsJson: boolean;
  readonly versions: ReadonlyMap<string, LoadedVersion>;
  readonly makers: SeatMakers;
}

export type SpokenByBoth = 'every' | 'none' | UpstreamProtocol;

/** What an entry is made from. */
export interface EntrySources {
  readonly model: SnapshotModel;
  readonly revision: number;
  readonly versions: ReadonlyMap<string, LoadedVersion>;
  readonly makers: SeatMakers;
  /** How the model was served until now. */
  readonly former: ModelEntry | undefined;
}

/** The model by the new snapshot once its champion is ready; until then as it was. */
export function modelEntryOf({ former, ...sources }: EntrySources): ModelEntry {
  const { model, versions, makers } = sources;
  const base = { ...sources, isCautious: false, spokenByBoth: 'none' as const, readsJson: readsJson(model) };
  if (model.champion === undefined) return base;
  const champion = versions.get(model.champion);
  if (champion?.runtime === undefined) {
    // A first champion that is still loading: the entry is there, so that the answer is "loading", not "unknown".
    return former?.champion === undefined ? base : meanwhileOf(former, model);
  }
  const challenger = model.rollout === undefined ? undefined : versions.get(model.rollout.challenger);
  const place = placeOf(model);
  const shadow = shadowSeatOf({ model, versions, makers, former: former?.shadow });
  const seats = {
    champion: seatOf(makers, { loaded: champion, former: former?.champion, arm: 'champion', ...place }),
    ...(shadow === undefined ? {} : { shadow }),
  };
  if (challenger?.runtime === undefined) return { ...base, ...seats };
  return withCautious({
    ...base,
    ...seats,
    spokenByBoth: spokenByBoth(champion.runtime, challenger.runtime),
    challenger: seatOf(makers, { loaded: challenger, former: former?.challenger, arm: 'challenger', ...place }),
    trial: trialOf(makers, model.rollout?.id ?? '', { challenger, former: former?.trial }),
  });
}

/** The entry with the one that takes its place when the lease is over: a smaller share, and nobody's comparison. */
function withCautious(entry: ModelEntry): ModelEntry {
  const { model, champion, challenger } = entry;
  const { rollout } = model;
  if (rollout?.lease === undefined || champion === undefined || challenger === undefined) return entry;
  const cautious = {
    ...entry,
    isCautious: true,
    model: { ...model, rollout: { ...rollout, boundary: rollout.lease.boundary } },
    champion: champion.outside(),
    challenger: challenger.outside(),
  };
  return { ...entry, cautious };
}

/** The former trial goes on as long as its rollout and the instance of its challenger do. */
function trialOf(
  { trials }: SeatMakers,
  rollout: string,
  { challenger, former }: { readonly challenger: LoadedVersion; readonly former: ChallengerTrial | undefined },
): ChallengerTrial {
  const isSame = former?.rollout === rollout && former.challenger === challenger;
  return isSame ? former : openChallengerTrial(trials, rollout, challenger);
}

/** The former entry goes on, but a kill or the end of its rollout takes effect at once. */
function meanwhileOf({ shadow: _copies, ...former }: ModelEntry, next: SnapshotModel): ModelEntry {
  const { rollout, shadow: _setting, ...rest } = former.model;
  const isStillLive = rollout !== undefined && rollout.id === next.rollout?.id;
  return withCautious({
    ...former,
    model: { ...rest, ...(isStillLive ? { rollout } : {}), isKilled: former.model.isKilled || next.isKilled },
  });
}

/** Requests before the first step are no part of the rollout. */
function placeOf({ rollout, binEdges }: SnapshotModel): Omit<Place, 'arm'> {
  return { binEdges, ...(rollout === undefined || rollout.step < 0 ? {} : { rollout: rollout.id, step: rollout.step }) };
}

/** The former seat when nothing about it changes, so that a new snapshot costs unchanged models nothing. */
function seatOf(
  makers: SeatMakers,
  { loaded, former, ...place }: Place & { readonly loaded: LoadedVersion; readonly former: Seat | undefined },
): Seat {
  const key = former?.evidence.key;
  const isSame =
    former?.loaded === loaded &&
    former.arm === place.arm &&
    key?.rollout === place.rollout &&
    key?.step === place.step &&
    isSameList(former.binEdges, place.binEdges);
  return isSame ? former : openSeat(makers, loaded, place);
}

/** A model server speaks one protocol, a model of ours all of them. */
function spokenByBoth(champion: Runtime, challenger: Runtime): SpokenByBoth {
  if (champion.kind === 'onnx') return challenger.kind === 'onnx' ? 'every' : challenger.protocol;
  return challenger.kind === 'onnx' || challenger.protocol === champion.protocol ? champion.protocol : 'none';
}

function isSameList(left: readonly number[] | undefined, right: readonly number[] | undefined): boolean {
  return left === right || (left?.length === right?.length && left?.every((value, index) => value === right?.[index]) === true);
}

function readsJson({ routing }: SnapshotModel): boolean {
  const isJson = (field: RequestField): boolean => field.from === 'json';
  return routing.subject.some(isJson) || routing.rules.some((rule) => rule.all.some(({ field }) => isJson(field)));
}
