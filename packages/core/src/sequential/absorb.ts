/** How the policy `sequential` takes in a block: count, weigh what is ripe, restart and renew on the clock. */
import type { Tally } from '../evidence.ts';
import type { ConcurrentBlock } from '../evidence-pool.ts';
import { bucketOfLatency, countOf, type Histogram, mergeHistograms } from '../histogram.ts';
import { EMPTY_PAIRS } from '../pairs.ts';
import type { GuardConfig, SequentialConfig } from './config.ts';
import { type Detector, detect } from './detector.ts';
import { countGuard, renewSafety, restartGuard, weighGuard } from './guard.ts';
import { sizeOf } from './guard-counts.ts';
import { logHarmOf } from './harm.ts';
import { countFrom } from './latency-threshold.ts';
import { countLabels, isOfLabels } from './labels.ts';
import { moveThreshold } from './rate-guards.ts';
import { clampRate } from './log-odds.ts';
import type { RateCounts } from './margin.ts';
import { limitLogFactors } from './one-sample-test.ts';
import { addPending, isOverdue, isRipe, type Pending, type Ripeness } from './pending.ts';
import { betOnSampleRatio } from './sample-ratio.ts';
import { rememberLatency, type SequentialState } from './state.ts';
import { sicknessOf } from './verdict.ts';

// See `restartGuard`, and `restart` in `e-process.ts`.
const RESTART_EVERY_MS = 300_000;

// Few enough to be kept beside the past, many enough to add them to it seldom.
const FRESH_LATENCIES = 250;

// More evidence than this says nothing new about a sick champion, and would take as long to fade as the outage lasted.
const MOST_SICK = Math.log(1e5);

/**
 * The state after one more block. Late evidence of an earlier step is left out, of both arms: safety is proven in one step
 * at a time. Labels are late by nature, and count all the same.
 */
export function absorbBlock(config: SequentialConfig, state: SequentialState, block: ConcurrentBlock): SequentialState {
  if (block.step < 0) return state;
  const labelled = countLabels(config, state, block);
  if (block.step < state.step) {
    return weighRipe(config, labelled, (pending) => isOfLabels(config, pending) && isDue(config, pending, block.startMs));
  }
  const begun = beginBlock(config, labelled, block);
  const counted = weighRipe(config, countBlock(config, begun, block), (pending) => isDue(config, pending, block.startMs));
  const { champion, challenger, shadow } = block.arms;
  const isShadow = isShadowStep(state, block.step);
  const ours = isShadow ? shadow : challenger;
  // A service that reports pairs alone says with them what its champion did.
  const theirs = isShadow && champion.requests === 0 ? (shadow.pairs ?? EMPTY_PAIRS) : undefined;
  const sick = lookAtChampion(config, state.sick, champion);
  // What an outage does to latencies says nothing about what is slow afterwards.
  const isUsual = sicknessOf({ sick }) === undefined;
  return {
    ...counted,
    split: weighSplit(config, state, block),
    sick,
    ...(isUsual ? keepLatency(begun, theirs?.latency.champion ?? champion.latency) : {}),
    heardMs: {
      champion: champion.requests > 0 || (theirs !== undefined && theirs.count > 0) ? block.startMs : state.heardMs.champion,
      challenger: ours.requests > 0 ? block.startMs : state.heardMs.challenger,
    },
  };
}

/** A new step begins with nothing proven. Bets get fresh money in each step, and every few minutes. */
function beginBlock(config: SequentialConfig, state: SequentialState, { step, startMs }: ConcurrentBlock): SequentialState {
  const isNewStep = step > state.step;
  const isRestart = isNewStep || periodOf(startMs) > periodOf(state.restartedAtMs);
  // What was counted in another step, by thresholds of latency that move now, or for too long: weighed before, or never.
  const isOver = (pending: Pending): boolean =>
    !isOfLabels(config, pending) && (isNewStep || isOverdue(pending, startMs) || (isRestart && isLatency(config, pending)));
  const weighed = weighRipe(config, state, (pending) => isOver(pending) && sizeOf(pending.counts) > 0);
  const settled = { ...weighed, pending: weighed.pending.filter((pending) => !isOver(pending)) };
  if (!isRestart) return withFirstThresholds(config, settled);
  const pastLatency = rememberLatency(settled.pastLatency, settled.freshLatency);
  const restarted = settled.guards.map((guard, index) => restartGuard(guardAt(config, index), guard, pastLatency));
  return {
    ...settled,
    pastLatency,
    freshLatency: [],
    step,
    restartedAtMs: startMs,
    guards: isNewStep ? restarted.map(renewSafety) : restarted,
  };
}

/** Latencies wait until there are some of them: the whole past is not touched with every block. */
function keepLatency(
  { pastLatency, freshLatency }: SequentialState,
  added: Histogram,
): Pick<SequentialState, 'pastLatency' | 'freshLatency'> {
  const fresh = mergeHistograms(freshLatency, added);
  if (countOf(fresh) < FRESH_LATENCIES) return { pastLatency, freshLatency: fresh };
  return { pastLatency: rememberLatency(pastLatency, fresh), freshLatency: [] };
}

/** Restarts strike with the clock, not with the steps: when they come was settled before anything was seen. */
function periodOf(atMs: number): number {
  return Math.floor(atMs / RESTART_EVERY_MS);
}

/** A guard on latency that began without a past gets its threshold as soon as there is one, whatever it looks like. */
function withFirstThresholds(config: SequentialConfig, state: SequentialState): SequentialState {
  if (!state.guards.some((guard) => guard.metric === 'latency' && guard.threshold === undefined)) return state;
  const past = mergeHistograms(state.pastLatency, state.freshLatency);
  const guards = state.guards.map((guard, index) => {
    const { [index]: setting } = config.guards;
    if (guard.metric !== 'latency' || setting?.metric !== 'latency' || guard.threshold !== undefined) return guard;
    return moveThreshold(setting, guard, past);
  });
  return { ...state, guards };
}

function countBlock(
  config: SequentialConfig,
  state: SequentialState,
  { startMs, step, stratum, arms }: ConcurrentBlock,
): SequentialState {
  let { pending } = state;
  const shadow = isShadowStep(state, step) ? { shadow: arms.shadow } : {};
  for (const [index, guard] of state.guards.entries()) {
    const counts = countGuard(guardAt(config, index), guard, { arms, ...shadow, bins: state.bins });
    if (counts !== undefined) pending = addPending(pending, { guard: index, step, stratum, sinceMs: startMs, counts });
  }
  return { ...state, pending };
}

/** Weighs the pending counts that are chosen, and keeps the others. */
function weighRipe(config: SequentialConfig, state: SequentialState, isChosen: (pending: Pending) => boolean): SequentialState {
  const chosen = state.pending.filter(isChosen);
  if (chosen.length === 0) return state;
  const guards = [...state.guards];
  for (const { guard, counts } of chosen) {
    const before = guards[guard];
    if (before !== undefined) guards[guard] = weighGuard(guardAt(config, guard), before, counts);
  }
  const pending = state.pending.filter((one) => !chosen.includes(one));
  return { ...state, guards, pending, peak: Math.max(state.peak, logHarmOf(config, guards)) };
}

function isDue(config: SequentialConfig, pending: Pending, startMs: number): boolean {
  return isRipe(pending, ripenessOf(config, pending), startMs);
}

function ripenessOf(config: SequentialConfig, { guard }: Pending): Ripeness {
  const isFast = guardAt(config, guard).metric === 'errors';
  return isFast ? { everyMs: config.errorsEveryMs, minSize: 1 } : { everyMs: config.othersEveryMs, minSize: 5 };
}

function isLatency(config: SequentialConfig, { guard }: Pending): boolean {
  return guardAt(config, guard).metric === 'latency';
}

/** A step of 100 % has no split, and neither has one of shadow. */
function weighSplit(
  { splitTolerance }: SequentialConfig,
  { split, percents }: SequentialState,
  { step, arms }: ConcurrentBlock,
): SequentialState['split'] {
  const share = (percents[step] ?? 100) / 100;
  if (share >= 1 || share === 0) return split;
  const counts = { champion: arms.champion.requests, challenger: arms.challenger.requests };
  return betOnSampleRatio(split, { share, tolerance: splitTolerance }, counts);
}

function lookAtChampion(
  { sick }: SequentialConfig,
  { errors, slow }: SequentialState['sick'],
  { requests, errors: failed, latency }: Tally,
): SequentialState['sick'] {
  const slowCounts = { count: countOf(latency), bad: countFrom(latency, bucketOfLatency(sick.slowMs) + 1) };
  return {
    errors: lookAtRate(errors, sick.errorRate, { count: requests, bad: failed }),
    slow: lookAtRate(slow, sick.slowShare, slowCounts),
  };
}

function lookAtRate(detector: Detector, limit: number, counts: RateCounts): Detector {
  if (counts.count === 0) return detector;
  const { logCapital } = detect(detector, limitLogFactors(clampRate(limit), counts));
  return { logCapital: logCapital.map((capital) => Math.min(capital, MOST_SICK)) };
}

/** Steps without traffic for the challenger are steps of shadow: it is compared on copies. */
function isShadowStep({ percents }: Pick<SequentialState, 'percents'>, step: number): boolean {
  return percents[step] === 0;
}

/** The configuration that a guard's state belongs to. */
function guardAt(config: SequentialConfig, index: number): GuardConfig {
  const guard = config.guards[index];
  if (guard === undefined) throw new Error(`the state has a guard ${index}, of which the policy knows nothing`);
  return guard;
}
