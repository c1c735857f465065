// A canary judge in the manner of Kayenta's: points of a minute each, compared by rank after outliers are removed.
import type { ArmSecond } from '@understudy/core/simulation/arm-source';
import type { OpenJudge } from '@understudy/core/simulation/simulate-rollout';
import { shiftOf } from './ranks.ts';

const POINT_MS = 60_000;
/** A shift counts when its whole interval is beyond this share of its own estimate. */
const TOLERANCE = 0.25;
const OUTLIER_RANGES = 3;

const METRICS = [
  { name: 'errorRate', isEitherWay: false },
  { name: 'p50', isEitherWay: false },
  { name: 'p99', isEitherWay: false },
  { name: 'meanPrediction', isEitherWay: true },
] as const;

type Points = Record<(typeof METRICS)[number]['name'], number[]>;

/** The points of both arms since the start of the rollout are compared, metric by metric; one harmful metric is enough. */
export const openKayentaLike: OpenJudge = () => {
  const champion = openMinutes();
  const challenger = openMinutes();
  return {
    reads: 'requests',
    see(second) {
      champion.add(second.champion);
      challenger.add(second.challenger);
      if ((second.startMs + 1000) % POINT_MS !== 0) return;
      champion.endMinute();
      challenger.endMinute();
    },
    verdict() {
      const isHarmful = METRICS.some(({ name, isEitherWay }) => {
        const direction = directionOf(challenger.points[name], champion.points[name]);
        return direction === 'higher' || (isEitherWay && direction === 'lower');
      });
      return isHarmful ? 'harmful' : 'healthy';
    },
  };
};

/** Whether the challenger's points are beyond the champion's. */
export function directionOf(challenger: readonly number[], champion: readonly number[]): 'higher' | 'lower' | 'same' {
  const shift = shiftOf(withoutOutliers(challenger), withoutOutliers(champion));
  if (shift === undefined) return 'same';
  const bound = TOLERANCE * Math.abs(shift.estimate);
  if (shift.low > bound) return 'higher';
  return shift.high < -bound ? 'lower' : 'same';
}

/** Drops what is further outside of the quartiles than three times their distance. */
export function withoutOutliers(points: readonly number[]): readonly number[] {
  const sorted = points.toSorted((a, b) => a - b);
  const [low, high] = [interpolated(sorted, 0.25), interpolated(sorted, 0.75)];
  const reach = OUTLIER_RANGES * (high - low);
  return points.filter((point) => point >= low - reach && point <= high + reach);
}

interface Minutes {
  readonly points: Points;
  add(second: ArmSecond): void;
  /** Makes points of the minute; one without requests makes none. */
  endMinute(): void;
}

function openMinutes(): Minutes {
  const points: Points = { errorRate: [], p50: [], p99: [], meanPrediction: [] };
  let latencies: number[] = [];
  let [errors, predicted] = [0, 0];
  return {
    points,
    add({ count, failed, logMs, predictions }) {
      for (let index = 0; index < count; index += 1) {
        latencies.push(logMs[index] ?? 0);
        if (failed[index] === 1) errors += 1;
        else predicted += predictions[index] ?? 0;
      }
    },
    endMinute() {
      const requests = latencies.length;
      if (requests > 0) {
        const sorted = Float64Array.from(latencies).sort();
        points.errorRate.push(errors / requests);
        points.p50.push(Math.exp(interpolated(sorted, 0.5)));
        points.p99.push(Math.exp(interpolated(sorted, 0.99)));
        if (requests > errors) points.meanPrediction.push(predicted / (requests - errors));
      }
      latencies = [];
      errors = predicted = 0;
    },
  };
}

function interpolated(sorted: ArrayLike<number>, quantile: number): number {
  const place = quantile * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(place)] ?? 0, sorted[Math.ceil(place)] ?? 0];
  return low + (high - low) * (place - Math.floor(place));
}
