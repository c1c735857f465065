// The rule of the article on automatic rollback, on top of the staircase: the challenger's newest 200 requests, every ten seconds.
import type { ArmSecond } from '@understudy/core/simulation/arm-source';
import type { OpenJudge } from '@understudy/core/simulation/simulate-rollout';
import { articleStaircase } from './article-staircase.ts';
import { articleQuantile, newestSamplesOf } from './newest-samples.ts';

const WINDOW = 200;
const MIN_SAMPLES = 20;
const MIN_PREDICTIONS = 10;
const LIMITS = { p95Ms: 500, errorRate: 0.05, meanDrift: 2 };

/** How often the staircase compares; the window is looked at whenever it is asked. */
const STAIRCASE_EVERY_MS = 300_000;

interface ExpectedPredictions {
  readonly mean: number;
  readonly standardDeviation: number;
}

/** Both articles together: the window rolls back at any look, the staircase decides at its own. */
export const openArticleWindow: OpenJudge = ({ championBaseline }) => {
  const staircase = articleStaircase();
  const window = articleWindow(championBaseline);
  return {
    reads: 'requests',
    see(second) {
      staircase.see(second);
      window.see(second.challenger);
    },
    verdict(question) {
      if (!window.isHealthy()) return 'harmful';
      return question.atMs % STAIRCASE_EVERY_MS === 0 ? staircase.verdict(question) : 'undecided';
    },
  };
};

/** The window's rule on predictions by itself; whatever does not break it climbs. */
export const openArticleMeanRule: OpenJudge = ({ championBaseline }) => {
  const window = articleWindow(championBaseline);
  return {
    reads: 'requests',
    see: (second) => window.see(second.challenger),
    verdict: ({ atMs }) => (window.hasDrifted() ? 'harmful' : atMs % STAIRCASE_EVERY_MS === 0 ? 'healthy' : 'undecided'),
  };
};

interface ArticleWindow {
  see(second: ArmSecond): void;
  /** False without a baseline or with too few predictions. */
  hasDrifted(): boolean;
  isHealthy(): boolean;
}

function articleWindow(expected: ExpectedPredictions | undefined): ArticleWindow {
  const latencies = newestSamplesOf(WINDOW);
  const errors = newestSamplesOf(WINDOW);
  const predictions = newestSamplesOf(WINDOW);
  const hasDrifted = (): boolean =>
    expected !== undefined &&
    predictions.count >= MIN_PREDICTIONS &&
    Math.abs(predictions.mean() - expected.mean) / expected.standardDeviation > LIMITS.meanDrift;
  return {
    see({ count, failed, logMs, predictions: predicted }) {
      for (let index = 0; index < count; index += 1) {
        latencies.add(Math.exp(logMs[index] ?? 0));
        errors.add(failed[index] ?? 0);
        if (failed[index] === 0) predictions.add(predicted[index] ?? 0);
      }
    },
    hasDrifted,
    isHealthy() {
      const isSlow = latencies.count >= MIN_SAMPLES && articleQuantile(latencies.sorted(), 0.95) > LIMITS.p95Ms;
      const isFailing = errors.count >= MIN_SAMPLES && errors.mean() > LIMITS.errorRate;
      return !isSlow && !isFailing && !hasDrifted();
    },
  };
}
