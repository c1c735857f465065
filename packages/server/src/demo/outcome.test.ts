import { readPlan } from '@understudy/contract/plan-file';
import type { DecisionView } from '@understudy/contract/views';
import { DEFAULT_ROUTING, DEFAULT_WATCH, type Model } from '@understudy/core/model';
import type { Action, RolloutState } from '@understudy/core/rollout';
import { describe, expect, it } from 'vitest';
import { CLIMB } from './demo-plans.ts';
import { type Climb, type Fall, problemsOfClimb, problemsOfFall, problemsOfRelapse, type Relapse } from './outcome.ts';
import type { Followed } from './rollout-follower.ts';
import { emptyMeasure, type Measure } from './traffic-tracker.ts';

const PROMOTED: RolloutState = { phase: 'promoted', atMs: 9000, by: 'engine', reason: 'good' };
const ROLLED_BACK: RolloutState = { phase: 'rolled-back', step: 0, atMs: 9000, by: 'engine', reason: 'p50 is too high' };

function decisionOf(action: Action, guard?: string): DecisionView {
  const guards =
    guard === undefined ? [] : [{ guard, verdict: 'harmful', unit: 'ms', samples: 100, reason: 'too high' } as const];
  return {
    rollout: 'm-1',
    window: 1,
    revision: 1,
    atMs: 9000,
    decision: { action, verdict: 'healthy', reason: '', guards, next: PROMOTED },
  };
}

function followed(state: RolloutState, decisions: readonly DecisionView[]): Followed {
  const rollout = {
    id: 'm-1',
    model: 'm',
    champion: 'v1',
    challenger: 'v2',
    plan: readPlan(CLIMB),
    salt: 's',
    startedAtMs: 0,
    startedBy: 'demo',
    state,
  };
  return { last: { rollout, challengerPercent: 0, arms: [], warnings: [] }, decisions };
}

function versionOf(answers: number, wrong: number) {
  return { answers, users: answers, wrong, wrongUsers: wrong, distance: wrong };
}

function measure(change: Partial<Measure> = {}): Measure {
  return { ...emptyMeasure(1), versions: { v1: versionOf(100, 5), v2: versionOf(100, 2) }, ...change };
}

const ADVANCES = [decisionOf('advance'), decisionOf('advance'), decisionOf('advance')];

describe('problemsOfClimb', () => {
  const good: Climb = {
    followed: followed(PROMOTED, [decisionOf('begin'), ...ADVANCES, decisionOf('promote')]),
    task: { kind: 'class' },
    measure: measure(),
    mustBeBetter: true,
  };

  it('finds none when the engine promoted a better version, step by step, unnoticed', () => {
    expect(problemsOfClimb(good)).toEqual([]);
  });

  it.each<{ name: string; change: Partial<Climb>; problem: string }>([
    {
      name: 'a rollback',
      change: { followed: followed(ROLLED_BACK, []) },
      problem: 'v2 was not promoted: it was rolled-back (p50 is too high)',
    },
    {
      name: 'a promotion by a person',
      change: { followed: followed({ ...PROMOTED, by: 'ann' }, ADVANCES) },
      problem: 'v2 was promoted by ann, not by the engine',
    },
    {
      name: 'a step that was left out',
      change: { followed: followed(PROMOTED, ADVANCES.slice(1)) },
      problem: 'v2 climbed 2 steps instead of 3',
    },
    {
      name: 'worse answers',
      change: { measure: measure({ versions: { v1: versionOf(100, 2), v2: versionOf(100, 5) } }) },
      problem: 'v2 was no better than v1: 95.0 % against 98.0 %',
    },
    {
      name: 'a user who was sent back',
      change: { measure: measure({ moves: { 'v2>v1': 1 } }) },
      problem: '1 user went from v2 back to v1 during the climb',
    },
    {
      name: 'errors that users saw',
      change: { measure: measure({ errors: 3, problems: { '500 model.run_failed': 2, SocketError: 1 } }) },
      problem: 'users got 3 errors (2× 500 model.run_failed, 1× SocketError)',
    },
  ])('names $name', ({ change, problem }) => {
    expect(problemsOfClimb({ ...good, ...change })).toEqual([problem]);
  });

  it('asks for no better answers where that is not the story', () => {
    const same = measure({ versions: { v1: versionOf(100, 2), v2: versionOf(100, 2) } });
    expect(problemsOfClimb({ ...good, measure: same })).toHaveLength(1);
    expect(problemsOfClimb({ ...good, measure: same, mustBeBetter: false })).toEqual([]);
  });
});

const MODEL: Model = {
  name: 'm',
  createdAtMs: 0,
  champion: 'v1',
  terms: [{ version: 'v1', fromMs: 0, began: 'promotion' }],
  routing: DEFAULT_ROUTING,
  watch: DEFAULT_WATCH,
  rolloutCount: 1,
};

describe('problemsOfFall', () => {
  const good: Fall = {
    followed: followed(ROLLED_BACK, [decisionOf('begin'), decisionOf('roll-back', 'latency.p50')]),
    guards: ['latency', 'errors'],
    measure: measure(),
    model: MODEL,
  };

  it('finds none when the engine rolled back for the expected reason', () => {
    expect(problemsOfFall(good)).toEqual([]);
  });

  it.each<{ name: string; change: Partial<Fall>; problem: string }>([
    {
      name: 'a promotion',
      change: { followed: followed(PROMOTED, []) },
      problem: 'v2 was not rolled back: it was promoted (good)',
    },
    {
      name: 'another reason',
      change: { guards: ['health.mean-drift'] },
      problem: 'no guard of health.mean-drift fired, but latency.p50: p50 is too high',
    },
    {
      name: 'another champion',
      change: { model: { ...MODEL, champion: 'v2' } },
      problem: 'v2 is champion instead of v1',
    },
    {
      name: 'errors that users saw',
      change: { measure: measure({ errors: 1, problems: { 503: 1 } }) },
      problem: 'users got 1 error (1× 503)',
    },
  ])('names $name', ({ change, problem }) => {
    expect(problemsOfFall({ ...good, ...change })).toEqual([problem]);
  });
});

describe('problemsOfRelapse', () => {
  const good: Relapse = {
    model: { ...MODEL, lastRollback: { failed: 'v5', restored: 'v1', atMs: 5000, by: 'engine', reason: 'errors' } },
    failed: 'v5',
    restored: 'v1',
    measure: measure({ errors: 9, errorSpan: { firstMs: 4000, lastMs: 5100 } }),
  };

  it('finds none when the engine restored the last known good and errors ended', () => {
    expect(problemsOfRelapse(good)).toEqual([]);
  });

  it.each<{ name: string; change: Partial<Relapse>; problem: string }>([
    { name: 'a champion that stayed', change: { model: MODEL }, problem: 'v5 was not sent back; v1 is champion' },
    { name: 'another version in its place', change: { restored: 'v2' }, problem: 'v1 is champion instead of v2' },
    {
      name: 'errors that went on',
      change: { measure: measure({ errors: 9, errorSpan: { firstMs: 4000, lastMs: 6500 } }) },
      problem: 'users still got errors 1500 ms after the rollback',
    },
    {
      name: 'a rollback without an error',
      change: { measure: measure() },
      problem: 'v5 was sent back although no user got an error',
    },
  ])('names $name', ({ change, problem }) => {
    expect(problemsOfRelapse({ ...good, ...change })).toEqual([problem]);
  });
});
