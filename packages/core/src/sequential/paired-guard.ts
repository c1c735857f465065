/** Guards in a shadow step: what they count in pairs, and how they weigh it with the very processes that they go on with in traffic steps. */
import { bucketOfLatency, countOf } from '../histogram.ts';
import { type Discordance, EMPTY_PAIRS, type Moves, nameOfLine, type PairLine, type PairTally } from '../pairs.ts';
import { binCountOf, nameOfEdges, type PredictionBins } from '../prediction-bins.ts';
import { addToPast } from './champion-rate.ts';
import type { AgreementGuard, ErrorsGuard, GuardConfig, LimitGuard } from './config.ts';
import { bet, type EProcess, openEProcess, RESTARTABLE_FUND } from './e-process.ts';
import type { GuardCounts } from './guard-counts.ts';
import type { GuardState } from './guard.ts';
import { countFrom, type LatencyLine } from './latency-threshold.ts';
import { clampRate } from './log-odds.ts';
import type { RateCounts } from './margin.ts';
import { LIMIT_ALTERNATIVES, limitLogFactors, oneSampleLogFactor } from './one-sample-test.ts';
import { betOnPairedDrift, betOnPairedDriftSafety } from './paired-drift.ts';
import { type PairCounts, pairedHarmLogFactors, pairedSafetyLogFactors } from './paired-test.ts';
import { CLEARLY_MORE, limitSafetyLogFactors, NO_MORE, safetyProcess } from './rate-guards.ts';
import { safetyAlternatives } from './two-arm-test.ts';

/** Two versions agree on too few of the same requests; only pairs tell. */
export interface AgreementState {
  readonly metric: 'agreement';
  readonly harm: EProcess;
  readonly safety: EProcess;
}

/** The counts that only pairs give. */
export type PairedCounts = Extract<GuardCounts, { kind: 'pairs' | 'slow-pairs' | 'moves' | 'agreement' }>;

/** The line without any tolerance: what absolute limits are compared by. */
const SAME_LINE: PairLine = { ratio: 1, plusMs: 0 };

/**
 * Whether a step tells a guard anything. Scores come for answers that somebody got, and a shadow's answers nobody gets;
 * agreement needs two answers to one request.
 */
export function isWeighedIn({ metric }: GuardConfig, isShadow: boolean): boolean {
  if (metric === 'agreement') return isShadow;
  // Nobody scores a copy, or says what would have been right.
  return !(isShadow && (metric === 'score' || metric === 'feedback'));
}

/** The lines by which gateways must count latencies of pairs, each once, so that the guards find what they need. */
export function pairLinesOf(guards: readonly GuardConfig[]): readonly PairLine[] {
  const lines = new Map<string, PairLine>();
  for (const guard of guards) {
    const line = lineOf(guard);
    if (line !== undefined) lines.set(nameOfLine(line), line);
  }
  return [...lines.values()];
}

export function openAgreement(): AgreementState {
  return { metric: 'agreement', harm: openEProcess(LIMIT_ALTERNATIVES, RESTARTABLE_FUND), safety: safetyProcess() };
}

/** What the guard counts in a block of pairs; undefined when it cannot see anything in it. */
export function countPaired(
  guard: GuardConfig,
  state: GuardState,
  { pairs = EMPTY_PAIRS, bins }: { readonly pairs: PairTally | undefined; readonly bins: PredictionBins | undefined },
): PairedCounts | undefined {
  switch (guard.metric) {
    case 'errors':
      return { kind: 'pairs', pairs: failedPairs(guard.of, pairs) };
    case 'limit':
      return { kind: 'pairs', pairs: overLimitPairs(guard, pairs) };
    case 'latency': {
      if (state.metric !== 'latency' || state.threshold === undefined) return undefined;
      const { harm, safety } = state.threshold;
      const line = { ratio: guard.ratio, plusMs: guard.ignoreBelowMs };
      return { kind: 'slow-pairs', harm: slowPairs(pairs, line, harm), safety: slowPairs(pairs, line, safety) };
    }
    case 'drift':
      return bins === undefined ? undefined : { kind: 'moves', moves: movesIn(bins, pairs) };
    case 'agreement':
      return { kind: 'agreement', pairs: disagreements(pairs) };
    case 'score':
    case 'feedback':
      return undefined;
  }
}

/** The guard after betting on a block of pairs. */
export function weighPaired(guard: GuardConfig, state: GuardState, counts: PairedCounts): GuardState {
  if (guard.metric === 'errors' && state.metric === 'errors' && counts.kind === 'pairs') {
    return {
      ...state,
      harm: bet(state.harm, pairedHarmLogFactors(guard.rollback, counts.pairs)),
      safety: bet(state.safety, pairedSafetyLogFactors(guard.promote, counts.pairs)),
      past: addToPast(state.past, championsOf(counts.pairs)),
    };
  }
  if (state.metric === 'latency' && counts.kind === 'slow-pairs') {
    return {
      ...state,
      harm: bet(state.harm, pairedHarmLogFactors(NO_MORE, counts.harm)),
      safety: bet(state.safety, pairedSafetyLogFactors(NO_MORE, counts.safety)),
    };
  }
  if (guard.metric === 'limit' && state.metric === 'limit' && counts.kind === 'pairs') {
    const ours = challengersOf(counts.pairs);
    return {
      ...state,
      over: bet(state.over, limitLogFactors(clampRate(guard.share), ours)),
      worse: bet(state.worse, pairedHarmLogFactors(CLEARLY_MORE, counts.pairs)),
      safety: bet(state.safety, limitSafetyLogFactors(guard, state, ours)),
      past: addToPast(state.past, championsOf(counts.pairs)),
    };
  }
  if (guard.metric === 'drift' && state.metric === 'drift' && counts.kind === 'moves') {
    if (state.tests === undefined) return state;
    return {
      ...state,
      tests: {
        harm: betOnPairedDrift(state.tests.harm, guard.tolerance, counts.moves),
        safety: betOnPairedDriftSafety(state.tests.safety, guard.promote, counts.moves),
      },
    };
  }
  if (guard.metric === 'agreement' && state.metric === 'agreement' && counts.kind === 'agreement') {
    return weighAgreement(guard, state, counts.pairs);
  }
  throw new Error(`a guard on ${guard.metric} cannot weigh ${counts.kind} in a state of ${state.metric}`);
}

/** Failures of a kind in pairs. */
export function failedPairs(of: ErrorsGuard['of'], { count, failed, timeouts, invalid }: PairTally): PairCounts {
  return withCount(count, { all: failed, timeouts, invalid }[of]);
}

/** Slow answers in pairs, by a line of latency at its present threshold. */
function slowPairs({ latency }: PairTally, line: PairLine, at: Pick<LatencyLine, 'champion' | 'challenger'>): PairCounts {
  const count = countOf(latency.champion);
  const slowChampion = countFrom(latency.champion, at.champion);
  const slowShadow = Math.min(count, countFrom(latency.shadow, at.challenger));
  const common = latency.common[nameOfLine(line)];
  // Gateways of an older revision count by other lines; without the joint counts their pairs tell nothing.
  if (common === undefined) return { count: 0, both: 0, challenger: 0, champion: 0 };
  // Whatever a gateway claims, pairs that are slow on both are not more than those slow on one, nor fewer than must be.
  const most = Math.min(slowChampion, slowShadow);
  const both = Math.min(most, Math.max(countFrom(common, at.champion), slowChampion + slowShadow - count));
  return { count, both, challenger: slowShadow - both, champion: slowChampion - both };
}

/** Pairs of which a version broke the limit. */
export function overLimitPairs(guard: LimitGuard, pairs: PairTally): PairCounts {
  if (guard.of === 'errors') return failedPairs('all', pairs);
  const bucket = bucketOfLatency(guard.aboveMs ?? Infinity) + 1;
  return slowPairs(pairs, SAME_LINE, { champion: bucket, challenger: bucket });
}

/** Pairs whose predictions differ by more than the model's tolerance, of those that can be compared. */
export function disagreements({ compared, agreed }: PairTally): RateCounts {
  return { count: compared, bad: compared - agreed };
}

/** Joint counts of both versions' bins. */
export function movesIn(bins: PredictionBins, { moves, flips }: PairTally): Moves {
  if (bins.kind === 'ordered') {
    const known = binCountOf(bins);
    return (moves[nameOfEdges(bins.edges)] ?? []).filter(([from, to]) => from < known && to < known);
  }
  const places = new Map(bins.classes.map((name, index) => [name, index]));
  const placeOf = (name: string): number => places.get(name) ?? bins.classes.length;
  return flips.map(([champion, shadow, count]) => [placeOf(champion), placeOf(shadow), count] as const);
}

/** The champion's part of pairs. */
export function championsOf({ count, both, champion }: PairCounts): RateCounts {
  return { count, bad: both + champion };
}

/** The challenger's part of pairs. */
export function challengersOf({ count, both, challenger }: PairCounts): RateCounts {
  return { count, bad: both + challenger };
}

function weighAgreement({ atLeast }: AgreementGuard, state: AgreementState, counts: RateCounts): AgreementState {
  const limit = clampRate(1 - atLeast);
  const safer = safetyAlternatives(NO_MORE, limit, limit / 2);
  return {
    ...state,
    harm: bet(state.harm, limitLogFactors(limit, counts)),
    safety: bet(
      state.safety,
      safer.map((alternative) => oneSampleLogFactor(limit, alternative, counts)),
    ),
  };
}

function lineOf(guard: GuardConfig): PairLine | undefined {
  if (guard.metric === 'latency') return { ratio: guard.ratio, plusMs: guard.ignoreBelowMs };
  return guard.metric === 'limit' && guard.of === 'latency' ? SAME_LINE : undefined;
}

function withCount(count: number, { shadow, champion, both }: Discordance): PairCounts {
  return { count, both, challenger: shadow, champion };
}
