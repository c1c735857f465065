// The two summaries the suites use: the median of rounds and the trend of a series.

/** @throws RangeError when there is no value */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) throw new RangeError('the median of no values');
  return (lower + upper) / 2;
}

/**
 * Least-squares slope of values taken at equal steps.
 * @returns the growth per step
 * @throws RangeError when there are fewer than two values
 */
export function slopeOf(values: readonly number[]): number {
  if (values.length < 2) throw new RangeError(`the slope of ${values.length} values`);
  const centre = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let covariance = 0;
  let variance = 0;
  for (const [step, value] of values.entries()) {
    covariance += (step - centre) * (value - mean);
    variance += (step - centre) ** 2;
  }
  return covariance / variance;
}

/**
 * The smallest value that at least this share of the values does not exceed.
 * @param share in (0, 1]
 * @throws RangeError when there is no value
 */
export function quantileOf(values: readonly number[], share: number): number {
  const value = values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1];
  if (value === undefined) throw new RangeError('a quantile of no values');
  return value;
}
