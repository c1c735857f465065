// The rule of the article on gradual roll-outs: the newest 1,000 latencies of each model, compared every five minutes.
import type { ArmSecond } from '@understudy/core/simulation/arm-source';
import type { OpenJudge, RequestJudge } from '@understudy/core/simulation/simulate-rollout';
import { articleQuantile, type NewestSamples, newestSamplesOf } from './newest-samples.ts';

const COMPARED = 1000;
const MIN_SAMPLES = 50;
const P50_RATIO = 1.2;
const P99_RATIO = 1.5;

/** A comparison steps up, rolls back or waits; how often it is made is the plan's. */
export const openArticleStaircase: OpenJudge = () => articleStaircase();

export function articleStaircase(): RequestJudge {
  const champion = newestSamplesOf(COMPARED);
  const challenger = newestSamplesOf(COMPARED);
  return {
    reads: 'requests',
    see(second) {
      addAnswered(champion, second.champion);
      addAnswered(challenger, second.challenger);
    },
    verdict() {
      if (champion.count < MIN_SAMPLES || challenger.count < MIN_SAMPLES) return 'undecided';
      const [theirs, ours] = [champion.sorted(), challenger.sorted()];
      const isMedianFine = medianOf(ours) <= medianOf(theirs) * P50_RATIO;
      const isTailFine = articleQuantile(ours, 0.99) <= articleQuantile(theirs, 0.99) * P99_RATIO;
      return isMedianFine && isTailFine ? 'healthy' : 'harmful';
    },
  };
}

/** The article's service records a request after the model has answered: one that fails leaves no trace. */
function addAnswered(samples: NewestSamples, { count, failed, logMs }: ArmSecond): void {
  for (let index = 0; index < count; index += 1) {
    if (failed[index] === 0) samples.add(Math.exp(logMs[index] ?? 0));
  }
}

function medianOf(sorted: Float64Array): number {
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  return (lower + upper) / 2;
}
