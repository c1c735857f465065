/** A rollout as the API answers it: the document, what the engine sees now, and what to know before trusting it. */
import type { RolloutView } from '@understudy/contract/views';
import type { Model } from '@understudy/core/model';
import type { ModelVersion } from '@understudy/core/model-version';
import { labelsDueMsOf } from '@understudy/core/model';
import type { Judgement } from '@understudy/core/policy';
import { provisionalUntil } from '@understudy/core/provisional';
import { decide, isLive, type Rollout, shadowStepOf } from '@understudy/core/rollout';
import { frozenBecause, holdFreezes } from '../commands/freezes.ts';
import { getModel, getVersions } from '../commands/queries.ts';
import { cutOffBecause, leaseWarnings, refusalWarnings } from '../commands/gateway-trials.ts';
import { notReadyBecause } from '../commands/readiness.ts';
import type { GatewayStatus } from '../storage/store.ts';
import type { HandlerContext } from './call.ts';
import { challengerPercentOf } from './model-view.ts';
import { printableReadings } from './printable-readings.ts';
import { warningsOf } from './rollout-warnings.ts';
import { copiesOfRollout, type SeenShadow, shadowWarnings } from './shadow-view.ts';

interface Surroundings {
  readonly model: Model;
  readonly versions: readonly ModelVersion[];
  readonly gateways: readonly GatewayStatus[];
  /** Why nothing may go forward now. */
  readonly frozen: string | undefined;
}

/** One after the other: a list of rollouts is for people, and the engine's evidence is not read in parallel for them. */
export async function viewRollouts(context: HandlerContext, rollouts: readonly Rollout[]): Promise<RolloutView[]> {
  const views: RolloutView[] = [];
  for (const rollout of rollouts) views.push(await viewRollout(context, rollout));
  return views;
}

export async function viewRollout(context: HandlerContext, rollout: Rollout): Promise<RolloutView> {
  const { store, environment, engine, clock } = context;
  const [model, versions, gateways, seen, [last]] = await Promise.all([
    getModel(context, rollout.model),
    getVersions(context, rollout.model),
    store.gateways(environment),
    engine.lookAt(rollout),
    store.decisions(environment, rollout.id, 1),
  ]);
  const atMs = clock.nowMs();
  const frozen = frozenBecause((await holdFreezes(context)).body, { model: rollout.model, atMs });
  const surroundings = { model, versions, gateways, frozen };
  const provisionalUntilMs = provisionalUntil(rollout, labelsDueMsOf(model));
  const isProvisional = provisionalUntilMs !== undefined && atMs < provisionalUntilMs && model.champion === rollout.challenger;
  const isOver = !isLive(rollout.state);
  const hasEnded = (isOver && !isProvisional) || seen.judgement === undefined;
  return {
    rollout,
    challengerPercent: challengerPercentOf(model, rollout),
    ...(isProvisional ? { provisionalUntilMs } : {}),
    ...(hasEnded ? {} : { now: nowOf(rollout, surroundings, { judgement: seen.judgement, atMs }) }),
    arms: [...seen.arms],
    ...(seen.shadow === undefined ? {} : { shadow: copiesOfRollout(rollout, seen.shadow) }),
    ...(last === undefined ? {} : { lastDecision: lastDecisionOf(last) }),
    warnings: isOver
      ? []
      : [
          ...warningsOf(rollout, model, versions),
          ...refusalWarnings(gateways, atMs),
          ...leaseWarnings(gateways, rollout, atMs),
          ...warningsOfShadow(rollout, seen.shadow),
          ...(seen.judgement?.notes ?? []),
        ],
  };
}

function warningsOfShadow(rollout: Rollout, seen: SeenShadow | undefined): readonly string[] {
  return seen === undefined || shadowStepOf(rollout) === undefined ? [] : shadowWarnings(rollout.challenger, seen);
}

function nowOf(
  rollout: Rollout,
  { versions, gateways, frozen }: Surroundings,
  { judgement, atMs }: { readonly judgement: Judgement; readonly atMs: number },
): NonNullable<RolloutView['now']> {
  const challenger = versions.find((version) => version.version === rollout.challenger);
  const wanted = { model: rollout.model, version: rollout.challenger, source: challenger?.source };
  const decision = decide(rollout, {
    atMs,
    judgement,
    notReady: notReadyBecause(gateways, wanted, atMs),
    cutOff: cutOffBecause(gateways, rollout, atMs),
    isExternal: challenger?.source.kind === 'external',
    unhealthy: challenger?.health.state === 'unhealthy' ? challenger.health.reason : undefined,
    ...(frozen === undefined ? {} : { frozen }),
  });
  const { verdict, guards, forecast } = judgement;
  const { heldFor, would } = decision;
  const restraint = { ...(heldFor === undefined ? {} : { heldFor }), ...(would === undefined ? {} : { would }) };
  const outlook = forecast === undefined ? {} : { forecast };
  const reason = isLive(rollout.state)
    ? decision.reason
    : `promoted; labels of its requests are still coming: ${judgement.reason}`;
  return { verdict, reason, guards: printableReadings(guards), ...outlook, ...restraint, atMs };
}

function lastDecisionOf({ atMs, decision }: NonNullable<RolloutView['lastDecision']>): NonNullable<RolloutView['lastDecision']> {
  return { atMs, decision: { ...decision, guards: printableReadings(decision.guards) } };
}
