import { DEFAULT_ROUTING, DEFAULT_WATCH, type Model } from '@understudy/core/model';
import { BUILT_IN_PLANS } from '@understudy/core/plan';
import type { Rollout, RolloutState } from '@understudy/core/rollout';
import { describe, expect, it } from 'vitest';
import { readRolloutHash, rolloutHashesOf } from './rollout-hash.ts';

const MODEL: Model = {
  name: 'fraud',
  createdAtMs: 0,
  champion: 'v1',
  terms: [],
  routing: DEFAULT_ROUTING,
  watch: DEFAULT_WATCH,
  rolloutCount: 0,
};
const [PLAN] = BUILT_IN_PLANS;
if (PLAN === undefined) throw new Error('there is no plan');
const ended = { step: 1, atMs: 9, by: 'x', reason: 'y' };

function rolloutIn(state: RolloutState, extra: Partial<Rollout> = {}): Rollout {
  if (PLAN === undefined) throw new Error('there is no plan');
  const base = {
    id: 'fraud-1',
    model: 'fraud',
    champion: 'v1',
    challenger: 'v2',
    plan: PLAN,
    salt: 's',
    startedAtMs: 1,
    startedBy: 'ada',
  };
  return { ...base, state, ...extra };
}

describe('a model as a hash', () => {
  const of = (model: Partial<Model>, rollouts: readonly Rollout[]) =>
    rolloutHashesOf({ models: [{ ...MODEL, ...model }], rollouts }).get('fraud');
  const rows: readonly { name: string; model?: Partial<Model>; states: readonly RolloutState[]; expected: object | undefined }[] =
    [
      { name: 'no rollout yet', states: [], expected: { champion: 'v1', challenger: '', percentage: 0, status: 'promoted' } },
      {
        name: 'getting ready',
        states: [{ phase: 'preparing', sinceMs: 1 }],
        expected: { champion: 'v1', challenger: 'v2', percentage: 0, status: 'active' },
      },
      {
        name: 'on a step',
        states: [{ phase: 'stepping', step: 1, sinceMs: 1 }],
        expected: { champion: 'v1', challenger: 'v2', percentage: 25, status: 'active' },
      },
      {
        name: 'paused, where the share stays',
        states: [{ phase: 'paused', step: 0, heldMs: 1, atMs: 1, by: 'x', reason: 'y' }],
        expected: { champion: 'v1', challenger: 'v2', percentage: 10, status: 'active' },
      },
      {
        name: 'the kill switch',
        model: { killed: { atMs: 1, by: 'x', reason: 'y' } },
        states: [{ phase: 'stepping', step: 1, sinceMs: 1 }],
        expected: { champion: 'v1', challenger: 'v2', percentage: 0, status: 'paused' },
      },
      {
        name: 'promoted',
        model: { champion: 'v2' },
        states: [{ phase: 'promoted', atMs: 1, by: 'x', reason: 'y' }],
        expected: { champion: 'v2', challenger: '', percentage: 0, status: 'promoted' },
      },
      {
        name: 'rolled back',
        states: [{ phase: 'rolled-back', ...ended }],
        expected: { champion: 'v1', challenger: 'v2', percentage: 0, status: 'rolled_back' },
      },
      {
        name: 'aborted',
        states: [{ phase: 'aborted', ...ended }],
        expected: { champion: 'v1', challenger: 'v2', percentage: 0, status: 'rolled_back' },
      },
      {
        name: 'no champion',
        model: { champion: 'v1' },
        states: [],
        expected: { champion: 'v1', challenger: '', percentage: 0, status: 'promoted' },
      },
    ];
  it.each(rows)('$name', ({ model = {}, states, expected }) => {
    expect(
      of(
        model,
        states.map((state) => rolloutIn(state)),
      ),
    ).toEqual(expected);
  });

  it('leaves a model without champion out, and takes the newest rollout', () => {
    const { champion: _, ...without } = MODEL;
    expect(rolloutHashesOf({ models: [without], rollouts: [] }).size).toBe(0);
    const older = rolloutIn({ phase: 'rolled-back', ...ended }, { id: 'fraud-1', startedAtMs: 1 });
    const newer = rolloutIn({ phase: 'promoted', atMs: 2, by: 'x', reason: 'y' }, { id: 'fraud-2', startedAtMs: 2 });
    expect(of({}, [older, newer])?.status).toBe('promoted');
    expect(of({}, [newer, older])?.status).toBe('promoted');
  });
});

describe('reading a hash', () => {
  const good = { champion: 'model_v1', challenger: 'model_v2', percentage: '10', status: 'active' };
  const read = (fields: Record<string, string>, name = 'prediction_model') =>
    readRolloutHash(name, new Map(Object.entries(fields)));

  it('takes what the article writes', () => {
    const hash = { ...good, percentage: 10 };
    expect(read(good)).toEqual({ outcome: 'read', hash, unknownFields: [] });
    expect(read({ ...good, owner: 'ada' })).toEqual({ outcome: 'read', hash, unknownFields: ['owner'] });
    expect(read({ ...good, challenger: '', percentage: '0', status: 'promoted' })).toMatchObject({ hash: { challenger: '' } });
  });

  it.each([
    { name: 'a missing champion', fields: { percentage: '1', status: 'active' }, problem: 'champion' },
    { name: 'a percentage that is no number', fields: { ...good, percentage: 'ten' }, problem: 'percentage' },
    { name: 'a percentage above 100', fields: { ...good, percentage: '101' }, problem: 'percentage' },
    { name: 'an unknown status', fields: { ...good, status: 'done' }, problem: 'status' },
    { name: 'a version that cannot be named so', fields: { ...good, champion: 'a b' }, problem: 'champion' },
  ])('says what is wrong with $name', ({ fields, problem }) => {
    expect(read(fields)).toEqual({ outcome: 'unusable', problem: expect.stringContaining(problem) });
  });

  it('says when its name cannot be that of a model', () => {
    expect(read(good, 'a/b')).toMatchObject({ outcome: 'unusable', problem: expect.stringContaining('name') });
  });
});
