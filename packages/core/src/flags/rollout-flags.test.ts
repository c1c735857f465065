import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_ROUTING, DEFAULT_WATCH, type Model } from '../model.ts';
import { BUILT_IN_PLANS, type Plan } from '../plan.ts';
import { boundaryOfRollout, type Rollout, type RolloutState, stepOf } from '../rollout.ts';
import { route } from '../routing.ts';
import type { RequestField, RoutingRule } from '../targeting.ts';
import { compileFlags } from './evaluator.ts';
import { flagsOfRollout } from './rollout-flags.ts';

fc.configureGlobal({ seed: 1 });

const header: RequestField = { from: 'header', name: 'x-user-id' };
const region: RequestField = { from: 'json', path: 'user.region' };

const RULES: readonly RoutingRule[] = [
  { id: 'staff', all: [{ field: header, operator: 'starts-with', values: ['staff-'] }], serve: 'challenger' },
  {
    id: 'not-eu',
    all: [
      { field: region, operator: 'not-in', values: ['eu', 'uk'] },
      { field: region, operator: 'present', values: [] },
    ],
    serve: 'champion',
  },
];

function modelOf(fields: Partial<Model> = {}, rules: readonly RoutingRule[] = []): Model {
  const routing = { ...DEFAULT_ROUTING, subject: [header], rules };
  const watch = DEFAULT_WATCH;
  return { name: 'fraud', createdAtMs: 0, champion: 'v1', terms: [], routing, watch, rolloutCount: 1, ...fields };
}

function rolloutOf(state: RolloutState): Rollout {
  const [, plan] = BUILT_IN_PLANS as readonly [Plan, Plan];
  return {
    id: 'fraud-1',
    model: 'fraud',
    champion: 'v1',
    challenger: 'v2',
    plan,
    salt: 's',
    startedAtMs: 0,
    startedBy: 'a',
    state,
  };
}

const none = { atMs: 0, random: () => 0.5 };
const ports = { compileRegex: () => undefined };
const act = { atMs: 0, by: 'a', reason: 'r' };

describe('flagsOfRollout', () => {
  it('gives every subject the version that the gateway gives it, and the derived boolean agrees', () => {
    const states = fc.constantFrom<RolloutState>(
      { phase: 'preparing', sinceMs: 0 },
      { phase: 'stepping', step: 0, sinceMs: 0 },
      { phase: 'stepping', step: 2, sinceMs: 0 },
      { phase: 'paused', step: 1, heldMs: 0, ...act },
    );
    const subject = fc.oneof(
      fc.string({ minLength: 1, unit: 'binary' }),
      fc.nat().map((id) => `staff-${id}`),
    );
    const regions = fc.constantFrom('eu', 'us', undefined);
    fc.assert(
      fc.property(fc.tuple(states, fc.boolean()), subject, regions, ([state, isKilled], key, here) => {
        const model = modelOf(isKilled ? { killed: act } : {}, RULES);
        const rollout = rolloutOf(state);
        const { flags } = flagsOfRollout(model, rollout);
        const evaluator = compileFlags({ flags, segments: [] }, ports);
        const context = { user: { key, ...(here === undefined ? {} : { user: { region: here } }) } };
        const seat = { id: 'fraud-1', challenger: 'v2', salt: 's', step: stepOf(state), boundary: boundaryOfRollout(rollout) };
        const snapshot = { name: 'fraud', champion: 'v1', rollout: seat, isKilled, routing: model.routing, versions: [] };
        const request = { read: (field: RequestField) => (field.from === 'header' ? key : here), random: () => 0.5 };
        const arm = route(snapshot, true, request).arm;
        expect(evaluator.evaluate('fraud-version', context, none).value).toBe(arm === 'challenger' ? 'v2' : 'v1');
        expect(evaluator.evaluate('fraud-v2', context, none).value).toBe(arm === 'challenger');
        expect(evaluator.problems).toEqual([]);
      }),
    );
  });

  it.each<{ name: string; model: Model; rollout?: Rollout; versions: unknown; derived: unknown }>([
    { name: 'without a rollout', model: modelOf(), versions: 'v1', derived: undefined },
    {
      name: 'after a promotion',
      model: modelOf({ champion: 'v2' }),
      rollout: rolloutOf({ phase: 'promoted', ...act }),
      versions: 'v2',
      derived: true,
    },
    {
      name: 'after a rollback',
      model: modelOf(),
      rollout: rolloutOf({ phase: 'rolled-back', step: 1, ...act }),
      versions: 'v1',
      derived: false,
    },
  ])('puts everybody on the champion $name', ({ model, rollout, versions, derived }) => {
    const { flags } = flagsOfRollout(model, rollout);
    const evaluator = compileFlags({ flags, segments: [] }, ports);
    for (let id = 0; id < 100; id += 1) {
      const context = { user: { key: `user-${id}` } };
      expect(evaluator.evaluate('fraud-version', context, none).value).toBe(versions);
      expect(evaluator.evaluate('fraud-v2', context, none).value).toBe(derived);
    }
  });

  it('has no flags before the first champion', () => {
    const { champion: _champion, ...model } = modelOf();
    expect(flagsOfRollout(model).flags).toEqual([]);
  });

  it('says which rules read what flag SDKs do not send', () => {
    const rules: RoutingRule[] = [
      { id: 'beta', all: [{ field: { from: 'cookie', name: 'beta' }, operator: 'in', values: ['1'] }], serve: 'challenger' },
    ];
    const { losses } = flagsOfRollout(modelOf({}, rules), rolloutOf({ phase: 'stepping', step: 0, sinceMs: 0 }));
    expect(losses).toEqual([
      {
        about: 'fraud-version',
        sentence:
          'The rule "beta" reads "beta" of the request, which flag SDKs do not send: ' +
          'a context must carry it as an attribute of the kind "request".',
      },
    ]);
  });
});
