/** A model in the registry: its champion, the chain of former champions, and how requests are routed. Registry changes are pure functions here. */
import { AppError } from './errors.ts';
import { DEFAULT_LABELS_DUE_MS } from './feedback.ts';
import type { GoldenSet } from './golden.ts';
import { DEFAULT_HEALTH_LIMITS, type HealthLimits } from './health.ts';
import type { ModelVersion } from './model-version.ts';
import { assertNotQuarantined, isSameArtifact, quarantineOf } from './quarantine.ts';
import type { RequestField, RoutingRule } from './targeting.ts';

/** A time during which a version was champion. */
export interface ChampionTerm {
  readonly version: string;
  readonly fromMs: number;
  /** Absent while the term lasts. */
  readonly untilMs?: number;
  readonly began: 'promotion' | 'rollback';
}

/** How the gateway picks the sticky key of a request, and which rules come before any percentage. */
export interface Routing {
  /** The first field that the request has is its subject. */
  readonly subject: readonly RequestField[];
  readonly rules: readonly RoutingRule[];
  /** Milliseconds for a whole request, rescue included. */
  readonly deadlineMs: number;
}

/** What counts as the same prediction, and what is kept of pairs. */
export interface Comparison {
  /** Numbers agree when they differ by at most absolute + relative · |the champion's|. */
  readonly absolute: number;
  readonly relative: number;
  /** Pairs are counted apart by the values of this field, such as a region. */
  readonly segment?: RequestField;
  /** Whether requests are kept with the examples of pairs. They may say anything about people. */
  readonly keepRequests: boolean;
  /** Paths of object keys such as `user.name`, whose values are replaced before a request is kept; `*` is every element. */
  readonly redact: readonly string[];
}

/** A version that gets copies of requests outside of any rollout. */
export interface StandingShadow {
  readonly version: string;
  /** Share of subjects whose requests are copied, in (0, 100]. */
  readonly percent: number;
  /** Before the share: `challenger` is copied, `champion` is not. */
  readonly rules: readonly RoutingRule[];
  readonly salt: string;
  readonly sinceMs: number;
  readonly by: string;
  readonly reason: string;
}

/** How the champion is watched outside of rollouts. */
export interface Watch {
  /**
   * `detectors`: evidence against the limits is gathered over the champion's whole term, with a false alarm once in a
   * hundred days at worst. `window`: the newest requests must keep the limits at every look; quicker, and often wrong near
   * a limit.
   */
  readonly method: 'detectors' | 'window';
  readonly limits: HealthLimits;
  /** For detectors: a share of predictions in any range may differ from the registered baseline's by this much. */
  readonly shareDrift: number;
  /** What detectors do about drift: inputs may have changed for every version, and then a rollback helps nobody. */
  readonly onDrift: 'alert' | 'roll-back';
  /** For detectors: the mean of these labels must not be below a level, by their names. */
  readonly labels?: Readonly<Record<string, number>>;
  readonly checkEveryMs: number;
  /** No automatic rollback for so long after a rollback. */
  readonly cooldownMs: number;
}

/** Something that needs a person. */
export interface Alarm {
  readonly code: 'no-last-known-good';
  readonly message: string;
  readonly sinceMs: number;
}

/** Why a rollback would not go to a former champion. Ends with the next champion, and when gateways can answer with it again. */
export interface PassedOver {
  readonly version: string;
  readonly reason: string;
  readonly sinceMs: number;
}

/** A rollback that happened: what failed and who took over. */
export interface RollbackRecord {
  readonly failed: string;
  readonly restored: string;
  readonly atMs: number;
  readonly by: string;
  readonly reason: string;
}

/** A named prediction service. Exactly one champion, or none before the first promotion. */
export interface Model {
  readonly name: string;
  readonly createdAtMs: number;
  readonly champion?: string;
  /** Every term as champion, oldest first; the last one lasts. */
  readonly terms: readonly ChampionTerm[];
  readonly routing: Routing;
  readonly watch: Watch;
  /** Labels of a request are due so long after it; {@link DEFAULT_LABELS_DUE_MS} when absent. */
  readonly labelsDueMs?: number;
  /** Everybody is on the champion while this is set. */
  readonly killed?: { readonly atMs: number; readonly by: string; readonly reason: string };
  readonly alarm?: Alarm;
  /** Former champions that no gateway could answer with lately; a rollback goes to an older one. Newest first, a few at most. */
  readonly passedOver?: readonly PassedOver[];
  readonly lastRollback?: RollbackRecord;
  /** {@link DEFAULT_COMPARISON} when absent. */
  readonly comparison?: Comparison;
  readonly shadow?: StandingShadow;
  readonly golden?: GoldenSet;
  /** The rollout that is live, at most one. */
  readonly liveRollout?: string;
  /** How many rollouts the model has had; numbers the next one. */
  readonly rolloutCount: number;
}

/** Subject from `x-user-id`; a deadline of 5 s. */
export const DEFAULT_ROUTING: Routing = { subject: [{ from: 'header', name: 'x-user-id' }], rules: [], deadlineMs: 5000 };

/** Numbers within 1 %, no requests kept. */
export const DEFAULT_COMPARISON: Comparison = { absolute: 1e-6, relative: 0.01, keepRequests: false, redact: [] };

/** Detectors with the limits of {@link DEFAULT_HEALTH_LIMITS}, asked every second, with a cooldown of 120 s. */
export const DEFAULT_WATCH: Watch = {
  method: 'detectors',
  limits: DEFAULT_HEALTH_LIMITS,
  shareDrift: 0.1,
  onDrift: 'alert',
  checkEveryMs: 1000,
  cooldownMs: 120_000,
};

/** How long after a request its labels are due, in milliseconds. */
export function labelsDueMsOf({ labelsDueMs = DEFAULT_LABELS_DUE_MS }: Pick<Model, 'labelsDueMs'>): number {
  return labelsDueMs;
}

/** The version that was champion at a moment; undefined before the first promotion. */
export function championAt(model: Model, atMs: number): string | undefined {
  return model.terms.findLast((term) => term.fromMs <= atMs && (term.untilMs === undefined || atMs < term.untilMs))?.version;
}

/** The model with another champion, in one change: the present term ends where the next begins. */
export function crown(model: Model, next: Pick<ChampionTerm, 'version' | 'began'>, atMs: number): Model {
  const terms = model.terms.map((term, index) =>
    index === model.terms.length - 1 && term.untilMs === undefined ? { ...term, untilMs: atMs } : term,
  );
  const { alarm: _solved, passedOver: _former, ...rest } = model;
  return { ...rest, champion: next.version, terms: [...terms, { ...next, fromMs: atMs }] };
}

/**
 * The version to fall back to: the newest of {@link fallbacksOf} that is not passed over. When all are, the newest of them:
 * a doubtful one is better than a champion that fails.
 * @param versions every version of the model
 * @param failing never returned, whatever its health says
 */
export function lastKnownGood(
  model: Model,
  versions: readonly ModelVersion[],
  failing: string | undefined = model.champion,
): string | undefined {
  const fallbacks = fallbacksOf(model, versions, failing);
  const passedOver = new Set(model.passedOver?.map(({ version }) => version));
  return fallbacks.find((version) => !passedOver.has(version)) ?? fallbacks[0];
}

/**
 * Every version that the champion could be sent back to, newest first: former champions that are not marked unhealthy,
 * walking the chain of terms backwards. A version that never served is not on the chain, nor is one that is made of the same
 * file as the failing one, or as one that was marked unhealthy.
 * @param versions every version of the model
 */
export function fallbacksOf(
  model: Model,
  versions: readonly ModelVersion[],
  failing: string | undefined = model.champion,
): readonly string[] {
  const broken = versions.find(({ version }) => version === failing)?.source;
  const isFit = ({ version, source, health }: ModelVersion): boolean =>
    version !== failing &&
    health.state === 'healthy' &&
    quarantineOf(source, versions) === undefined &&
    (broken === undefined || !isSameArtifact(source, broken));
  const fit = new Set(versions.filter(isFit).map(({ version }) => version));
  return [...new Set(model.terms.map(({ version }) => version).toReversed())].filter((version) => fit.has(version));
}

/** What a rollback of the champion comes to. */
export type RollbackOutcome =
  | { readonly outcome: 'rolled-back'; readonly model: Model; readonly failed: ModelVersion; readonly restored: string }
  | { readonly outcome: 'already-done'; readonly message: string }
  | { readonly outcome: 'no-target'; readonly model: Model; readonly failed: ModelVersion; readonly message: string };

/** A wish to send the champion back. */
export interface RollbackRequest {
  /** The version that fails. When it is no longer champion there is nothing to do. */
  readonly failing: string;
  /** A version of the caller's choice instead of the last known good. */
  readonly to?: string;
  /** Lets `to` be a version that is marked unhealthy or never served. */
  readonly force?: boolean;
  readonly atMs: number;
  readonly by: string;
  readonly reason: string;
}

/**
 * Sends the champion back to its last known good: marks the failing version unhealthy first, then walks the chain, so
 * that a later rollback can never return to it. With nobody left the present champion keeps serving, loudly.
 * @param versions every version of the model
 * @throws AppError `rollback.unsafe_target` when `to` is unhealthy or never served and `force` is not set;
 *   `version.not_found` when a version does not exist
 */
export function rollBackChampion(model: Model, versions: readonly ModelVersion[], request: RollbackRequest): RollbackOutcome {
  if (model.champion !== request.failing) {
    const message = `${request.failing} is not the champion of "${model.name}" any more (${model.champion ?? 'nobody'} is), so nothing was changed`;
    return { outcome: 'already-done', message };
  }
  const failed = markUnhealthy(findVersion(versions, model.name, request.failing), request);
  const others = versions.map((version) => (version.version === failed.version ? failed : version));
  const target =
    request.to === undefined
      ? lastKnownGood(model, others)
      : chosenTarget(model, others, { to: request.to, isForced: request.force === true, atMs: request.atMs });
  if (target === undefined) {
    const message = `${failed.version} fails (${request.reason}) and "${model.name}" has no healthy former champion to fall back to; ${failed.version} keeps serving. Register and promote a good version, or roll back with an explicit target.`;
    const alarm: Alarm = { code: 'no-last-known-good', message, sinceMs: model.alarm?.sinceMs ?? request.atMs };
    return { outcome: 'no-target', model: { ...model, alarm }, failed, message };
  }
  const { atMs, by, reason } = request;
  const record: RollbackRecord = { failed: failed.version, restored: target, atMs, by, reason };
  return {
    outcome: 'rolled-back',
    model: { ...crown(model, { version: target, began: 'rollback' }, atMs), lastRollback: record },
    failed,
    restored: target,
  };
}

/** The version, marked unhealthy; the first reason stays when it was unhealthy already. */
export function markUnhealthy(
  version: ModelVersion,
  act: { readonly reason: string; readonly by: string; readonly atMs: number },
): ModelVersion {
  if (version.health.state === 'unhealthy') return version;
  const { reason, by, atMs } = act;
  return { ...version, health: { state: 'unhealthy', reason, by, atMs } };
}

/** @throws AppError `version.not_found` */
export function findVersion(versions: readonly ModelVersion[], model: string, version: string): ModelVersion {
  const found = versions.find((candidate) => candidate.version === version);
  if (found !== undefined) return found;
  const known = versions.map((candidate) => candidate.version).join(', ');
  throw new AppError(
    'version.not_found',
    `model "${model}" has no version "${version}"; it has ${known === '' ? 'none yet' : known}`,
  );
}

function chosenTarget(
  model: Model,
  versions: readonly ModelVersion[],
  wish: { readonly to: string; readonly isForced: boolean; readonly atMs: number },
): string {
  const { to, isForced } = wish;
  const target = findVersion(versions, model.name, to);
  if (target.version === model.champion) {
    throw new AppError('rollback.unsafe_target', `cannot roll "${model.name}" back to ${to}: it is the failing champion itself`);
  }
  if (isForced) return to;
  if (target.health.state === 'unhealthy') {
    throw new AppError(
      'rollback.unsafe_target',
      `cannot roll "${model.name}" back to ${to}: it is marked unhealthy (${target.health.reason}); pass force to do it all the same`,
    );
  }
  assertNotQuarantined(
    `cannot roll "${model.name}" back to ${to} without force`,
    quarantineOf(target.source, versions, target),
    wish.atMs,
  );
  if (!model.terms.some((term) => term.version === to)) {
    throw new AppError(
      'rollback.unsafe_target',
      `cannot roll "${model.name}" back to ${to}: it never was champion; pass force to do it all the same`,
    );
  }
  return to;
}
