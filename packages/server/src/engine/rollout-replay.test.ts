import { setImmediate } from 'node:timers/promises';
import type { ReplayView } from '@understudy/contract/views';
import { INTERVAL_MS } from '@understudy/core/evidence-pool';
import { BUILT_IN_PLANS, type Plan } from '@understudy/core/plan';
import { stepOf } from '@understudy/core/rollout';
import { DEFAULT_SEQUENTIAL } from '@understudy/core/sequential/config';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import { beforeEach, describe, expect, it } from 'vitest';
import { getRollout } from '../commands/queries.ts';
import { pauseRollout, resumeRollout, startRollout } from '../commands/rollouts.ts';
import { HUMAN, openTestWorld, type TestWorld, type Traffic } from '../commands/test-world.ts';
import type { Store, StoredEvidence } from '../storage/store.ts';
import { type Engine, type EngineLog, openEngine } from './rollout-engine.ts';

const MODEL = 'fraud';
const QUIET: EngineLog = { info: () => undefined, warn: () => undefined, error: () => undefined };
const STEPS: Plan['steps'] = [
  { trafficPercent: 25, holdMs: 20_000, minSamples: 100 },
  { trafficPercent: 50, holdMs: 0, minSamples: 100 },
  { trafficPercent: 75, holdMs: 0, minSamples: 100 },
  { trafficPercent: 100, holdMs: 0, minSamples: 0 },
];
const STANDARD: Plan = {
  name: 'mine',
  steps: STEPS,
  policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL },
  checkEveryMs: 1000,
  startCheck: 'warn',
};
const WINDOWS: Plan = {
  ...STANDARD,
  name: 'windows',
  policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS },
  checkEveryMs: 10_000,
};
const PAUSED_MS = 15_000;

let world: TestWorld;
let engine: Engine;
beforeEach(async () => {
  world = await openTestWorld();
  world.wait(INTERVAL_MS - (world.context.clock.nowMs() % INTERVAL_MS));
  engine = openEngine(world.context, QUIET);
});

const look = (): Promise<void> => world.letLook(engine);

async function start(plan: Plan): Promise<string> {
  for (let second = 0; second < 30; second += 1) {
    await world.report(['v1'], [{ version: 'v1', arm: 'champion', requests: 40, errors: second % 4 === 0 ? 1 : 0 }]);
    await look();
  }
  const { id } = await startRollout(world.context, HUMAN, { model: MODEL, challenger: 'v2', plan, reason: 'try' });
  await look();
  await world.report(['v1', 'v2'], []);
  await look();
  return id;
}

/** Seconds of 400 requests, split as the step says. */
async function serve(id: string, seconds: number, challenger: Partial<Traffic> = {}): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    const { state, plan } = await getRollout(world.context, id);
    if (!('step' in state) || state.phase === 'rolled-back') return;
    const at = { rollout: id, step: state.step };
    const share = (plan.steps[state.step]?.trafficPercent ?? 0) / 100;
    const [ours, theirs] = [Math.round(400 * share), Math.round(400 * (1 - share))];
    await world.report(
      ['v1', 'v2'],
      [
        { version: 'v1', arm: 'champion', requests: theirs, errors: second % 2, ...at },
        { version: 'v2', arm: 'challenger', requests: ours, errors: second % 2, ...at, ...challenger },
      ],
    );
    await look();
  }
}

/** A rollout that began, waited, was paused and resumed by a person, climbed, and was rolled back. */
async function eventful(plan: Plan): Promise<string> {
  const id = await start(plan);
  await serve(id, 12);
  await pauseRollout(world.context, HUMAN, { rollout: id, reason: 'lunch' });
  await serve(id, PAUSED_MS / 1000);
  await resumeRollout(world.context, HUMAN, { rollout: id, reason: 'back' });
  await climb(id);
  await serve(id, 3);
  await serve(id, 60, { errors: 20, latencyMs: 60 });
  return id;
}

/** Good traffic until the second step. */
async function climb(id: string): Promise<void> {
  for (let second = 0; second < 120 && stepOf((await getRollout(world.context, id)).state) === 0; second += 1) await serve(id, 1);
}

async function replay(id: string, other?: Plan): Promise<Extract<ReplayView, { outcome: 'replayed' }>> {
  const view = await engine.replay(await getRollout(world.context, id), other);
  if (view.outcome !== 'replayed') throw new Error(`could not replay: ${view.outcome}`);
  return view;
}

/** An engine on the same store, but for one row of evidence that reads differently. */
function tampered(change: (row: StoredEvidence) => StoredEvidence): Engine {
  const { store } = world;
  const evidence: typeof store.evidence = async (...query) => (await store.evidence(...query)).map(change);
  return openEngine({ ...world.context, store: { ...store, evidence } }, QUIET);
}

describe.each([{ plan: STANDARD }, { plan: WINDOWS }])('a replay with the policy $plan.policy.kind', ({ plan }) => {
  it('comes to every decision again, with the same numbers', async () => {
    const id = await eventful(plan);
    const { decisions, isFaithful } = await replay(id);
    const actions = decisions.map(({ action }) => action);
    expect(actions[0]).toBe('hold');
    expect(actions.filter((action) => action !== 'hold')).toEqual(['begin', 'advance', 'roll-back']);
    expect(decisions.filter(({ isSame }) => !isSame)).toEqual([]);
    expect(isFaithful).toBe(true);
  });

  it('comes to the same after a restart of the process that decided', async () => {
    const id = await start(plan);
    await serve(id, 15);
    engine = openEngine(world.context, QUIET);
    await serve(id, 30);
    expect((await replay(id)).isFaithful).toBe(true);
  });

  it('works on a rollout that goes on', async () => {
    const id = await start(plan);
    await serve(id, 8);
    expect(await replay(id)).toMatchObject({ isFaithful: true });
    await climb(id);
    expect((await replay(id)).decisions.map(({ action }) => action)).toContain('advance');
  });

  it.each([
    { name: 'one error more', change: (errors: number) => errors + 1 },
    { name: 'one error less', change: (errors: number) => errors - 1 },
  ])('notices $name in one row of evidence', async ({ change }) => {
    const id = await eventful(plan);
    const rows = await world.store.evidence('production', { afterCursor: 0, limit: 10_000 });
    const newest = rows.findLast(({ block }) => block.arm === 'challenger')?.cursor;
    const forged = tampered((row) => {
      const { tally } = row.block;
      const errors = change(tally.errors);
      return row.cursor === newest ? { ...row, block: { ...row.block, tally: { ...tally, errors } } } : row;
    });
    const view = await forged.replay(await getRollout(world.context, id), undefined);
    expect(view).toMatchObject({ outcome: 'replayed', isFaithful: false });
    const [last] = view.outcome === 'replayed' ? view.decisions.slice(-1) : [];
    expect(last).toMatchObject({ action: 'roll-back', isSame: false });
  });
});

describe('another plan', () => {
  it('takes a hold as made on the state it carries, although another control plane has moved on before it was stored', async () => {
    const id = await start(WINDOWS);
    const fast = engine;
    const store: Store = {
      ...world.store,
      async commit(commit) {
        const isOvertaken = commit.action === 'rollout.held' && commit.decision?.decision.verdict === 'healthy';
        if (isOvertaken) {
          world.wait(30_000);
          await fast.tick();
        }
        return world.store.commit(commit);
      },
    };
    engine = openEngine({ ...world.context, store }, QUIET);
    await serve(id, 5);
    const decisions = await world.store.decisions('production', id, 100);
    const advance = decisions.findLast(({ decision }) => decision.action === 'advance');
    const late = decisions.filter(({ decision, revision }) => {
      return decision.action === 'hold' && stepOf(decision.next) === 0 && revision > (advance?.revision ?? Infinity);
    });
    expect(late).toHaveLength(1);
    expect((await replay(id)).isFaithful).toBe(true);
  });

  it('is not told apart from itself', async () => {
    const id = await eventful(STANDARD);
    expect(await replay(id, STANDARD)).not.toHaveProperty('divergence');
  });

  it('that holds the step longer would have waited when this one climbed', async () => {
    const id = await eventful(STANDARD);
    const { decisions } = await replay(id);
    const advance = decisions.find(({ action }) => action === 'advance');
    const patient = { ...STANDARD, name: 'patient', steps: STEPS.map((step) => ({ ...step, holdMs: 3_600_000 })) };
    const { divergence, otherPlan } = await replay(id, patient);
    expect(otherPlan).toBe('patient');
    expect(divergence).toMatchObject({ atMs: advance?.atMs, recorded: 'advance', other: 'hold', verdict: 'healthy' });
  });

  it('that tolerates more would have gone on when this one rolled back', async () => {
    const id = await eventful(STANDARD);
    const { decisions } = await replay(id);
    const end = decisions.at(-1);
    const [begin, advance] = ['begin', 'advance'].map((action) => decisions.find((one) => one.action === action)?.atMs ?? 0);
    // A person's pause is no time of holding.
    const heldMs = (advance ?? 0) - (begin ?? 0) - PAUSED_MS;
    const lax: Plan = {
      ...STANDARD,
      policy: {
        kind: 'sequential',
        ...DEFAULT_SEQUENTIAL,
        guards: [
          {
            metric: 'errors',
            of: 'all',
            weight: 1,
            rollback: { ratio: 100, plus: 0.5 },
            promote: { ratio: 100, plus: 0.5 },
          },
        ],
      },
      // Its first step is left when the other's was: what differs is the end.
      steps: STEPS.map((step, index) => ({ ...step, ...(index === 0 ? { holdMs: heldMs } : { minSamples: 1_000_000 }) })),
    };
    const { divergence } = await replay(id, lax);
    expect(divergence).toMatchObject({ atMs: end?.atMs, recorded: 'roll-back', other: 'hold' });
  });

  it('that tolerates less would have rolled back earlier', async () => {
    const id = await start(STANDARD);
    await serve(id, 25, { latencyMs: 23 });
    const strict: Plan = {
      ...STANDARD,
      name: 'strict',
      policy: {
        kind: 'sequential',
        ...DEFAULT_SEQUENTIAL,
        guards: [{ metric: 'latency', quantile: 0.5, ratio: 1.05, weight: 1, ignoreBelowMs: 0 }],
      },
    };
    const { divergence } = await replay(id, strict);
    expect(divergence).toMatchObject({ recorded: 'hold', other: 'roll-back', verdict: 'harmful' });
    expect(divergence?.reason).toContain('p50 latency');
    expect(divergence?.challengerRequests).toBeGreaterThan(0);
  });

  it('may be of another policy', async () => {
    const id = await eventful(STANDARD);
    expect((await replay(id, WINDOWS)).divergence).toBeDefined();
  });
});

describe('evidence', () => {
  it('that was deleted since is named as the reason, instead of a difference', async () => {
    const id = await eventful(STANDARD);
    const { startedAtMs } = await getRollout(world.context, id);
    const keptSinceMs = startedAtMs + 20_000;
    await world.store.prune('production', { evidenceMs: keptSinceMs, feedbackMs: keptSinceMs, idempotencyMs: 0 });
    expect(await engine.replay(await getRollout(world.context, id), undefined)).toEqual({
      outcome: 'evidence-deleted',
      keptSinceMs,
    });
    await world.store.prune('production', { evidenceMs: Infinity, feedbackMs: Infinity, idempotencyMs: 0 });
    expect(await engine.replay(await getRollout(world.context, id), undefined)).toEqual({ outcome: 'evidence-deleted' });
  });

  it('is read for one rollout at a time', async () => {
    const id = await eventful(STANDARD);
    const rollout = await getRollout(world.context, id);
    const first = engine.replay(rollout, undefined);
    await expect(engine.evidenceOf(rollout)).rejects.toMatchObject({ code: 'request.overloaded' });
    await expect(first).resolves.toMatchObject({ isFaithful: true });
    await expect(engine.evidenceOf(rollout)).resolves.toHaveProperty('span');
  });

  it('is refused when it is more than a server can hold', async () => {
    const id = await eventful(STANDARD);
    const [row] = await world.store.evidence('production', { afterCursor: 0, limit: 1 });
    if (row === undefined) throw new Error('there is no evidence');
    const endless: TestWorld['store']['evidence'] = async (_, { afterCursor, limit }) =>
      Array.from({ length: limit }, (__, index) => ({ ...row, cursor: afterCursor + index + 1 }));
    const store = { ...world.store, evidence: endless };
    const view = await openEngine({ ...world.context, store }, QUIET).replay(await getRollout(world.context, id), undefined);
    expect(view).toEqual({ outcome: 'too-much-evidence', mostBlocks: 100_000 });
  });

  it('lets other work go on while it is read', async () => {
    const id = await eventful(STANDARD);
    let turns = 0;
    let isOver = false;
    const work = async (): Promise<void> => {
      for (; !isOver; turns += 1) await setImmediate();
    };
    const working = work();
    await replay(id, BUILT_IN_PLANS[0]);
    isOver = true;
    await working;
    const rows = (await world.store.evidence('production', { afterCursor: 0, limit: 10_000 })).length;
    expect(turns).toBeGreaterThan(rows / 100);
  });

  it('is added up for each arm and step', async () => {
    const id = await start(STANDARD);
    await serve(id, 10);
    const { arms, span } = await engine.evidenceOf(await getRollout(world.context, id));
    expect(arms.map(({ arm, step, tally }) => ({ arm, step, requests: tally.requests, errors: tally.errors }))).toEqual([
      { arm: 'challenger', step: 0, requests: 1000, errors: 5 },
      { arm: 'champion', step: 0, requests: 3000, errors: 5 },
    ]);
    expect((span?.untilMs ?? 0) - (span?.fromMs ?? 0)).toBe(10_000);
  });

  it('of a rollout without traffic is nothing', async () => {
    const id = await start(STANDARD);
    expect(await engine.evidenceOf(await getRollout(world.context, id))).toEqual({ arms: [] });
  });
});
