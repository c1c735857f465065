import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketOf } from './bucketing.ts';
import { isCopied, route, type RoutedRequest, subjectOf } from './routing.ts';
import type { SnapshotModel, SnapshotRollout, SnapshotShadow } from './snapshot.ts';
import type { RequestField, RoutingRule } from './targeting.ts';

fc.configureGlobal({ seed: 1 });

const user: RequestField = { from: 'header', name: 'x-user-id' };
const session: RequestField = { from: 'cookie', name: 'session' };
const staff = (serve: RoutingRule['serve']): RoutingRule => ({
  id: 'staff',
  all: [{ field: user, operator: 'starts-with', values: ['staff-'] }],
  serve,
});

interface Setting {
  readonly rollout?: Partial<SnapshotRollout> | undefined;
  readonly isKilled?: boolean;
  readonly rules?: readonly RoutingRule[];
}

function modelOf({ rollout = {}, isKilled = false, rules = [] }: Setting = {}): SnapshotModel {
  const live: SnapshotRollout = { id: 'fraud-1', challenger: 'v2', step: 0, boundary: 10_000, salt: 'fraud-1', ...rollout };
  const routing = { subject: [user, session], rules, deadlineMs: 5000 };
  return { name: 'fraud', champion: 'v1', rollout: live, isKilled, routing, versions: [] };
}

function requestOf(texts: { readonly user?: string; readonly session?: string }, random = 0.5): RoutedRequest {
  return { read: (field) => (field.from === 'header' ? texts.user : texts.session), random: () => random };
}

/** A request that may not be asked by chance. */
function certain(texts: { readonly user?: string; readonly session?: string }): RoutedRequest {
  return {
    ...requestOf(texts),
    random: () => {
      throw new Error('chance was asked although the request has a subject');
    },
  };
}

describe('route', () => {
  const all = { boundary: 100_000 };
  const rules = [staff('challenger')];
  const someone = { user: 'ann' };

  it.each([
    {
      name: 'before the first step',
      model: modelOf({ rollout: { step: -1, ...all } }),
      ready: true,
      arm: 'champion',
      reason: 'default',
    },
    {
      name: 'when killed',
      model: modelOf({ rollout: all, isKilled: true, rules }),
      ready: true,
      arm: 'champion',
      reason: 'killed',
    },
    {
      name: 'when killed and not ready',
      model: modelOf({ rollout: all, isKilled: true }),
      ready: false,
      arm: 'champion',
      reason: 'killed',
    },
    { name: 'when not ready', model: modelOf({ rollout: all, rules }), ready: false, arm: 'champion', reason: 'not-ready' },
    {
      name: 'by a rule, whatever the share',
      model: modelOf({ rollout: { boundary: 0 }, rules }),
      ready: true,
      arm: 'challenger',
      reason: 'rule',
    },
    {
      name: 'by a rule to the champion',
      model: modelOf({ rollout: all, rules: [staff('champion')] }),
      ready: true,
      arm: 'champion',
      reason: 'rule',
    },
    {
      name: 'by the split when no rule is met',
      model: modelOf({
        rollout: all,
        rules: [{ ...staff('champion'), all: [{ field: session, operator: 'present', values: [] }] }],
      }),
      ready: true,
      arm: 'challenger',
      reason: 'split',
    },
    { name: 'by the split at 0 %', model: modelOf({ rollout: { boundary: 0 } }), ready: true, arm: 'champion', reason: 'split' },
    { name: 'by the split at 100 %', model: modelOf({ rollout: all }), ready: true, arm: 'challenger', reason: 'split' },
  ] as const)('goes to the $arm $name', ({ model, ready, arm, reason }) => {
    expect(route(model, ready, certain({ user: 'staff-7' }))).toEqual({ arm, reason });
  });

  it('goes to the champion without a rollout', () => {
    const { rollout: _, ...model } = modelOf();
    expect(route(model, true, certain(someone))).toEqual({ arm: 'champion', reason: 'default' });
    expect(route({ ...model, isKilled: true }, false, certain(someone)).arm).toBe('champion');
  });

  it.each([
    { random: 0, arm: 'challenger' },
    { random: 0.099_99, arm: 'challenger' },
    { random: 0.1, arm: 'champion' },
    { random: 0.999_999, arm: 'champion' },
  ])('goes to the $arm by chance ($random) at 10 % without a subject', ({ random, arm }) => {
    expect(route(modelOf(), true, requestOf({}, random))).toEqual({ arm, reason: 'random' });
    expect(route(modelOf(), true, requestOf({ user: '', session: '' }, random))).toEqual({ arm, reason: 'random' });
  });

  it('leaves nothing to chance at 0 % and at 100 %', () => {
    expect(route(modelOf({ rollout: { boundary: 0 } }), true, requestOf({}, 0)).arm).toBe('champion');
    expect(route(modelOf({ rollout: all }), true, requestOf({}, 1 - Number.EPSILON)).arm).toBe('challenger');
  });

  const subject = fc.string({ unit: 'binary', minLength: 1 });
  const boundary = fc.nat(100_000);

  it('is decided by the bucket of the subject under the salt of the rollout', () => {
    fc.assert(
      fc.property(subject, subject, boundary, (salt, name, edge) => {
        const arm = bucketOf(salt, name) < edge ? 'challenger' : 'champion';
        expect(route(modelOf({ rollout: { boundary: edge, salt } }), true, certain({ user: name }))).toEqual({
          arm,
          reason: 'split',
        });
      }),
    );
  });

  it('counts the bucket at the boundary as beyond it', () => {
    const bucket = bucketOf('fraud-1', 'ann');
    const at = (edge: number) => route(modelOf({ rollout: { boundary: edge } }), true, certain({ user: 'ann' })).arm;
    expect([at(bucket), at(bucket + 1)]).toEqual(['champion', 'challenger']);
  });

  it('is sticky: the same subject gets the same arm on every step of the same share', () => {
    fc.assert(
      fc.property(subject, boundary, fc.nat(9), (name, edge, step) => {
        const first = route(modelOf({ rollout: { boundary: edge } }), true, certain({ user: name }));
        expect(route(modelOf({ rollout: { boundary: edge, step, id: 'fraud-2' } }), true, certain({ session: name }))).toEqual(
          first,
        );
      }),
    );
  });

  it('never takes a subject off the challenger when the share grows', () => {
    fc.assert(
      fc.property(subject, boundary, boundary, (name, a, b) => {
        const at = (edge: number) => route(modelOf({ rollout: { boundary: edge } }), true, certain({ user: name })).arm;
        if (at(Math.min(a, b)) === 'challenger') expect(at(Math.max(a, b))).toBe('challenger');
      }),
    );
  });
});

describe('subjectOf', () => {
  it.each([
    { name: 'the first field', texts: { user: 'ann', session: 's1' }, subject: 'ann' },
    { name: 'the next one when the first is absent', texts: { session: 's1' }, subject: 's1' },
    { name: 'the next one when the first is empty', texts: { user: '', session: 's1' }, subject: 's1' },
    { name: 'nobody when all are absent', texts: {}, subject: undefined },
    { name: 'a text of spaces as it is', texts: { user: ' ' }, subject: ' ' },
  ])('is $name', ({ texts, subject }) => {
    expect(subjectOf([user, session], requestOf(texts))).toBe(subject);
  });

  it('is nobody without fields', () => {
    expect(subjectOf([], requestOf({ user: 'ann' }))).toBeUndefined();
  });
});

describe('a shadow', () => {
  const shadow: SnapshotShadow = {
    version: 'v2',
    boundary: 10_000,
    salt: 'fraud-1',
    rules: [],
    lines: [],
    comparison: { absolute: 0, relative: 0, keepRequests: false, redact: [] },
  };

  it('copies the requests of exactly the subjects who get the challenger at the same share', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.nat(100_000), (name, boundary) => {
        const asked = certain({ user: name });
        const isServed = route(modelOf({ rollout: { boundary } }), true, asked).arm === 'challenger';
        expect(isCopied({ ...shadow, boundary }, [user, session], asked)).toBe(isServed);
      }),
    );
  });

  it.each([
    { name: 'a rule that includes', rules: [staff('challenger')], boundary: 0, expected: true },
    { name: 'a rule that leaves out', rules: [staff('champion')], boundary: 100_000, expected: false },
  ])('follows $name before the share', ({ rules, boundary, expected }) => {
    expect(isCopied({ ...shadow, rules, boundary }, [user], certain({ user: 'staff-ann' }))).toBe(expected);
  });

  it('leaves everybody to the champion while its rollout stands on it, whatever rules say', () => {
    const model = {
      ...modelOf({ rollout: { boundary: 0 }, rules: [staff('challenger')] }),
      shadow: { ...shadow, rollout: 'fraud-1', step: 0 },
    };
    expect(route(model, true, certain({ user: 'staff-ann' }))).toEqual({ arm: 'champion', reason: 'default' });
  });
});
