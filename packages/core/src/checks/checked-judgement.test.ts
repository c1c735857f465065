import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY } from '../evidence.ts';
import type { Judgement, Question, Verdict } from '../policy.ts';
import { joinStandings, openChecks } from './checked-judgement.ts';
import type { Measurement } from './measurement.ts';
import type { CheckStanding } from './standing.ts';
import { answered, EVERY_MS, queryCheck } from './test-checks.ts';

fc.configureGlobal({ seed: 1 });

const VERDICTS: readonly Verdict[] = ['healthy', 'harmful', 'undecided', 'no-data', 'champion-sick', 'invalid'];
const FORECAST = { sentence: 'about 5m' };

function judged(verdict: Verdict): Judgement {
  return { verdict, reason: 'by the policy', guards: [], forecast: FORECAST };
}

function stands(verdict: Verdict, isHolding: boolean): CheckStanding {
  const brief = 'check slo fails';
  return { brief, isHolding, reading: { guard: 'check slo', verdict, unit: 'number', samples: 1, reason: brief } };
}

const QUESTION: Question = {
  atMs: 10 * EVERY_MS,
  step: 0,
  sinceMs: 0,
  trafficPercent: 10,
  isStrictest: false,
  isLast: false,
  minSamples: 0,
  seen: { champion: EMPTY_TALLY, challenger: EMPTY_TALLY },
};

describe('a check beside the policy', () => {
  it.each([
    { policy: 'healthy', check: stands('healthy', false), verdict: 'healthy', reason: 'by the policy' },
    { policy: 'healthy', check: stands('no-data', false), verdict: 'healthy', reason: 'by the policy' },
    { policy: 'healthy', check: stands('undecided', true), verdict: 'undecided', reason: 'the check slo fails' },
    { policy: 'undecided', check: stands('undecided', true), verdict: 'undecided', reason: 'by the policy; the check slo fails' },
    { policy: 'healthy', check: stands('harmful', true), verdict: 'harmful', reason: 'the check slo fails' },
    { policy: 'no-data', check: stands('harmful', true), verdict: 'harmful', reason: 'the check slo fails' },
    { policy: 'harmful', check: stands('harmful', true), verdict: 'harmful', reason: 'by the policy' },
    { policy: 'harmful', check: stands('healthy', false), verdict: 'harmful', reason: 'by the policy' },
    { policy: 'invalid', check: stands('no-data', true), verdict: 'invalid', reason: 'by the policy; the check slo fails' },
  ] as const)('$policy and $check.reading.verdict make $verdict', ({ policy, check, verdict, reason }) => {
    const joined = joinStandings(judged(policy), [check]);
    expect(joined).toMatchObject({ verdict, reason, guards: [check.reading] });
    expect(joined.barred).toBe(check.isHolding ? 'the check slo fails' : undefined);
  });

  it('only ever makes a verdict worse', () => {
    const standing = fc
      .tuple(fc.constantFrom<Verdict>('healthy', 'harmful', 'undecided', 'no-data'), fc.boolean())
      .map(([verdict, isHolding]) => stands(verdict, isHolding));
    fc.assert(
      fc.property(fc.constantFrom(...VERDICTS), fc.array(standing, { maxLength: 5 }), (verdict, standings) => {
        const joined = joinStandings(judged(verdict), standings).verdict;
        if (verdict === 'harmful') expect(joined).toBe('harmful');
        if (joined === 'healthy') expect(verdict).toBe('healthy');
        if (joined !== verdict && joined !== 'harmful') expect([verdict, joined]).toEqual(['healthy', 'undecided']);
        if (joined === 'harmful') expect([verdict, ...standings.map(({ reading }) => reading.verdict)]).toContain('harmful');
      }),
    );
  });
});

describe('the checks of a rollout', () => {
  const stored = (measurement: Measurement, seenAtMs: number) => ({
    seenAtMs,
    block: { model: 'fraud', version: 'v2', arm: 'challenger', startMs: 0, tally: EMPTY_TALLY, measurement } as const,
  });

  it('know what was stored before the moment they are settled to, however it is added', () => {
    const checks = openChecks([queryCheck()]);
    for (const measurement of answered('FFF')) checks.add(stored(measurement, measurement.atMs + 100));
    checks.settle(2 * EVERY_MS + 100);
    expect(checks.joinVerdict('healthy', QUESTION)).toBe('undecided');
    checks.settle(2 * EVERY_MS + 101);
    expect(checks.joinVerdict('healthy', QUESTION)).toBe('harmful');
    checks.settle(2 * EVERY_MS + 102);
    expect(checks.join(judged('healthy'), QUESTION).guards).toMatchObject([{ guard: 'check slo', samples: 3 }]);
  });

  it('of another name leave a check unasked', () => {
    const checks = openChecks([queryCheck({ name: 'other' })]);
    for (const measurement of answered('FFF')) checks.add(stored(measurement, measurement.atMs));
    checks.settle(Infinity);
    expect(checks.join(judged('healthy'), QUESTION)).toMatchObject({ verdict: 'undecided', guards: [{ samples: 0 }] });
  });
});
