/** Wealth won by betting against a hypothesis: evidence that stays valid however often one looks. Every test of this folder bets with it. */

/**
 * Equally weighted alternatives, each with the wealth that its bets have made. Plain data that survives JSON unchanged:
 * wealth is kept in whole multiples of 1e-5 nat, so it is finite, short, and the same on every machine.
 */
export interface EProcess {
  /** ln of the wealth on each alternative. */
  readonly logWealth: readonly number[];
  /** Restarts so far. */
  readonly restarts: number;
}

/** Initial fund of a process that is never restarted. */
export const WHOLE_FUND = 1;

/** Initial fund of a process that is restarted; the rest of the 1 pays for all its restarts together. */
export const RESTARTABLE_FUND = 0.8;

const UNITS_PER_NAT = 1e5;

/**
 * A process before its first bet.
 * @param alternatives how many, ≥ 1
 * @param initialFund wealth to begin with, in (0, 1]: {@link WHOLE_FUND} or {@link RESTARTABLE_FUND}
 * @throws RangeError when an argument is out of its range
 */
export function openEProcess(alternatives: number, initialFund: number): EProcess {
  if (!(Number.isInteger(alternatives) && alternatives >= 1 && initialFund > 0 && initialFund <= WHOLE_FUND)) {
    throw new RangeError(`cannot open an e-process of ${alternatives} alternatives with a fund of ${initialFund}`);
  }
  return { logWealth: Array.from<number>({ length: alternatives }).fill(grow(0, Math.log(initialFund))), restarts: 0 };
}

/**
 * The process after one more bet: wealth M ← M · e per alternative. While every factor has an expectation of at most 1
 * under the hypothesis, whatever happened before, the chance that {@link logEvidence} ever reaches ln(1/α) is at most α.
 * @param logFactors ln e of each alternative
 * @throws RangeError when the number of factors is another than that of the alternatives, or one is not finite
 * Source: J. Ville, Étude critique de la notion de collectif (1939); Ramdas, Grünwald, Vovk, Shafer, Statistical Science 38 (2023), 576–601.
 */
export function bet(process: EProcess, logFactors: readonly number[]): EProcess {
  if (logFactors.length !== process.logWealth.length) {
    throw new RangeError(`cannot bet ${logFactors.length} factors on ${process.logWealth.length} alternatives`);
  }
  return { ...process, logWealth: process.logWealth.map((wealth, index) => grow(wealth, logFactors[index] ?? 0)) };
}

/**
 * The process with fresh money on every alternative, so that a regression that begins now need not first win back what
 * was lost before it: M ← M + π_j at the j-th restart, π_j = 0.2 · (6/π²) / j². All of them together are 0.2, so that a
 * process opened with {@link RESTARTABLE_FUND} never has more than 1 put in. The moment may depend on the past, never on
 * the bet that follows.
 */
export function restart(process: EProcess): EProcess {
  const restarts = process.restarts + 1;
  const logFund = Math.log(((WHOLE_FUND - RESTARTABLE_FUND) * 6) / (Math.PI * restarts) ** 2);
  return { logWealth: process.logWealth.map((wealth) => grow(wealth, softplus(logFund - wealth))), restarts };
}

/** ln of the evidence against the hypothesis, the average wealth of the alternatives. Compare it with ln(1/α). */
export function logEvidence({ logWealth }: EProcess): number {
  return logSumExp(logWealth) - Math.log(logWealth.length);
}

/** ln Σ e^v without overflow; −∞ for no values. */
export function logSumExp(values: readonly number[]): number {
  let highest = -Infinity;
  for (const value of values) if (value > highest) highest = value;
  if (highest === -Infinity) return highest;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - highest);
  return highest + Math.log(sum);
}

/** ln(1 + e^x) without overflow. */
export function softplus(x: number): number {
  return Math.max(0, x) + Math.log1p(Math.exp(-Math.abs(x)));
}

/**
 * The sum of two logarithms of wealth, rounded down to a whole multiple of 1e-5 nat: less wealth is still a fair bet.
 * @param logWealth a whole multiple already; adding 0 leaves it as it is
 * @throws RangeError when the sum is not finite
 */
export function grow(logWealth: number, logFactor: number): number {
  const grown = (Math.round(logWealth * UNITS_PER_NAT) + Math.floor(logFactor * UNITS_PER_NAT)) / UNITS_PER_NAT;
  if (!Number.isFinite(grown)) throw new RangeError(`not a bet: log wealth ${logWealth}, log factor ${logFactor}`);
  return grown;
}
