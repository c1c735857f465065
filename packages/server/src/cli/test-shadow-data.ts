/** Answers about a standing shadow, for tests of the command line. */
import type { Answer } from '@understudy/contract/client';
import type { GuardReading } from '@understudy/core/policy';

interface Surroundings {
  readonly nowMs: number;
  readonly guards: readonly GuardReading[];
  readonly stopped: Answer<'stopShadow'>;
}

export function shadowAnswers(text: string, { nowMs, guards, stopped }: Surroundings) {
  const measured = { value: 0.97, interval: [0.95, 0.98] as [number, number] };
  const failures = { champion: 0.01, shadow: 0.02, difference: { value: 0.01, interval: [-0.01, 0.03] as [number, number] } };
  const pair: Answer<'listPairs'>[number] = {
    requestId: text,
    atMs: nowMs - 5000,
    champion: { version: 'v1', prediction: text, ms: 12.5 },
    shadow: { version: 'v2', prediction: 7, ms: 14.25 },
    difference: 1,
    distance: 1,
    lot: 0.25,
    request: text,
  };
  const quantiles = { p1: -3, p5: -1, p25: 0, p50: 0, p75: 0.5, p95: 1, p99: 2 };
  const view: Answer<'getShadow'> = {
    model: 'digits',
    copies: {
      version: 'v2',
      percent: 10,
      delivered: 1234,
      failed: 3,
      timeouts: 1,
      dropped: { busy: 2 },
      pairs: {
        count: 1234,
        failures,
        invalid: { champion: 0, shadow: 1 },
        compared: 1200,
        agreement: measured,
        difference: { mean: 0.1, standardDeviation: 0.8, quantiles },
        flips: [[text, '7', 12]],
        slowdown: { p50: 1.1, p95: 1.9, interval: [1.05, 1.15] },
        segments: [{ name: text, count: 400, compared: 390, failures, agreement: measured, meanDifference: 0.2 }],
      },
      worst: [pair],
    },
    sinceMs: nowMs - 60_000,
    now: { verdict: 'undecided', reason: text, guards: [...guards] },
    warnings: [text],
  };
  return { startShadow: view, getShadow: view, stopShadow: stopped, listPairs: [pair] };
}
