/** When a verdict is to be expected, and what would be caught by then. For people; decisions never rest on it. */
import { formatDuration } from '../duration.ts';
import { standardDeviationOf } from '../evidence.ts';
import type { Forecast, Question } from '../policy.ts';
import { type GuardConfig, nameOfGuard, type SequentialConfig } from './config.ts';
import { type GuardState, logSafetyOfGuard } from './guard.ts';
import { logShareOf } from './harm.ts';
import { isNeededIn } from './labels.ts';
import { clampRate } from './log-odds.ts';
import type { ArmPair, Margin, RateCounts } from './margin.ts';
import { oneSampleLogFactor } from './one-sample-test.ts';
import { isWeighedIn } from './paired-guard.ts';
import { growthPerChallengerRequest, requestsToPass, smallestDetectable } from './power.ts';
import { countErrors, countOverLimit } from './rate-guards.ts';
import { countScores } from './score-guard.ts';
import type { SequentialState } from './state.ts';
import { logSafetyBound } from './verdict.ts';
import { valueWords } from './words.ts';

/** How likely what is "caught" would have been caught. */
const PROBABILITY = 0.8;

// What takes longer is as good as never, and a number of years would claim to know more than anybody does.
const LONGEST_MS = 365 * 86_400_000;

const NO_MORE: Margin = { ratio: 1, plus: 0 };

// Every set of bins has to be proven, and the one with the worst luck takes so many times as long, as simulated.
const SLOWEST_SET = 1.8;

/** The forecast for the present step, at the traffic that it has had; undefined where arms are not compared. */
export function forecastOf(config: SequentialConfig, state: SequentialState, question: Question): Forecast | undefined {
  const { atMs, sinceMs, minSamples, seen, trafficPercent } = question;
  if (!(trafficPercent > 0 && trafficPercent < 100)) return undefined;
  const { requests } = seen.challenger;
  const elapsedMs = atMs - sinceMs;
  if (requests === 0 || elapsedMs <= 0) return { sentence: 'no request has come to the challenger in this step yet' };
  const needed = requestsToProve(config, state, question);
  const missing = Math.max(0, minSamples - requests, ...needed.map(({ missing: ofGuard }) => ofGuard));
  const verdictInMs = (missing * elapsedMs) / requests;
  const isNear = verdictInMs <= LONGEST_MS;
  const caught = caughtWords(config, question, { soFar: requests, byThen: isNear ? requests + missing : requests });
  const sentence = [timeWords(verdictInMs, needed), ...caught].join('; ');
  return isNear ? { verdictInMs, sentence } : { sentence };
}

/**
 * Requests to the challenger until one guard is proven safe, when the challenger is as good as the champion. What was
 * won or lost so far counts.
 * @returns ∞ when the guard cannot be proven safe, such as for a champion that is beyond the margin itself
 */
// oxlint-disable-next-line max-params -- a guard with its state, what is asked, and the bound
export function requestsToProveGuard(guard: GuardConfig, state: GuardState, question: Question, bound: number): number {
  const missing = bound - logSafetyOfGuard(state);
  if (missing <= 0) return 0;
  const growth = safetyGrowth(guard, state, question);
  // A guard that has lost almost everything has a risk below the smallest number to win back.
  return growth > 0 ? requestsToPass({ growth, beta: Math.max(Number.MIN_VALUE, Math.exp(-missing)) }) : Infinity;
}

interface Needed {
  readonly name: string;
  /** Requests to the challenger. */
  readonly missing: number;
}

function requestsToProve(config: SequentialConfig, state: SequentialState, question: Question): readonly Needed[] {
  const bound = logSafetyBound(config, question);
  return config.guards.flatMap((guard, index) => {
    const guardState = state.guards[index];
    if (guardState === undefined || !isWeighedIn(guard, false) || !isNeededIn(guard, question)) return [];
    return [{ name: nameOfGuard(guard), missing: requestsToProveGuard(guard, guardState, question, bound) }];
  });
}

/** Evidence of safety that a request to the challenger adds on average, when it is as good as the champion. */
function safetyGrowth(guard: GuardConfig, state: GuardState, { seen, trafficPercent }: Question): number {
  const w = trafficPercent / 100;
  const growth = (margin: Margin, rates: ArmPair<number>): number => growthPerChallengerRequest(margin, rates, w);
  switch (guard.metric) {
    case 'errors': {
      const rate = rateOf(countErrors(guard, seen).champion);
      return growth(guard.promote, { champion: rate, challenger: rate });
    }
    case 'latency': {
      const threshold = state.metric === 'latency' ? state.threshold : undefined;
      return threshold === undefined
        ? 0
        : growth(NO_MORE, { champion: threshold.safety.guess, challenger: threshold.safety.expected });
    }
    case 'drift':
      // A half of the predictions is the share that takes longest.
      return growth({ ratio: 1, plus: guard.promote }, { champion: 0.5, challenger: 0.5 }) / SLOWEST_SET;
    case 'score':
    case 'feedback': {
      const { champion } = countScores(guard, seen);
      const spread = standardDeviationOf(champion) ?? 0.5;
      // Of a bet on a mean, for small differences: (margin / standard error)² / 2 for each value …
      const perValue = spread > 0 ? (guard.promote ** 2 * (1 - w)) / (2 * spread ** 2) : Infinity;
      // … and not every request has one.
      return champion.count === 0 ? 0 : (perValue * champion.count) / Math.max(champion.count, seen.champion.requests);
    }
    case 'limit': {
      const share = clampRate(guard.share);
      const rate = Math.min(share, clampRate(rateOf(countOverLimit(guard, seen).champion)));
      return oneSampleLogFactor(share, rate, { count: 1, bad: rate });
    }
    case 'agreement':
      return 0;
  }
}

function timeWords(verdictInMs: number, needed: readonly Needed[]): string {
  const never = needed.filter(({ missing }) => missing === Infinity).map(({ name }) => name);
  if (never.length > 0) {
    return `no telling when the step can be passed: by what is known of the champion, ${never.join(' and ')} cannot be proven safe`;
  }
  if (verdictInMs > LONGEST_MS) return 'at the present traffic a verdict would take more than a year';
  if (verdictInMs <= 0) return 'everything that a verdict needs is there';
  return `at the present traffic about ${about(verdictInMs)} to a verdict`;
}

/** How small a rise of failures would have been rolled back after so many requests to the challenger. */
function caughtWords(
  config: SequentialConfig,
  { seen, trafficPercent }: Question,
  requests: { readonly soFar: number; readonly byThen: number },
): readonly string[] {
  const index = config.guards.findIndex((guard) => guard.metric === 'errors' && guard.of === 'all' && guard.weight > 0);
  const guard = config.guards[index];
  if (guard?.metric !== 'errors') return [];
  const champion = rateOf(countErrors(guard, seen).champion);
  const detection = { alpha: config.alpha, weight: Math.exp(logShareOf(config, index)), probability: PROBABILITY };
  const caughtAfter = (count: number): string | undefined => {
    const found = smallestDetectable(guard.rollback, { champion, w: trafficPercent / 100, requests: count }, detection);
    return found === undefined ? undefined : valueWords(found, 'share');
  };
  const [now, then] = [caughtAfter(requests.soFar), caughtAfter(requests.byThen)];
  const rise = `a rise of errors from ${valueWords(champion, 'share')}`;
  const byNow =
    now === undefined
      ? 'by now not even a challenger that always fails would have been caught for sure'
      : `by now ${rise} to ${now} would have been caught (80 % likely)`;
  if (then === undefined || then === now) return [byNow];
  return [`${byNow}, by then ${now === undefined ? rise : 'one'} to ${then}`];
}

function rateOf({ count, bad }: RateCounts): number {
  return count === 0 ? 0 : bad / count;
}

/** Two figures are all that a forecast deserves. */
function about(ms: number): string {
  return formatDuration(Math.max(1000, Number(ms.toPrecision(2))));
}
