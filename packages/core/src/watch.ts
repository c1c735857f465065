/** The watch over a champion: detectors or a sliding window against absolute limits, with a cooldown. The engine depends on it. */
import { formatDuration } from './duration.ts';
import { meanOf, mergeLabels, type Moments, type Tally } from './evidence.ts';
import { closeUntil, EMPTY_POOL, type EvidencePool, pour, type StoredBlock } from './evidence-pool.ts';
import { readHealth } from './health.ts';
import type { Model } from './model.ts';
import type { ModelVersion } from './model-version.ts';
import type { GuardReading } from './policy.ts';
import { countsInBins } from './prediction-bins.ts';
import { addToWindow, EMPTY_WINDOW, newestOf, type SampleWindow } from './sample-window.ts';
import {
  alertnessOf,
  type ChampionDetectors,
  type ChampionLimits,
  detectInBlock,
  openChampionDetectors,
} from './sequential/champion-detectors.ts';

/** One term as champion; another champion begins with a clean one. */
export interface WatchState {
  readonly version: string;
  readonly fromMs: number;
  readonly pool: EvidencePool;
  readonly window: SampleWindow;
  /** Absent until the first look. */
  readonly detectors?: ChampionDetectors;
  /** Labels that are due, over the whole term. */
  readonly labels?: NonNullable<Tally['labels']>;
  /** When the baseline was set that the detectors compare with; another one makes them begin anew. */
  readonly baselineSetAtMs?: number;
}

/**
 * What the watch sees and wants. `drifted` tells people and does nothing more: without a champion to compare with, nobody
 * knows whether the version or its inputs have changed.
 */
export interface WatchFinding {
  readonly state: 'healthy' | 'waiting' | 'drifted' | 'cooling-down' | 'violated';
  readonly reason: string;
  readonly guards: readonly GuardReading[];
}

/** What is judged, and when. */
export interface WatchQuestion {
  readonly state: WatchState;
  readonly atMs: number;
}

const DRIFT = 'health.mean-drift';
const SHARE_DRIFT = 'health.share-drift';

/** A watch that has seen nothing of the present champion's term; undefined without a champion. */
export function openWatch(model: Model): WatchState | undefined {
  const term = model.terms.at(-1);
  if (term === undefined) return undefined;
  return { version: term.version, fromMs: term.fromMs, pool: EMPTY_POOL, window: EMPTY_WINDOW };
}

/** The watch with one more stored block; those of other models, of other versions and of earlier terms change nothing. */
export function absorbWatch(model: Model, state: WatchState, stored: StoredBlock): WatchState {
  const { block } = stored;
  if (block.model !== model.name || block.version !== state.version) return state;
  if (block.arm !== 'champion' || block.startMs < state.fromMs) return state;
  return { ...state, pool: pour(state.pool, stored) };
}

/** The watch after taking in every interval that has ended. */
export function settleWatch(model: Model, version: ModelVersion, { state, atMs }: WatchQuestion): WatchState {
  const { pool, closed } = closeUntil(state.pool, atMs);
  const limits = limitsOf(model, version);
  const setAtMs = version.baseline?.setAtMs;
  const { baselineSetAtMs, ...rest } = state;
  const known = baselineSetAtMs === setAtMs ? state.detectors : undefined;
  let { window } = state;
  let detectors = known ?? openChampionDetectors(limits);
  let labels = state.labels;
  for (const block of closed) {
    labels = mergeLabels(labels, block.arms.champion.labels);
    window = addToWindow(window, { startMs: block.startMs, tally: block.arms.champion }, model.watch.limits.window);
    detectors = detectInBlock(limits, detectors, block);
  }
  return {
    ...rest,
    pool,
    window,
    detectors,
    ...(labels === undefined ? {} : { labels }),
    ...(setAtMs === undefined ? {} : { baselineSetAtMs: setAtMs }),
  };
}

/** Whether the champion breaks a limit, and whether an automatic rollback may follow. Sees what was settled. */
export function judgeWatch(model: Model, version: ModelVersion, { state, atMs }: WatchQuestion): WatchFinding {
  const guards = readGuards(model, version, state);
  const broken = guards.filter((guard) => guard.verdict === 'harmful');
  const toldOnly = model.watch.method === 'detectors' && model.watch.onDrift === 'alert';
  const violations = broken.filter(({ guard }) => !(toldOnly && guard === SHARE_DRIFT));
  if (violations.length === 0) return quietFinding(guards, broken);
  const reason = violations.map((guard) => guard.reason).join('; ');
  const leftMs = (model.lastRollback?.atMs ?? -Infinity) + model.watch.cooldownMs - atMs;
  if (leftMs <= 0) return { state: 'violated', reason, guards };
  return {
    state: 'cooling-down',
    reason: `${reason}; no automatic rollback for ${formatDuration(leftMs)} more (cooldown)`,
    guards,
  };
}

function quietFinding(guards: readonly GuardReading[], told: readonly GuardReading[]): WatchFinding {
  if (told.length > 0) return { state: 'drifted', reason: told.map((guard) => guard.reason).join('; '), guards };
  const known = guards.filter((guard) => guard.verdict === 'healthy');
  if (known.length === 0) return { state: 'waiting', reason: guards[0]?.reason ?? 'not enough data', guards };
  return { state: 'healthy', reason: known.map((guard) => guard.reason).join('; '), guards };
}

function readGuards(model: Model, version: ModelVersion, state: WatchState): readonly GuardReading[] {
  const { watch } = model;
  const tally = newestOf(state.window, watch.limits.window);
  const readings = readHealth(watch.limits, tally, version.baseline);
  if (watch.method === 'window') return readings;
  const limits = limitsOf(model, version);
  const alertness = alertnessOf(state.detectors ?? openChampionDetectors(limits), limits);
  const byGuard: Readonly<Record<string, number>> = { 'health.p95-latency': alertness.slow, 'health.errors': alertness.errors };
  const seen = readings
    .filter(({ guard }) => guard !== DRIFT)
    .map((reading) => withEvidence(reading, byGuard[reading.guard] ?? 0));
  const labels = Object.entries(limits.labels).map(([name, level]) =>
    readLabel({ name, level, sums: state.labels?.[name] }, alertness.labels[name] ?? 0),
  );
  return [...seen, readShareDrift(limits, tally, alertness.drift), ...labels];
}

/** The window's numbers with the detector's verdict: what is shown is recent, what is decided rests on all of the term. */
function withEvidence(reading: GuardReading, part: number): GuardReading {
  const isUnknown = reading.verdict === 'no-data';
  if (isUnknown && part < 1) return reading;
  const where = isUnknown ? '' : ` in the newest ${reading.samples} requests`;
  return {
    ...reading,
    verdict: part >= 1 ? 'harmful' : 'healthy',
    progress: { harm: Math.min(1, part), safety: 0 },
    reason: `${reading.reason}${where}; ${alarmWords(part)}`,
  };
}

function readShareDrift({ baseline, shareDrift }: ChampionLimits, tally: Tally, part: number): GuardReading {
  const counts = baseline === undefined ? [] : countsInBins(baseline.bins, tally);
  const samples = counts.reduce((sum, count) => sum + count, 0);
  const base = { guard: SHARE_DRIFT, unit: 'share', limit: shareDrift, samples } as const;
  if (baseline === undefined) {
    return { ...base, verdict: 'no-data', reason: 'no distribution of predictions is registered, so drift is not watched' };
  }
  const isOver = part >= 1;
  if (samples === 0 && !isOver) {
    return { ...base, verdict: 'no-data', reason: 'no prediction was counted in the bins of the baseline lately' };
  }
  const state = isOver ? 'predictions are no longer distributed as registered' : 'predictions are distributed as registered';
  return {
    ...base,
    verdict: isOver ? 'harmful' : 'healthy',
    progress: { harm: Math.min(1, part), safety: 0 },
    reason: `${state} (shares within ${Math.round(shareDrift * 100)} %); ${alarmWords(part)}`,
  };
}

interface WatchedLabel {
  readonly name: string;
  readonly level: number;
  readonly sums: Moments | undefined;
}

function readLabel({ name, level, sums }: WatchedLabel, part: number): GuardReading {
  const samples = sums?.count ?? 0;
  const mean = sums === undefined ? undefined : meanOf(sums);
  const base = { guard: `health.label.${name}`, unit: 'score', limit: level, samples } as const;
  if (mean === undefined) return { ...base, verdict: 'no-data', reason: `no label ${name} of this champion is due yet` };
  return {
    ...base,
    verdict: part >= 1 ? 'harmful' : 'healthy',
    challenger: mean,
    progress: { harm: Math.min(1, part), safety: 0 },
    reason: `${name} ${mean.toFixed(3)} over ${samples} labels that are due, of ${level} at least; ${alarmWords(part)}`,
  };
}

function alarmWords(part: number): string {
  if (part >= 1) return 'the evidence raises the alarm';
  return part < 0.01 ? 'no evidence for an alarm' : `${Math.floor(part * 100)} % of the evidence for an alarm`;
}

function limitsOf({ watch }: Model, { baseline }: ModelVersion): ChampionLimits {
  const { errorRate, p95LatencyMs } = watch.limits;
  const registered = baseline?.distribution === undefined ? {} : { baseline: baseline.distribution };
  return { errorRate, p95LatencyMs, shareDrift: watch.shareDrift, labels: watch.labels ?? {}, ...registered };
}
