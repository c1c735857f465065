// The newest values of a stream, as the articles keep them: in a list that is trimmed.

export interface NewestSamples {
  add(value: number): void;
  readonly count: number;
  mean(): number;
  /** Ascending. */
  sorted(): Float64Array;
}

export function newestSamplesOf(capacity: number): NewestSamples {
  const values = new Float64Array(capacity);
  let added = 0;
  const held = (): Float64Array => values.subarray(0, Math.min(added, capacity));
  return {
    add(value) {
      values[added % capacity] = value;
      added += 1;
    },
    get count() {
      return Math.min(added, capacity);
    },
    mean: () => held().reduce((sum, value) => sum + value, 0) / held().length,
    sorted: () => held().toSorted(),
  };
}

/** The value at the place that both articles take for a quantile: the share of the count, rounded down. */
export function articleQuantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN;
}
