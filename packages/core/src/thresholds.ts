/** The policy `thresholds`: plain limits on sliding windows. Simple and easy to explain, but not safe against looking often; see docs. */
import { latencyOf, type Tally } from './evidence.ts';
import type { ConcurrentBlock } from './evidence-pool.ts';
import { DEFAULT_HEALTH_LIMITS, type HealthLimits, percent, readHealth } from './health.ts';
import { quantileOf } from './histogram.ts';
import type { GuardReading, Judgement, Policy, Question, Verdict } from './policy.ts';
import { addToWindow, EMPTY_WINDOW, newestOf, type SampleWindow } from './sample-window.ts';

/** Every number of the policy. */
export interface ThresholdsConfig {
  /** Requests needed on each arm before the arms are compared. */
  readonly minSamples: number;
  /** Newest requests per arm that are compared. */
  readonly window: number;
  /** The challenger's median may be this many times the champion's. */
  readonly p50Ratio: number;
  /** The challenger's 99th percentile may be this many times the champion's. */
  readonly p99Ratio: number;
  /** Slower by less than this many milliseconds is never harmful, whatever the ratio. 0 judges by the ratio alone. */
  readonly ignoreLatencyBelowMs: number;
  readonly health: HealthLimits;
}

/** At least 50 requests an arm, p50 ≤ 1.2×, p99 ≤ 1.5×, over the newest 1 000; absolute limits of {@link DEFAULT_HEALTH_LIMITS}. */
export const DEFAULT_THRESHOLDS: ThresholdsConfig = {
  minSamples: 50,
  window: 1000,
  p50Ratio: 1.2,
  p99Ratio: 1.5,
  ignoreLatencyBelowMs: 0,
  health: DEFAULT_HEALTH_LIMITS,
};

/** What is wrong with the numbers that a schema cannot say; sentences for people. */
export function problemsOfThresholds({ minSamples, window, health }: ThresholdsConfig): readonly string[] {
  const problems: string[] = [];
  if (minSamples > window) problems.push(`minSamples ${minSamples} can never be reached in a window of ${window} requests`);
  if (health.minSamples > health.window) {
    problems.push(`health.minSamples ${health.minSamples} can never be reached in a window of ${health.window} requests`);
  }
  return problems;
}

/** One arm's newest blocks of the newest step in which it was used. */
interface ArmState {
  readonly step: number;
  /** Requests since that step began; the window may hold fewer. */
  readonly requests: number;
  readonly window: SampleWindow;
}

/** Plain data; a champion that gets no traffic at 100 % keeps the window of its last step. */
export interface ThresholdsState {
  readonly champion: ArmState;
  readonly challenger: ArmState;
}

const UNUSED: ArmState = { step: -1, requests: 0, window: EMPTY_WINDOW };

// At a ratio of exactly 1.2 the two sides are whole buckets apart, and only rounding errors could tell them from each other.
const ROUNDING = 1 + 1e-9;

/** See the file's first line; the rules are those of {@link ThresholdsConfig}. */
export const thresholds: Policy<ThresholdsConfig, ThresholdsState> = {
  name: 'thresholds',
  open: () => ({ champion: UNUSED, challenger: UNUSED }),
  absorb: (config, state, block) => ({
    champion: absorbArm(config, state.champion, tallyOf(block, 'champion')),
    challenger: absorbArm(config, state.challenger, tallyOf(block, 'challenger')),
  }),
  verdict: (config, state, question) => thresholds.judge(config, state, question).verdict,
  judge(config, state, question) {
    const fresh = state.challenger.step === question.step ? state.challenger : UNUSED;
    const guards = [...compareArms(config, state.champion, fresh), ...challengerHealth(config, state.champion, fresh, question)];
    return conclude(guards, fresh.requests, question.minSamples);
  },
};

interface ArmBlock {
  readonly startMs: number;
  readonly step: number;
  readonly tally: Tally;
}

function tallyOf({ startMs, step, arms }: ConcurrentBlock, arm: 'champion' | 'challenger'): ArmBlock {
  return { startMs, step, tally: arms[arm] };
}

function absorbArm(config: ThresholdsConfig, arm: ArmState, block: ArmBlock): ArmState {
  const { step, tally } = block;
  if (step < 0 || step < arm.step || tally.requests === 0) return arm;
  const base = step > arm.step ? { ...UNUSED, step } : arm;
  const capacity = Math.max(config.window, config.health.window);
  return { step, requests: base.requests + tally.requests, window: addToWindow(base.window, block, capacity) };
}

function compareArms(config: ThresholdsConfig, champion: ArmState, challenger: ArmState): readonly GuardReading[] {
  const theirs = newestOf(champion.window, config.window);
  const ours = newestOf(challenger.window, config.window);
  return [
    compareLatency(config, { quantile: 0.5, name: 'p50', ratio: config.p50Ratio }, theirs, ours),
    compareLatency(config, { quantile: 0.99, name: 'p99', ratio: config.p99Ratio }, theirs, ours),
  ];
}

interface LatencyGuard {
  readonly quantile: number;
  readonly name: string;
  readonly ratio: number;
}

// oxlint-disable-next-line max-params -- the rule, what is judged, and the two sides of the comparison
function compareLatency(config: ThresholdsConfig, guard: LatencyGuard, champion: Tally, challenger: Tally): GuardReading {
  const base = { guard: `latency.${guard.name}`, unit: 'ms', samples: challenger.requests } as const;
  const theirs = quantileOf(latencyOf(champion), guard.quantile);
  const ours = quantileOf(latencyOf(challenger), guard.quantile);
  if (theirs === undefined || ours === undefined || Math.min(champion.requests, challenger.requests) < config.minSamples) {
    const reason = `not enough data: champion ${champion.requests}, challenger ${challenger.requests} of ${config.minSamples} requests each`;
    return { ...base, verdict: 'no-data', reason };
  }
  const limit = theirs * guard.ratio;
  const isAbove = ours > limit * ROUNDING;
  const isOver = isAbove && ours - theirs > config.ignoreLatencyBelowMs;
  const relation = isAbove ? 'exceeds' : 'is within';
  const ignored = isAbove && !isOver ? `, but by less than the ${config.ignoreLatencyBelowMs} ms that are ignored` : '';
  const times = (ours / theirs).toFixed(2);
  const reason = `${guard.name} ${ours.toFixed(2)} ms is ${times}× the champion's ${theirs.toFixed(2)} ms and ${relation} ${guard.ratio}×${ignored}`;
  return { ...base, champion: theirs, challenger: ours, limit, verdict: isOver ? 'harmful' : 'healthy', reason };
}

/** A limit that both arms break is the fault of what they share, so the challenger is not blamed for it. */
// oxlint-disable-next-line max-params -- the rule, the two sides of the comparison, and what is asked
function challengerHealth(
  config: ThresholdsConfig,
  champion: ArmState,
  challenger: ArmState,
  question: Question,
): readonly GuardReading[] {
  const { health } = config;
  const theirs = readHealth(health, newestOf(champion.window, health.window), question.championBaseline);
  const baseline = question.challengerBaseline ?? question.championBaseline;
  const ours = readHealth(health, newestOf(challenger.window, health.window), baseline);
  return ours.map((reading, index) => {
    const other = theirs[index];
    const seen = other?.challenger === undefined ? reading : { ...reading, champion: other.challenger };
    if (reading.verdict !== 'harmful' || other?.verdict !== 'harmful') return seen;
    return {
      ...seen,
      verdict: 'champion-sick',
      reason: `${reading.reason}; the champion breaks the same limit: ${other.reason}`,
    };
  });
}

function conclude(guards: readonly GuardReading[], requests: number, minSamples: number): Judgement {
  // Harm that the champion does not share is the challenger's own, whatever else they share.
  for (const verdict of ['harmful', 'champion-sick'] satisfies Verdict[]) {
    const found = guards.filter((guard) => guard.verdict === verdict);
    if (found.length > 0) return { verdict, reason: found.map((guard) => guard.reason).join('; '), guards };
  }
  // Drift needs a baseline, which not every version has; every other guard must have seen enough.
  const waiting = guards.find((guard) => guard.verdict === 'no-data' && guard.guard !== 'health.mean-drift');
  if (waiting !== undefined) return { verdict: 'no-data', reason: waiting.reason, guards };
  if (requests < minSamples) {
    return { verdict: 'undecided', reason: `${requests} of ${minSamples} requests that this step asks for`, guards };
  }
  const errors = guards.find((guard) => guard.guard === 'health.errors')?.challenger ?? 0;
  return {
    verdict: 'healthy',
    reason: `every guard is within its limit after ${requests} requests; errors ${percent(errors)}`,
    guards,
  };
}
