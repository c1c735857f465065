/** Whether requests were split as planned. A split that was not makes every comparison of the arms worthless. */
import { bet, type EProcess, openEProcess, WHOLE_FUND } from './e-process.ts';
import { logistic, logit } from './log-odds.ts';
import type { ArmPair } from './margin.ts';
import { oneSampleLogFactor } from './one-sample-test.ts';

/** Evidence from which on the sample is invalid: stricter than for harm, as it stops a rollout either way. */
export const SAMPLE_RATIO_THRESHOLD = 1000;

// Log-odds beyond what is tolerated, in both directions.
const STEPS: readonly number[] = [0.05, 0.1, 0.25, 0.5];

/** The planned split. May change from block to block, never within one. */
export interface PlannedSplit {
  /** The challenger's share of the requests, in (0, 1). */
  readonly share: number;
  /** τ ≥ 0: true odds between odds/(1 + τ) and odds · (1 + τ) are as planned. 0 tolerates nothing. */
  readonly tolerance: number;
}

/** The process before the first block: four alternatives on either side. It is never restarted. */
export function openSampleRatio(): EProcess {
  return openEProcess(2 * STEPS.length, WHOLE_FUND);
}

/**
 * The process after one more block. Its hypothesis: in every block, the chance of a request to go to the challenger is
 * within the tolerance on average. Alternatives: ln odds ± (ln(1 + τ) + d), d in {0.05, 0.1, 0.25, 0.5}; each bets
 * against the end of the tolerated range on its side.
 * @param counts requests of both arms
 * @throws RangeError when an argument is out of its range
 */
export function betOnSampleRatio(process: EProcess, { share, tolerance }: PlannedSplit, counts: ArmPair<number>): EProcess {
  const isPlan = share > 0 && share < 1 && tolerance >= 0 && tolerance < Infinity;
  const total = counts.champion + counts.challenger;
  if (!(isPlan && counts.champion >= 0 && counts.challenger >= 0 && total < Infinity)) {
    throw new RangeError(
      `cannot test a split of ${counts.champion} to ${counts.challenger}, share ${share}, tolerance ${tolerance}`,
    );
  }
  const factorsOf = (side: 1 | -1) => {
    const end = logit(share) + side * Math.log1p(tolerance);
    const labels = { count: total, bad: counts.challenger };
    return STEPS.map((step) => oneSampleLogFactor(logistic(end), logistic(end + side * step), labels));
  };
  return bet(process, [...factorsOf(1), ...factorsOf(-1)]);
}
