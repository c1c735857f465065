import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ApprovalRule, approvalNeedOf, approve, MOST_APPROVALS } from './approval.ts';
import { isAppError } from './errors.ts';
import { BUILT_IN_PLANS, type Plan, problemsOfPlan } from './plan.ts';
import type { Verdict } from './policy.ts';
import { decide, decideByEvidence, type Decision, type Rollout, type RolloutState, type Situation } from './rollout.ts';

const [STANDARD] = BUILT_IN_PLANS;
if (STANDARD === undefined) throw new Error('there is no plan');

const ONE: ApprovalRule = { by: 1, fourEyes: false };
const TWO_OTHERS: ApprovalRule = { by: 2, fourEyes: true };

function planOf(rules: readonly (ApprovalRule | undefined)[], more: Partial<Plan> = {}): Plan {
  const shares = [10, 50, 100];
  const steps = shares.map((trafficPercent, index) => ({
    trafficPercent,
    holdMs: 0,
    minSamples: index === 2 ? 0 : 100,
    ...(rules[index] === undefined ? {} : { approval: rules[index] }),
  }));
  return { ...STANDARD, name: 'test', steps, ...more } as Plan;
}

function rolloutOf(plan: Plan, state: RolloutState = { phase: 'stepping', step: 0, sinceMs: 0 }): Rollout {
  const versions = { champion: 'v1', challenger: 'v2' };
  return { id: 'm-1', model: 'm', ...versions, plan, salt: 's', startedAtMs: 0, startedBy: 'token:ana', state };
}

const yes = (rollout: Rollout, ...people: readonly string[]): Rollout =>
  people.reduce((before, by) => approve(before, { by, atMs: 5, reason: 'fine' }), rollout);

function situation(verdict: Verdict, more: Partial<Situation> = {}): Situation {
  const judgement = { verdict, reason: `it is ${verdict}`, guards: [] };
  return { atMs: 1000, judgement, notReady: undefined, unhealthy: undefined, ...more };
}

describe('approvals', () => {
  it.each([
    { name: 'asks nobody without a rule', rule: undefined, people: [], missing: undefined },
    { name: 'asks for one', rule: ONE, people: [], missing: 1 },
    { name: 'is content with who started it', rule: ONE, people: ['token:ana'], missing: 0 },
    { name: 'asks for two', rule: { by: 2, fourEyes: false }, people: ['token:ana'], missing: 1 },
    { name: 'counts a person once', rule: { by: 2, fourEyes: false }, people: ['token:bo', 'token:bo'], missing: 1 },
    { name: 'is content with two', rule: { by: 2, fourEyes: false }, people: ['token:ana', 'token:bo'], missing: 0 },
    { name: 'is content with two others', rule: TWO_OTHERS, people: ['token:bo', 'token:cy'], missing: 0 },
  ])('$name', ({ rule, people, missing }) => {
    const rollout = yes(rolloutOf(planOf([rule, ONE])), ...people);
    expect(approvalNeedOf(rollout, 'next')?.missing).toBe(missing);
  });

  it('refuses who started the rollout under four eyes, and says so', () => {
    const wish = (): Rollout => yes(rolloutOf(planOf([TWO_OTHERS])), 'token:ana');
    expect(wish).toThrowError(/cannot approve rollout "m-1" as token:ana, who started it/);
    try {
      wish();
    } catch (error) {
      expect(isAppError(error, 'rollout.approval_refused')).toBe(true);
    }
  });

  it('lapse with the step', () => {
    const approved = yes(rolloutOf(planOf([ONE, ONE])), 'token:bo');
    const next = { ...approved, state: { phase: 'stepping', step: 1, sinceMs: 9 } as const };
    expect(approvalNeedOf(next, 'next')?.missing).toBe(1);
    expect(yes(next, 'token:cy').approvals).toEqual([{ step: 1, by: 'token:cy', atMs: 5, reason: 'fine' }]);
  });

  it('of a promotion are those of the strictest step that is left', () => {
    const rollout = rolloutOf(planOf([undefined, TWO_OTHERS]));
    expect(approvalNeedOf(rollout, 'next')).toBeUndefined();
    expect(approvalNeedOf(rollout, 'promotion')).toMatchObject({ rule: TWO_OTHERS, missing: 2 });
  });

  it.each([
    { name: 'when no step asks', plan: planOf([]), state: undefined },
    { name: 'before the first step', plan: planOf([ONE]), state: { phase: 'preparing', sinceMs: 0 } as const },
    { name: 'after the end', plan: planOf([ONE]), state: { phase: 'promoted', atMs: 1, by: 'x', reason: 'y' } as const },
  ])('are refused $name', ({ plan, state }) => {
    expect(() => yes(rolloutOf(plan, state), 'token:bo')).toThrowError(/cannot approve rollout "m-1"/);
  });

  it('are never more than a rollout can keep', () => {
    const many = yes(rolloutOf(planOf([ONE])), ...Array.from({ length: 30 }, (_, index) => `token:${index}`));
    expect(many.approvals).toHaveLength(MOST_APPROVALS);
  });

  it('of a step that is never stood on are a problem of the plan', () => {
    expect(problemsOfPlan(planOf([undefined, undefined, ONE]))).toEqual([expect.stringContaining('never stood on')]);
    expect(problemsOfPlan(planOf([undefined, ONE]))).toEqual([]);
  });
});

describe('what people hold back', () => {
  const PREPARING: RolloutState = { phase: 'preparing', sinceMs: 0 };
  const LAST: RolloutState = { phase: 'stepping', step: 1, sinceMs: 0 };
  it.each([
    { name: 'begins', plan: planOf([ONE]), state: PREPARING, verdict: 'no-data', seen: {}, expected: ['begin'] },
    {
      name: 'does not begin while frozen',
      plan: planOf([]),
      state: PREPARING,
      verdict: 'no-data',
      seen: { frozen: 'F' },
      expected: ['hold', 'freeze', 'begin'],
    },
    { name: 'waits for approval', plan: planOf([ONE]), verdict: 'healthy', seen: {}, expected: ['hold', 'approval', 'advance'] },
    {
      name: 'waits for approval before the promotion',
      plan: planOf([undefined, ONE]),
      state: LAST,
      verdict: 'healthy',
      seen: {},
      expected: ['hold', 'approval', 'promote'],
    },
    {
      name: 'waits while frozen',
      plan: planOf([]),
      verdict: 'healthy',
      seen: { frozen: 'F' },
      expected: ['hold', 'freeze', 'advance'],
    },
    {
      name: 'is not promoted while frozen',
      plan: planOf([]),
      state: LAST,
      verdict: 'healthy',
      seen: { frozen: 'F' },
      expected: ['hold', 'freeze', 'promote'],
    },
    { name: 'gathers evidence as ever', plan: planOf([ONE]), verdict: 'undecided', seen: { frozen: 'F' }, expected: ['hold'] },
    {
      name: 'only says that it would climb in a dry run',
      plan: planOf([], { dryRun: true }),
      verdict: 'healthy',
      seen: {},
      expected: ['hold', 'dry-run', 'advance'],
    },
    {
      name: 'only says that it would roll back in a dry run',
      plan: planOf([], { dryRun: true }),
      verdict: 'harmful',
      seen: {},
      expected: ['hold', 'dry-run', 'roll-back'],
    },
    {
      name: 'believes a person in a dry run too',
      plan: planOf([], { dryRun: true }),
      verdict: 'healthy',
      seen: { unhealthy: 'bad' },
      expected: ['roll-back'],
    },
    {
      name: 'gets its first traffic in a dry run',
      plan: planOf([], { dryRun: true }),
      state: PREPARING,
      verdict: 'no-data',
      seen: {},
      expected: ['begin'],
    },
    {
      name: 'does not promote at the end of the time box without approval',
      plan: planOf([ONE], { timeBox: { afterMs: 500, onExpiry: 'promote' } }),
      verdict: 'undecided',
      seen: {},
      expected: ['hold', 'approval', 'promote'],
    },
    {
      name: 'rolls back at the end of the time box while frozen',
      plan: planOf([], { timeBox: { afterMs: 500, onExpiry: 'roll-back' } }),
      verdict: 'undecided',
      seen: { frozen: 'F' },
      expected: ['roll-back'],
    },
    {
      name: 'says that the time box is over',
      plan: planOf([], { timeBox: { afterMs: 500, onExpiry: 'hold' } }),
      verdict: 'healthy',
      seen: {},
      expected: ['hold', 'time-box'],
    },
  ] as const)('$name', ({ plan, verdict, seen, expected, ...more }) => {
    const state = 'state' in more ? more.state : undefined;
    const decision = decide(rolloutOf(plan, state), situation(verdict, seen));
    expect([decision.action, decision.heldFor, decision.would].filter((one) => one !== undefined)).toEqual(expected);
  });

  it('says who is missing, and what comes then', () => {
    const { reason } = decide(yes(rolloutOf(planOf([TWO_OTHERS])), 'token:bo'), situation('healthy'));
    expect(reason).toBe(
      '1 approval is missing, not from token:ana who started it; so far: token:bo (understudy rollout approve m-1); then: from 10 % to 50 %: it is healthy',
    );
  });

  it('goes on once everybody has agreed', () => {
    const approved = yes(rolloutOf(planOf([TWO_OTHERS])), 'token:bo', 'token:cy');
    expect(decide(approved, situation('healthy')).action).toBe('advance');
    expect(decide(approved, situation('harmful')).action).toBe('roll-back');
  });
});

describe('a rollback', () => {
  type Decide = (rollout: Rollout, situation: Situation) => Decision;

  /** Situations in which evidence asks for a rollback and people's restraints kept it from happening. */
  function blocked(decideWith: Decide): number {
    let count = 0;
    const rules = fc.constantFrom<readonly (ApprovalRule | undefined)[]>([], [ONE, ONE], [TWO_OTHERS, TWO_OTHERS]);
    const states = fc.constantFrom<RolloutState>(
      { phase: 'preparing', sinceMs: 0 },
      { phase: 'stepping', step: 0, sinceMs: 0 },
      { phase: 'stepping', step: 1, sinceMs: 0 },
      { phase: 'paused', step: 1, heldMs: 5, atMs: 3, by: 'token:ana', reason: 'r' },
    );
    const boxes = fc.constantFrom<Partial<Plan>>({}, { timeBox: { afterMs: 500, onExpiry: 'roll-back' } });
    const verdicts = fc.constantFrom<Verdict>('harmful', 'healthy', 'undecided');
    const unhealthy = fc.constantFrom(undefined, 'marked by hand');
    fc.assert(
      fc.property(fc.record({ rules, states, boxes, verdicts, unhealthy }), (drawn) => {
        const { rules: asked, states: state, boxes: box, verdicts: verdict, unhealthy: mark } = drawn;
        const rollout = rolloutOf(planOf(asked, box), state);
        const seen = situation(verdict, { unhealthy: mark, frozen: 'frozen' });
        const asks = decideByEvidence(rollout, seen).action === 'roll-back';
        if (asks && decideWith(rollout, seen).action !== 'roll-back') count += 1;
      }),
    );
    return count;
  }

  it('is never blocked by a freeze or by a missing approval', () => {
    expect(blocked(decide)).toBe(0);
  });

  it('would be seen to be blocked: the check finds a freeze that holds everything', () => {
    const planted: Decide = (rollout, seen) => {
      const decision = decide(rollout, seen);
      return seen.frozen === undefined ? decision : { ...decision, action: 'hold' };
    };
    expect(blocked(planted)).toBeGreaterThan(0);
  });
});
