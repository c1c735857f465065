import { describe, expect, it } from 'vitest';
import { type Breaker, FIRST_BACKOFF_MS, LAST_BACKOFF_MS, openBreaker, PROBE_EVERY_MS, PROBES_TO_CLOSE } from './breaker.ts';
import type { PairedOutcomes } from './outcome-window.ts';
import { randomOf } from './simulation/random.ts';

const NOW = 1_700_000_000_000;

interface Traffic {
  /** Requests a second, evenly. */
  readonly rate: number;
  /** The challenger's share. */
  readonly share: number;
  readonly championFails: (index: number) => boolean;
  readonly challengerFails: (index: number) => boolean;
  readonly forMs: number;
}

/** Plays traffic as a gateway sees it: the champion answers for a failed challenger, and what it cannot answer either is nobody's. */
function play(
  breaker: Breaker,
  { rate, share, championFails, challengerFails, forMs }: Traffic,
  startMs = NOW,
): number | undefined {
  const total = Math.floor((forMs * rate) / 1000);
  for (let index = 0; index < total; index++) {
    const atMs = startMs + (index * 1000) / rate;
    const isTheirs = Math.floor((index + 1) * share) > Math.floor(index * share);
    if (!isTheirs) breaker.record(atMs, 'champion', championFails(index), 0.5);
    else if (breaker.admit(atMs) === 'challenger') {
      const isFailure = challengerFails(index);
      if (isFailure) breaker.record(atMs, 'champion', championFails(index), 0.5);
      if (isFailure && championFails(index)) continue;
      if (breaker.record(atMs, 'challenger', isFailure, 0.5) === 'opened') return atMs - startMs;
    }
  }
  return undefined;
}

const never = (): boolean => false;
const always = (): boolean => true;

/** Opens at once: the champion answers, the challenger is dead. */
function opened(breaker = openBreaker()): { readonly breaker: Breaker; readonly atMs: number } {
  const afterMs = play(breaker, { rate: 50, share: 0.1, championFails: never, challengerFails: always, forMs: 10_000 });
  if (afterMs === undefined) throw new Error('the breaker never opened');
  return { breaker, atMs: NOW + afterMs };
}

/** One probe at a moment at which one is due. */
function probe(breaker: Breaker, atMs: number, outcome: 'succeeded' | 'failed' | 'unknown'): unknown {
  expect(breaker.admit(atMs)).toBe('probe');
  return breaker.endProbe(atMs, outcome, 0.5);
}

describe('opening', () => {
  it.each([
    { name: 'dead from the start at 10 % of 50 requests/s', rate: 50, share: 0.1, goodMs: 0, withinMs: 2000 },
    { name: 'dead after a good hour at 10 % of 50 requests/s', rate: 50, share: 0.1, goodMs: 3_600_000, withinMs: 2000 },
    { name: 'dead after a good hour at 10 % of 1,000 requests/s', rate: 1000, share: 0.1, goodMs: 3_600_000, withinMs: 2000 },
    { name: 'dead after a good hour at 50 % of 50 requests/s', rate: 50, share: 0.5, goodMs: 3_600_000, withinMs: 2000 },
    { name: 'dead with a request in 2 s: its first five and a bit', rate: 0.5, share: 0.1, goodMs: 0, withinMs: 130_000 },
    { name: 'dead at 100 %, where the champion is only seen rescuing', rate: 50, share: 1, goodMs: 0, withinMs: 1000 },
  ])('$name', ({ rate, share, goodMs, withinMs }) => {
    const breaker = openBreaker();
    const traffic = { rate, share, championFails: never };
    expect(play(breaker, { ...traffic, challengerFails: never, forMs: goodMs })).toBeUndefined();
    const afterMs = play(breaker, { ...traffic, challengerFails: always, forMs: 600_000 }, NOW + goodMs);
    expect(afterMs).toBeLessThanOrEqual(withinMs);
  });

  it('tells what it has seen', () => {
    const { breaker, atMs } = opened();
    expect(breaker.isClosed).toBe(false);
    expect(breaker.status(atMs)).toEqual({
      state: 'open',
      sinceMs: atMs,
      retryAtMs: atMs + FIRST_BACKOFF_MS * 0.75,
      seen: { challenger: { requests: 5, failures: 5 }, champion: { requests: 50, failures: 0 } },
    });
  });

  it.each([
    { name: 'a shared outage', championFails: always, challengerFails: always },
    {
      name: 'every second request of both',
      championFails: (i: number) => i % 2 === 0,
      challengerFails: (i: number) => i % 4 < 2,
    },
    {
      name: 'a challenger that fails 5 % where the champion fails 1 %',
      championFails: (i: number) => i % 100 === 7,
      challengerFails: (i: number) => i % 200 === 9,
    },
    {
      name: 'requests that nobody can answer',
      championFails: (i: number) => i % 10 === 9,
      challengerFails: (i: number) => i % 10 === 9,
    },
  ])('never on $name', ({ championFails, challengerFails }) => {
    expect(play(openBreaker(), { rate: 100, share: 0.1, championFails, challengerFails, forMs: 600_000 })).toBeUndefined();
  });
});

describe('half open', () => {
  it('sends nobody to the challenger until the backoff is over, then one request at a time and one in a second', () => {
    const { breaker, atMs } = opened();
    const retryAtMs = atMs + FIRST_BACKOFF_MS * 0.75;
    expect(breaker.admit(retryAtMs - 1)).toBe('champion');
    expect(breaker.status(retryAtMs).state).toBe('half-open');
    expect(breaker.admit(retryAtMs)).toBe('probe');
    expect(breaker.admit(retryAtMs + 10 * PROBE_EVERY_MS)).toBe('champion');
    expect(breaker.endProbe(retryAtMs + 10, 'succeeded', 0)).toBeUndefined();
    expect(breaker.admit(retryAtMs + PROBE_EVERY_MS - 1)).toBe('champion');
    expect(breaker.admit(retryAtMs + PROBE_EVERY_MS)).toBe('probe');
  });

  it('closes after so many successes in a row, and judges afresh', () => {
    const { breaker, atMs } = opened();
    let nowMs = atMs + FIRST_BACKOFF_MS;
    for (let index = 1; index < PROBES_TO_CLOSE; index++) {
      expect(probe(breaker, nowMs, 'succeeded')).toBeUndefined();
      nowMs += PROBE_EVERY_MS;
    }
    expect(probe(breaker, nowMs, 'succeeded')).toBe('closed');
    expect(breaker.status(nowMs)).toEqual({ state: 'closed' });
    expect(breaker.admit(nowMs)).toBe('challenger');
    // Nothing of before counts: neither the failures nor the champion's successes.
    for (let index = 0; index < 5; index++) expect(breaker.record(nowMs, 'challenger', true, 0)).toBeUndefined();
  });

  it('opens again on a failure, for twice as long each time up to a limit, and leaves a lost probe out', () => {
    const { breaker, atMs } = opened();
    let nowMs = atMs;
    const waits: number[] = [];
    for (let index = 0; index < 9; index++) {
      const status = breaker.status(nowMs);
      if (status.state !== 'open') throw new Error(status.state);
      waits.push(status.retryAtMs - nowMs);
      expect(status.sinceMs).toBe(atMs);
      nowMs = status.retryAtMs;
      expect(probe(breaker, nowMs, 'unknown')).toBeUndefined();
      nowMs += PROBE_EVERY_MS;
      expect(probe(breaker, nowMs, 'failed')).toBe('reopened');
    }
    expect(waits.slice(0, 4)).toEqual([1, 2, 4, 8].map((times) => times * FIRST_BACKOFF_MS * 0.75));
    expect(waits.at(-1)).toBe(LAST_BACKOFF_MS * 0.75);
  });

  it('ignores the end of requests that were sent before it opened', () => {
    const { breaker, atMs } = opened();
    expect(breaker.record(atMs + 1, 'challenger', true, 0)).toBeUndefined();
    expect(breaker.status(atMs + 1).state).toBe('open');
  });
});

const FAIL_RATES = [0.001, 0.01, 0.05, 0.2, 0.5, 0.9];

/** How often a breaker opens although both arms fail alike, over {@link FAIL_RATES}, traffics and shares. */
function falseOpenings(requestsEach: number, isWorse?: (seen: PairedOutcomes) => boolean): number {
  let openings = 0;
  for (const rate of [1, 50, 1000]) {
    for (const share of [0.01, 0.1, 0.5]) {
      for (const failRate of FAIL_RATES) {
        const random = randomOf(42, `breaker ${rate} ${share} ${failRate}`);
        let breaker = openBreaker(isWorse);
        let atMs = NOW;
        for (let index = 0; index < requestsEach; index++) {
          atMs += (random.exponential() * 1000) / rate;
          // Outages come and go for both: the rate holds for every other 20 s only.
          const isOutage = Math.floor(atMs / 20_000) % 2 === 0;
          const fails = (): boolean => random.uniform() < (isOutage ? failRate : failRate / 10);
          const isFailure = fails();
          if (random.uniform() >= share) breaker.record(atMs, 'champion', isFailure, 0);
          else {
            const isLost = isFailure && fails();
            if (isFailure) breaker.record(atMs, 'champion', isLost, 0);
            if (!isLost && breaker.record(atMs, 'challenger', isFailure, 0) === 'opened') {
              openings += 1;
              breaker = openBreaker(isWorse);
            }
          }
        }
      }
    }
  }
  return openings;
}

describe('arms that fail alike', () => {
  it('open it at most once in a million requests, also when they fail together for a while', () => {
    expect(falseOpenings(40_000)).toBeLessThanOrEqual(2);
  });

  it('would open it often, were it to look at the challenger alone', () => {
    expect(falseOpenings(2000, ({ challenger }) => challenger.failures >= 5)).toBeGreaterThan(100);
  });
});
