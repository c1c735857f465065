/** A tally as the control API answers it. Names stand in lists, where a class may be called anything, `__proto__` included. */
import type { Tally } from '@understudy/core/evidence';
import { z } from 'zod';

const Count = z.int().nonnegative();
const Moments = z.strictObject({ count: Count, sum: z.number(), sumSquares: z.number() });
const Histogram = z.array(z.tuple([z.int(), Count]));

function listOf<Value extends z.ZodType>(value: Value) {
  return z.array(z.tuple([z.string(), value]));
}

/** See `Tally` of the core for what is counted; histograms are pairs of bucket and count. */
export const TallyView = z.strictObject({
  requests: Count,
  errors: Count,
  timeouts: Count,
  invalid: Count,
  rescued: Count,
  rejected: Count,
  latency: Histogram,
  coldLatency: Histogram,
  predictions: Moments,
  classes: listOf(Count),
  bins: listOf(z.array(Count)),
  scores: listOf(Moments),
  /** What was told later of requests of the past. */
  labels: listOf(Moments).exactOptional(),
});
export type TallyView = z.infer<typeof TallyView>;

/** Pairs have a view of their own. */
export function viewOfTally({ pairs: _pairs, labels, ...tally }: Tally): TallyView {
  return {
    ...tally,
    ...(labels === undefined ? {} : { labels: Object.entries(labels) }),
    latency: tally.latency.map(([bucket, count]) => [bucket, count]),
    coldLatency: tally.coldLatency.map(([bucket, count]) => [bucket, count]),
    classes: Object.entries(tally.classes),
    bins: Object.entries(tally.bins).map(([name, counts]) => [name, [...counts]]),
    scores: Object.entries(tally.scores),
  };
}

export function tallyOfView({ labels, ...view }: TallyView): Tally {
  return {
    ...view,
    ...(labels === undefined ? {} : { labels: Object.fromEntries(labels) }),
    classes: Object.fromEntries(view.classes),
    bins: Object.fromEntries(view.bins),
    scores: Object.fromEntries(view.scores),
  };
}
