/** Watches for a change that may come at any time, for ever: raises rare false alarms instead of spending a budget. For versions without a champion. */
import { grow, logSumExp, softplus } from './e-process.ts';

/** One Shiryaev–Roberts sum R per alternative, equally weighted. Plain data that survives JSON unchanged. */
export interface Detector {
  /** ln(R + 1) of each alternative, in whole multiples of 1e-5 nat; 0 before the first block. */
  readonly logCapital: readonly number[];
}

/**
 * A detector before the first block, and the one to go on with after an alarm.
 * @param alternatives how many, ≥ 1
 * @throws RangeError when there are none
 */
export function openDetector(alternatives: number): Detector {
  if (!(Number.isInteger(alternatives) && alternatives >= 1)) {
    throw new RangeError(`cannot open a detector of ${alternatives} alternatives`);
  }
  return { logCapital: Array.from<number>({ length: alternatives }).fill(0) };
}

/**
 * The detector after one more block: R ← (R + 1) · e per alternative.
 *
 * The promise is an average run length: while every e has an expectation of at most 1 whatever happened before, R minus
 * the number of blocks does not grow on average, so the average of all R reaches a threshold A after at least A blocks
 * in expectation. At A = 1e6 blocks of ten seconds that is one false alarm in 116 days of health.
 * @param logFactors ln e of each alternative
 * @throws RangeError when the number of factors is another than that of the alternatives, or one is not finite
 * Source: J. Shin, A. Ramdas, A. Rinaldo, E-detectors, New England J. Stat. Data Sci. 2 (2023), 229–260.
 */
export function detect(detector: Detector, logFactors: readonly number[]): Detector {
  if (logFactors.length !== detector.logCapital.length) {
    throw new RangeError(`cannot put ${logFactors.length} factors into ${detector.logCapital.length} alternatives`);
  }
  const logCapital = detector.logCapital.map((capital, index) => grow(0, softplus(capital + (logFactors[index] ?? 0))));
  return { logCapital };
}

/** ln of the average R of the alternatives, −∞ before the first block. Alarm when it reaches ln A. */
export function logDetection({ logCapital }: Detector): number {
  return logSumExp(logCapital.map((capital) => capital + Math.log(-Math.expm1(-capital)))) - Math.log(logCapital.length);
}
