/** A shadow as the API answers it: copies, pairs, verdict, and what to know before trusting them. */
import type { CopiesView } from '@understudy/contract/copies-view';
import type { ShadowView } from '@understudy/contract/shadow-endpoints';
import { formatDuration } from '@understudy/core/duration';
import type { Tally } from '@understudy/core/evidence';
import type { Model } from '@understudy/core/model';
import { readPairs } from '@understudy/core/pair-reading';
import { EMPTY_PAIRS } from '@understudy/core/pairs';
import type { Judgement } from '@understudy/core/policy';
import { type Rollout, shadowStepOf } from '@understudy/core/rollout';
import { getModel } from '../commands/queries.ts';
import type { HandlerContext } from './call.ts';
import { liveRolloutOf } from './model-view.ts';
import { printableReadings } from './printable-readings.ts';

/** What was seen of a shadow. */
export interface SeenShadow {
  readonly tally: Tally;
  readonly silentMs: number | undefined;
}

/** @throws AppError `model.not_found` */
export async function viewShadow(context: HandlerContext, name: string): Promise<ShadowView> {
  const model = await getModel(context, name);
  const rollout = await liveRolloutOf(context, model);
  const ofRollout = rollout === undefined ? undefined : await viewOfRollout(context, model, rollout);
  return ofRollout ?? viewStanding(context, model);
}

/** What became of the copies of a rollout's newest step of shadow. */
export function copiesOfRollout({ plan, challenger, state }: Rollout, { tally }: SeenShadow): CopiesView {
  const present = shadowStepOf({ plan, state });
  const last = plan.steps.findLast(({ shadowPercent }) => shadowPercent !== undefined);
  return copiesOf(challenger, (present ?? last)?.shadowPercent ?? 0, tally);
}

/** Why a shadow should not be trusted. */
export function shadowWarnings(version: string, { tally, silentMs }: SeenShadow): readonly string[] {
  const dropped = Object.entries(tally.pairs?.dropped ?? {}).map(([reason, count]) => `${count} ${reason}`);
  const about = dropped.length === 0 ? 'none was dropped either' : `dropped: ${dropped.join(', ')}`;
  const silent =
    silentMs === undefined
      ? []
      : [
          `the shadow ${version} has answered no copy for ${formatDuration(silentMs)} although its champion has traffic (${about}); look at \`understudy gateway list\` and at what the version says of itself`,
        ];
  const lost = Object.values(tally.pairs?.dropped ?? {}).reduce((sum, count) => sum + count, 0);
  const isStarved = lost > tally.requests && tally.requests > 0;
  return isStarved ? [...silent, `more copies were dropped than answered (${about}); lower the share of the shadow`] : silent;
}

async function viewOfRollout(context: HandlerContext, model: Model, rollout: Rollout): Promise<ShadowView | undefined> {
  const step = shadowStepOf(rollout);
  if (step === undefined || model.killed !== undefined) return undefined;
  const { judgement, shadow } = await context.engine.lookAt(rollout);
  if (shadow === undefined) return undefined;
  return {
    model: model.name,
    copies: copiesOfRollout(rollout, shadow),
    rollout: rollout.id,
    ...('sinceMs' in rollout.state ? { sinceMs: rollout.state.sinceMs } : {}),
    ...(judgement === undefined ? {} : { now: nowOf(judgement) }),
    warnings: [...shadowWarnings(rollout.challenger, shadow)],
  };
}

async function viewStanding(context: HandlerContext, model: Model): Promise<ShadowView> {
  const { shadow, name } = model;
  if (shadow === undefined) return { model: name, warnings: [] };
  const killed = model.killed === undefined ? [] : [`"${name}" is killed, so nothing is copied (understudy unkill ${name})`];
  const found = await context.engine.shadowOf(model);
  if (found === undefined) return { model: name, sinceMs: shadow.sinceMs, warnings: [...killed, `"${name}" has no champion`] };
  const warnings = model.killed === undefined ? shadowWarnings(shadow.version, found) : killed;
  return {
    model: name,
    copies: copiesOf(shadow.version, shadow.percent, found.tally),
    sinceMs: shadow.sinceMs,
    now: nowOf(found.judgement),
    warnings: [...warnings],
  };
}

function copiesOf(version: string, percent: number, { requests, errors, timeouts, pairs = EMPTY_PAIRS }: Tally): CopiesView {
  const { flips, segments, ...reading } = readPairs(pairs);
  return {
    version,
    percent,
    delivered: requests,
    failed: errors - timeouts,
    timeouts,
    dropped: { ...pairs.dropped },
    pairs: {
      ...mutable(reading),
      flips: flips.map(([champion, shadow, count]) => [champion, shadow, count]),
      segments: segments.map(mutable),
    },
    worst: [...pairs.worst],
  };
}

function nowOf({ verdict, reason, guards, forecast }: Judgement): NonNullable<ShadowView['now']> {
  return { verdict, reason, guards: printableReadings(guards), ...(forecast === undefined ? {} : { forecast }) };
}

/** A view as its schema types it: the same, but not read-only. */
function mutable<T>(value: T): Mutable<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only `readonly` is dropped, of data that nobody else holds
  return value as Mutable<T>;
}

type Mutable<T> = T extends readonly [infer A, infer B]
  ? [A, B]
  : T extends object
    ? { -readonly [Key in keyof T]: Mutable<T[Key]> }
    : T;
