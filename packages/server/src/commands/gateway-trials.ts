/** What gateways have done by themselves about a challenger: cut it off, or gone back to a safe share. Engine and views ask it. */
import type { Trial } from '@understudy/contract/report';
import { formatDuration } from '@understudy/core/duration';
import type { ArmOutcomes } from '@understudy/core/outcome-window';
import { DEFAULT_LEASE_MS } from '@understudy/core/plan';
import { BUCKET_COUNT } from '@understudy/core/bucketing';
import { type Rollout, safeBoundaryOfRollout, stepOf } from '@understudy/core/rollout';
import type { GatewayStatus } from '../storage/store.ts';
import { isConnected } from './readiness.ts';

/**
 * Which connected gateways do not send the challenger its share, and why. A gateway that is not heard of any more cannot
 * hold a rollout for ever; when it is back, so is what it says.
 * @returns undefined when none has cut it off
 */
export function cutOffBecause(gateways: readonly GatewayStatus[], rollout: Rollout, atMs: number): string | undefined {
  const sentences = [...cutOffSentences(gateways, rollout, atMs), ...killedSentences(gateways, rollout, atMs)];
  return sentences.length === 0 ? undefined : sentences.join('; ');
}

// Three tries of a breaker fit in, and a challenger that was only restarted is back by then.
const GIVEN_UP_AFTER_MS = 15_000;

/**
 * Why nobody will ever know more about a challenger: every connected gateway has cut it off, and trying it again has led to nothing.
 * @returns undefined as long as some gateway sends it users, or may soon
 */
export function givenUpBecause(gateways: readonly GatewayStatus[], rollout: Rollout, atMs: number): string | undefined {
  const connected = gateways.filter((gateway) => isConnected(gateway, atMs));
  const trials = trialsOf(connected, rollout, atMs);
  const isGivenUp = ({ trial: { breaker } }: (typeof trials)[number]): boolean =>
    breaker.state !== 'closed' &&
    !(breaker.state === 'half-open' && breaker.successes > 0) &&
    atMs - breaker.sinceMs >= GIVEN_UP_AFTER_MS;
  if (connected.length === 0 || trials.length < connected.length || !trials.every(isGivenUp)) return undefined;
  return `every gateway has cut ${rollout.challenger} off for ${formatDuration(GIVEN_UP_AFTER_MS)} and more: ${cutOffSentences(gateways, rollout, atMs).join('; ')}`;
}

/** One sentence for each connected gateway whose breaker is not closed. */
function cutOffSentences(gateways: readonly GatewayStatus[], rollout: Rollout, atMs: number): readonly string[] {
  return trialsOf(gateways, rollout, atMs).flatMap(({ gateway, trial: { breaker } }) => {
    if (breaker.state === 'closed') return [];
    const { champion, challenger } = breaker.seen;
    const counts = `${countsOf(challenger)} requests failed, champion ${countsOf(champion)}`;
    const since = `gateway ${gateway} has cut ${rollout.challenger} off since ${timeOf(breaker.sinceMs)}: ${counts}`;
    return breaker.state === 'open' ? [since] : [`${since}; it is trying single requests, ${breaker.successes} succeeded so far`];
  });
}

/** One sentence for each connected gateway on whose machine somebody has killed the model. */
function killedSentences(gateways: readonly GatewayStatus[], { model }: Rollout, atMs: number): readonly string[] {
  return gateways
    .filter((gateway) => isConnected(gateway, atMs))
    .flatMap(({ gateway, standing }) => {
      const kill = standing?.kills.find((one) => one.model === model);
      return kill === undefined
        ? []
        : [`${kill.by} has killed ${model} on gateway ${gateway} since ${timeOf(kill.atMs)}: ${kill.reason}`];
    });
}

/** Connected gateways that go on with an old snapshot because they refuse the newer one, one sentence each. */
export function refusalWarnings(gateways: readonly GatewayStatus[], atMs: number): readonly string[] {
  return gateways
    .filter((gateway) => isConnected(gateway, atMs))
    .flatMap(({ gateway, revision, standing }) =>
      standing?.refused === undefined
        ? []
        : [`gateway ${gateway} goes on with revision ${revision} and refuses what came since: ${standing.refused.reason}`],
    );
}

/** Gateways on which the share is not what the step says because nobody can be asked, one sentence each. */
export function leaseWarnings(gateways: readonly GatewayStatus[], rollout: Rollout, atMs: number): readonly string[] {
  const leaseMs = rollout.plan.leaseMs ?? DEFAULT_LEASE_MS;
  const safe = `${(safeBoundaryOfRollout(rollout) / BUCKET_COUNT) * 100} %`;
  const said = trialsOf(gateways, rollout, atMs).flatMap(({ gateway, trial: { leaseOverSinceMs } }) =>
    leaseOverSinceMs === undefined
      ? []
      : [
          `gateway ${gateway} has been without word from the control plane for longer than the lease of ${formatDuration(leaseMs)} and serves ${safe} since ${timeOf(leaseOverSinceMs)}`,
        ],
  );
  const silent = gateways.filter(
    ({ seenAtMs }) => stepOf(rollout.state) >= 0 && seenAtMs >= rollout.startedAtMs && atMs - seenAtMs > leaseMs,
  );
  return [
    ...said,
    ...silent.map(
      ({ gateway, seenAtMs }) =>
        `gateway ${gateway} was last heard of ${formatDuration(atMs - seenAtMs)} ago: if it still serves, its lease of ${formatDuration(leaseMs)} is over and it serves ${safe}`,
    ),
  ];
}

function trialsOf(
  gateways: readonly GatewayStatus[],
  rollout: Rollout,
  atMs: number,
): readonly { readonly gateway: string; readonly trial: Trial }[] {
  return gateways
    .filter((gateway) => isConnected(gateway, atMs))
    .flatMap(({ gateway, readiness }) =>
      readiness.flatMap(({ trial }) => (trial?.rollout === rollout.id ? [{ gateway, trial }] : [])),
    );
}

/** `7 of 7` */
function countsOf({ failures, requests }: ArmOutcomes): string {
  return `${failures} of ${requests}`;
}

/** To the second, in UTC. */
function timeOf(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}Z`;
}
