import { expect, it } from 'vitest';
import { comparisonRow, CPU, failuresRow, THROUGHPUT } from './comparison.ts';
import type { ContestResult, Figures } from './harness/contest.ts';
import { isPassing, rowJsonOf } from './row.ts';

function resultOf(name: string, figures: Partial<Figures>): ContestResult {
  const zero = { requestsPerSecond: 0, p50Ms: 0, p99Ms: 0, cpuMicrosPerRequest: 0, failedRequests: 0 };
  return { name, figures: { ...zero, ...figures } };
}

it.each([
  { name: 'holds at exactly the bar', ours: 1_000, failedRequests: 0, ratio: 10, holds: true },
  { name: 'does not hold below the bar', ours: 990, failedRequests: 0, ratio: 9.9, holds: false },
  { name: 'does not hold when a request failed, however fast', ours: 5_000, failedRequests: 1, ratio: 50, holds: false },
])('a throughput row $name', ({ ours, failedRequests, ratio, holds }) => {
  const row = comparisonRow({
    subject: 'predict',
    metric: THROUGHPUT,
    ours: resultOf('understudy', { requestsPerSecond: ours, failedRequests }),
    rival: resultOf('article', { requestsPerSecond: 100 }),
    minimumRatio: 10,
  });
  expect(row).toMatchObject({ name: 'predict throughput', against: 'article 100', ratio, bar: '>= 10x', holds });
});

it('counts less CPU as better, so that a ratio above 1 is always in our favour', () => {
  const ours = resultOf('understudy', { cpuMicrosPerRequest: 20 });
  const rival = resultOf('nginx', { cpuMicrosPerRequest: 10 });
  const row = comparisonRow({ subject: 'proxy', metric: CPU, ours, rival, rivalTitle: 'nginx' });
  expect(row).toEqual({ name: 'proxy CPU per request vs nginx', value: 20, unit: 'µs', against: 'nginx 10', ratio: 0.5 });
});

it('fails a contest in which any server failed a request, and names the server', () => {
  const row = failuresRow('proxy', [resultOf('understudy', {}), resultOf('http-proxy', { failedRequests: 3 })]);
  expect(row).toMatchObject({ value: 3, against: 'http-proxy 3', holds: false });
  expect(isPassing([row])).toBe(false);
});

it('writes every key of a row as JSON, null where there is nothing to say', () => {
  expect(rowJsonOf({ name: 'p50', value: 1, unit: 'ms' })).toEqual({
    name: 'p50',
    value: 1,
    unit: 'ms',
    against: null,
    ratio: null,
    bar: null,
    holds: null,
  });
});
