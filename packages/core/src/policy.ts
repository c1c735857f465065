/** The shape of every decision method: a pure fold over evidence blocks that can be asked for a verdict at any time. The engine depends on it. */
import type { EvidenceBlock } from './evidence.ts';
import type { Baseline } from './model-version.ts';

/**
 * `healthy`: may climb. `harmful`: must be rolled back. `undecided`: more evidence is needed. `no-data`: too few
 * requests to say anything. `champion-sick`: both arms fail alike, so nobody is blamed. `invalid`: the sample itself
 * cannot be trusted.
 */
export type Verdict = 'healthy' | 'harmful' | 'undecided' | 'no-data' | 'champion-sick' | 'invalid';

/** What one guard sees, for people and for the record. Values are in the guard's own unit. */
export interface GuardReading {
  readonly guard: string;
  readonly verdict: Verdict;
  readonly champion?: number;
  readonly challenger?: number;
  /** The value the challenger must not exceed. */
  readonly limit?: number;
  readonly unit: 'ms' | 'share' | 'standard deviations';
  /** Requests, or predictions, of the challenger that the reading rests on. */
  readonly samples: number;
  /** One sentence with the numbers. */
  readonly reason: string;
}

/** A verdict with its reasons. */
export interface Judgement {
  readonly verdict: Verdict;
  /** One sentence with the numbers, for people. */
  readonly reason: string;
  readonly guards: readonly GuardReading[];
}

/** What is asked: the step that the rollout stands on, and what the challenger's predictions are expected to look like. */
export interface Question {
  readonly step: number;
  /** Requests the challenger must have answered in this step before the step can be passed. */
  readonly minSamples: number;
  readonly championBaseline?: Baseline;
  readonly challengerBaseline?: Baseline;
}

/**
 * A decision method. `State` is plain data that survives JSON unchanged, so that a decision replays bit for bit from
 * stored blocks.
 */
export interface Policy<Config, State> {
  readonly name: string;
  /** The state before any evidence. */
  open(config: Config): State;
  /** The state after one more block of the rollout. */
  absorb(config: Config, state: State, block: EvidenceBlock): State;
  /** The verdict on everything absorbed so far. Asking changes nothing. */
  judge(config: Config, state: State, question: Question): Judgement;
}
