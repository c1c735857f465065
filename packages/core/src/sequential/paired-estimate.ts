/** What a guard sees in a shadow step, as numbers for people. Decisions never rest on them. */
import { quantileOf } from '../histogram.ts';
import type { Tally } from '../evidence.ts';
import type { GuardReading, Interval } from '../policy.ts';
import { EMPTY_PAIRS, type PairTally } from '../pairs.ts';
import { type PredictionBins } from '../prediction-bins.ts';
import { quantileInterval, rateInterval } from './confidence-sequence.ts';
import type { AgreementGuard, DriftGuard, ErrorsGuard, GuardConfig, LatencyGuard } from './config.ts';
import { type Estimate, type NamedSet, setsOf, shareWithin } from './estimate.ts';
import { effectiveRatioOf } from './latency-threshold.ts';
import { limitOf } from './margin.ts';
import { challengersOf, championsOf, disagreements, failedPairs, movesIn, overLimitPairs } from './paired-guard.ts';
import { pairsIn } from './paired-drift.ts';
import type { PairCounts } from './paired-test.ts';

// Intervals of the readings, at 95 %.
const ALPHA = 0.05;

/** The estimate of a guard in pairs; only the number of samples while there is nothing to estimate from. */
export function pairedEstimateOf(guard: GuardConfig, bins: PredictionBins | undefined, { pairs = EMPTY_PAIRS }: Tally): Estimate {
  switch (guard.metric) {
    case 'errors':
      return ofErrors(guard, pairs);
    case 'limit': {
      const what = guard.of === 'errors' ? 'failed requests' : `requests slower than ${guard.aboveMs ?? 0} ms`;
      return { what, ...ofPairs(overLimitPairs(guard, pairs), ALPHA), limit: guard.share, margin: guard.share };
    }
    case 'latency':
      return ofLatency(guard, pairs);
    case 'drift':
      return ofMoves(guard, bins, pairs);
    case 'agreement':
      return ofAgreement(guard, pairs);
    case 'score':
    case 'feedback':
      return { what: guard.name, harmLies: guard.better === 'higher' ? 'below' : 'above', unit: 'score', samples: 0 };
  }
}

/**
 * How much more often something is bad on the challenger, P(10) − P(01), and an always-valid interval of it: both rates lie in
 * theirs at once, each with half of α. What is bad on both is in neither, which is what makes it narrow.
 */
export function pairedDifference(counts: PairCounts, alpha: number): NonNullable<GuardReading['difference']> {
  const { count, challenger, champion } = counts;
  const [lowOurs, highOurs] = rateInterval({ count, bad: challenger }, alpha / 2);
  const [lowTheirs, highTheirs] = rateInterval({ count, bad: champion }, alpha / 2);
  return { value: count === 0 ? 0 : (challenger - champion) / count, interval: [lowOurs - highTheirs, highOurs - lowTheirs] };
}

function ofErrors(guard: ErrorsGuard, pairs: PairTally): Estimate {
  const counts = failedPairs(guard.of, pairs);
  const what = { all: 'failed requests', invalid: 'invalid outputs', timeouts: 'timeouts' }[guard.of];
  if (counts.count === 0) return { what, ...ofPairs(counts, ALPHA) };
  const { count, bad } = championsOf(counts);
  const limits = {
    limit: shareWithin(limitOf(guard.rollback, bad / count)),
    margin: shareWithin(limitOf(guard.promote, bad / count)),
  };
  return { what, ...ofPairs(counts, ALPHA), ...limits };
}

function ofLatency(guard: LatencyGuard, { latency }: PairTally): Estimate {
  const what = `p${Number((guard.quantile * 100).toPrecision(6))} latency`;
  const values = {
    champion: quantileOf(latency.champion, guard.quantile),
    challenger: quantileOf(latency.shadow, guard.quantile),
  };
  const samples = latency.shadow.reduce((sum, [, count]) => sum + count, 0);
  const base = { what, harmLies: 'above', unit: 'ms', samples } as const;
  if (values.champion === undefined || values.challenger === undefined) return base;
  const limit = Math.max(values.champion * effectiveRatioOf(guard.ratio), values.champion + guard.ignoreBelowMs);
  const [champion, challenger] = [
    quantileInterval(latency.champion, guard.quantile, ALPHA),
    quantileInterval(latency.shadow, guard.quantile, ALPHA),
  ];
  const intervals = champion === undefined || challenger === undefined ? {} : { intervals: { champion, challenger } };
  return { ...base, champion: values.champion, challenger: values.challenger, limit, margin: limit, ...intervals };
}

/** The set of bins into which the challenger moves most of the predictions. */
function ofMoves(guard: DriftGuard, bins: PredictionBins | undefined, pairs: PairTally): Estimate {
  if (bins === undefined) return { what: 'predictions', harmLies: 'above', unit: 'share', samples: 0 };
  const moves = movesIn(bins, pairs);
  const sets = setsOf(bins);
  const excess = ({ set }: NamedSet): number => {
    const { challenger, champion } = pairsIn(moves, set);
    return challenger - champion;
  };
  const worst = sets.reduce((most, set) => (excess(set) > excess(most) ? set : most));
  const counts = pairsIn(moves, worst.set);
  if (counts.count === 0) return { what: 'predictions', harmLies: 'above', unit: 'share', samples: 0 };
  const { count, bad } = championsOf(counts);
  return {
    // The set was chosen by its outcome, so its interval must hold for all that could have been.
    ...ofPairs(counts, ALPHA / sets.length),
    what: worst.name,
    limit: shareWithin(bad / count + guard.tolerance),
    margin: shareWithin(bad / count + guard.promote),
  };
}

function ofAgreement({ atLeast }: AgreementGuard, pairs: PairTally): Estimate {
  const { count, bad } = disagreements(pairs);
  const base = { what: 'agreement', harmLies: 'below', unit: 'share', samples: count } as const;
  if (count === 0) return base;
  const [low, high] = rateInterval({ count, bad }, ALPHA);
  const same: Interval = [1 - high, 1 - low];
  return {
    ...base,
    champion: 1,
    challenger: 1 - bad / count,
    limit: atLeast,
    margin: atLeast,
    intervals: { champion: [1, 1], challenger: same },
  };
}

function ofPairs(counts: PairCounts, alpha: number): Omit<Estimate, 'what'> {
  const base = { harmLies: 'above', unit: 'share', samples: counts.count } as const;
  if (counts.count === 0) return base;
  const [theirs, ours] = [championsOf(counts), challengersOf(counts)];
  return {
    ...base,
    champion: theirs.bad / theirs.count,
    challenger: ours.bad / ours.count,
    intervals: { champion: rateInterval(theirs, alpha), challenger: rateInterval(ours, alpha) },
    difference: pairedDifference(counts, alpha),
  };
}
