// One line of a suite's result: every suite returns rows, the table and the JSON file show them.

/** A figure of ours, what it is compared with, and whether it meets its bar. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The rival's name and value as text. */
  readonly against?: string;
  /** How many times better than the rival we are: above 1 is better, whether more or less of the unit is good. */
  readonly ratio?: number;
  /** What the row must meet, as text; a row without a bar informs only. */
  readonly bar?: string;
  readonly holds?: boolean;
}

/** The shape of a row in the JSON file: every key present, `null` where the row has nothing to say. */
export interface RowJson {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly against: string | null;
  readonly ratio: number | null;
  readonly bar: string | null;
  readonly holds: boolean | null;
}

export function rowJsonOf(row: Row): RowJson {
  return {
    name: row.name,
    value: row.value,
    unit: row.unit,
    against: row.against ?? null,
    ratio: row.ratio ?? null,
    bar: row.bar ?? null,
    holds: row.holds ?? null,
  };
}

/** True when no row misses its bar. */
export function isPassing(rows: readonly Row[]): boolean {
  return rows.every((row) => row.holds !== false);
}
