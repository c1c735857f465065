/** Whether two places see the same difference between challenger and champion. Gateways are compared with each other by it. */
import type { ArmPair, RateCounts } from './margin.ts';
import { logistic, logit } from './log-odds.ts';

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

// On the log-odds scale.
const FURTHEST = 20;
// Counts of requests cannot tell this rate from 0.
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
  /** The highest log-likelihood of one place for a contrast, whatever its champion's rate is. */
  profile(counts: ArmPair<RateCounts>, contrast: number): number;
}

const ODDS: Scale = {
  widest: FURTHEST,
  profile(counts, contrast) {
    const champion = clamp(championAt(counts, Math.exp(contrast)));
    return likelihoodOf(counts, { champion, challenger: clamp(logistic(logit(champion) + contrast)) });
  },
};

const DIFFERENCE: Scale = {
  widest: 1 - 4 * SMALLEST,
  profile(counts, contrast) {
    const low = SMALLEST + Math.max(0, -contrast);
    const high = 1 - SMALLEST - Math.max(0, contrast);
    return summit((champion) => likelihoodOf(counts, { champion, challenger: champion + contrast }), low, high).value;
  },
};

/**
 * The champion's rate p that is likeliest where the challenger's odds are `ratio` times its own: as many bad ones are then
 * expected as there are, which is (r − 1)·n₀·p² + (n₀ + K + r·(n₁ − K))·p − K = 0 with K bad ones on both arms together.
 */
function championAt({ champion, challenger }: ArmPair<RateCounts>, ratio: number): number {
  const bad = champion.bad + challenger.bad;
  const square = (ratio - 1) * champion.count;
  const linear = champion.count + bad + ratio * (challenger.count - bad);
  const root = Math.sqrt(Math.max(0, linear * linear + 4 * square * bad));
  // Of the two ways to write the root, the one that subtracts nothing from its like.
  return linear >= 0 ? (2 * bad) / (linear + root) : (root - linear) / (2 * square);
}

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
  const both = (contrast: number): number => scale.profile(one, contrast + shift) + scale.profile(others, contrast);
  return summit(both, low, high).value;
}

function bestContrast(counts: ArmPair<RateCounts>, scale: Scale): Summit {
  return summit((contrast) => scale.profile(counts, contrast), -scale.widest, scale.widest);
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

function likelihoodOf(counts: ArmPair<RateCounts>, rates: ArmPair<number>): number {
  return logLikelihood(counts.champion, rates.champion) + logLikelihood(counts.challenger, rates.challenger);
}

function clamp(rate: number): number {
  return Math.min(1 - SMALLEST, Math.max(SMALLEST, rate));
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
