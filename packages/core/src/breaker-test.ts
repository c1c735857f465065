/** Whether the challenger fails clearly more than the champion did on the same gateway at the same time. The breaker opens on it. */
import type { PairedOutcomes } from './outcome-window.ts';

/** When a difference is clear. */
export interface BreakerTest {
  /** Fewer failures of the challenger say nothing, whatever the champion does. */
  readonly leastFailures: number;
  /** Share of the challenger's requests that must have failed: smaller harm is for the guards, which know what the plan tolerates. */
  readonly leastRate: number;
  /** The challenger's share of failures is at least so many times the champion's; so a champion that fails half the time never opens it. */
  readonly leastRatio: number;
  /** Largest chance of such a difference when both fail alike, at one look. */
  readonly risk: number;
}

/**
 * Five failures are enough where the champion answered 26 requests or more meanwhile (1/C(31, 5) < 1e-5), 10 where the arms
 * have equal shares. A tenth keeps what a plan may tolerate out of the breaker's hands.
 */
export const BREAKER_TEST: BreakerTest = { leastFailures: 5, leastRate: 0.1, leastRatio: 2, risk: 1e-5 };

/** Whether the breaker should open on what was seen. */
export function isClearlyWorse({ champion, challenger }: PairedOutcomes, test: BreakerTest = BREAKER_TEST): boolean {
  if (challenger.failures < test.leastFailures) return false;
  const rate = challenger.failures / challenger.requests;
  const championRate = champion.requests === 0 ? 0 : champion.failures / champion.requests;
  if (rate < test.leastRate || rate < test.leastRatio * championRate) return false;
  return chanceOfSplit({ champion, challenger }) <= test.risk;
}

/**
 * Fisher's exact test, one-sided: the chance that at least so many of all failures hit the challenger when failing has
 * nothing to do with the arm. 1 when an arm has no requests.
 * Source: R. A. Fisher, The Design of Experiments (1935), ch. 2.
 */
export function chanceOfSplit({ champion, challenger }: PairedOutcomes): number {
  const failures = champion.failures + challenger.failures;
  const requests = champion.requests + challenger.requests;
  const most = Math.min(failures, challenger.requests);
  let term = Math.exp(
    logChoose(challenger.requests, challenger.failures) +
      logChoose(champion.requests, champion.failures) -
      logChoose(requests, failures),
  );
  let chance = 0;
  for (let hit = challenger.failures; hit <= most && term > chance * 1e-12; hit++) {
    chance += term;
    const left = failures - hit;
    term *= ((challenger.requests - hit) / (hit + 1)) * (left / (champion.requests - left + 1));
  }
  return Math.min(1, chance);
}

/** ln of the binomial coefficient, for integers 0 ≤ `chosen` ≤ `all`. O of the smaller part. */
function logChoose(all: number, chosen: number): number {
  const part = Math.min(chosen, all - chosen);
  let sum = 0;
  for (let index = 1; index <= part; index++) sum += Math.log((all - part + index) / index);
  return sum;
}
