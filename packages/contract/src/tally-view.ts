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
});
export type TallyView = z.infer<typeof TallyView>;

/** Pairs have a view of their own. */
export function viewOfTally({ pairs: _pairs, ...tally }: Tally): TallyView {
  return {
    ...tally,
    latency: tally.latency.map(([bucket, count]) => [bucket, count]),
    coldLatency: tally.coldLatency.map(([bucket, count]) => [bucket, count]),
    classes: Object.entries(tally.classes),
    bins: Object.entries(tally.bins).map(([name, counts]) => [name, [...counts]]),
    scores: Object.entries(tally.scores),
  };
}

export function tallyOfView(view: TallyView): Tally {
  return {
    ...view,
    classes: Object.fromEntries(view.classes),
    bins: Object.fromEntries(view.bins),
    scores: Object.fromEntries(view.scores),
  };
}
