import { describe, expect, it } from 'vitest';
import { COLD_REQUESTS, mergeTallies, EMPTY_TALLY, type Tally } from '../evidence.ts';
import type { ConcurrentBlock } from '../evidence-pool.ts';
import { countOf } from '../histogram.ts';
import type { Plan } from '../plan.ts';
import type { Policy, Question, Verdict } from '../policy.ts';
import { countsInBins } from '../prediction-bins.ts';
import { DEFAULT_THRESHOLDS } from '../thresholds.ts';
import { prepareScenario, type SimulatedSecond } from './prepared-scenario.ts';
import { behaviourOfTally, type Scenario } from './scenario.ts';
import { scenarioNamed } from './scenarios.ts';
import { judgeOfPolicy, type OpenJudge, simulateRollout, type Trial } from './simulate-rollout.ts';

function scenarioOf(name: string, changes: Partial<Scenario> = {}): Scenario {
  const scenario = scenarioNamed(name);
  if (scenario === undefined) throw new Error(name);
  return { ...scenario, ...changes };
}

const MINUTE_MS = 60_000;
const PLAN: Plan = {
  name: 'test',
  steps: [
    { trafficPercent: 10, holdMs: 5 * MINUTE_MS, minSamples: 100 },
    { trafficPercent: 50, holdMs: 5 * MINUTE_MS, minSamples: 100 },
    { trafficPercent: 100, holdMs: 0, minSamples: 0 },
  ],
  policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS },
  checkEveryMs: 1000,
  startCheck: 'warn',
};

/** Counts the challenger's errors, and rolls back when there are as many as the configuration says. */
const errorCount: Policy<number, number> = {
  name: 'error-count',
  open: () => 0,
  absorb: (_, errors, { arms }) => errors + arms.challenger.errors,
  verdict: (most, errors, { seen, minSamples }) =>
    errors >= most ? 'harmful' : seen.challenger.requests >= minSamples ? 'healthy' : 'undecided',
  judge: () => ({ verdict: 'no-data', reason: 'never asked', guards: [] }),
};

function trialOf(scenario: Scenario, openJudge: OpenJudge, changes: Partial<Trial> = {}): Trial {
  return { prepared: prepareScenario(scenario), plan: PLAN, openJudge, ...changes };
}

interface Recorded {
  readonly blocks: readonly ConcurrentBlock[];
  readonly questions: readonly Question[];
}

/** Plays a scenario for ten minutes under a judge that says nothing for so long as it stands on a step. */
function recorded(scenario: Scenario, verdict: Verdict = 'undecided'): Recorded {
  const blocks: ConcurrentBlock[] = [];
  const questions: Question[] = [];
  const openJudge: OpenJudge = () => ({
    reads: 'tallies',
    see: (block) => blocks.push(block),
    verdict(question) {
      const { champion, challenger } = question.seen;
      questions.push({ ...question, seen: { champion: { ...champion }, challenger: { ...challenger } } });
      return verdict;
    },
  });
  simulateRollout(trialOf({ ...scenario, limitMs: 10 * MINUTE_MS }, openJudge), 1);
  return { blocks, questions };
}

const sumOf = (blocks: readonly ConcurrentBlock[], arm: 'champion' | 'challenger'): Tally =>
  blocks.reduce((sum, { arms }) => mergeTallies(sum, arms[arm]), EMPTY_TALLY);

const NEVER = judgeOfPolicy(errorCount, Infinity);

describe('simulateRollout', () => {
  it('plays the same rollout for the same seed, and another one for another', () => {
    const trial = trialOf(scenarioOf('errors-1-to-5'), judgeOfPolicy(errorCount, 20));
    expect(simulateRollout(trial, 5)).toEqual(simulateRollout(trial, 5));
    expect(simulateRollout(trial, 5)).not.toEqual(simulateRollout(trial, 6));
  });

  it('promotes after the holds of all steps when every verdict is healthy', () => {
    expect(simulateRollout(trialOf(scenarioOf('aa-lognormal'), NEVER), 1)).toMatchObject({
      end: 'promoted',
      atMs: 10 * MINUTE_MS,
      step: 1,
    });
  });

  it('rolls back at the first check that finds harm', () => {
    const { end, step, challengerRequests } = simulateRollout(
      trialOf(scenarioOf('errors-1-to-100'), judgeOfPolicy(errorCount, 4)),
      1,
    );
    expect({ end, step }).toEqual({ end: 'rolled-back', step: 0 });
    expect(challengerRequests).toBeGreaterThanOrEqual(4);
    expect(challengerRequests).toBeLessThan(12);
  });

  it('is held when the time of the scenario is over', () => {
    const openJudge: OpenJudge = () => ({ reads: 'requests', see: () => undefined, verdict: () => 'undecided' });
    const trial = trialOf(scenarioOf('aa-lognormal', { limitMs: 1000 }), openJudge);
    expect(simulateRollout(trial, 1)).toMatchObject({ end: 'held', atMs: 1000 });
  });

  it('asks as often as the plan says', () => {
    const asked: number[] = [];
    const verdict = ({ atMs }: { readonly atMs: number }): Verdict => (asked.push(atMs), 'undecided');
    const openJudge: OpenJudge = () => ({ reads: 'requests', see: () => undefined, verdict });
    const plan = { ...PLAN, checkEveryMs: 20_000 };
    simulateRollout(trialOf(scenarioOf('aa-lognormal', { limitMs: MINUTE_MS }), openJudge, { plan }), 1);
    expect(asked).toEqual([20_000, 40_000, 60_000]);
  });

  it('notes when less evidence would have sufficed', () => {
    const logHarmOf = (_: number, errors: number): number => errors;
    const openJudge = judgeOfPolicy(errorCount, 6, logHarmOf);
    const { crossings, ...end } = simulateRollout(
      trialOf(scenarioOf('errors-1-to-20'), openJudge, { alphas: [Math.exp(-2), Math.exp(-60)] }),
      1,
    );
    expect(crossings[0]?.atMs).toBeLessThan(end.atMs);
    expect(crossings[1]).toBeUndefined();
    const early = simulateRollout(trialOf(scenarioOf('errors-1-to-20'), judgeOfPolicy(errorCount, 2)), 1);
    expect(crossings[0]).toEqual({
      atMs: early.atMs,
      step: early.step,
      challengerRequests: early.challengerRequests,
      requestsSinceOnset: early.requestsSinceOnset,
    });
  });

  it.each([
    { name: 'late-errors-after-15m', least: 1 },
    { name: 'late-errors-at-half', least: 1 },
  ])('counts the requests of $name from its onset', ({ name }) => {
    const scenario = scenarioOf(name, { challenger: { ...scenarioOf(name).challenger, errorRate: 1 } });
    const onset =
      scenario.challenger.onset.kind === 'after' ? ({ kind: 'after', ms: 2 * MINUTE_MS } as const) : scenario.challenger.onset;
    const judge = judgeOfPolicy(errorCount, 40);
    const rollout = simulateRollout(trialOf({ ...scenario, challenger: { ...scenario.challenger, onset } }, judge), 1);
    expect(rollout.end).toBe('rolled-back');
    expect(rollout.requestsSinceOnset).toBeLessThanOrEqual(60);
    expect(rollout.challengerRequests).toBeGreaterThan(rollout.requestsSinceOnset + 100);
  });
});

describe('the requests of a rollout', () => {
  const { blocks, questions } = recorded(scenarioOf('errors-1-to-5'));
  const [champion, challenger] = [sumOf(blocks, 'champion'), sumOf(blocks, 'challenger')];

  it('come at the rate and with the split of the plan', () => {
    const total = champion.requests + challenger.requests;
    expect(Math.abs(total - 12_000)).toBeLessThan(5 * Math.sqrt(12_000));
    expect(Math.abs(challenger.requests - total * 0.1)).toBeLessThan(5 * Math.sqrt(total * 0.09));
  });

  it('fail at the rates of the scenario', () => {
    expect(champion.errors / champion.requests).toBeCloseTo(0.01, 2);
    expect(Math.abs(challenger.errors / challenger.requests - 0.05)).toBeLessThan(
      5 * Math.sqrt((0.05 * 0.95) / challenger.requests),
    );
  });

  it('are counted once in everything that a tally holds', () => {
    const { bins } = prepareScenario(scenarioOf('errors-1-to-5')).counting;
    if (bins === undefined) throw new Error('no bins');
    for (const { arms } of blocks) {
      for (const tally of [arms.champion, arms.challenger]) {
        expect(countOf(tally.latency) + countOf(tally.coldLatency)).toBe(tally.requests);
        expect(tally.predictions.count).toBe(tally.requests - tally.errors);
        expect(countsInBins(bins, tally).reduce((sum, count) => sum + count, 0)).toBe(tally.predictions.count);
      }
    }
  });

  it('are cold on the challenger only, and only at first', () => {
    expect(champion.coldLatency).toEqual([]);
    expect(countOf(challenger.coldLatency)).toBe(COLD_REQUESTS);
    expect(sumOf(blocks.slice(60), 'challenger').coldLatency).toEqual([]);
  });

  it('are all in the question by which the step is judged', () => {
    const last = questions.at(-1);
    // In another order the sums of predictions differ in their last digits.
    const counted = ({ predictions: { count }, ...counts }: Tally) => ({ ...counts, count });
    expect(last && counted(last.seen.champion)).toEqual(counted(champion));
    expect(last && counted(last.seen.challenger)).toEqual(counted(challenger));
    expect(last).toMatchObject({ step: 0, trafficPercent: 10, minSamples: 100, isStrictest: false });
  });

  it('begin anew in the question of the next step', () => {
    const climbed = recorded(scenarioOf('aa-lognormal'), 'healthy').questions.filter(({ step }) => step === 1);
    expect(climbed[0]).toMatchObject({ sinceMs: 5 * MINUTE_MS, trafficPercent: 50, isStrictest: true });
    expect(climbed[0]?.seen.champion.requests).toBeLessThan(40);
  });

  it('are the same for a judge that reads requests', () => {
    let [requests, errors] = [0, 0];
    const see = ({ challenger: { count, failed } }: SimulatedSecond): void => {
      requests += count;
      for (let index = 0; index < count; index += 1) errors += failed[index] ?? 0;
    };
    const openJudge: OpenJudge = () => ({ reads: 'requests', see, verdict: () => 'undecided' });
    simulateRollout(trialOf(scenarioOf('errors-1-to-5', { limitMs: 10 * MINUTE_MS }), openJudge), 1);
    expect({ requests, errors }).toEqual({ requests: challenger.requests, errors: challenger.errors });
  });
});

describe('what hits both arms', () => {
  it('slows and fails both while it lasts', () => {
    const { blocks } = recorded(scenarioOf('aa-incident'));
    const during = blocks.filter(({ startMs }) => startMs >= 100_000 && startMs < 220_000);
    const after = blocks.filter(({ startMs }) => startMs >= 220_000);
    for (const arm of ['champion', 'challenger'] as const) {
      const [bad, good] = [sumOf(during, arm), sumOf(after, arm)];
      expect(bad.errors / bad.requests).toBeGreaterThan(1.5 * (good.errors / good.requests));
      // Three times slower is 54 buckets further.
      expect(middleOf(bad) - middleOf(good)).toBeGreaterThan(45);
    }
  });

  it('lets traffic swell with the day', () => {
    const base = scenarioOf('aa-diurnal-incident');
    const wave = { periodMs: 20 * MINUTE_MS, ofRate: 0.5, ofLatency: 0 };
    const { blocks } = recorded({ ...base, traffic: { requestsPerSecond: 20, wave } });
    const { requests } = sumOf(blocks, 'champion');
    // Half a wave above the average: 1 + 0.5 · 2/π times as much.
    expect(requests / (0.9 * 12_000)).toBeCloseTo(1 + 1 / Math.PI, 1);
  });
});

it('slows only what is beyond the quantile', () => {
  const base = scenarioOf('p99-2x');
  const [same, slowed] = [recorded({ ...base, challenger: { onset: { kind: 'at-start' } } }), recorded(base)];
  const [before, after] = [sumOf(same.blocks, 'challenger'), sumOf(slowed.blocks, 'challenger')];
  const moved = after.latency.filter(
    ([bucket, count]) => !before.latency.some(([other, same]) => other === bucket && same === count),
  );
  expect(countOf(moved) / before.requests).toBeLessThan(0.08);
  expect(middleOf(after)).toBe(middleOf(before));
  expect(after.latency.at(-1)?.[0]).toBe((before.latency.at(-1)?.[0] ?? 0) + 34);
});

it('plays what gateways counted of a champion', () => {
  const prepared = prepareScenario(scenarioOf('aa-bimodal'));
  const tally = sumOf(recorded(scenarioOf('aa-bimodal')).blocks, 'champion');
  const champion = behaviourOfTally(tally, prepared.counting.bins);
  if (champion === undefined) throw new Error('nothing was counted');
  const again = sumOf(recorded(scenarioOf('aa-bimodal', { champion })).blocks, 'champion');
  expect(middleOf(again)).toBe(middleOf(tally));
  expect(again.errors / again.requests).toBeCloseTo(tally.errors / tally.requests, 2);
  expect(again.predictions.sum / again.predictions.count).toBeCloseTo(tally.predictions.sum / tally.predictions.count, 1);
});

it('knows nothing of a champion without traffic', () => {
  expect(behaviourOfTally(EMPTY_TALLY, undefined)).toBeUndefined();
});

function middleOf({ latency }: Tally): number {
  let seen = 0;
  const half = countOf(latency) / 2;
  for (const [bucket, count] of latency) {
    seen += count;
    if (seen >= half) return bucket;
  }
  return -1;
}
