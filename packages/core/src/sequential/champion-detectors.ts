/** What watches a champion that nobody is compared with: a detector for failures, one for slow answers, one a family for drift, one for each label. */
import { addCounts, latencyOf, type Moments, type Tally } from '../evidence.ts';
import { type ConcurrentBlock, INTERVAL_MS } from '../evidence-pool.ts';
import { COHORT_MS } from '../feedback.ts';
import { bucketOfLatency, countOf } from '../histogram.ts';
import { binCountOf, countsInBins, type Distribution } from '../prediction-bins.ts';
import { boundedLogFactor, centred, MEAN_ALTERNATIVES, STAKES } from './bounded-mean-test.ts';
import { type Detector, detect, logDetection, openDetector } from './detector.ts';
import { addToPastBins, type DriftWealth, FAMILY_WEIGHTS, GAPS, familiesOf, openFamilies, totalOf } from './drift-families.ts';
import { logSumExp } from './e-process.ts';
import { countFrom } from './latency-threshold.ts';
import { clampRate } from './log-odds.ts';
import type { RateCounts } from './margin.ts';
import { LIMIT_ALTERNATIVES, limitLogFactors } from './one-sample-test.ts';
import { referenceLogFactors } from './reference-drift.ts';

/** Absolute limits of a champion. */
export interface ChampionLimits {
  /** Share of requests that may fail. */
  readonly errorRate: number;
  /** 95 % of the answers may take so long. */
  readonly p95LatencyMs: number;
  /** A share of predictions in any range may differ from the baseline's by this much. */
  readonly shareDrift: number;
  /** The mean of these labels must not be below a level, by their names. */
  readonly labels: Readonly<Record<string, number>>;
  /** Absent where the version has no distribution registered; then drift is not watched. */
  readonly baseline?: Distribution;
}

/** Plain data that survives JSON unchanged. */
export interface ChampionDetectors {
  readonly errors: Detector;
  readonly slow: Detector;
  /** One detector a family of sets, and the counts before the next block. */
  readonly drift: { readonly families: readonly Detector[]; readonly past: readonly number[] };
  /** By the names of watched labels. */
  readonly labels: Readonly<Record<string, Detector>>;
  /** Latencies and predictions since the last time they were weighed; absent when there are none. */
  readonly pending?: { readonly sinceMs: number; readonly slow: RateCounts; readonly bins: readonly number[] };
}

/** ln R of each detector as a part of what raises its alarm; 1 and above is an alarm. */
export interface Alertness {
  readonly errors: number;
  readonly slow: number;
  readonly drift: number;
  readonly labels: Readonly<Record<string, number>>;
}

// Each detector of a healthy champion right on its limit is wrong once in a hundred days on average, and much more
// rarely below the limit.
const QUIET_MS = 100 * 86_400_000;
const OTHERS_EVERY_MS = 10_000;
const ERRORS_ALARM = Math.log(QUIET_MS / INTERVAL_MS);
const OTHERS_ALARM = Math.log(QUIET_MS / OTHERS_EVERY_MS);
const LABELS_ALARM = Math.log(QUIET_MS / COHORT_MS);

// 95 % of the answers have to be in time, so one in twenty may be slow.
const SLOW_SHARE = 0.05;

// Beyond an alarm more capital says nothing new, and would outlast the trouble.
const MOST_CAPITAL = ERRORS_ALARM + 5;

const NO_RATE: RateCounts = { count: 0, bad: 0 };

/** Detectors that have seen nothing. */
export function openChampionDetectors({ baseline }: ChampionLimits): ChampionDetectors {
  const shape = shapeOf(baseline);
  return {
    errors: openDetector(LIMIT_ALTERNATIVES),
    slow: openDetector(LIMIT_ALTERNATIVES),
    labels: {},
    drift: {
      families: shape === undefined ? [] : familiesOf(shape, []).map((sets) => openDetector(sets.length * GAPS.length)),
      past: Array.from<number>({ length: shape?.bins ?? 0 }).fill(0),
    },
  };
}

/** The detectors after one more block; failures are weighed with every block, the rest every ten seconds. */
export function detectInBlock(
  limits: ChampionLimits,
  before: ChampionDetectors,
  { startMs, arms: { champion } }: ConcurrentBlock,
): ChampionDetectors {
  const state = champion.labels === undefined ? before : { ...before, labels: detectInLabels(limits, before, champion.labels) };
  if (champion.requests === 0) return state;
  const errors = look(state.errors, limitLogFactors(clampRate(limits.errorRate), failuresOf(champion)));
  const pending = addToPending(limits, state.pending, { startMs, champion });
  if (startMs + INTERVAL_MS - pending.sinceMs < OTHERS_EVERY_MS) return { ...state, errors, pending };
  return {
    labels: state.labels,
    errors,
    slow: look(state.slow, limitLogFactors(SLOW_SHARE, pending.slow)),
    drift: detectDrift(limits, state.drift, pending.bins),
  };
}

/** How near each detector is to its alarm. */
export function alertnessOf({ errors, slow, drift, labels }: ChampionDetectors, { baseline }: ChampionLimits): Alertness {
  const shape = shapeOf(baseline);
  const weights = shape === undefined ? [] : FAMILY_WEIGHTS[shape.kind];
  const logDrift = logSumExp(drift.families.map((family, index) => logDetection(family) + Math.log(weights[index] ?? 0)));
  return {
    errors: partOf(logDetection(errors), ERRORS_ALARM),
    slow: partOf(logDetection(slow), OTHERS_ALARM),
    drift: partOf(logDrift, OTHERS_ALARM),
    labels: Object.fromEntries(
      Object.entries(labels).map(([name, detector]) => [name, partOf(logDetection(detector), LABELS_ALARM)]),
    ),
  };
}

/** Hypothesis of each detector: the mean of a cohort's labels is at least the level. Bets against it as `bounded-mean-test.ts` does. */
function detectInLabels(
  { labels: levels }: ChampionLimits,
  { labels }: ChampionDetectors,
  seen: NonNullable<Tally['labels']>,
): ChampionDetectors['labels'] {
  return Object.fromEntries(
    Object.entries(levels).map(([name, level]) => {
      const detector = labels[name] ?? openDetector(MEAN_ALTERNATIVES);
      const sums = seen[name];
      return [name, sums === undefined ? detector : look(detector, belowLogFactors(level, sums))];
    }),
  );
}

/** A value y counts (level − y) / (1 − level), which is at least −1, and 0 or less on average where the mean keeps the level. */
function belowLogFactors(level: number, sums: Moments): readonly number[] {
  const { sum, sumSquares } = centred(sums, level);
  const scaled = { sum: -sum / (1 - level), sumSquares: sumSquares / (1 - level) ** 2 };
  return STAKES.map((stake) => boundedLogFactor(stake, scaled));
}

function detectDrift(
  { baseline, shareDrift }: ChampionLimits,
  { families, past }: ChampionDetectors['drift'],
  block: readonly number[],
): ChampionDetectors['drift'] {
  const shape = shapeOf(baseline);
  if (baseline === undefined || shape === undefined) return { families, past };
  const reference = { tolerance: shareDrift, baseline: baseline.counts };
  const factors = referenceLogFactors({ ...shape, past }, reference, block);
  return {
    families: families.map((family, index) => look(family, factors[index] ?? [])),
    past: addToPastBins(past, block),
  };
}

function addToPending(
  { baseline, p95LatencyMs }: ChampionLimits,
  pending: ChampionDetectors['pending'],
  { startMs, champion }: { readonly startMs: number; readonly champion: Tally },
): NonNullable<ChampionDetectors['pending']> {
  const latency = latencyOf(champion);
  const { sinceMs, slow, bins } = pending ?? { sinceMs: startMs, slow: NO_RATE, bins: [] };
  const { count, bad } = slow;
  return {
    sinceMs,
    slow: { count: count + countOf(latency), bad: bad + countFrom(latency, bucketOfLatency(p95LatencyMs) + 1) },
    bins: baseline === undefined ? [] : addCounts(bins, countsInBins(baseline.bins, champion)),
  };
}

/** Two bins have no order; fewer, and a baseline of nothing, tell nothing. */
function shapeOf(baseline: Distribution | undefined): Pick<DriftWealth, 'bins' | 'kind'> | undefined {
  if (baseline === undefined || binCountOf(baseline.bins) < 2 || totalOf(baseline.counts) === 0) return undefined;
  const { bins, kind } = openFamilies(binCountOf(baseline.bins), baseline.bins.kind);
  return { bins, kind };
}

/** An alternative that bets nothing has seen nothing, and must not come nearer to an alarm by time alone. */
function look(detector: Detector, logFactors: readonly number[]): Detector {
  const { logCapital } = detect(detector, logFactors);
  const before = (index: number): number => detector.logCapital[index] ?? 0;
  return {
    logCapital: logCapital.map((capital, index) => (logFactors[index] === 0 ? before(index) : Math.min(capital, MOST_CAPITAL))),
  };
}

function failuresOf({ requests, errors }: Tally): RateCounts {
  return { count: requests, bad: errors };
}

function partOf(logEvidence: number, alarm: number): number {
  return Math.max(0, logEvidence / alarm);
}
