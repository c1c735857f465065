/** Guards on rates of bad requests: failures, slow answers, and absolute limits. What they count and how they weigh it. */
import type { Tally } from '../evidence.ts';
import { bucketOfLatency, countOf, type Histogram } from '../histogram.ts';
import { addToPast, guessOf } from './champion-rate.ts';
import type { ErrorsGuard, LatencyGuard, LimitGuard } from './config.ts';
import { bet, type EProcess, openEProcess, RESTARTABLE_FUND } from './e-process.ts';
import { countFrom, type LatencyLine, type LatencyThreshold, thresholdOf } from './latency-threshold.ts';
import { clampRate } from './log-odds.ts';
import type { ArmPair, Margin, RateCounts } from './margin.ts';
import { LIMIT_ALTERNATIVES, limitLogFactors, oneSampleLogFactor } from './one-sample-test.ts';
import { betOnHarm, betOnSafety, HARM_ALTERNATIVES, SAFETY_ALTERNATIVES, safetyAlternatives } from './two-arm-test.ts';

/** Two-arm tests of failures; `past` is the champion's. */
export interface ErrorsState {
  readonly metric: 'errors';
  readonly harm: EProcess;
  readonly safety: EProcess;
  readonly past: RateCounts;
}

/** Two-arm tests of slow answers; without a threshold, until the champion has a past, nothing is counted. */
export interface LatencyState {
  readonly metric: 'latency';
  readonly harm: EProcess;
  readonly safety: EProcess;
  readonly threshold?: LatencyThreshold;
}

/** The challenger is over the limit (`over`), and it is worse than the champion (`worse`): harm takes both. */
export interface LimitState {
  readonly metric: 'limit';
  readonly over: EProcess;
  readonly worse: EProcess;
  readonly safety: EProcess;
  readonly past: RateCounts;
}

type Tallies = ArmPair<Tally>;
type Rates = ArmPair<RateCounts>;

const NOTHING: RateCounts = { count: 0, bad: 0 };

/** "Not slower than the stretched champion" is "no more slow answers than the champion": the ratio is in the threshold. */
export const NO_MORE: Margin = { ratio: 1, plus: 0 };

/** What "worse than the champion" means beside an absolute limit: the tolerance of the default guard on errors. */
export const CLEARLY_MORE: Margin = { ratio: 1.1, plus: 0.001 };

/** Begins with the champion's traffic before the rollout as its past. */
export function openErrors(guard: ErrorsGuard, champion: Tally): ErrorsState {
  const past = addToPast(NOTHING, failuresOf(guard.of, champion));
  return { metric: 'errors', harm: harmProcess(), safety: safetyProcess(), past };
}

/** Failures of the guard's kind among all requests. */
export function countErrors(guard: ErrorsGuard, { champion, challenger }: Tallies): Rates {
  return { champion: failuresOf(guard.of, champion), challenger: failuresOf(guard.of, challenger) };
}

export function weighErrors(guard: ErrorsGuard, state: ErrorsState, counts: Rates): ErrorsState {
  const guess = guessOf(state.past);
  return {
    ...state,
    harm: betOnHarm(state.harm, { margin: guard.rollback, guess }, counts),
    safety: betOnSafety(state.safety, { margin: guard.promote, guess, expected: guess }, counts),
    past: addToPast(state.past, counts.champion),
  };
}

/** Begins with a threshold when the champion's traffic before the rollout gives one. */
export function openLatency(guard: LatencyGuard, past: Histogram): LatencyState {
  return moveThreshold(guard, { metric: 'latency', harm: harmProcess(), safety: safetyProcess() }, past);
}

/** The state with the threshold that the champion's past gives now; the old one is kept while there is too little past. */
export function moveThreshold(guard: LatencyGuard, state: LatencyState, past: Histogram): LatencyState {
  const threshold = thresholdOf(guard, past);
  return threshold === undefined ? state : { ...state, threshold };
}

/** Slow answers among those of warm instances, by either line. */
export interface SlowCounts {
  readonly harm: Rates;
  readonly safety: Rates;
}

/** Undefined without a threshold. */
export function countSlow({ threshold }: LatencyState, { champion, challenger }: Tallies): SlowCounts | undefined {
  if (threshold === undefined) return undefined;
  const by = (line: LatencyLine): Rates => ({
    champion: slowOf(champion, line.champion),
    challenger: slowOf(challenger, line.challenger),
  });
  return { harm: by(threshold.harm), safety: by(threshold.safety) };
}

export function weighLatency(state: LatencyState, counts: SlowCounts): LatencyState {
  const { threshold } = state;
  if (threshold === undefined) return state;
  const { guess, expected } = threshold.safety;
  return {
    ...state,
    harm: betOnHarm(state.harm, { margin: NO_MORE, guess: threshold.harm.guess }, counts.harm),
    safety: betOnSafety(state.safety, { margin: NO_MORE, guess, expected }, counts.safety),
  };
}

export function openLimit(guard: LimitGuard, champion: Tally): LimitState {
  return {
    metric: 'limit',
    over: openEProcess(LIMIT_ALTERNATIVES, RESTARTABLE_FUND),
    worse: harmProcess(),
    safety: safetyProcess(),
    past: addToPast(NOTHING, overLimit(guard, champion)),
  };
}

/** Requests that break the limit: failed ones, or those slower than it. */
export function countOverLimit(guard: LimitGuard, { champion, challenger }: Tallies): Rates {
  return { champion: overLimit(guard, champion), challenger: overLimit(guard, challenger) };
}

export function weighLimit(guard: LimitGuard, state: LimitState, counts: Rates): LimitState {
  const guess = guessOf(state.past);
  return {
    ...state,
    over: bet(state.over, limitLogFactors(clampRate(guard.share), counts.challenger)),
    worse: betOnHarm(state.worse, { margin: CLEARLY_MORE, guess }, counts),
    safety: bet(state.safety, limitSafetyLogFactors(guard, state, counts.challenger)),
    past: addToPast(state.past, counts.champion),
  };
}

/** One-sample bets on safety look where two-arm ones would; a challenger that mends a champion over the limit, at half of it. */
export function limitSafetyLogFactors(
  { share }: Pick<LimitGuard, 'share'>,
  { past }: Pick<LimitState, 'past'>,
  counts: RateCounts,
): readonly number[] {
  const guess = guessOf(past);
  const limit = clampRate(share);
  const safer = safetyAlternatives(NO_MORE, limit, guess < limit ? guess : limit / 2);
  return safer.map((alternative) => oneSampleLogFactor(limit, alternative, counts));
}

/** A fresh process of a harm test, which lives for the rollout. */
function harmProcess(): EProcess {
  return openEProcess(HARM_ALTERNATIVES, RESTARTABLE_FUND);
}

/** A fresh process of a safety test, which lives for one step. */
export function safetyProcess(): EProcess {
  return openEProcess(SAFETY_ALTERNATIVES, RESTARTABLE_FUND);
}

function failuresOf(of: ErrorsGuard['of'], { requests, errors, invalid, timeouts }: Tally): RateCounts {
  const bad = { all: errors, invalid, timeouts }[of];
  return { count: requests, bad };
}

function slowOf({ latency }: Tally, fromBucket: number): RateCounts {
  return { count: countOf(latency), bad: countFrom(latency, fromBucket) };
}

function overLimit(guard: LimitGuard, tally: Tally): RateCounts {
  if (guard.of === 'errors') return failuresOf('all', tally);
  return slowOf(tally, bucketOfLatency(guard.aboveMs ?? Infinity) + 1);
}
