// Evidence as a gateway reports it for a second of one model, for the rows of the suite `scale`.
import { EMPTY_TALLY, type EvidenceBlock, type Tally } from '@understudy/core/evidence';
import { bucketOfLatency, type Histogram } from '@understudy/core/histogram';

/** Both arms of a rollout at 10 %, 40 to 160 requests as the model is used. @param seed makes blocks differ, the same each time */
export function secondOf(model: string, startMs: number, seed: number): readonly EvidenceBlock[] {
  const base = { model, rollout: `${model}-1`, step: 0, startMs };
  const use = 4 + (Number(/\d+$/.exec(model)?.[0] ?? 0) % 13);
  return [
    { ...base, version: 'v1', arm: 'champion', tally: tallyOf(9 * use, seed) },
    { ...base, version: 'v2', arm: 'challenger', tally: tallyOf(use, seed + 7) },
  ];
}

/** Requests around 20 ms, a few of them failed. */
function tallyOf(requests: number, seed: number): Tally {
  const counts = new Map<number, number>();
  for (let index = 0; index < requests; index += 1) {
    const bucket = bucketOfLatency(12 + ((index * 7919 + seed * 104_729) % 1000) / 50);
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
  }
  const latency: Histogram = [...counts].toSorted(([a], [b]) => a - b);
  return { ...EMPTY_TALLY, requests, errors: seed % 50 === 0 ? 1 : 0, latency };
}
