/** What the policy `sequential` remembers of a rollout. `absorb.ts` changes it, `verdict.ts` reads it. */
import { countOf, type Histogram, mergeHistograms } from '../histogram.ts';
import type { Opening } from '../policy.ts';
import type { PredictionBins } from '../prediction-bins.ts';
import { MEMORY } from './champion-rate.ts';
import type { SequentialConfig } from './config.ts';
import { type Detector, openDetector } from './detector.ts';
import type { EProcess } from './e-process.ts';
import { type GuardState, openGuard } from './guard.ts';
import { LIMIT_ALTERNATIVES } from './one-sample-test.ts';
import type { Pending } from './pending.ts';
import { openSampleRatio } from './sample-ratio.ts';

/** Plain data that survives JSON unchanged. */
export interface SequentialState {
  /** Share of subjects on the challenger in each step, in percent; 0 for a step of shadow. */
  readonly percents: readonly number[];
  readonly bins?: PredictionBins;
  /** Newest step that evidence came from. */
  readonly step: number;
  readonly restartedAtMs: number;
  /** In the order of the configuration. */
  readonly guards: readonly GuardState[];
  readonly pending: readonly Pending[];
  /** ln of the highest weighted harm evidence so far: what was proven once stays proven. */
  readonly peak: number;
  /** The champion's latencies, old ones fading: thresholds are made of them. */
  readonly pastLatency: Histogram;
  /** The newest of them, which are not in it yet. */
  readonly freshLatency: Histogram;
  readonly split: EProcess;
  /** Whether the champion itself fails, or is slow, beyond its limits. */
  readonly sick: { readonly errors: Detector; readonly slow: Detector };
  /** Begin of the newest block with a request of the arm. */
  readonly heardMs: { readonly champion: number; readonly challenger: number };
}

/** The state before the first block. */
export function openState(config: SequentialConfig, opening: Opening): SequentialState {
  const { startedAtMs, percents, bins, champion } = opening;
  return {
    percents,
    ...(bins === undefined ? {} : { bins }),
    step: -1,
    restartedAtMs: startedAtMs,
    guards: config.guards.map((guard) => openGuard(guard, opening)),
    pending: [],
    peak: 0,
    pastLatency: rememberLatency([], champion.latency),
    freshLatency: [],
    split: openSampleRatio(),
    sick: { errors: openDetector(LIMIT_ALTERNATIVES), slow: openDetector(LIMIT_ALTERNATIVES) },
    heardMs: { champion: startedAtMs, challenger: startedAtMs },
  };
}

/** The champion's past with one more block; beyond {@link MEMORY} latencies all counts are halved. */
export function rememberLatency(past: Histogram, added: Histogram): Histogram {
  const merged = mergeHistograms(past, added);
  return countOf(merged) > MEMORY ? merged.map(([bucket, count]) => [bucket, count / 2] as const) : merged;
}
