/** From a request to the version that is to answer it. */
import { AppError } from '@understudy/core/errors';
import { route, type RouteReason } from '@understudy/core/routing';
import type { ModelEntry } from './model-entry.ts';
import type { ProtocolRequest } from './request-fields.ts';
import type { RoutingTable } from './routing-table.ts';
import { openSeat, type Seat } from './seat.ts';

/**
 * Why a request was answered by its version. `protocol`: the challenger does not speak the request's protocol. `breaker`: it
 * was the challenger's, whom this gateway has cut off. `probe`: tries whether that has to go on. `lease`: split by the share
 * judged safe last, as the control plane has not been heard of for too long.
 */
export type AnswerReason = RouteReason | 'protocol' | 'breaker' | 'probe' | 'lease';

/** Who is to answer, in the seat that the request counts on. */
export interface Decision {
  readonly seat: Seat;
  readonly reason: AnswerReason;
  /** Answers when the seat fails; absent when the seat is the champion's or was forced. */
  readonly standIn?: Seat;
}

/**
 * The entry of a model.
 * @throws AppError `model.not_found`, `snapshot.missing`
 */
export function entryFor(table: RoutingTable, name: string): ModelEntry {
  const entry = table.find(name);
  if (entry !== undefined) return entry;
  if (table.revision < 0)
    throw new AppError('snapshot.missing', 'cannot serve yet: this gateway has no snapshot. Try again in a moment');
  const known = table.names
    .slice(0, 10)
    .map((other) => `"${other}"`)
    .join(', ');
  throw new AppError('model.not_found', `there is no model "${name.slice(0, 63)}"; known: ${known === '' ? 'none' : known}`);
}

/**
 * Picks the seat for a request.
 * @param forced the version that the caller insists on, who is allowed to
 * @throws AppError `model.no_champion`, `model.loading`, `version.not_loaded`
 */
export function decide(entry: ModelEntry, forced: string | undefined, request: ProtocolRequest): Decision {
  if (forced !== undefined) return { seat: forcedSeat(entry, forced), reason: 'forced' };
  const { champion, challenger, model } = entry;
  if (champion === undefined) throw withoutChampion(entry);
  const { arm, reason } = route(model, challenger !== undefined, request);
  // In a step of shadow the champion answers everybody, so all of it is the rollout's.
  if (reason === 'default' && entry.shadow?.shadow.rollout !== undefined) return { seat: champion, reason };
  if (challenger === undefined) return { seat: champion.outside(), reason };
  const seat = arm === 'champion' ? champion : challenger;
  const place = isCompared(entry, reason, request) ? seat : seat.outside();
  return arm === 'champion' ? { seat: place, reason } : { seat: place, reason, standIn: champion };
}

/**
 * Whether chance alone chose the arm. Where only one version speaks the request's protocol, the other arm never answers
 * requests like it, so neither arm may count them.
 */
function isCompared({ spokenByBoth }: ModelEntry, reason: RouteReason, { protocol }: ProtocolRequest): boolean {
  return (reason === 'split' || reason === 'random') && (spokenByBoth === 'every' || spokenByBoth === protocol);
}

function forcedSeat(entry: ModelEntry, version: string): Seat {
  if (entry.champion?.version === version) return entry.champion.outside();
  if (entry.challenger?.version === version) return entry.challenger.outside();
  const loaded = entry.versions.get(version);
  if (loaded?.runtime === undefined) {
    const ready = [...entry.versions.values()].filter((candidate) => candidate.runtime !== undefined);
    const names = ready.map((candidate) => `"${candidate.version}"`).join(', ');
    throw new AppError(
      'version.not_loaded',
      `version "${version.slice(0, 63)}" of "${entry.model.name}" is not loaded here; loaded: ${names === '' ? 'none' : names}`,
    );
  }
  return openSeat(entry.makers, loaded, { arm: 'champion', binEdges: undefined });
}

function withoutChampion({ model, versions }: ModelEntry): AppError {
  if (model.champion === undefined) {
    return new AppError('model.no_champion', `model "${model.name}" has no champion: promote a version first`);
  }
  const readiness = versions.get(model.champion)?.readiness;
  const detail = readiness?.state === 'failed' ? `failed to load: ${readiness.detail}` : 'is still loading';
  return new AppError('model.loading', `version "${model.champion}" of "${model.name}" ${detail}. Try again in a moment`);
}
