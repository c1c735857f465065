import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Arm, EMPTY_TALLY, type EvidenceBlock, type Tally } from './evidence.ts';
import { GRACE_MS, type StoredBlock } from './evidence-pool.ts';
import type { Plan } from './plan.ts';
import type { Rollout, RolloutState } from './rollout.ts';
import { LOOK_BACK_MS, openRolloutLedger, type RolloutLedger } from './rollout-ledger.ts';
import { DEFAULT_SEQUENTIAL } from './sequential/config.ts';
import { BINS, type Behaviour, drawTally } from './sequential/test-traffic.ts';
import { randomOf } from './simulation/random.ts';
import { DEFAULT_THRESHOLDS } from './thresholds.ts';

fc.configureGlobal({ seed: 1 });

const START_MS = 10_000_000;
const plan: Plan = {
  name: 'test',
  steps: [10, 50, 100].map((trafficPercent) => ({ trafficPercent, holdMs: 0, minSamples: 0 })),
  policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL, splitTolerance: 10 },
  checkEveryMs: 1000,
  startCheck: 'warn',
};
const byThresholds: Plan = { ...plan, policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS } };

function rolloutOn(step: number, state: RolloutState = { phase: 'stepping', step, sinceMs: START_MS }): Rollout {
  const arms = { id: 'fraud-1', model: 'fraud', champion: 'v1', challenger: 'v2' };
  return { ...arms, plan, bins: BINS, salt: 's', startedAtMs: START_MS, startedBy: 'ann', state };
}

interface Report extends Partial<Omit<EvidenceBlock, 'tally'>> {
  readonly tally?: Partial<Tally>;
  /** After the end of its interval. */
  readonly delayMs?: number;
  readonly seenAtMs?: number;
}

function reportOf({ tally, delayMs = 50, seenAtMs, ...where }: Report): StoredBlock {
  const arm = where.arm ?? 'champion';
  const version = arm === 'champion' ? 'v1' : 'v2';
  const block: EvidenceBlock = {
    model: 'fraud',
    version,
    arm,
    rollout: 'fraud-1',
    step: 0,
    startMs: START_MS,
    ...where,
    tally: { ...EMPTY_TALLY, ...tally },
  };
  return { block, seenAtMs: seenAtMs ?? block.startMs + 1000 + delayMs };
}

/** Seconds of both arms at equal shares. */
function secondsOf(count: number, challenger: Behaviour = {}, { fromMs = START_MS, step = 0 } = {}): readonly StoredBlock[] {
  const random = randomOf(1, `${fromMs}`);
  return Array.from({ length: count }, (_, second) => {
    const where = { startMs: fromMs + second * 1000, step };
    return [
      reportOf({ ...where, arm: 'champion', tally: drawTally(random, 20) }),
      reportOf({ ...where, arm: 'challenger', tally: drawTally(random, 20, challenger) }),
    ];
  }).flat();
}

function filled(reports: readonly StoredBlock[], ledger: RolloutLedger = openRolloutLedger(rolloutOn(0))): RolloutLedger {
  for (const report of reports) ledger.add(report);
  return ledger;
}

const after = (seconds: number) => START_MS + seconds * 1000 + GRACE_MS;

describe('what came before the start', () => {
  const usual = { requests: 100, latency: [[300, 100]] } as const;
  const before = (report: Report): StoredBlock => {
    const { rollout: _, step: __, ...block } = reportOf({ startMs: START_MS - 60_000, tally: usual, ...report }).block;
    return { block, seenAtMs: report.seenAtMs ?? block.startMs + 1050 };
  };

  // Only with enough of the champion's past can a guard on latency begin.
  it.each([
    { name: 'of the champion is the opening', report: {}, isKnown: true },
    { name: 'of the champion in an earlier rollout is too', report: { rollout: 'fraud-0', step: 3 }, isKnown: true },
    { name: 'just within the hour is too', report: { startMs: START_MS - LOOK_BACK_MS }, isKnown: true },
    { name: 'longer ago is not', report: { startMs: START_MS - LOOK_BACK_MS - 1 }, isKnown: false },
    { name: 'of another version is not', report: { version: 'v0' }, isKnown: false },
    { name: 'of another model is not', report: { model: 'churn' }, isKnown: false },
    { name: 'of a challenger is not', report: { arm: 'challenger' as const, version: 'v1' }, isKnown: false },
    { name: 'and was stored after it is not', report: { seenAtMs: START_MS }, isKnown: false },
  ])('$name', ({ report, isKnown }) => {
    const ledger = filled([before(report)]);
    const reading = ledger.judge(rolloutOn(0), START_MS).guards.find(({ guard }) => guard === 'latency.p50');
    expect(reading?.reason.includes('not weighed yet')).toBe(!isKnown);
  });

  it('is complete with the first judgement', () => {
    const ledger = openRolloutLedger(rolloutOn(0));
    ledger.judge(rolloutOn(0), START_MS);
    ledger.add(before({}));
    expect(ledger.judge(rolloutOn(0), START_MS).guards[1]?.reason).toContain('not weighed yet');
  });
});

describe('the evidence of a rollout', () => {
  it('is judged once its interval is closed', () => {
    const ledger = filled(secondsOf(1));
    const samplesAt = (atMs: number) => ledger.judge(rolloutOn(0), atMs).guards[0]?.samples;
    expect([samplesAt(START_MS + 1000), samplesAt(after(1) - 1), samplesAt(after(1))]).toEqual([0, 0, 20]);
  });

  it.each([
    { name: 'another rollout', report: { rollout: 'fraud-2' } },
    { name: 'no rollout', report: { rollout: 'none' } },
    { name: 'another model', report: { model: 'churn' } },
  ])('is not that of $name', ({ report }) => {
    const bad = { arm: 'challenger', tally: { requests: 100, errors: 100 } } as const;
    const strangers = Array.from({ length: 20 }, (_, second) =>
      reportOf({ ...bad, ...report, startMs: START_MS + second * 1000 }),
    );
    const [with_, without] = [filled([...secondsOf(20), ...strangers]), filled(secondsOf(20))];
    expect(with_.judge(rolloutOn(0), after(20))).toEqual(without.judge(rolloutOn(0), after(20)));
    expect(with_.totals('challenger')).toEqual(without.totals('challenger'));
  });

  it('rolls back what is harmful, in the words of the policy', () => {
    const ledger = filled(secondsOf(10, { errorRate: 0.9 }));
    expect(ledger.judge(rolloutOn(0), after(10))).toMatchObject({
      verdict: 'harmful',
      reason: expect.stringMatching(/^failed requests: challenger \d\d(\.\d)? %, champion /),
    });
  });

  it('has the same verdict alone', () => {
    const ledger = filled(secondsOf(30, { errorRate: 0.2 }));
    for (let second = 1; second <= 30; second += 1) {
      expect(ledger.verdict(rolloutOn(0), after(second))).toBe(ledger.judge(rolloutOn(0), after(second)).verdict);
    }
  });

  it('that comes for an interval which was closed already is counted as lost', () => {
    const ledger = filled(secondsOf(5));
    ledger.judge(rolloutOn(0), after(5));
    ledger.add(reportOf({ startMs: START_MS, tally: { requests: 7 } }));
    expect(ledger.lost).toBe(7);
    expect(ledger.totals('champion').inAll.requests).toBe(100);
  });
});

describe('totals', () => {
  const requestsOf = (ledger: RolloutLedger, arm: Arm) => {
    const { step, inStep, inAll } = ledger.totals(arm);
    return [step, inStep.requests, inAll.requests];
  };
  const report = (arm: Arm, step: number, second: number): StoredBlock =>
    reportOf({ arm, step, startMs: START_MS + second * 1000, tally: { requests: 10 } });

  it.each([
    { name: 'nothing', reports: [], champion: [-1, 0, 0], challenger: [-1, 0, 0] },
    {
      name: 'one step',
      reports: [report('champion', 0, 0), report('champion', 0, 1), report('challenger', 0, 1)],
      champion: [0, 20, 20],
      challenger: [0, 10, 10],
    },
    {
      name: 'two steps, the second one begun on one arm',
      reports: [report('champion', 0, 0), report('challenger', 0, 0), report('challenger', 1, 1)],
      champion: [0, 10, 10],
      challenger: [1, 10, 20],
    },
    {
      name: 'a late report of the step before',
      reports: [report('challenger', 1, 1), report('challenger', 0, 2)],
      champion: [-1, 0, 0],
      challenger: [1, 10, 20],
    },
  ])('are kept by step and over all: $name', ({ reports, champion, challenger }) => {
    const ledger = filled(reports);
    ledger.judge(rolloutOn(0), after(5));
    expect([requestsOf(ledger, 'champion'), requestsOf(ledger, 'challenger')]).toEqual([champion, challenger]);
  });

  it('count a shadow, which is compared with nobody', () => {
    const ledger = filled([...secondsOf(5), reportOf({ arm: 'shadow', tally: { requests: 9, errors: 9 } })]);
    expect(ledger.judge(rolloutOn(0), after(5))).toEqual(filled(secondsOf(5)).judge(rolloutOn(0), after(5)));
    expect(requestsOf(ledger, 'shadow')).toEqual([0, 9, 9]);
  });
});

describe('scores', () => {
  it('count although they come long after their requests', () => {
    const guards = [{ metric: 'score', name: 'accuracy', better: 'higher', weight: 1, tolerance: 0.01, promote: 0.02 }] as const;
    const rollout: Rollout = {
      ...rolloutOn(0),
      plan: { ...plan, policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL, guards } },
    };
    const feedback = (['champion', 'challenger'] as const).map((arm) =>
      reportOf({ arm, startMs: START_MS + 9000, tally: { scores: { accuracy: { count: 40, sum: 30, sumSquares: 30 } } } }),
    );
    const ledger = filled([...secondsOf(5), ...feedback], openRolloutLedger(rollout));
    expect(ledger.judge(rollout, after(10)).guards[0]).toMatchObject({ samples: 40, champion: 0.75, challenger: 0.75 });
    expect(ledger.totals('challenger').inStep.requests).toBe(100);
  });
});

describe('the same stored evidence', () => {
  /** Reports in the order of storage: late ones and ones of clocks that are off among them. */
  const reports = fc
    .array(
      fc.record({
        second: fc.nat(20),
        arm: fc.constantFrom<Arm>('champion', 'challenger', 'challenger', 'shadow'),
        step: fc.constantFrom(0, 0, 0, 1),
        stratum: fc.constantFrom<string | undefined>(undefined, 'eu'),
        delayMs: fc.constantFrom(0, 100, 199, 900, 4000, -700),
        seed: fc.nat(50),
        requests: fc.nat(30),
        errorRate: fc.constantFrom(0, 0.05, 0.6),
      }),
      { maxLength: 40 },
    )
    .map((list) =>
      list
        .map(({ second, arm, step, stratum, delayMs, seed, requests, errorRate }) =>
          reportOf({
            startMs: START_MS + second * 1000,
            arm,
            step,
            ...(stratum === undefined ? {} : { stratum }),
            delayMs,
            tally: drawTally(randomOf(seed, arm), requests, { errorRate }),
          }),
        )
        .toSorted((a, b) => a.seenAtMs - b.seenAtMs),
    );
  const END_MS = after(60);

  /** As an engine does: takes what was stored by then, judges, and goes on. */
  function judgedAt(list: readonly StoredBlock[], moments: readonly number[]) {
    const ledger = openRolloutLedger(rolloutOn(0));
    let next = 0;
    return moments.map((atMs) => {
      for (; next < list.length && (list[next]?.seenAtMs ?? Infinity) <= atMs; next += 1)
        filled(list.slice(next, next + 1), ledger);
      const judgement = ledger.judge(rolloutOn(0), atMs);
      return { judgement, totals: ledger.totals('challenger'), lost: ledger.lost };
    });
  }

  it('gives the same judgement, however often it was judged in between', () => {
    fc.assert(
      fc.property(reports, fc.uniqueArray(fc.nat(30_000), { maxLength: 20 }), (list, offsets) => {
        const often = offsets.toSorted((a, b) => a - b).map((offset) => START_MS + offset);
        expect(judgedAt(list, [...often, END_MS]).at(-1)).toEqual(judgedAt(list, [END_MS])[0]);
      }),
      { numRuns: 60 },
    );
  });

  it('gives the same judgements again, moment by moment, in a replay', () => {
    const moments = Array.from({ length: 25 }, (_, second) => after(second));
    fc.assert(
      fc.property(reports, (list) => {
        const stored: readonly StoredBlock[] = JSON.parse(JSON.stringify(list));
        expect(judgedAt(stored, moments)).toEqual(judgedAt(list, moments));
      }),
      { numRuns: 12 },
    );
  });

  it('gives the same judgement in any order of the reports that came in time', () => {
    const shuffled = reports.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray([...list], { minLength: list.length, maxLength: list.length })),
    );
    fc.assert(
      fc.property(shuffled, ([list, other]) => {
        const judgementOf = (all: readonly StoredBlock[]) => filled(all).judge(rolloutOn(0), END_MS);
        expect(judgementOf(other)).toEqual(judgementOf(list));
      }),
      { numRuns: 40 },
    );
  });
});

describe('the question', () => {
  const challengers = secondsOf(10);
  const reasonOn = (rollout: Rollout, atMs: number) => filled(challengers).judge(rollout, atMs).reason;

  it('is about the step on which the rollout stands', () => {
    expect(filled(challengers).judge(rolloutOn(0), after(10)).guards[0]?.samples).toBe(200);
    expect(filled(challengers).judge(rolloutOn(1), after(10)).guards[0]?.samples).toBe(0);
  });

  it('asks for the minimum sample of that step', () => {
    const steps = plan.steps.map((step) => ({ ...step, minSamples: 500 }));
    const rollout = { ...rolloutOn(0), plan: { ...plan, steps } };
    expect(filled(challengers, openRolloutLedger(rollout)).judge(rollout, after(10)).reason).toBe(
      '200 of 500 requests that this step asks for',
    );
  });

  it('counts silence without the time of a pause', () => {
    const silentMs = 200_000;
    const atMs = after(10) + silentMs;
    expect(reasonOn(rolloutOn(0), atMs)).toMatch(/^the challenger was not heard of for 3m \d\ds/);
    const paused: RolloutState = { phase: 'paused', step: 0, heldMs: 5000, atMs: atMs - 10, by: 'ann', reason: 'lunch' };
    expect(reasonOn(rolloutOn(0, paused), atMs)).not.toContain('not heard of');
  });

  it.each<{ readonly state: RolloutState }>([
    { state: { phase: 'preparing', sinceMs: START_MS } },
    { state: { phase: 'promoted', atMs: START_MS, by: 'ann', reason: '' } },
  ])('can be asked of a rollout that is $state.phase', ({ state }) => {
    const judgement = openRolloutLedger(rolloutOn(0, state)).judge(rolloutOn(0, state), after(1));
    expect(judgement.verdict).toBe('undecided');
    expect(judgement.forecast).toBeUndefined();
  });
});

describe('another plan', () => {
  it('is tried on the evidence of the rollout', () => {
    const reports = secondsOf(20, { medianMs: 40 });
    const judgementOf = (tried: Plan) => filled(reports, openRolloutLedger(rolloutOn(0), tried)).judge(rolloutOn(0), after(20));
    expect(judgementOf(byThresholds)).toMatchObject({ verdict: 'harmful', reason: expect.stringContaining('and exceeds 1.2×') });
    expect(judgementOf(plan).guards.map(({ guard }) => guard)).toEqual(['errors', 'latency.p50', 'latency.p99', 'drift']);
  });
});
