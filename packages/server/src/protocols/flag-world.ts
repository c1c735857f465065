/** What flag protocols live on: the flags of one environment, its SDK keys, and a place for reported outcomes. Wired in `compose-control.ts`. */
import type { Evaluator, FlagDocuments } from '@understudy/core/flags/evaluator';

/** Everything about the flags of one environment at one revision. Replaced as a whole, never changed. */
export interface FlagState {
  readonly environment: string;
  /** Of the newest commit that changed what is served here; stays as it is when a schedule begins or ends. */
  readonly revision: number;
  /** Flags of people and those that follow rollouts, with their segments. */
  readonly documents: FlagDocuments;
  readonly evaluator: Evaluator;
}

/** The newest state, and news of every later one. */
export interface FlagWorld {
  /** Undefined until the first state is loaded: then the answer to any SDK is 503, never an empty list. */
  now(): FlagState | undefined;
  /** Calls back with each new state, also when a schedule has begun or ended. @returns stops */
  onChange(listener: (state: FlagState) => void): () => void;
}

/**
 * Who presents a key. `unknown` is said only when the key is surely unknown: SDKs give up for good on it. While keys
 * cannot be looked up it is `unavailable`.
 */
export type KeyCheck =
  | { readonly outcome: 'known'; readonly name: string; readonly use: KeyUse }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'unavailable' };

/** `server` keys read all rules; `client` keys, which end up in browsers, read evaluated flags only. */
export type KeyUse = 'server' | 'client';

/** The SDK keys of the environment. */
export interface SdkKeys {
  check(secret: string): Promise<KeyCheck>;
}

/**
 * What a reporter says about one variant of a flag: how often it was given, and apart from that what came of requests. Values
 * are counts and sums, so that batches can be added up.
 */
export interface FlagOutcome {
  readonly flag: string;
  readonly variant: string;
  /** Unique for each batch of a reporter, so that a repeated one counts once. */
  readonly batch: string;
  readonly atMs: number;
  /**
   * Evaluations that gave the variant. Nobody knows how those requests ended, or whether there was one: an exposure is never
   * a success, and no part of {@link requests}.
   */
  readonly exposures: number;
  /** Requests decided by the variant that are known to have ended, well or not: what errors are divided by. */
  readonly requests: number;
  /** Those of {@link requests} that failed. */
  readonly errors: number;
  /** Milliseconds of single requests; few, or summarised in buckets `[upper bound in ms, count]`. */
  readonly latencies: readonly (readonly [ms: number, count: number])[];
  /** Values in [0, 1] by the name of the score. */
  readonly scores: Readonly<Record<string, { readonly count: number; readonly sum: number; readonly sumSquares: number }>>;
}

/** Where outcomes and exposure counts go. */
export interface OutcomeSink {
  report(outcomes: readonly FlagOutcome[]): Promise<void>;
}

/** One SDK that was heard of, for lists and for the warning about families that hash differently. */
export interface SdkSighting {
  readonly family: 'unleash' | 'launchdarkly' | 'flagsmith' | 'ofrep' | 'understudy';
  /** Name and version as the SDK sends them, such as `unleash-node-sdk:6.12.1`. */
  readonly sdk: string;
  readonly application: string;
  /** Whether it evaluates by itself, with the hash of its family. */
  readonly isLocal: boolean;
}

/** Everything that a protocol is made with. */
export interface ProtocolPorts {
  readonly world: FlagWorld;
  readonly keys: SdkKeys;
  readonly outcomes: OutcomeSink;
  readonly clock: { nowMs(): number };
  readonly log: { info(fields: object, event: string): void; warn(fields: object, event: string): void };
  /** Remembered by family, sdk, application and place of evaluation; texts are cut and the number is bounded. */
  sighted(sdk: SdkSighting): void;
  /** 32 bytes that are the same in every process that serves these flags, and after a restart. Another purpose has others. */
  secretFor(purpose: string): Uint8Array;
}
