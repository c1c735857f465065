/** Whether two places see the same difference between challenger and champion. Gateways are compared with each other by it. */
import type { ArmPair, RateCounts } from './margin.ts';
import { logistic } from './log-odds.ts';

/** How far the differences of two honest places may lie apart: either way of measuring is an excuse. */
export interface ContrastTolerance {
  /** Odds of the challenger over those of the champion may be so many times as high in one place; more than 1. */
  readonly oddsRatio: number;
  /** The challenger's share less the champion's may be so much higher in one place; in (0, 1). */
  readonly difference: number;
}

/** The same counts of both arms in two places. */
export interface TwoPlaces {
  readonly one: ArmPair<RateCounts>;
  readonly others: ArmPair<RateCounts>;
}

// On the log-odds scale: rates from 2e-9, which counts up to 1e7 cannot tell from 0.
const FURTHEST = 20;
const SMALLEST = 1e-9;

// Each round leaves 0.618 of the interval: 4e-9 of it at the end, which the likelihood of 1e7 requests hardly feels.
const ROUNDS = 40;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

// More than what rounding and the last round may hide of the highest likelihood.
const ROUNDING = 1e-5;

/**
 * ln of the evidence that the difference between the arms is another in one place than in the others, beyond the tolerance.
 * It may be looked at any time: the chance that it ever reaches ln(1/α) is at most α, whatever the four rates are.
 *
 * Universal inference: the highest likelihood of the counts with four free rates, less what it costs a learner not to know
 * them (½ · ln n + ln 2 for each, the regret of Krichevsky and Trofimov), over the highest likelihood within the tolerance.
 * @param enough where less than this is found, any number below it may be given instead, to save work
 * @returns nats, negative when there is none
 * Source: L. Wasserman, A. Ramdas, S. Balakrishnan, Universal inference, PNAS 117 (2020), 16880–16890; F. Willems,
 * Y. Shtarkov, T. Tjalkens, IEEE Trans. Inf. Theory 41 (1995), 653–664, for the bound on the regret.
 */
export function logContrastEvidence(
  { one, others }: TwoPlaces,
  tolerance: ContrastTolerance,
  enough: number = -Infinity,
): number {
  const cells = [one.champion, one.challenger, others.champion, others.challenger];
  const free = sum(cells.map(highest));
  const learned = free - sum(cells.map(regret));
  // No tolerance is needed where both places have the same rates: a cheap upper bound, and enough of one for most.
  const alike = highest(together(one.champion, others.champion)) + highest(together(one.challenger, others.challenger));
  if (learned - alike < enough) return learned - alike;
  const byOdds = highestWithin({ one, others }, ODDS, Math.log(tolerance.oddsRatio));
  if (learned - byOdds < enough) return learned - byOdds;
  const byDifference = highestWithin({ one, others }, DIFFERENCE, tolerance.difference);
  return learned - Math.max(byOdds, byDifference) - ROUNDING;
}

/** A way to say how the arms differ. The likelihood is concave in the champion's place and the contrast together. */
interface Scale {
  /** Ends of what the contrast may be. */
  readonly widest: number;
  /** Ends of the champion's place for a contrast. */
  range(contrast: number): readonly [low: number, high: number];
  rates(place: number, contrast: number): ArmPair<number>;
}

const ODDS: Scale = {
  widest: FURTHEST,
  range: () => [-FURTHEST, FURTHEST],
  rates: (place, contrast) => ({ champion: logistic(place), challenger: logistic(place + contrast) }),
};

const DIFFERENCE: Scale = {
  widest: 1 - 4 * SMALLEST,
  range: (contrast) => [SMALLEST + Math.max(0, -contrast), 1 - SMALLEST - Math.max(0, contrast)],
  rates: (place, contrast) => ({ champion: place, challenger: place + contrast }),
};

/**
 * The highest log-likelihood while the contrasts of the two places lie within `apart` of each other. As it is concave, it
 * is on an edge of that band, or the band contains the best contrasts of both.
 */
function highestWithin({ one, others }: TwoPlaces, scale: Scale, apart: number): number {
  const own = bestContrast(one, scale);
  const theirs = bestContrast(others, scale);
  if (Math.abs(own.at - theirs.at) <= apart) return own.value + theirs.value;
  const shift = own.at > theirs.at ? apart : -apart;
  const low = -scale.widest + Math.max(0, -shift);
  const high = scale.widest - Math.max(0, shift);
  const both = (contrast: number): number => profile(one, scale, contrast + shift) + profile(others, scale, contrast);
  return summit(both, low, high).value;
}

function bestContrast(counts: ArmPair<RateCounts>, scale: Scale): Summit {
  return summit((contrast) => profile(counts, scale, contrast), -scale.widest, scale.widest);
}

/** The highest log-likelihood of one place for a contrast, whatever its champion's rate is. */
function profile(counts: ArmPair<RateCounts>, scale: Scale, contrast: number): number {
  const [low, high] = scale.range(contrast);
  const at = (place: number): number => {
    const { champion, challenger } = scale.rates(place, contrast);
    return logLikelihood(counts.champion, champion) + logLikelihood(counts.challenger, challenger);
  };
  return summit(at, low, high).value;
}

interface Summit {
  readonly at: number;
  readonly value: number;
}

/** The highest point of a concave function, by golden sections. */
function summit(f: (x: number) => number, from: number, to: number): Summit {
  let [low, high] = [from, to];
  let [left, right] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
  let [onLeft, onRight] = [f(left), f(right)];
  for (let round = 0; round < ROUNDS; round += 1) {
    if (onLeft >= onRight) {
      [high, right, onRight] = [right, left, onLeft];
      left = high - GOLDEN * (high - low);
      onLeft = f(left);
    } else {
      [low, left, onLeft] = [left, right, onRight];
      right = low + GOLDEN * (high - low);
      onRight = f(right);
    }
  }
  return onLeft >= onRight ? { at: left, value: onLeft } : { at: right, value: onRight };
}

function logLikelihood({ count, bad }: RateCounts, rate: number): number {
  return (bad === 0 ? 0 : bad * Math.log(rate)) + (count === bad ? 0 : (count - bad) * Math.log1p(-rate));
}

function highest(counts: RateCounts): number {
  return counts.count === 0 ? 0 : logLikelihood(counts, counts.bad / counts.count);
}

function regret({ count }: RateCounts): number {
  return count === 0 ? 0 : 0.5 * Math.log(count) + Math.LN2;
}

function together(left: RateCounts, right: RateCounts): RateCounts {
  return { count: left.count + right.count, bad: left.bad + right.bad };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
