/** What no honest gateway can have counted. The intake refuses it, so that whoever judges evidence may rely on its sums. */
import type { Moments, Tally } from './evidence.ts';
import { countOf } from './histogram.ts';
import type { Discordance, PairTally } from './pairs.ts';

/**
 * The most requests a second that one gateway is believed to have answered: five times what the fastest one was measured
 * at on large machines.
 */
const MOST_PER_SECOND = 100_000;

/** The most requests of one report: tests are exact for blocks up to this. */
const MOST_IN_REPORT = 1e8;

/** A report is believed to cover so many seconds at least: clocks differ, and so do intervals. */
const COVERED_SECONDS = 60;

/** Rounding errors of adding up values. */
const FORGIVEN = 1e-9;

/** What contradicts itself in a tally, as half a sentence with the numbers; undefined when nothing does. */
export function contradictionIn(tally: Tally): string | undefined {
  const { requests, errors, timeouts, invalid, rescued, pairs } = tally;
  const timed = countOf(tally.latency) + countOf(tally.coldLatency);
  if (errors > requests) return `${errors} of ${requests} requests failed`;
  if (timeouts + invalid > errors) return `${timeouts} timeouts and ${invalid} invalid answers are among ${errors} errors`;
  if (rescued > errors) return `${rescued} of ${errors} errors were rescued`;
  if (timed > requests) return `${timed} latencies belong to ${requests} requests`;
  for (const sums of [tally.scores, tally.labels ?? {}]) {
    const wrong = Object.entries(sums).find(([, moments]) => !isOfUnit(moments));
    if (wrong !== undefined) return `the values of "${wrong[0]}" do not lie in [0, 1]`;
  }
  return pairs === undefined ? undefined : contradictionInPairs(pairs);
}

/**
 * How many requests a report may bring.
 * @param seconds since the begin of its oldest block
 */
export function mostRequestsIn(seconds: number): number {
  return Math.min(MOST_IN_REPORT, MOST_PER_SECOND * Math.max(COVERED_SECONDS, seconds));
}

function contradictionInPairs({ count, failed, timeouts, invalid, compared, agreed }: PairTally): string | undefined {
  for (const [what, seen] of Object.entries({ failed, timeouts, invalid })) {
    if (sumOf(seen) > count) return `${sumOf(seen)} pairs of ${count} are ${what}`;
  }
  if (compared > count) return `${compared} of ${count} pairs were compared`;
  return agreed > compared ? `${agreed} of ${compared} compared pairs agree` : undefined;
}

function isOfUnit({ count, sum, sumSquares }: Moments): boolean {
  const forgiven = count * FORGIVEN;
  return sumSquares >= 0 && sumSquares <= sum + forgiven && sum <= count + forgiven;
}

function sumOf({ shadow, champion, both }: Discordance): number {
  return shadow + champion + both;
}
