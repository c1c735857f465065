// What `main.ts` asks of a suite, and the options every suite receives.
import type { Row } from './row.ts';

export interface SuiteOptions {
  /** Measured rounds for each server; the median is reported. */
  readonly rounds: number;
  readonly secondsPerRound: number;
  /** Measures the rivals without us: shows that the harness works, compares nothing. */
  readonly isRivalsOnly: boolean;
  /** Simulated rollouts for each contender and scenario. */
  readonly rollouts: number;
  /** Scenarios to simulate by name; empty means all. */
  readonly scenarios: readonly string[];
  /** Shows a result that is not a row; goes to standard output. */
  readonly print: (text: string) => void;
  /** Says what is happening; goes to standard error. */
  readonly log: (message: string) => void;
}

export type Suite = (options: SuiteOptions) => Promise<readonly Row[]>;
