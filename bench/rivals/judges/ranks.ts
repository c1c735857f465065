// Rank tests on two samples: Mann-Whitney, and the shift between the samples with its confidence interval.

/** Standard normal quantile of 99 %: both ends of an interval of 98 %. */
export const Z_98 = 2.3263478740408408;

/** Samples that only grow; what is new is sorted and merged when the whole is asked for. */
export interface GrowingSample {
  add(value: number): void;
  /** Ascending. */
  sorted(): Float64Array;
}

export function growingSampleOf(): GrowingSample {
  let sorted = new Float64Array(0);
  let fresh = new Float64Array(1024);
  let count = 0;
  return {
    add(value) {
      if (count === fresh.length) {
        const larger = new Float64Array(count * 2);
        larger.set(fresh);
        fresh = larger;
      }
      fresh[count] = value;
      count += 1;
    },
    sorted() {
      if (count > 0) sorted = mergeSorted(sorted, fresh.subarray(0, count).toSorted());
      count = 0;
      return sorted;
    },
  };
}

/**
 * Standardised Mann-Whitney statistic, with the correction for ties; positive when the first sample is the larger one.
 * Source: E. L. Lehmann, Nonparametrics (1975), 1.3–1.4.
 * @param first ascending, as is `second`
 * @returns 0 when a sample is empty or all values are the same
 */
export function mannWhitneyZ(first: Float64Array, second: Float64Array): number {
  const [m, n] = [first.length, second.length];
  let wins = 0;
  let ties = 0;
  for (let i = 0, j = 0; i < m || j < n;) {
    const value = Math.min(first[i] ?? Infinity, second[j] ?? Infinity);
    const [fromFirst, fromSecond] = [runOf(first, i, value), runOf(second, j, value)];
    wins += fromFirst * (j + fromSecond / 2);
    const tied = fromFirst + fromSecond;
    if (tied > 1) ties += tied ** 3 - tied;
    i += fromFirst;
    j += fromSecond;
  }
  const total = m + n;
  const variance = total < 2 ? 0 : ((m * n) / 12) * (total + 1 - ties / (total * (total - 1)));
  return variance > 0 ? (wins - (m * n) / 2) / Math.sqrt(variance) : 0;
}

export interface Shift {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Hodges-Lehmann estimate of how much larger the first sample is, with its interval of 98 % from the normal approximation.
 * Source: E. L. Lehmann, Nonparametrics (1975), 2.5–2.6.
 * @returns undefined when there are too few values for such an interval
 */
export function shiftOf(first: readonly number[], second: readonly number[]): Shift | undefined {
  const [m, n] = [first.length, second.length];
  const outer = Math.floor((m * n) / 2 - Z_98 * Math.sqrt((m * n * (m + n + 1)) / 12));
  if (outer < 1) return undefined;
  const differences = new Float64Array(m * n);
  for (let k = 0; k < m * n; k += 1) differences[k] = (first[k % m] ?? 0) - (second[Math.floor(k / m)] ?? 0);
  differences.sort();
  const at = (rank: number): number => differences[rank - 1] ?? Number.NaN;
  const middle = (m * n + 1) / 2;
  return { estimate: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2, low: at(outer), high: at(m * n + 1 - outer) };
}

/** How often a value follows in a row from a place on. */
function runOf(sorted: Float64Array, from: number, value: number): number {
  let to = from;
  while (to < sorted.length && sorted[to] === value) to += 1;
  return to - from;
}

function mergeSorted(left: Float64Array, right: Float64Array): Float64Array<ArrayBuffer> {
  const merged = new Float64Array(left.length + right.length);
  for (let i = 0, j = 0, k = 0; k < merged.length; k += 1) {
    const [a, b] = [left[i] ?? Infinity, right[j] ?? Infinity];
    if (a <= b) i += 1;
    else j += 1;
    merged[k] = Math.min(a, b);
  }
  return merged;
}
