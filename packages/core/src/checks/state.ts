/** What a check remembers: a fold over its measurements in the order of storage. Its standing is made of it. */
import { type CheckConfig, staleAfterMs } from './config.ts';
import { type Finding, findingOf, type Measurement } from './measurement.ts';

/** Plain data of fixed size. */
export interface CheckState {
  /** Answers and errors so far. */
  readonly count: number;
  /** Failures in a row. Errors and missing data are no part of the row, and do not end it. */
  readonly failures: number;
  /** When the newest failure was asked for. */
  readonly failedAtMs?: number;
  /** Errors in a row, and when the first of them was asked for. */
  readonly errors: number;
  readonly errorSinceMs?: number;
  /** What the newest measurement that is no error was; undefined before the first. */
  readonly standing?: { readonly finding: Exclude<Finding, 'error'>; readonly atMs: number };
  /** The newest last, at most {@link KEPT}. */
  readonly recent: readonly Measurement[];
}

/** So many measurements are shown. */
export const KEPT = 5;

/** A check that was never asked. */
export const NEVER_ASKED: CheckState = { count: 0, failures: 0, errors: 0, recent: [] };

/** The state after one more measurement. */
export function absorbMeasurement(config: CheckConfig, state: CheckState, measurement: Measurement): CheckState {
  const { atMs, answer } = measurement;
  const recent = [...state.recent, measurement].slice(-KEPT);
  const counted = { ...state, count: state.count + 1, recent };
  const finding = findingOf(config, answer);
  if (finding === 'error') return { ...counted, errors: state.errors + 1, errorSinceMs: state.errorSinceMs ?? atMs };
  const { errorSinceMs: _over, ...rest } = counted;
  const answered = { ...rest, errors: 0, standing: { finding, atMs } };
  switch (finding) {
    case 'fail':
      return { ...answered, failures: failuresBefore(config, state, atMs) + 1, failedAtMs: atMs };
    case 'no-data':
      return answered;
    case 'pass':
    case 'warn':
    case 'undecided':
      return { ...answered, failures: 0 };
  }
}

/** Failures that are in a row with one at this moment: a long silence between two of them ends the row. */
function failuresBefore(config: CheckConfig, { failures, failedAtMs }: CheckState, atMs: number): number {
  return failedAtMs !== undefined && atMs - failedAtMs <= staleAfterMs(config) ? failures : 0;
}
