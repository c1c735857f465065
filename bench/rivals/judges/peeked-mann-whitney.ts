// What a careful team does by itself: tests on everything since the start, at 98 %, looked at again and again.
import type { ArmSecond } from '@understudy/core/simulation/arm-source';
import type { OpenJudge } from '@understudy/core/simulation/simulate-rollout';
import { type GrowingSample, growingSampleOf, mannWhitneyZ, Z_98 } from './ranks.ts';

interface ArmSamples {
  readonly latency: GrowingSample;
  readonly predictions: GrowingSample;
  requests: number;
  errors: number;
}

/** Slower or failing more often is harm; a prediction that moves either way is. */
export const openPeekedMannWhitney: OpenJudge = () => {
  const champion = armSamples();
  const challenger = armSamples();
  return {
    reads: 'requests',
    see(second) {
      addSecond(champion, second.champion);
      addSecond(challenger, second.challenger);
    },
    verdict() {
      const slower = mannWhitneyZ(challenger.latency.sorted(), champion.latency.sorted());
      const moved = mannWhitneyZ(challenger.predictions.sorted(), champion.predictions.sorted());
      const isHarmful = slower > Z_98 || proportionsZ(challenger, champion) > Z_98 || Math.abs(moved) > Z_98;
      return isHarmful ? 'harmful' : 'healthy';
    },
  };
};

interface Failures {
  readonly requests: number;
  readonly errors: number;
}

/** Two proportions compared with their pooled variance; positive when the first one fails more often, 0 when nothing can be said. */
export function proportionsZ(first: Failures, second: Failures): number {
  const pooled = (first.errors + second.errors) / (first.requests + second.requests);
  const variance = pooled * (1 - pooled) * (1 / first.requests + 1 / second.requests);
  const difference = first.errors / first.requests - second.errors / second.requests;
  return variance > 0 && Number.isFinite(difference) ? difference / Math.sqrt(variance) : 0;
}

function armSamples(): ArmSamples {
  return { latency: growingSampleOf(), predictions: growingSampleOf(), requests: 0, errors: 0 };
}

function addSecond(samples: ArmSamples, { count, failed, logMs, predictions }: ArmSecond): void {
  samples.requests += count;
  for (let index = 0; index < count; index += 1) {
    // Ranks do not change under the logarithm.
    samples.latency.add(logMs[index] ?? 0);
    if (failed[index] === 1) samples.errors += 1;
    else samples.predictions.add(predictions[index] ?? 0);
  }
}
