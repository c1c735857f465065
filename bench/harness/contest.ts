// Measures servers in alternating rounds, so that a noisy minute of the machine falls on all of them alike.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { medianOf } from '../statistics.ts';
import type { SuiteOptions } from '../suite.ts';
import { assertAnswersCorrectly, type Contestant } from './contestant.ts';
import { cpuMicrosOf } from './cpu-time.ts';
import { cacheFolder } from './folders.ts';
import { runWrk } from './wrk.ts';

// In its first three seconds undici behind fast-proxy still answers a quarter fewer requests than afterwards.
const WARM_UP_SECONDS = 4;

export interface Figures {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** User plus system time of all the server's processes. */
  readonly cpuMicrosPerRequest: number;
  /** Bad statuses and socket errors, warm-up included. */
  readonly failedRequests: number;
}

export interface ContestResult {
  readonly name: string;
  readonly figures: Figures;
}

/** @returns the medians of the rounds, in the order of the contestants; failures are summed */
export async function runContest(
  contestants: readonly Contestant[],
  bodies: readonly string[],
  options: SuiteOptions,
): Promise<readonly ContestResult[]> {
  const bodiesFile = join(await cacheFolder('load'), 'bodies.txt');
  await writeFile(bodiesFile, `${bodies.join('\n')}\n`);
  const entries = contestants.map((contestant) => ({ contestant, rounds: new Array<Figures>(), failedInWarmUp: 0 }));
  for (const entry of entries) {
    await assertAnswersCorrectly(entry.contestant, bodies);
    const warmUp = await measure(entry.contestant, bodiesFile, WARM_UP_SECONDS);
    entry.failedInWarmUp = warmUp.failedRequests;
  }
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const { contestant, rounds } of entries) {
      const figures = await measure(contestant, bodiesFile, options.secondsPerRound);
      rounds.push(figures);
      options.log(`round ${round} of ${options.rounds}, ${contestant.name}: ${figuresText(figures)}`);
    }
  }
  return entries.map(({ contestant, rounds, failedInWarmUp }) => ({
    name: contestant.name,
    figures: summaryOf(rounds, failedInWarmUp),
  }));
}

async function measure(contestant: Contestant, bodiesFile: string, seconds: number): Promise<Figures> {
  const before = await cpuMicrosOf(contestant.pids);
  const report = await runWrk({ url: contestant.url, headers: contestant.headers, bodiesFile, seconds });
  const after = await cpuMicrosOf(contestant.pids);
  if (report.requests === 0) throw new Error(`${contestant.name} answered nothing in ${seconds} s`);
  return {
    requestsPerSecond: report.requests / (report.durationMicros / 1_000_000),
    p50Ms: report.p50Micros / 1_000,
    p99Ms: report.p99Micros / 1_000,
    cpuMicrosPerRequest: (after - before) / report.requests,
    failedRequests: report.badStatus + report.socketErrors,
  };
}

function summaryOf(rounds: readonly Figures[], failedInWarmUp: number): Figures {
  const median = (key: keyof Figures): number => medianOf(rounds.map((figures) => figures[key]));
  return {
    requestsPerSecond: median('requestsPerSecond'),
    p50Ms: median('p50Ms'),
    p99Ms: median('p99Ms'),
    cpuMicrosPerRequest: median('cpuMicrosPerRequest'),
    failedRequests: rounds.reduce((sum, figures) => sum + figures.failedRequests, failedInWarmUp),
  };
}

function figuresText(figures: Figures): string {
  const { requestsPerSecond, p50Ms, p99Ms, cpuMicrosPerRequest, failedRequests } = figures;
  const latency = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`;
  return `${Math.round(requestsPerSecond)} requests/s, ${latency}, CPU ${cpuMicrosPerRequest.toFixed(1)} µs, ${failedRequests} failed`;
}
