/** What a guard sees on both arms in the present step, as numbers for people. Decisions never rest on them. */
import { countOf, quantileOf } from '../histogram.ts';
import type { Tally } from '../evidence.ts';
import type { GuardReading, Interval, Question } from '../policy.ts';
import { countsInBins, type PredictionBins } from '../prediction-bins.ts';
import { meanInterval, quantileInterval, rateInterval } from './confidence-sequence.ts';
import type { DriftGuard, ErrorsGuard, GuardConfig, LatencyGuard, LimitGuard } from './config.ts';
import { type BinSet, countIn, halfLinesOf, totalOf } from './drift-families.ts';
import { effectiveRatioOf } from './latency-threshold.ts';
import { type ArmPair, limitOf, type RateCounts } from './margin.ts';
import { countErrors, countOverLimit } from './rate-guards.ts';
import { countScores, type MeanGuard } from './score-guard.ts';

/** Everything of a reading but what the evidence comes to. */
export type Estimate = Pick<
  GuardReading,
  'champion' | 'challenger' | 'limit' | 'margin' | 'intervals' | 'difference' | 'unit' | 'samples'
> & {
  /** What the two values are, such as `p99 latency`. */
  readonly what: string;
  /** On which side of the limit harm lies. */
  readonly harmLies: 'above' | 'below';
};

// Intervals of the readings, at 95 %.
const ALPHA = 0.05;

/** The estimate of a guard; only the number of samples while there is nothing to estimate from. */
export function estimateOf(guard: GuardConfig, bins: PredictionBins | undefined, seen: Question['seen']): Estimate {
  switch (guard.metric) {
    case 'errors':
      return ofErrors(guard, seen);
    case 'latency':
      return ofLatency(guard, seen);
    case 'drift':
      return ofShares(guard, bins, seen);
    case 'score':
    case 'feedback':
      return ofScore(guard, seen);
    case 'limit':
      return ofLimit(guard, seen);
    case 'agreement':
      return { what: 'agreement', harmLies: 'below', unit: 'share', samples: 0 };
  }
}

function ofErrors(guard: ErrorsGuard, seen: ArmPair<Tally>): Estimate {
  const counts = countErrors(guard, seen);
  const what = { all: 'failed requests', invalid: 'invalid outputs', timeouts: 'timeouts' }[guard.of];
  const champion = rateOf(counts.champion);
  const limits =
    champion === undefined
      ? {}
      : { limit: shareWithin(limitOf(guard.rollback, champion)), margin: shareWithin(limitOf(guard.promote, champion)) };
  return { what, ...ofRates(counts, ALPHA), ...limits };
}

function ofLimit(guard: LimitGuard, seen: ArmPair<Tally>): Estimate {
  const what = guard.of === 'errors' ? 'failed requests' : `requests slower than ${guard.aboveMs ?? 0} ms`;
  return { what, ...ofRates(countOverLimit(guard, seen), ALPHA), limit: guard.share, margin: guard.share };
}

function ofLatency(guard: LatencyGuard, seen: ArmPair<Tally>): Estimate {
  const what = `p${Number((guard.quantile * 100).toPrecision(6))} latency`;
  const [champion, challenger] = [seen.champion.latency, seen.challenger.latency];
  const base = { what, harmLies: 'above', unit: 'ms', samples: countOf(challenger) } as const;
  const values = { champion: quantileOf(champion, guard.quantile), challenger: quantileOf(challenger, guard.quantile) };
  if (values.champion === undefined || values.challenger === undefined) return base;
  const limit = Math.max(values.champion * effectiveRatioOf(guard.ratio), values.champion + guard.ignoreBelowMs);
  const [theirs, ours] = [quantileInterval(champion, guard.quantile, ALPHA), quantileInterval(challenger, guard.quantile, ALPHA)];
  return {
    ...base,
    champion: values.champion,
    challenger: values.challenger,
    limit,
    margin: limit,
    ...intervalsOf(theirs, ours),
  };
}

function ofScore(guard: MeanGuard, seen: ArmPair<Tally>): Estimate {
  const sums = countScores(guard, seen);
  const isHigherBetter = guard.better === 'higher';
  const harmLies = isHigherBetter ? 'below' : 'above';
  const base = { what: guard.name, harmLies, unit: 'score', samples: sums.challenger.count } as const;
  if (sums.champion.count === 0 || sums.challenger.count === 0) return base;
  const sign = isHigherBetter ? 1 : -1;
  // Sums are kept with higher values better; people are shown what was reported.
  const shown = (value: number): number => (isHigherBetter ? value : 1 - value);
  const turned = ([low, high]: Interval): Interval => (isHigherBetter ? [low, high] : [1 - high, 1 - low]);
  const champion = shown(sums.champion.sum / sums.champion.count);
  return {
    ...base,
    champion,
    challenger: shown(sums.challenger.sum / sums.challenger.count),
    limit: shareWithin(champion - sign * guard.tolerance),
    margin: shareWithin(champion - sign * guard.promote),
    ...intervalsOf(turned(meanInterval(sums.champion, ALPHA)), turned(meanInterval(sums.challenger, ALPHA))),
  };
}

/** The range, or class, of which the challenger predicts most too many. */
function ofShares(guard: DriftGuard, bins: PredictionBins | undefined, seen: ArmPair<Tally>): Estimate {
  if (bins === undefined) return { what: 'predictions', harmLies: 'above', unit: 'share', samples: 0 };
  const counts = { champion: countsInBins(bins, seen.champion), challenger: countsInBins(bins, seen.challenger) };
  const totals = { champion: totalOf(counts.champion), challenger: totalOf(counts.challenger) };
  const base = { harmLies: 'above', unit: 'share', samples: totals.challenger } as const;
  if (totals.champion === 0 || totals.challenger === 0) return { ...base, what: 'predictions' };
  const sets = setsOf(bins);
  const excess = ({ set }: NamedSet): number =>
    countIn(counts.challenger, set) / totals.challenger - countIn(counts.champion, set) / totals.champion;
  const worst = sets.reduce((most, set) => (excess(set) > excess(most) ? set : most));
  const inSet = (arm: 'champion' | 'challenger'): RateCounts => ({ count: totals[arm], bad: countIn(counts[arm], worst.set) });
  const pair = { champion: inSet('champion'), challenger: inSet('challenger') };
  const share = rateOf(pair.champion) ?? 0;
  return {
    // The set was chosen by its outcome, so its interval must hold for all that could have been.
    ...ofRates(pair, ALPHA / sets.length),
    what: worst.name,
    limit: shareWithin(share + guard.tolerance),
    margin: shareWithin(share + guard.promote),
  };
}

/** A set of bins as people call it. */
export interface NamedSet {
  readonly name: string;
  readonly set: BinSet;
}

/** The sets in which a change of the predictions is looked for, for people. */
export function setsOf(bins: PredictionBins): readonly NamedSet[] {
  if (bins.kind === 'classes') {
    return [...bins.classes, undefined].map((name, bin) => ({
      name: name === undefined ? 'predictions of other classes' : `predictions of "${name}"`,
      set: [bin],
    }));
  }
  return halfLinesOf(bins.edges.length + 1).map((set) => {
    const first = set[0] ?? 0;
    const edge = first === 0 ? bins.edges[set.length - 1] : bins.edges[first - 1];
    return { name: `predictions ${first === 0 ? 'below' : 'from'} ${Number((edge ?? 0).toPrecision(4))}`, set };
  });
}

function ofRates({ champion, challenger }: ArmPair<RateCounts>, alpha: number): Omit<Estimate, 'what'> {
  const base = { harmLies: 'above', unit: 'share', samples: challenger.count } as const;
  const [theirs, ours] = [rateOf(champion), rateOf(challenger)];
  if (theirs === undefined || ours === undefined) return base;
  const intervals = intervalsOf(rateInterval(champion, alpha), rateInterval(challenger, alpha));
  return { ...base, champion: theirs, challenger: ours, ...intervals };
}

function intervalsOf(champion: Interval | undefined, challenger: Interval | undefined): Pick<Estimate, 'intervals'> {
  return champion === undefined || challenger === undefined ? {} : { intervals: { champion, challenger } };
}

/** No share and no score lies beyond 0 or 1, so no limit is shown there. */
export function shareWithin(value: number): number {
  return Math.min(1, Math.max(0, value));
}

function rateOf({ count, bad }: RateCounts): number | undefined {
  return count === 0 ? undefined : bad / count;
}
