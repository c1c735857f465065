/** What can be said about a rollout before it starts: in which bins predictions are counted, and which guards can never do their work. */
import { formatDuration } from './duration.ts';
import { EMPTY_TALLY, standardDeviationOf, type Tally } from './evidence.ts';
import { bucketOfLatency, countOf, latencyOfBucket } from './histogram.ts';
import type { Baseline } from './model-version.ts';
import { isLastStep, type Plan, type PlanStep, strictestStepOf } from './plan.ts';
import { binCountOf, binsOfNormal, distributionOfClasses, type PredictionBins } from './prediction-bins.ts';
import type { Baselines } from './rollout.ts';
import { rateInterval } from './sequential/confidence-sequence.ts';
import { type GuardConfig, nameOfGuard, type SequentialConfig } from './sequential/config.ts';
import { requestsToProveGuard } from './sequential/forecast.ts';
import { openGuard } from './sequential/guard.ts';
import { isNeededIn } from './sequential/labels.ts';
import { countFrom, thresholdOf } from './sequential/latency-threshold.ts';
import { limitOf, type RateCounts } from './sequential/margin.ts';
import { isWeighedIn } from './sequential/paired-guard.ts';
import { countScores } from './sequential/score-guard.ts';
import { valueWords } from './sequential/words.ts';

/** What is known of the two versions and their traffic. */
export interface StartSituation {
  readonly plan: Plan;
  readonly baselines: Baselines;
  /** The champion's traffic of the last {@link StartSituation.recentMs}. */
  readonly recent: Tally;
  readonly recentMs: number;
  /** Requests are ended after so long. */
  readonly deadlineMs: number;
}

/** What the rollout starts with. */
export interface StartCheck {
  /**
   * The plan without the guards that have no data: their part of the risk goes to the others. Without any guard, when none
   * is left that could roll back; such a plan would promote anything and must not be started.
   */
  readonly plan: Plan;
  readonly bins?: PredictionBins;
  /** Sentences for people; empty when nothing is wrong. */
  readonly problems: readonly string[];
}

// A mean and a spread of fewer predictions are too rough to place bins by.
const MIN_PREDICTIONS = 30;

// A quantile with fewer answers beyond it is too rough to say how long its guard will take.
const MIN_BEYOND = 5;

/** Checks a plan against what is known; `thresholds` judges by itself what it has no data for. */
export function checkStart(situation: StartSituation): StartCheck {
  const { plan } = situation;
  const bins = binsFor(situation);
  const fixed = bins === undefined ? {} : { bins };
  if (plan.policy.kind === 'thresholds') return { plan, ...fixed, problems: [] };
  const { policy } = plan;
  const blind = policy.guards.flatMap((guard) => blindBecause(guard, situation, bins));
  const names = new Set(blind.map(({ name }) => name));
  const sighted = policy.guards.filter((guard) => !names.has(nameOfGuard(guard)));
  const isGuarded = sighted.some(({ weight }) => weight > 0);
  const guards = isGuarded ? sighted : [];
  const problems = [
    ...blind.map(({ name, reason }) => `the guard ${name} has no data and is left out: ${reason}`),
    ...(isGuarded ? [] : ['no guard is left that could roll back']),
    ...guards.flatMap((guard) => neverFiresBecause(guard, situation)),
    ...sicknessOf(policy, situation),
    ...lackOfTraffic({ ...policy, guards }, situation, bins),
  ];
  return { plan: { ...plan, policy: { ...policy, guards } }, ...fixed, problems };
}

/**
 * The bins of a rollout: the champion's registered distribution first, then the challenger's, then the classes that the
 * champion was seen to predict, then a normal distribution around the mean that is known of either, or was seen.
 */
function binsFor({ baselines: { champion, challenger }, recent }: StartSituation): PredictionBins | undefined {
  const counted = [
    champion?.distribution?.bins,
    challenger?.distribution?.bins,
    distributionOfClasses(recent.classes).bins,
    ...[champion, challenger, seenPredictions(recent)].map((known) =>
      known === undefined ? undefined : binsOfNormal(known.mean, known.standardDeviation),
    ),
  ];
  // A single bin tells nothing.
  return counted.find((bins) => bins !== undefined && binCountOf(bins) > 1);
}

function seenPredictions({ predictions }: Tally): Pick<Baseline, 'mean' | 'standardDeviation'> | undefined {
  const standardDeviation = standardDeviationOf(predictions);
  if (standardDeviation === undefined || predictions.count < MIN_PREDICTIONS) return undefined;
  return { mean: predictions.sum / predictions.count, standardDeviation };
}

interface Blindness {
  readonly name: string;
  readonly reason: string;
}

function blindBecause(guard: GuardConfig, { recent }: StartSituation, bins: PredictionBins | undefined): readonly Blindness[] {
  const name = nameOfGuard(guard);
  const hasTraffic = recent.requests > 0;
  if (guard.metric === 'drift') {
    if (bins === undefined) {
      const reason = 'nobody knows what predictions look like; give a version a baseline (understudy version baseline)';
      return [{ name, reason }];
    }
    const isOrdered = bins.kind === 'ordered';
    const hasPredictions = isOrdered ? recent.predictions.count > 0 : Object.keys(recent.classes).length > 0;
    if (hasTraffic && !hasPredictions) {
      return [{ name, reason: `no ${isOrdered ? 'number' : 'class'} could be read from the champion's answers` }];
    }
  }
  if (guard.metric === 'score' && hasTraffic && recent.scores[guard.name] === undefined) {
    return [{ name, reason: `nobody reported a score "${guard.name}" lately` }];
  }
  return [];
}

function neverFiresBecause(guard: GuardConfig, { recent, deadlineMs }: StartSituation): readonly string[] {
  const never = (reason: string): readonly string[] => [`the guard ${nameOfGuard(guard)} can never fire: ${reason}`];
  const beyond = (ms: number): readonly string[] =>
    ms < deadlineMs ? [] : never(`it begins at ${valueWords(ms, 'ms')}, and requests end after ${valueWords(deadlineMs, 'ms')}`);
  switch (guard.metric) {
    case 'latency': {
      const threshold = thresholdOf(guard, recent.latency);
      return threshold === undefined ? [] : beyond(latencyOfBucket(threshold.harm.challenger - 0.5));
    }
    case 'limit':
      return guard.aboveMs === undefined ? [] : beyond(guard.aboveMs);
    case 'errors': {
      const rate = recent.requests === 0 ? 0 : recent.errors / recent.requests;
      const line = limitOf(guard.rollback, rate);
      return line < 1 ? [] : never(`harm would begin at ${Math.round(line * 100)} % failed requests`);
    }
    case 'score':
    case 'feedback': {
      const { count, sum } = countScores(guard, { champion: recent, challenger: EMPTY_TALLY }).champion;
      const isWorst = count > 0 && sum / count <= guard.tolerance;
      return isWorst ? never(`the champion's mean is within ${guard.tolerance} of the worst there is`) : [];
    }
    case 'drift':
    case 'agreement':
      return [];
  }
}

/** A champion beyond these limits for good would let nothing be decided. */
function sicknessOf({ sick }: SequentialConfig, { recent: { requests, errors, latency } }: StartSituation): readonly string[] {
  const slow = { count: countOf(latency), bad: countFrom(latency, bucketOfLatency(sick.slowMs) + 1) };
  const failing = { count: requests, bad: errors };
  const isOver = (counts: RateCounts, limit: number): boolean => rateInterval(counts, 0.05)[0] > limit;
  const advice = 'so it counts as sick and nothing would be decided; if that is its usual state, raise';
  return [
    ...(isOver(failing, sick.errorRate)
      ? [`the champion fails more than ${valueWords(sick.errorRate, 'share')} of its requests, ${advice} sick.errorRate`]
      : []),
    ...(isOver(slow, sick.slowShare)
      ? [
          `more than ${valueWords(sick.slowShare, 'share')} of the champion's answers take over ${valueWords(sick.slowMs, 'ms')}, ${advice} sick.slowMs`,
        ]
      : []),
  ];
}

/** Whether the steps can be passed at the present traffic, and within the time box. */
function lackOfTraffic(policy: SequentialConfig, situation: StartSituation, bins: PredictionBins | undefined): readonly string[] {
  const { plan, recent, recentMs } = situation;
  if (recent.requests === 0) {
    return [`the champion had no request within the last ${formatDuration(recentMs)}; without traffic nothing is ever decided`];
  }
  const guards = policy.guards.filter((guard) => canTell(guard, recent) && isWeighedIn(guard, false));
  const steps = plan.steps.map((step, index) => ({
    step,
    guards: guards.map((guard) => ({
      name: nameOfGuard(guard),
      requests: requestsOf(policy, situation, { guard, index, bins }),
    })),
  }));
  const endless = new Set(
    steps.flatMap((planned) => planned.guards.filter(({ requests }) => requests === Infinity).map(({ name }) => name)),
  );
  if (endless.size > 0) {
    return [`no step can be passed: by what is known of the champion, ${[...endless].join(' and ')} cannot be proven safe`];
  }
  const totalMs = steps.reduce((sum, planned) => sum + timeOfStep(planned.step, planned.guards, recent.requests / recentMs), 0);
  if (plan.timeBox === undefined || totalMs <= plan.timeBox.afterMs) return [];
  const [needed, box] = [formatDuration(totalMs), formatDuration(plan.timeBox.afterMs)];
  return [
    `at the present traffic a good challenger needs about ${needed}, and the time box is ${box}: begin with a larger share, widen the promote margins, or give it more time`,
  ];
}

function canTell(guard: GuardConfig, { latency }: Tally): boolean {
  if (guard.metric !== 'latency') return true;
  return thresholdOf(guard, latency) !== undefined && countOf(latency) * (1 - guard.quantile) >= MIN_BEYOND;
}

interface PlannedGuard {
  readonly guard: GuardConfig;
  readonly index: number;
  readonly bins: PredictionBins | undefined;
}

/** Requests until a challenger that equals the champion is proven safe by a guard; a step of 100 % asks for no proof. */
function requestsOf(
  { promoteRisk, strictPromoteRisk }: SequentialConfig,
  { plan, recent }: StartSituation,
  { guard, index, bins }: PlannedGuard,
): number {
  const trafficPercent = plan.steps[index]?.trafficPercent ?? 100;
  // Pairs need fewer requests than a split, how many depends on how alike the versions are, which nobody knows yet.
  if (trafficPercent >= 100 || trafficPercent === 0) return 0;
  const isStrictest = index === strictestStepOf(plan.steps);
  const bound = Math.log(1 / (isStrictest ? strictPromoteRisk : promoteRisk));
  const opening = { startedAtMs: 0, champion: recent, percents: [], ...(bins === undefined ? {} : { bins }) };
  const seen = { champion: recent, challenger: recent };
  const isLast = isLastStep(plan.steps, index);
  const isBake = plan.steps[index]?.isBake === true;
  const question = { atMs: 0, step: index, sinceMs: 0, trafficPercent, isStrictest, isLast, isBake, minSamples: 0, seen };
  if (!isNeededIn(guard, question)) return 0;
  return requestsToProveGuard(guard, openGuard(guard, opening), question, bound);
}

/** Milliseconds; the rate is that of both arms together. */
function timeOfStep(
  { trafficPercent, shadowPercent = trafficPercent, holdMs, minSamples }: PlanStep,
  guards: readonly { readonly requests: number }[],
  requestsPerMs: number,
): number {
  const needed = Math.max(minSamples, ...guards.map(({ requests }) => requests));
  return Math.max(holdMs, needed / ((requestsPerMs * shadowPercent) / 100));
}
