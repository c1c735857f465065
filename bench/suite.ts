// What `main.ts` asks of a suite, and the options every suite receives.
import type { Row } from './row.ts';

export interface SuiteOptions {
  /** Measured rounds for each server; the median is reported. */
  readonly rounds: number;
  readonly secondsPerRound: number;
  /** Measures the rivals without us: shows that the harness works, compares nothing. */
  readonly isRivalsOnly: boolean;
  /** Says what is happening; goes to standard error. */
  readonly log: (message: string) => void;
}

export type Suite = (options: SuiteOptions) => Promise<readonly Row[]>;
