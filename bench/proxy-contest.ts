// Predictions by an HTTP upstream: our gateway, which routes and records, against proxies that only pass on.
import { comparisonRow, CPU, failuresRow, figureRows, P50, THROUGHPUT } from './comparison.ts';
import { bodiesOf, readDigitSamples } from './digit-samples.ts';
import type { Contestant } from './harness/contestant.ts';
import { type ContestResult, runContest } from './harness/contest.ts';
import { startUpstreamNginx } from './harness/nginx.ts';
import { SERVER_CORE } from './harness/running-process.ts';
import { startNginxRival, startNpmProxies, upstreamComplaint } from './rivals/proxy-rivals.ts';
import type { Row } from './row.ts';
import type { SuiteOptions } from './suite.ts';
import { startUnderstudy } from './understudy-server.ts';

const SUBJECT = 'proxy';
const MINIMUM_CPU_RATIO = 1.5;
const CHALLENGER_PERCENT = 10;

export async function runProxyContest(options: SuiteOptions): Promise<readonly Row[]> {
  const bodies = bodiesOf(await readDigitSamples());
  const upstream = await startUpstreamNginx();
  const contestants: Contestant[] = [];
  try {
    if (!options.isRivalsOnly) contestants.push(await startOurs(upstream.origin));
    contestants.push(...(await startNpmProxies(upstream.origin)));
    contestants.push(await startNginxRival(upstream.origin));
    const results = await runContest(contestants, bodies, options);
    return [...rowsOf(results), failuresRow(SUBJECT, results)];
  } finally {
    for (const contestant of contestants) await contestant.stop();
    await upstream.process.stop();
  }
}

function rowsOf(results: readonly ContestResult[]): readonly Row[] {
  const ours = results.find((result) => result.name === 'understudy');
  const rivals = results.filter((result) => result !== ours);
  if (ours === undefined) return rivals.flatMap((rival) => figureRows(SUBJECT, rival, [CPU, THROUGHPUT, P50]));
  const rows = rivals.map((rival) => comparisonRow({ subject: SUBJECT, metric: CPU, ours, rival, rivalTitle: rival.name }));
  const best = leastCpuOf(rivals.filter((rival) => rival.name !== 'nginx'));
  if (best === undefined) throw new Error('no npm proxy took part');
  const comparison = { subject: SUBJECT, metric: CPU, ours, rival: best, rivalTitle: 'best npm proxy' };
  return [comparisonRow({ ...comparison, minimumRatio: MINIMUM_CPU_RATIO }), ...rows];
}

function leastCpuOf(results: readonly ContestResult[]): ContestResult | undefined {
  return results.toSorted((a, b) => a.figures.cpuMicrosPerRequest - b.figures.cpuMicrosPerRequest)[0];
}

async function startOurs(upstreamOrigin: string): Promise<Contestant> {
  const arm = { kind: 'http', origin: upstreamOrigin } as const;
  const model = { name: 'digits', champion: arm, challenger: arm, challengerPercent: CHALLENGER_PERCENT };
  const server = await startUnderstudy({ models: [model], core: SERVER_CORE });
  return {
    name: 'understudy',
    url: server.predictUrl,
    headers: { authorization: `Bearer ${server.token}` },
    pids: [server.pid],
    complaintAbout: upstreamComplaint,
    stop: server.stop,
  };
}
