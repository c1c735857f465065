/** Every number of the policy `sequential`, and what it begins with. Plans carry one; `policy.ts` beside this file reads it. */
import { clampRate, HIGHEST_RATE } from './log-odds.ts';
import { limitOf, type Margin } from './margin.ts';

/** Failures, or one kind of them. Both margins are lines: the challenger's rate may be ratio × the champion's + plus. */
export interface ErrorsGuard {
  readonly metric: 'errors';
  readonly of: 'all' | 'invalid' | 'timeouts';
  readonly weight: number;
  /** Above this line is harm. */
  readonly rollback: Margin;
  /** Below this line is proven safe. */
  readonly promote: Margin;
}

/** A quantile of latency against the champion's at the same time. */
export interface LatencyGuard {
  readonly metric: 'latency';
  /** In (0, 1). */
  readonly quantile: number;
  readonly weight: number;
  /** The challenger may be this many times as slow. */
  readonly ratio: number;
  /** Slower by less than this many milliseconds is never harmful, whatever the ratio. */
  readonly ignoreBelowMs: number;
}

/** The distribution of predictions against the champion's at the same time. */
export interface DriftGuard {
  readonly metric: 'drift';
  readonly weight: number;
  /** A share of predictions in any range may differ by this much; more is harm. */
  readonly tolerance: number;
  /** The shares must be proven to differ by less than this. */
  readonly promote: number;
}

/** A value in [0, 1] reported for requests, such as correctness by feedback or a rating. */
export interface ScoreGuard {
  readonly metric: 'score';
  /** Name under which it is reported. */
  readonly name: string;
  readonly better: 'higher' | 'lower';
  readonly weight: number;
  /** The mean may be worse by this much; more is harm. */
  readonly tolerance: number;
  /** The mean must be proven to be worse by less than this. */
  readonly promote: number;
}

/** When a guard on feedback must have proven the challenger safe: to pass any step, to be promoted, or not before the promotion. */
export type FeedbackNeeded = 'each-step' | 'promotion' | 'afterwards';

/**
 * The truth, told later by request id: a value in [0, 1], such as whether the prediction was right. Its evidence counts over
 * the whole rollout, and goes on to count after the promotion until the labels of the last requests are due.
 */
export interface FeedbackGuard extends Omit<ScoreGuard, 'metric'> {
  readonly metric: 'feedback';
  readonly needed: FeedbackNeeded;
}

/** An absolute limit on the challenger. Where the champion breaks it as well nobody is blamed. */
export interface LimitGuard {
  readonly metric: 'limit';
  readonly of: 'errors' | 'latency';
  readonly weight: number;
  /** Share of requests that may fail, or take longer than {@link LimitGuard.aboveMs}. */
  readonly share: number;
  /** Only for latency. */
  readonly aboveMs?: number;
}

/** How often both versions predict the same for the same request. Only shadow steps can tell. */
export interface AgreementGuard {
  readonly metric: 'agreement';
  readonly weight: number;
  /** Share of the requests, in (0, 1), on which they must agree within the model's tolerance. */
  readonly atLeast: number;
}

/** One metric with its tolerances. Weights are relative to each other. */
export type GuardConfig = ErrorsGuard | LatencyGuard | DriftGuard | ScoreGuard | FeedbackGuard | LimitGuard | AgreementGuard;

/** Tests that stay valid however often one looks; formulas in the files beside this one. */
export interface SequentialConfig {
  /** A challenger that is within its tolerances is rolled back with at most this probability, over the whole rollout. */
  readonly alpha: number;
  /** A challenger at or beyond a promote margin passes one step with at most this probability, … */
  readonly promoteRisk: number;
  /** … and with at most this one the step whose shares are nearest to equal. */
  readonly strictPromoteRisk: number;
  readonly guards: readonly GuardConfig[];
  /** How far the split may be from the planned one, on the odds: with 0.2 a share of 10 % may be anything from 8.5 to 11.8 %. */
  readonly splitTolerance: number;
  /** Evidence of errors is weighed this often, … */
  readonly errorsEveryMs: number;
  /** … and all other evidence this often. */
  readonly othersEveryMs: number;
  /** Both arms must have been heard of within this time, or the rollout holds. */
  readonly silenceMs: number;
  /** A champion that breaks these is sick, and nothing is decided in favour of its challenger. */
  readonly sick: { readonly errorRate: number; readonly slowMs: number; readonly slowShare: number };
}

/** What a guard is when a plan names only its metric; weights are those of the default policy where it has the metric. */
export const DEFAULT_GUARDS = {
  errors: {
    of: 'all',
    weight: 0.4,
    rollback: { ratio: 1.1, plus: 0.001 },
    promote: { ratio: 1.5, plus: 0.003 },
  },
  latency: { weight: 0.15, ignoreBelowMs: 0 },
  drift: { weight: 0.25, tolerance: 0.05, promote: 0.1 },
  score: { better: 'higher', weight: 0.25, tolerance: 0.01, promote: 0.02 },
  feedback: { better: 'higher', weight: 0.25, tolerance: 0.01, promote: 0.02, needed: 'promotion' },
  limit: { weight: 0.1 },
  agreement: { weight: 0.1 },
} as const;

/** Errors 1.1× + 0.1 %, median 1.2×, 99th percentile 1.5×, shares of predictions ±5 %, at a risk of 5 %. */
export const DEFAULT_SEQUENTIAL: SequentialConfig = {
  alpha: 0.05,
  promoteRisk: 0.2,
  strictPromoteRisk: 0.05,
  guards: [
    { metric: 'errors', ...DEFAULT_GUARDS.errors },
    { metric: 'latency', quantile: 0.5, ratio: 1.2, ...DEFAULT_GUARDS.latency },
    { metric: 'latency', quantile: 0.99, ratio: 1.5, ...DEFAULT_GUARDS.latency, weight: 0.2 },
    { metric: 'drift', ...DEFAULT_GUARDS.drift },
  ],
  splitTolerance: 0.2,
  errorsEveryMs: 1000,
  othersEveryMs: 10_000,
  silenceMs: 120_000,
  sick: { errorRate: 0.05, slowMs: 500, slowShare: 0.05 },
};

/** What is wrong with the numbers that a schema cannot say; sentences for people, empty when the policy can be used. */
export function problemsOfSequential(config: SequentialConfig): readonly string[] {
  const problems = config.guards.flatMap(problemsOfGuard);
  if (config.guards.length === 0) problems.push('a policy without guards would promote anything; name at least one');
  if (config.guards.length > 0 && config.guards.every(({ weight }) => weight === 0)) {
    problems.push('every guard has weight 0, so nothing could ever be rolled back');
  }
  const names = config.guards.map(nameOfGuard);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) problems.push(`the guard ${twice} is there twice`);
  if (config.strictPromoteRisk > config.promoteRisk) {
    problems.push(`strictPromoteRisk ${config.strictPromoteRisk} must not be above promoteRisk ${config.promoteRisk}`);
  }
  if (config.othersEveryMs < config.errorsEveryMs) {
    problems.push(`othersEvery must not be shorter than errorsEvery: ${config.othersEveryMs} ms and ${config.errorsEveryMs} ms`);
  }
  return problems;
}

/** The name of a guard in readings, decisions and weights. */
export function nameOfGuard(guard: GuardConfig): string {
  switch (guard.metric) {
    case 'errors':
      return guard.of === 'all' ? 'errors' : `errors.${guard.of}`;
    case 'latency':
      return `latency.p${Number((guard.quantile * 100).toPrecision(6))}`;
    case 'drift':
      return 'drift';
    case 'score':
      return `score.${guard.name}`;
    case 'feedback':
      return `feedback.${guard.name}`;
    case 'limit':
      return `limit.${guard.of}`;
    case 'agreement':
      return 'agreement';
  }
}

function problemsOfGuard(guard: GuardConfig): readonly string[] {
  const name = nameOfGuard(guard);
  switch (guard.metric) {
    case 'errors': {
      const { rollback, promote } = guard;
      const isLooser = promote.ratio >= rollback.ratio && promote.plus >= rollback.plus;
      return [
        ...(isLooser ? [] : [`${name}: the promote margin must not be below the rollback limit, or nothing could pass it`]),
        ...(rollback.plus > 0 || rollback.ratio > 1 ? [] : [`${name}: a rollback limit without any tolerance blames chance`]),
        ...problemsOfLine(`${name}: rollback`, rollback),
        ...problemsOfLine(`${name}: promote`, promote),
      ];
    }
    case 'drift':
    case 'score':
    case 'feedback': {
      const isLooser = guard.promote >= guard.tolerance;
      return [
        ...(isLooser
          ? []
          : [`${name}: promote ${guard.promote} must not be below the tolerance ${guard.tolerance}, or nothing could pass it`]),
        ...problemsOfLine(`${name}: promote`, { ratio: 1, plus: guard.promote }),
      ];
    }
    case 'limit':
      return (guard.of === 'latency') === (guard.aboveMs !== undefined)
        ? []
        : [`${name}: aboveMs is needed for latency, and only there`];
    case 'agreement':
      return [];
    case 'latency':
      return guard.ratio > 1 || guard.ignoreBelowMs > 0
        ? []
        : [`${name}: at a ratio of 1 not even a challenger just as fast could be proven safe; allow a few percent`];
  }
}

/** A line that lies above every rate leaves no room for a bet. */
function problemsOfLine(name: string, margin: Margin): readonly string[] {
  return limitOf(margin, clampRate(0)) < HIGHEST_RATE ? [] : [`${name} at ${margin.ratio}× + ${margin.plus} allows everything`];
}
