import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bakeOf } from './bake.ts';
import { AppError } from './errors.ts';
import type { Plan, PlanStep } from './plan.ts';
import type { Judgement, Verdict } from './policy.ts';
import {
  type Act,
  boundaryOfRollout,
  decide,
  end,
  isLive,
  pause,
  resume,
  type Rollout,
  type RolloutState,
  safeBoundaryOfRollout,
  type Situation,
  stepOf,
} from './rollout.ts';
import { DEFAULT_THRESHOLDS } from './thresholds.ts';

fc.configureGlobal({ seed: 1 });

const VERDICTS: readonly Verdict[] = ['healthy', 'harmful', 'undecided', 'no-data', 'champion-sick', 'invalid'];
const ENDS = ['promoted', 'rolled-back', 'aborted', 'killed'] as const;

function stepAt(trafficPercent: number, demands: Partial<PlanStep> = {}): PlanStep {
  return { trafficPercent, holdMs: 0, minSamples: 50, ...demands };
}

function planOf(steps: readonly PlanStep[], timeBox?: Plan['timeBox']): Plan {
  const policy: Plan['policy'] = { kind: 'thresholds', ...DEFAULT_THRESHOLDS };
  const plan: Plan = { name: 'test', steps, policy, checkEveryMs: 10_000, startCheck: 'warn' };
  return timeBox === undefined ? plan : { ...plan, timeBox };
}

const free = { holdMs: 0, minSamples: 0 };
const plan = planOf([stepAt(10, { holdMs: 1000 }), stepAt(50), stepAt(100, free)]);

function rolloutIn(state: RolloutState, changes: Partial<Rollout> = {}): Rollout {
  const base = { id: 'fraud-1', model: 'fraud', champion: 'v1', challenger: 'v2', plan, salt: 'fraud-1' };
  return { ...base, startedAtMs: 0, startedBy: 'ann', state, ...changes };
}

const judged = (verdict: Verdict): Judgement => ({ verdict, reason: `judged ${verdict}`, guards: [] });

function situationAt(atMs: number, verdict: Verdict, changes: Partial<Situation> = {}): Situation {
  return { atMs, judgement: judged(verdict), notReady: undefined, unhealthy: undefined, ...changes };
}

const act: Act = { atMs: 700, by: 'ann', reason: 'lunch' };
const preparing: RolloutState = { phase: 'preparing', sinceMs: 0 };
const stepping = (step: number, sinceMs = 0): RolloutState => ({ phase: 'stepping', step, sinceMs });
const paused = (step: number, heldMs = 0): RolloutState => ({ phase: 'paused', step, heldMs, ...act });
const ended = (phase: (typeof ENDS)[number]): RolloutState =>
  phase === 'promoted' ? { phase, ...act } : { phase, step: 1, ...act };

describe('a challenger that every gateway has given up', () => {
  const givenUp = 'every gateway has cut v2 off for 15s and more';

  it.each([
    { name: 'on a step', state: stepping(0), verdict: 'no-data' },
    { name: 'whatever else is said for it', state: stepping(1), verdict: 'healthy' },
    { name: 'while it is paused', state: paused(0), verdict: 'undecided' },
  ] as const)('is rolled back $name', ({ state, verdict }) => {
    const decision = decide(rolloutIn(state), situationAt(5000, verdict, { givenUp, cutOff: 'g1' }));
    expect(decision).toMatchObject({ action: 'roll-back', reason: givenUp, verdict, isCutOff: true });
  });

  it('is waited for before it has traffic', () => {
    expect(decide(rolloutIn(preparing), situationAt(5000, 'no-data', { givenUp, notReady: 'loading' })).action).toBe('hold');
  });
});

describe('a gateway that has cut the challenger off', () => {
  const cutOff = 'gateway g1 has cut v2 off';
  const promoting = planOf([stepAt(10), stepAt(100, free)], { afterMs: 1, onExpiry: 'promote' });

  it.each([
    { name: 'holds a step that could be passed', state: stepping(0), verdict: 'healthy', changes: {}, action: 'hold' },
    {
      name: 'holds one that a person wants to pass',
      state: stepping(0),
      verdict: 'healthy',
      changes: { skipHold: true },
      action: 'hold',
    },
    { name: 'holds the last step', state: stepping(2), verdict: 'healthy', changes: {}, action: 'hold' },
    { name: 'is why the rollout waits', state: stepping(0), verdict: 'no-data', changes: {}, action: 'hold' },
  ] as const)('$name', ({ state, verdict, changes, action }) => {
    const decision = decide(rolloutIn(state), situationAt(5000, verdict, { ...changes, cutOff }));
    expect(decision).toMatchObject({ action, reason: cutOff, isCutOff: true, next: state });
  });

  it('keeps a time box from promoting', () => {
    const rollout = rolloutIn(stepping(0), { plan: promoting });
    expect(decide(rollout, situationAt(5000, 'undecided')).action).toBe('promote');
    expect(decide(rollout, situationAt(5000, 'undecided', { cutOff }))).toMatchObject({ action: 'hold', reason: cutOff });
  });

  it.each([
    { name: 'a rollback', state: stepping(0), changes: {}, verdict: 'harmful', expected: 'roll-back' },
    { name: 'a mark of a person', state: stepping(0), changes: { unhealthy: 'bad' }, verdict: 'healthy', expected: 'roll-back' },
    { name: 'the beginning', state: preparing, changes: {}, verdict: 'no-data', expected: 'begin' },
  ] as const)('does not hold $name back', ({ state, changes, verdict, expected }) => {
    const decision = decide(rolloutIn(state), situationAt(5000, verdict, { ...changes, cutOff }));
    expect(decision.action).toBe(expected);
    expect(decision).not.toHaveProperty('isCutOff');
  });

  it('leaves a paused rollout paused', () => {
    expect(decide(rolloutIn(paused(0)), situationAt(5000, 'healthy', { cutOff })).reason).toBe('paused by ann: lunch');
  });
});

describe('decide', () => {
  // At 5 s the hold of every step is over.
  it.each([
    { state: preparing, verdict: 'healthy', action: 'begin' },
    { state: preparing, verdict: 'undecided', action: 'begin' },
    { state: preparing, verdict: 'no-data', action: 'begin' },
    { state: preparing, verdict: 'champion-sick', action: 'begin' },
    { state: preparing, verdict: 'harmful', action: 'begin' },
    { state: preparing, verdict: 'invalid', action: 'begin' },
    { state: stepping(0), verdict: 'healthy', action: 'advance' },
    { state: stepping(0), verdict: 'harmful', action: 'roll-back' },
    { state: stepping(0), verdict: 'undecided', action: 'hold' },
    { state: stepping(0), verdict: 'no-data', action: 'hold' },
    { state: stepping(0), verdict: 'champion-sick', action: 'hold' },
    { state: stepping(0), verdict: 'invalid', action: 'hold' },
    { state: stepping(1), verdict: 'healthy', action: 'promote' },
    { state: stepping(1), verdict: 'harmful', action: 'roll-back' },
    { state: stepping(1), verdict: 'undecided', action: 'hold' },
    { state: stepping(1), verdict: 'no-data', action: 'hold' },
    { state: stepping(1), verdict: 'champion-sick', action: 'hold' },
    { state: stepping(1), verdict: 'invalid', action: 'hold' },
    { state: paused(0), verdict: 'healthy', action: 'hold' },
    { state: paused(0), verdict: 'harmful', action: 'roll-back' },
    { state: paused(0), verdict: 'undecided', action: 'hold' },
    { state: paused(0), verdict: 'no-data', action: 'hold' },
    { state: paused(0), verdict: 'champion-sick', action: 'hold' },
    { state: paused(0), verdict: 'invalid', action: 'hold' },
    ...ENDS.flatMap((phase) => VERDICTS.map((verdict) => ({ state: ended(phase), verdict, action: 'hold' }) as const)),
  ] as const)('decides to $action while $state.phase on a verdict of $verdict', ({ state, verdict, action }) => {
    const decision = decide(rolloutIn(state), situationAt(5000, verdict));
    expect(decision.action).toBe(action);
    expect(decision.verdict).toBe(verdict);
    if (action === 'hold') expect(decision.next).toEqual(state);
  });

  it('begins with the first step', () => {
    expect(decide(rolloutIn(preparing), situationAt(5, 'no-data'))).toEqual({
      action: 'begin',
      verdict: 'no-data',
      reason: 'v2 is loaded, warmed up and probed on every gateway; it gets 10 %',
      guards: [],
      next: stepping(0, 5),
    });
  });

  it('waits until the challenger is ready', () => {
    const decision = decide(rolloutIn(preparing), situationAt(5, 'no-data', { notReady: 'gw-1 is loading it' }));
    expect(decision).toMatchObject({ action: 'hold', reason: 'waiting for the challenger: gw-1 is loading it', next: preparing });
  });

  it('goes to the next step from the moment of the decision', () => {
    expect(decide(rolloutIn(stepping(0)), situationAt(5000, 'healthy'))).toMatchObject({
      reason: 'from 10 % to 50 %: judged healthy',
      next: stepping(1, 5000),
    });
  });

  it('promotes instead of entering a last step that asks for nothing', () => {
    expect(decide(rolloutIn(stepping(1)), situationAt(5000, 'healthy'))).toMatchObject({
      action: 'promote',
      reason: 'v2 becomes champion: judged healthy',
      next: { phase: 'promoted', atMs: 5000, by: 'engine', reason: 'judged healthy' },
    });
  });

  it('stands on a last step that asks for something, and is promoted from there', () => {
    const demanding = planOf([stepAt(50), stepAt(100, { holdMs: 60_000 })]);
    const at = (state: RolloutState, atMs: number, verdict: Verdict) =>
      decide(rolloutIn(state, { plan: demanding }), situationAt(atMs, verdict));
    expect(at(stepping(0), 0, 'healthy')).toMatchObject({ action: 'advance', next: stepping(1, 0) });
    expect(at(stepping(1), 59_999, 'healthy').action).toBe('hold');
    expect(at(stepping(1), 60_000, 'no-data').action).toBe('hold');
    expect(at(stepping(1), 60_000, 'healthy').action).toBe('promote');
  });

  it.each(VERDICTS.filter((verdict) => verdict !== 'healthy' && verdict !== 'harmful'))(
    'never leaves a step before the last on a verdict of %s, even if the step asks for nothing',
    (verdict) => {
      const bare = planOf([stepAt(10, free), stepAt(50, free), stepAt(100, free)]);
      for (const step of [0, 1]) {
        expect(decide(rolloutIn(stepping(step), { plan: bare }), situationAt(5000, verdict)).action).toBe('hold');
      }
    },
  );

  it('does not take a step that asks for nothing for the last one', () => {
    const bare = planOf([stepAt(10, free), stepAt(50, free), stepAt(100, free)]);
    const at = (step: number) => decide(rolloutIn(stepping(step), { plan: bare }), situationAt(5000, 'healthy'));
    expect(at(0)).toMatchObject({ action: 'advance', next: stepping(1, 5000) });
    expect(at(1).action).toBe('promote');
  });

  it('promotes at once by a plan whose only step asks for nothing', () => {
    const atOnce = planOf([stepAt(100, free)]);
    expect(decide(rolloutIn(stepping(0), { plan: atOnce }), situationAt(0, 'no-data')).action).toBe('promote');
  });

  it.each([
    { name: 'a millisecond before its hold is over', heldMs: 999, skipHold: false, action: 'hold' },
    { name: 'when its hold is over', heldMs: 1000, skipHold: false, action: 'advance' },
    { name: 'at once when a person skips the hold', heldMs: 0, skipHold: true, action: 'advance' },
    { name: 'when the clock went backwards', heldMs: -5000, skipHold: false, action: 'hold' },
  ])('$name it decides to $action', ({ heldMs, skipHold, action }) => {
    const situation = situationAt(1_700_000_000_000.5 + heldMs, 'healthy', { skipHold });
    expect(decide(rolloutIn(stepping(0, 1_700_000_000_000.5)), situation).action).toBe(action);
  });

  it('says how long a step is still held', () => {
    const slow = planOf([stepAt(10, { holdMs: 3_600_000 }), stepAt(100, free)]);
    const decision = decide(rolloutIn(stepping(0), { plan: slow }), situationAt(600_000, 'healthy'));
    expect(decision.reason).toBe('judged healthy; the step is held for 50m more');
  });

  it.each(VERDICTS.filter((verdict) => verdict !== 'healthy'))('does not let a person skip a verdict of %s', (verdict) => {
    const decision = decide(rolloutIn(stepping(0)), situationAt(0, verdict, { skipHold: true }));
    expect(decision.action).toBe(verdict === 'harmful' ? 'roll-back' : 'hold');
  });

  it.each([
    { name: 'preparing', state: preparing, step: -1 },
    { name: 'on a step', state: stepping(1), step: 1 },
    { name: 'paused', state: paused(1), step: 1 },
  ])('rolls back when a person marks the challenger unhealthy while it is $name', ({ state, step }) => {
    const decision = decide(rolloutIn(state), situationAt(9, 'healthy', { unhealthy: 'wrong units' }));
    const reason = 'v2 was marked unhealthy: wrong units';
    expect(decision).toMatchObject({
      action: 'roll-back',
      reason,
      next: { phase: 'rolled-back', step, atMs: 9, by: 'engine', reason },
    });
  });

  it('keeps the guards of the judgement', () => {
    const guards = [{ guard: 'health.errors', verdict: 'harmful', unit: 'share', samples: 9, reason: 'many' }] as const;
    const judgement: Judgement = { verdict: 'harmful', reason: 'many', guards };
    expect(decide(rolloutIn(stepping(0)), { ...situationAt(5, 'harmful'), judgement })).toMatchObject({
      action: 'roll-back',
      reason: 'many',
      guards,
    });
  });

  it('holds when the plan has no such step', () => {
    expect(decide(rolloutIn(preparing, { plan: planOf([]) }), situationAt(5, 'healthy')).action).toBe('hold');
    expect(decide(rolloutIn(stepping(9)), situationAt(5, 'healthy')).action).toBe('hold');
  });
});

describe('a bake', () => {
  const baking = planOf([stepAt(10), stepAt(95, { holdMs: 3_600_000, isBake: true }), stepAt(100, free)]);
  const on = (state: RolloutState): Rollout => rolloutIn(state, { plan: baking });

  it.each([
    {
      name: 'begins after the last step that asks for proof',
      state: stepping(0),
      atMs: 1,
      verdict: 'healthy',
      action: 'advance',
      reason: 'from 10 % to 95 % to bake: judged healthy',
    },
    {
      name: 'waits for its hold',
      state: stepping(1),
      atMs: 600_000,
      verdict: 'healthy',
      action: 'hold',
      reason: 'baking, 5 % are held back on v1 for 50m more: judged healthy',
    },
    {
      name: 'ends in the promotion',
      state: stepping(1),
      atMs: 3_600_000,
      verdict: 'healthy',
      action: 'promote',
      reason: 'v2 becomes champion: judged healthy',
    },
    {
      name: 'waits on, while something is open',
      state: stepping(1),
      atMs: 9e6,
      verdict: 'undecided',
      action: 'hold',
      reason: 'judged undecided',
    },
    {
      name: 'rolls back at once',
      state: stepping(1),
      atMs: 1,
      verdict: 'harmful',
      action: 'roll-back',
      reason: 'judged harmful',
    },
  ] as const)('$name', ({ state, atMs, verdict, action, reason }) => {
    expect(decide(on(state), situationAt(atMs, verdict))).toMatchObject({ action, reason });
  });

  it('is told from every other step', () => {
    expect(bakeOf(on(stepping(1, 5)))).toEqual({ heldBackPercent: 5, untilMs: 3_600_005 });
    expect(bakeOf(on(paused(1)))).toEqual({ heldBackPercent: 5 });
    for (const state of [stepping(0), stepping(2), preparing, ended('promoted')]) expect(bakeOf(on(state))).toBeUndefined();
  });
});

describe('the time box', () => {
  type OnExpiry = NonNullable<Plan['timeBox']>['onExpiry'];
  const boxed = (onExpiry: OnExpiry) => planOf(plan.steps, { afterMs: 10_000, onExpiry });

  it.each([
    { name: 'preparing', state: preparing },
    { name: 'on a step', state: stepping(1) },
    { name: 'paused', state: paused(1) },
  ])('ends what is not promoted in time, also while it is $name', ({ state }) => {
    const late = (onExpiry: 'hold' | 'roll-back', verdict: Verdict = 'healthy') =>
      decide(rolloutIn(state, { plan: boxed(onExpiry) }), situationAt(10_000, verdict));
    expect(late('roll-back')).toMatchObject({ action: 'roll-back', reason: 'not promoted within the time box of 10s' });
    expect(late('hold')).toMatchObject({
      action: 'hold',
      reason: 'the time box of 10s is over; a person decides now (promote, abort or roll back)',
      next: state,
    });
  });

  it.each(['hold', 'roll-back', 'promote'] as const)('still rolls harm back when it is to %s', (onExpiry) => {
    expect(decide(rolloutIn(stepping(1), { plan: boxed(onExpiry) }), situationAt(99_999, 'harmful'))).toMatchObject({
      action: 'roll-back',
      reason: 'judged harmful',
    });
  });

  it.each([
    { verdict: 'healthy', state: stepping(0), action: 'promote' },
    { verdict: 'undecided', state: stepping(0), action: 'promote' },
    { verdict: 'undecided', state: stepping(2), action: 'promote' },
    { verdict: 'no-data', state: stepping(0), action: 'hold' },
    { verdict: 'champion-sick', state: stepping(0), action: 'hold' },
    { verdict: 'invalid', state: stepping(0), action: 'hold' },
    { verdict: 'undecided', state: preparing, action: 'hold' },
    { verdict: 'healthy', state: paused(0), action: 'hold' },
  ] as const)('that is to promote does $action on a verdict of $verdict while $state.phase', ({ verdict, state, action }) => {
    const decision = decide(rolloutIn(state, { plan: boxed('promote') }), situationAt(10_000, verdict));
    expect(decision.action).toBe(action);
    expect(decision.next.phase).toBe(action === 'promote' ? 'promoted' : state.phase);
  });

  it.each([
    { name: 'without a forecast', forecast: undefined, statement: 'no harm found' },
    {
      name: 'with a forecast',
      forecast: { verdictInMs: 9000, sentence: 'about 9s to a verdict; by now a rise to 3 % would have been caught' },
      statement: 'no harm found; about 9s to a verdict; by now a rise to 3 % would have been caught',
    },
  ])('says what a promotion without proof rests on, $name', ({ forecast, statement }) => {
    const judgement: Judgement = {
      verdict: 'undecided',
      reason: 'no harm found',
      guards: [],
      ...(forecast === undefined ? {} : { forecast }),
    };
    const decision = decide(rolloutIn(stepping(0), { plan: boxed('promote') }), {
      ...situationAt(10_000, 'undecided'),
      judgement,
    });
    const reason = `the time box of 10s is over and nothing speaks against it: ${statement}`;
    expect(decision).toMatchObject({
      reason: `v2 becomes champion: ${reason}`,
      next: { phase: 'promoted', by: 'engine', reason },
    });
  });

  it('changes nothing before it is over', () => {
    expect(decide(rolloutIn(stepping(0), { plan: boxed('roll-back') }), situationAt(9999, 'healthy')).action).toBe('advance');
  });

  it('counts from the start of the rollout', () => {
    const rollout = rolloutIn(stepping(1, 99_000), { plan: boxed('roll-back'), startedAtMs: 95_000 });
    expect(decide(rollout, situationAt(104_999, 'undecided')).action).toBe('hold');
    expect(decide(rollout, situationAt(105_000, 'undecided')).action).toBe('roll-back');
  });
});

describe('what a person may do', () => {
  it('counts nothing as held when the step began by a clock that is ahead', () => {
    expect(pause(rolloutIn(stepping(0, 5000)), { ...act, atMs: 700 })).toMatchObject({ heldMs: 0 });
  });

  it('pauses and resumes with the time that the step had been held', () => {
    const waiting = pause(rolloutIn(stepping(0, 100)), act);
    expect(waiting).toEqual({ phase: 'paused', step: 0, heldMs: 600, atMs: 700, by: 'ann', reason: 'lunch' });
    const going = resume(rolloutIn(waiting), { ...act, atMs: 50_000 });
    expect(going).toEqual(stepping(0, 49_400));
    expect(decide(rolloutIn(going), situationAt(50_399, 'healthy')).action).toBe('hold');
    expect(decide(rolloutIn(going), situationAt(50_400, 'healthy')).action).toBe('advance');
  });

  it('neither loses nor gains held time by pausing, however often', () => {
    const naps = fc.array(fc.tuple(fc.nat(10_000), fc.nat(10_000)), { maxLength: 10 });
    fc.assert(
      fc.property(naps, (list) => {
        let state = stepping(0, 1_700_000_000_000);
        let atMs = 1_700_000_000_000;
        let heldMs = 0;
        for (const [workMs, napMs] of list) {
          state = pause(rolloutIn(state), { ...act, atMs: atMs + workMs });
          atMs += workMs + napMs;
          state = resume(rolloutIn(state), { ...act, atMs });
          heldMs += workMs;
        }
        expect(state).toEqual(stepping(0, atMs - heldMs));
      }),
    );
  });

  it.each([
    { verb: 'pause', state: preparing },
    { verb: 'pause', state: paused(0) },
    { verb: 'resume', state: preparing },
    { verb: 'resume', state: stepping(0) },
    ...ENDS.flatMap((phase) => [
      { verb: 'pause', state: ended(phase) },
      { verb: 'resume', state: ended(phase) },
    ]),
  ])('cannot $verb a rollout that is $state.phase', ({ verb, state }) => {
    const change = verb === 'pause' ? pause : resume;
    expect(() => change(rolloutIn(state), act)).toThrow(
      expect.objectContaining({
        code: 'rollout.invalid_transition',
        message: expect.stringContaining(`cannot ${verb} rollout "fraud-1", which is ${state.phase}: `),
      }),
    );
  });

  it.each([preparing, stepping(1), paused(1)])('ends a rollout that is $phase in every way', (state) => {
    const step = stepOf(state);
    expect(end(rolloutIn(state), 'promoted', act)).toEqual({ phase: 'promoted', ...act });
    for (const phase of ['rolled-back', 'aborted', 'killed'] as const) {
      expect(end(rolloutIn(state), phase, act)).toEqual({ phase, step, ...act });
    }
  });

  it.each(ENDS.flatMap((from) => ENDS.map((to) => ({ from, to }))))('cannot make $to of what is $from', ({ from, to }) => {
    expect(() => end(rolloutIn(ended(from)), to, act)).toThrow(AppError);
    expect(() => end(rolloutIn(ended(from)), to, act)).toThrow(`it is ${from} already`);
  });
});

describe('the share of the challenger', () => {
  it.each([
    { name: 'nothing while preparing', state: preparing, boundary: 0 },
    { name: 'that of its step', state: stepping(0), boundary: 10_000 },
    { name: 'everybody on a last step', state: stepping(2), boundary: 100_000 },
    { name: 'that of its step while paused', state: paused(1), boundary: 50_000 },
    { name: 'nothing on a step that does not exist', state: stepping(7), boundary: 0 },
    ...ENDS.map((phase) => ({ name: `nothing when ${phase}`, state: ended(phase), boundary: 0 })),
  ])('is $name', ({ state, boundary }) => {
    expect(boundaryOfRollout(rolloutIn(state))).toBe(boundary);
  });

  it.each([
    { name: 'nobody before the first step', state: preparing, pinned: 50, boundary: 0 },
    { name: 'nobody on the first step', state: stepping(0), pinned: 0, boundary: 0 },
    { name: 'the step before on a later one', state: stepping(1), pinned: 0, boundary: 10_000 },
    { name: 'the step before when paused', state: paused(2), pinned: 0, boundary: 50_000 },
    { name: 'what is pinned', state: stepping(0), pinned: 3, boundary: 3000 },
    { name: 'the step before, if that is more than what is pinned', state: stepping(1), pinned: 3, boundary: 10_000 },
    { name: 'never more than the share itself', state: stepping(0), pinned: 80, boundary: 10_000 },
    ...ENDS.map((phase) => ({ name: `nobody when ${phase}`, state: ended(phase), pinned: 50, boundary: 0 })),
  ])('without the control plane is $name', ({ state, pinned, boundary }) => {
    const rollout = rolloutIn(state, { plan: { ...plan, pinnedPercent: pinned } });
    expect(safeBoundaryOfRollout(rollout)).toBe(boundary);
  });

  it.each([
    { state: preparing, live: true, step: -1 },
    { state: stepping(2), live: true, step: 2 },
    { state: paused(1), live: true, step: 1 },
    { state: ended('promoted'), live: false, step: -1 },
    { state: ended('killed'), live: false, step: 1 },
  ])('a rollout that is $state.phase is live: $live, on step $step', ({ state, live, step }) => {
    expect(isLive(state)).toBe(live);
    expect(stepOf(state)).toBe(step);
  });
});

describe('any history', () => {
  const event = fc.record({
    afterMs: fc.nat(5000),
    verdict: fc.oneof({ weight: 6, arbitrary: fc.constant<Verdict>('healthy') }, fc.constantFrom(...VERDICTS)),
    notReady: fc.constantFrom(undefined, undefined, 'loading'),
    unhealthy: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, undefined, 'bad'),
    skipHold: fc.boolean(),
    does: fc.constantFrom('decide', 'decide', 'decide', 'pause', 'resume', 'end' as const),
    phase: fc.constantFrom(...ENDS),
  });
  const plans = fc
    .tuple(
      fc.uniqueArray(fc.integer({ min: 1, max: 99 }), { maxLength: 5 }),
      fc.constantFrom(0, 1000, 4000),
      fc.constantFrom(0, 50),
      fc.constantFrom(undefined, 'hold' as const, 'roll-back' as const, 'promote' as const),
    )
    .map(([percents, holdMs, minSamples, onExpiry]) =>
      planOf(
        [...percents.toSorted((a, b) => a - b), 100].map((percent) => stepAt(percent, { holdMs, minSamples })),
        onExpiry === undefined ? undefined : { afterMs: 20_000, onExpiry },
      ),
    );
  type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

  /** Whatever people and the engine do, a refusal leaves the state as it is. */
  function after(rollout: Rollout, atMs: number, { verdict, does, phase, ...situation }: Event): RolloutState {
    const by: Act = { ...act, atMs };
    try {
      if (does === 'pause') return pause(rollout, by);
      if (does === 'resume') return resume(rollout, by);
      if (does === 'end') return end(rollout, phase, by);
    } catch (error) {
      if (error instanceof AppError) return rollout.state;
      throw error;
    }
    return decide(rollout, situationAt(atMs, verdict, situation)).next;
  }

  function historyOf(of: Plan, events: readonly Event[]): readonly Rollout[] {
    const history = [rolloutIn(preparing, { plan: of })];
    let atMs = 0;
    for (const next of events) {
      const rollout = history.at(-1) ?? rolloutIn(preparing, { plan: of });
      atMs += next.afterMs;
      history.push({ ...rollout, state: after(rollout, atMs, next) });
    }
    return history;
  }

  const histories = fc.tuple(plans, fc.array(event, { maxLength: 40 })).map(([of, events]) => historyOf(of, events));
  const pairsOf = (history: readonly Rollout[]) => history.slice(1).map((to, index) => ({ from: history[index] ?? to, to }));

  it('never leaves an absorbing state', () => {
    fc.assert(
      fc.property(histories, (history) => {
        for (const { from, to } of pairsOf(history)) if (!isLive(from.state)) expect(to.state).toEqual(from.state);
      }),
      { numRuns: 500 },
    );
  });

  it('never shrinks the share of a live rollout, and climbs one step at a time', () => {
    fc.assert(
      fc.property(histories, (history) => {
        for (const { from, to } of pairsOf(history)) {
          if (!isLive(to.state)) continue;
          expect(boundaryOfRollout(to)).toBeGreaterThanOrEqual(boundaryOfRollout(from));
          expect(stepOf(to.state) - stepOf(from.state)).toBeOneOf([0, 1]);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('rolls back whenever a challenger with traffic is judged harmful', () => {
    fc.assert(
      fc.property(histories, fc.nat(99_999), (history, atMs) => {
        for (const rollout of history.filter(({ state }) => state.phase === 'stepping' || state.phase === 'paused')) {
          expect(decide(rollout, situationAt(atMs, 'harmful', { skipHold: true })).next.phase).toBe('rolled-back');
        }
      }),
    );
  });

  it('decides the same for the same state and situation', () => {
    fc.assert(
      fc.property(histories, event, (history, { verdict, afterMs, notReady, unhealthy, skipHold }) => {
        for (const rollout of history) {
          const asked = situationAt(afterMs, verdict, { notReady, unhealthy, skipHold });
          const stored: Rollout = JSON.parse(JSON.stringify(rollout));
          expect(decide(stored, asked)).toEqual(decide(rollout, asked));
        }
      }),
    );
  });
});
