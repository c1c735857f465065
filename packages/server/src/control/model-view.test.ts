import { DEFAULT_ROUTING, DEFAULT_WATCH, type Model } from '@understudy/core/model';
import { BUILT_IN_PLANS } from '@understudy/core/plan';
import type { Rollout, RolloutState } from '@understudy/core/rollout';
import { describe, expect, it } from 'vitest';
import { challengerPercentOf } from './model-view.ts';

const model: Model = {
  name: 'fraud',
  createdAtMs: 0,
  champion: 'v1',
  terms: [],
  routing: DEFAULT_ROUTING,
  watch: DEFAULT_WATCH,
  rolloutCount: 1,
};

function rolloutIn(state: RolloutState): Rollout {
  const [plan] = BUILT_IN_PLANS;
  if (plan === undefined) throw new Error('there are no plans');
  return {
    id: 'fraud-1',
    model: 'fraud',
    champion: 'v1',
    challenger: 'v2',
    plan,
    salt: 's',
    startedAtMs: 0,
    startedBy: 'x',
    state,
  };
}

const act = { atMs: 0, by: 'x', reason: 'r' };

describe('the share on the challenger', () => {
  it.each<{ readonly name: string; readonly state: RolloutState; readonly percent: number }>([
    { name: 'before the first step', state: { phase: 'preparing', sinceMs: 0 }, percent: 0 },
    { name: 'on the second step', state: { phase: 'stepping', step: 1, sinceMs: 0 }, percent: 25 },
    { name: 'while paused', state: { phase: 'paused', step: 2, heldMs: 0, ...act }, percent: 50 },
    { name: 'after a rollback', state: { phase: 'rolled-back', step: 2, ...act }, percent: 0 },
  ])('is $percent % $name', ({ state, percent }) => {
    expect(challengerPercentOf(model, rolloutIn(state))).toBe(percent);
  });

  it('is 0 % without a rollout, and while the model is killed', () => {
    expect(challengerPercentOf(model, undefined)).toBe(0);
    const stepping = rolloutIn({ phase: 'stepping', step: 1, sinceMs: 0 });
    expect(challengerPercentOf({ ...model, killed: act }, stepping)).toBe(0);
  });
});
