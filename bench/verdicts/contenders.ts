// Who decides in the suite `verdicts`, each with the staircase and the pace that belong to it.
import type { Plan } from '@understudy/core/plan';
import { DEFAULT_SEQUENTIAL, type SequentialConfig } from '@understudy/core/sequential/config';
import { sequential } from '@understudy/core/sequential/policy';
import { judgeOfPolicy, type OpenJudge, type Trial } from '@understudy/core/simulation/simulate-rollout';
import { openArticleStaircase } from '../rivals/judges/article-staircase.ts';
import { openArticleMeanRule, openArticleWindow } from '../rivals/judges/article-window.ts';
import { openKayentaLike } from '../rivals/judges/kayenta-like.ts';
import { openPeekedMannWhitney } from '../rivals/judges/peeked-mann-whitney.ts';

/** Everything of a trial but the scenario. */
export type Contender = Omit<Trial, 'prepared'>;

const MINUTE_MS = 60_000;
const PERCENTS = [10, 25, 50, 75];

/** The risk that ours is run at; how it ends at the usual one is read off the same rollouts. */
export const STRICT_ALPHA = 0.01;
export const USUAL_ALPHA = 0.05;

export const OURS = 'sequential';
/** One metric at a share of 10 % for ever: what is compared with Wald's bound. */
export const OURS_ALONE = 'sequential, errors alone';
export const BOTH_ARTICLES = 'both articles';
export const MEAN_RULE = "article's mean rule";
export const KAYENTA_LIKE = 'Kayenta-like';

/** In the order of the table's columns. */
export const RIVALS: readonly string[] = ['staircase article', BOTH_ARTICLES, 'peeked Mann-Whitney', KAYENTA_LIKE];

const ONLY_ERRORS: SequentialConfig = {
  ...DEFAULT_SEQUENTIAL,
  guards: DEFAULT_SEQUENTIAL.guards.filter(({ metric }) => metric === 'errors'),
};

/** By name, as functions cannot be sent to a worker. */
export const CONTENDERS: ReadonlyMap<string, Contender> = new Map([
  [OURS, ours(DEFAULT_SEQUENTIAL, { percents: PERCENTS, holdMs: 5 * MINUTE_MS, checkEveryMs: 1000 })],
  [OURS_ALONE, ours(ONLY_ERRORS, { percents: [10], holdMs: 1e12, checkEveryMs: 1000 })],
  ['staircase article', rival(openArticleStaircase, { percents: PERCENTS, holdMs: 0, checkEveryMs: 5 * MINUTE_MS })],
  [BOTH_ARTICLES, rival(openArticleWindow, { percents: PERCENTS, holdMs: 0, checkEveryMs: 10_000 })],
  [MEAN_RULE, rival(openArticleMeanRule, { percents: PERCENTS, holdMs: 0, checkEveryMs: 10_000 })],
  [
    'peeked Mann-Whitney',
    rival(openPeekedMannWhitney, { percents: PERCENTS, holdMs: 15 * MINUTE_MS, checkEveryMs: 5 * MINUTE_MS }),
  ],
  [KAYENTA_LIKE, rival(openKayentaLike, { percents: PERCENTS, holdMs: 15 * MINUTE_MS, checkEveryMs: 5 * MINUTE_MS })],
]);

interface Staircase {
  readonly percents: readonly number[];
  readonly holdMs: number;
  readonly checkEveryMs: number;
}

function ours(config: SequentialConfig, staircase: Staircase): Contender {
  const strict = { ...config, alpha: STRICT_ALPHA };
  // Once reached, evidence counts for ever: the peak is what the policy compares with 1/alpha.
  const openJudge = judgeOfPolicy(sequential, strict, (_, { peak }) => peak);
  return { plan: planOf(strict, staircase), openJudge, alphas: [USUAL_ALPHA] };
}

/** The plan's policy is not asked: the judge decides. */
function rival(openJudge: OpenJudge, staircase: Staircase): Contender {
  return { plan: planOf(DEFAULT_SEQUENTIAL, staircase), openJudge };
}

function planOf(policy: SequentialConfig, { percents, holdMs, checkEveryMs }: Staircase): Plan {
  const steps = percents.map((trafficPercent) => ({ trafficPercent, holdMs, minSamples: 100 }));
  return {
    name: 'benchmark',
    steps: [...steps, { trafficPercent: 100, holdMs: 0, minSamples: 0 }],
    policy: { kind: 'sequential', ...policy },
    checkEveryMs,
    startCheck: 'warn',
  };
}
