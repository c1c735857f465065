/** The shape of every decision method: a pure fold over evidence blocks that can be asked for a verdict at any time. The engine depends on it. */
import type { Tally } from './evidence.ts';
import type { ConcurrentBlock } from './evidence-pool.ts';
import type { Baseline } from './model-version.ts';
import type { PredictionBins } from './prediction-bins.ts';

/**
 * `healthy`: may climb. `harmful`: must be rolled back. `undecided`: more evidence is needed. `no-data`: too few
 * requests to say anything. `champion-sick`: both arms fail alike, so nobody is blamed. `invalid`: the sample itself
 * cannot be trusted.
 */
export type Verdict = 'healthy' | 'harmful' | 'undecided' | 'no-data' | 'champion-sick' | 'invalid';

/** Lower and upper end. */
export type Interval = readonly [low: number, high: number];

/** What one guard sees, for people and for the record. Values are in the guard's own unit. */
export interface GuardReading {
  readonly guard: string;
  readonly verdict: Verdict;
  readonly champion?: number;
  readonly challenger?: number;
  /** Worse than this is harmful: the value that the challenger must not exceed, or must not fall below for a score. */
  readonly limit?: number;
  /** The challenger climbs once it is proven to be better than this; looser than the limit. */
  readonly margin?: number;
  /** Where the true values lie, at 95 % and however often one looks. */
  readonly intervals?: { readonly champion: Interval; readonly challenger: Interval };
  /** Of a shadow, how much more is bad on the challenger for the same requests, and where the truth lies at 95 %. */
  readonly difference?: { readonly value: number; readonly interval: Interval };
  /** How much of the evidence that a decision takes is there, each in [0, 1]. */
  readonly progress?: { readonly harm: number; readonly safety: number };
  /** `number`: of somebody else, whose unit nobody told us. */
  readonly unit: 'ms' | 'share' | 'standard deviations' | 'score' | 'number';
  /** Requests, or predictions, of the challenger that the reading rests on. */
  readonly samples: number;
  /** One sentence with the numbers. */
  readonly reason: string;
}

/** When a verdict is to be expected at the present traffic, and what would be caught by then. */
export interface Forecast {
  /** Milliseconds until every guard will probably have what it needs; absent when it cannot be told. */
  readonly verdictInMs?: number;
  /** One sentence with the numbers. */
  readonly sentence: string;
}

/** A verdict with its reasons. */
export interface Judgement {
  readonly verdict: Verdict;
  /** One sentence with the numbers, for people. */
  readonly reason: string;
  readonly guards: readonly GuardReading[];
  readonly forecast?: Forecast;
  /** What keeps a time box from promoting although the verdict would let it: checks that fail, or cannot be asked. */
  readonly barred?: string;
  /** What a person goes by who asks for a step, where the engine waits because of a single gateway that the reason names. */
  readonly ifAsked?: Verdict;
  /** What people should know about where the evidence comes from; sentences. */
  readonly notes?: readonly string[];
}

/** What is known before the first block of a rollout. */
export interface Opening {
  readonly startedAtMs: number;
  /** The champion's traffic shortly before the rollout: where the tests begin to look. Empty is valid, only slower. */
  readonly champion: Tally;
  /** Share of subjects on the challenger in each step, in percent; 0 for a step of shadow. */
  readonly percents: readonly number[];
  /** In which predictions are counted; absent when nobody knows what they look like. */
  readonly bins?: PredictionBins;
  readonly championBaseline?: Baseline;
  readonly challengerBaseline?: Baseline;
}

/** What is asked: the step that the rollout stands on, and what both arms did in it. */
export interface Question {
  readonly atMs: number;
  readonly step: number;
  /** When the rollout came to this step. */
  readonly sinceMs: number;
  /** Share of subjects on the challenger in this step. */
  readonly trafficPercent: number;
  /** Share of subjects whose requests the challenger gets a copy of; absent but in steps of shadow. */
  readonly shadowPercent?: number;
  /** The step of the plan that is nearest to equal shares, where a request tells most. */
  readonly isStrictest: boolean;
  /** Whether passing this step promotes the challenger. */
  readonly isLast: boolean;
  /** The step only waits for harm, and for labels that are needed for the promotion. */
  readonly isBake?: boolean;
  /** Requests the challenger must have answered in this step before the step can be passed. */
  readonly minSamples: number;
  /**
   * Everything that both arms did in this step, in closed blocks; labels are those of the whole rollout. In a step of shadow
   * the challenger's is the shadow's.
   */
  readonly seen: { readonly champion: Tally; readonly challenger: Tally };
  /**
   * Whether only agreement is asked for, with what others have found on more evidence: policies that weigh evidence then
   * say yes from half of it on.
   */
  readonly isSecondOpinion?: boolean;
  readonly championBaseline?: Baseline;
  readonly challengerBaseline?: Baseline;
}

/**
 * A decision method. `State` is plain data that survives JSON unchanged, so that a decision replays bit for bit from
 * stored blocks.
 */
export interface Policy<Config, State> {
  readonly name: string;
  /** The state before any block of the rollout. */
  open(config: Config, opening: Opening): State;
  /** The state after one more block. Blocks come oldest first. */
  absorb(config: Config, state: State, block: ConcurrentBlock): State;
  /** The verdict alone on everything absorbed so far, for simulations that ask millions of times. */
  verdict(config: Config, state: State, question: Question): Verdict;
  /** The same verdict with everything a person wants to know. Asking changes nothing. */
  judge(config: Config, state: State, question: Question): Judgement;
}
