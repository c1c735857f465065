/** Which arm answers a request. Pure arithmetic on a model's routing entry; the gateway's hot path depends on it. */
import { BUCKET_COUNT, bucketOf } from './bucketing.ts';
import type { SnapshotModel, SnapshotShadow } from './snapshot.ts';
import { matchRule, type RequestField } from './targeting.ts';

/**
 * Why a request went where it went. `default`: no rollout. `split`: by the subject's bucket. `random`: by chance, as the
 * request has no subject. `rule`: a targeting rule. `killed`: the kill switch. `not-ready`: this gateway has not loaded
 * the challenger yet. `forced`: asked for by header. `rescued`: the challenger failed and the champion answered.
 */
export type RouteReason = 'default' | 'split' | 'random' | 'rule' | 'killed' | 'not-ready' | 'forced' | 'rescued';

/** An arm and why. */
export interface Route {
  readonly arm: 'champion' | 'challenger';
  readonly reason: RouteReason;
}

/** What routing asks of a request, only when it needs it. */
export interface RoutedRequest {
  /** Text of a field; undefined when the request does not have it. */
  read(field: RequestField): string | undefined;
  /** Uniform in [0, 1): used when the request has no subject. */
  random(): number;
}

const CHAMPION_DEFAULT: Route = { arm: 'champion', reason: 'default' };
const CHAMPION_KILLED: Route = { arm: 'champion', reason: 'killed' };
const CHAMPION_NOT_READY: Route = { arm: 'champion', reason: 'not-ready' };
const CHAMPION_RULE: Route = { arm: 'champion', reason: 'rule' };
const CHALLENGER_RULE: Route = { arm: 'challenger', reason: 'rule' };
const CHAMPION_SPLIT: Route = { arm: 'champion', reason: 'split' };
const CHALLENGER_SPLIT: Route = { arm: 'challenger', reason: 'split' };
const CHAMPION_RANDOM: Route = { arm: 'champion', reason: 'random' };
const CHALLENGER_RANDOM: Route = { arm: 'challenger', reason: 'random' };

/**
 * The arm for one request: kill switch, then rules, then the subject's bucket against the boundary.
 * @param isChallengerReady whether this gateway has the challenger loaded, warmed up and probed
 */
export function route(model: SnapshotModel, isChallengerReady: boolean, request: RoutedRequest): Route {
  const { rollout, routing } = model;
  if (rollout === undefined || rollout.step < 0) return CHAMPION_DEFAULT;
  if (model.isKilled) return CHAMPION_KILLED;
  if (!isChallengerReady) return CHAMPION_NOT_READY;
  // In the shadow nobody gets the challenger, whatever rules say: they choose whose requests are copied.
  if (model.shadow?.rollout === rollout.id) return CHAMPION_DEFAULT;
  if (routing.rules.length > 0) {
    const rule = matchRule(routing.rules, (field) => request.read(field));
    if (rule !== undefined) return rule.serve === 'challenger' ? CHALLENGER_RULE : CHAMPION_RULE;
  }
  const subject = subjectOf(routing.subject, request);
  if (subject === undefined) return request.random() * 100_000 < rollout.boundary ? CHALLENGER_RANDOM : CHAMPION_RANDOM;
  return bucketOf(rollout.salt, subject) < rollout.boundary ? CHALLENGER_SPLIT : CHAMPION_SPLIT;
}

/** Whether a request that the champion answers is copied: rules, then the subject's bucket against the boundary. */
export function isCopied(shadow: SnapshotShadow, subject: readonly RequestField[], request: RoutedRequest): boolean {
  if (isCopyOfAll(shadow)) return true;
  if (shadow.rules.length > 0) {
    const rule = matchRule(shadow.rules, (field) => request.read(field));
    if (rule !== undefined) return rule.serve === 'challenger';
  }
  const key = subjectOf(subject, request);
  return key === undefined ? request.random() * 100_000 < shadow.boundary : bucketOf(shadow.salt, key) < shadow.boundary;
}

/** Whether nothing about a request has to be read to know that it is copied. */
export function isCopyOfAll({ boundary, rules }: SnapshotShadow): boolean {
  return boundary >= BUCKET_COUNT && rules.length === 0;
}

/** The first field that the request has; an empty text counts as absent. */
export function subjectOf(fields: readonly RequestField[], request: Pick<RoutedRequest, 'read'>): string | undefined {
  for (const field of fields) {
    const text = request.read(field);
    if (text !== undefined && text !== '') return text;
  }
  return undefined;
}
