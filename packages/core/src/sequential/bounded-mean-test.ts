/** The exact test of the challenger's mean against the champion's for values in [0, 1], on sums alone. Score guards bet with it. */
import type { Moments } from '../evidence.ts';
import { bet, type EProcess } from './e-process.ts';
import type { ArmPair } from './margin.ts';

/** Shares of the largest fair stake that are bet, equally weighted: small ones find small differences. */
export const STAKES: readonly number[] = [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.6];

/** Alternatives of a process on means, of harm and of safety. */
export const MEAN_ALTERNATIVES: number = STAKES.length;

/** A bet on the means of both arms, where higher is better. Fixed before the block that it is made on. */
export interface MeanBet {
  /** How far below the champion's mean the challenger's may be, in [0, 1). */
  readonly drop: number;
  /** The mean of both arms, guessed from their past, in [0, 1]. A bad guess costs time, never validity. */
  readonly guess: number;
}

/**
 * The process after betting that the challenger is harmful. Its hypothesis: in every block, the challenger's mean is at
 * least the champion's − drop. A block without values on one of the arms changes nothing.
 * @param process of {@link MEAN_ALTERNATIVES}
 * @param sums of values in [0, 1]
 * @throws RangeError when an argument is out of its range
 */
export function betOnMeanHarm(process: EProcess, options: MeanBet, sums: ArmPair<Moments>): EProcess {
  return bet(process, logFactorsOf('harm', options, sums));
}

/** The same for safety; its hypothesis: in every block, the challenger's mean is at most the champion's − drop. */
export function betOnMeanSafety(process: EProcess, options: MeanBet, sums: ArmPair<Moments>): EProcess {
  return bet(process, logFactorsOf('safety', options, sums));
}

/**
 * ln of exp(stake · x − ψ(stake) · x²), ψ(s) = −ln(1 − s) − s, which is at most 1 + stake · x for x ≥ −1: a bet that can
 * be computed from Σx and Σx² alone.
 * @param stake in (0, 1)
 * @returns nats
 * Source: X. Fan, I. Grama, Q. Liu, Electron. J. Probab. 20 (2015), no. 1.
 */
export function boundedLogFactor(stake: number, { sum, sumSquares }: Pick<Moments, 'sum' | 'sumSquares'>): number {
  return stake * sum + (Math.log1p(-stake) + stake) * sumSquares;
}

/** @throws RangeError unless the sums can be those of values in [0, 1]; rounding errors of adding them up are forgiven */
export function assertUnitMoments({ count, sum, sumSquares }: Moments): void {
  const forgiven = count * 1e-9;
  if (!(count < Infinity && sumSquares >= 0 && sumSquares <= sum + forgiven && sum <= count + forgiven)) {
    throw new RangeError(`not sums of values in [0, 1]: count ${count}, sum ${sum}, sum of squares ${sumSquares}`);
  }
}

/**
 * A champion's value y counts (y − guess)/(1 − w), a challenger's −(y + drop − guess)/w, so that for harm their sum is
 * expected to be 0 where the means are `drop` apart; w is the challenger's share of the block. For safety the signs turn.
 */
function logFactorsOf(direction: 'harm' | 'safety', { drop, guess }: MeanBet, sums: ArmPair<Moments>): readonly number[] {
  const { champion, challenger } = sums;
  if (!(drop >= 0 && drop < 1 && guess >= 0 && guess <= 1)) throw new RangeError(`no bet on means: drop ${drop}, guess ${guess}`);
  assertUnitMoments(champion);
  assertUnitMoments(challenger);
  if (champion.count === 0 || challenger.count === 0) return STAKES.map(() => 0);
  const w = challenger.count / (champion.count + challenger.count);
  const ours = centred(challenger, guess - drop);
  const theirs = centred(champion, guess);
  const isHarm = direction === 'harm';
  // The most that one value can lose.
  const loss = isHarm ? Math.max((1 + drop - guess) / w, guess / (1 - w)) : Math.max((guess - drop) / w, (1 - guess) / (1 - w));
  const gain = theirs.sum / (1 - w) - ours.sum / w;
  const scaled = {
    sum: (isHarm ? gain : -gain) / loss,
    sumSquares: (ours.sumSquares / w ** 2 + theirs.sumSquares / (1 - w) ** 2) / loss ** 2,
  };
  return STAKES.map((stake) => boundedLogFactor(stake, scaled));
}

/** Sums of the same values less a number. */
export function centred({ count, sum, sumSquares }: Moments, centre: number): Moments {
  return { count, sum: sum - count * centre, sumSquares: sumSquares - 2 * centre * sum + count * centre ** 2 };
}
