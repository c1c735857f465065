import { INTERVAL_MS } from '@understudy/core/evidence-pool';
import type { Plan } from '@understudy/core/plan';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import { beforeEach, describe, expect, it } from 'vitest';
import { applyDecision } from '../commands/decisions.ts';
import { resumeTheLine, saveFreeze, stopTheLine } from '../commands/freezes.ts';
import { killModel, promoteVersion, rollBackModel } from '../commands/models.ts';
import { getModel, getRollout, holdRollout } from '../commands/queries.ts';
import {
  abortRollout,
  approveRollout,
  pauseRollout,
  promoteRollout,
  resumeRollout,
  rollBackRollout,
  startRollout,
} from '../commands/rollouts.ts';
import { HUMAN, openTestWorld, type TestWorld, type Traffic } from '../commands/test-world.ts';
import { openNotedHolds } from './noted-holds.ts';
import { type Engine, openEngine } from './rollout-engine.ts';

const MODEL = 'fraud';
const QUIET = { info: () => undefined, warn: () => undefined, error: () => undefined };
const BO = { actor: 'token:bo' } as const;
const WHY = { reason: 'incident' } as const;
const PLAN: Plan = {
  name: 'test',
  steps: [
    { trafficPercent: 10, holdMs: 0, minSamples: 60 },
    { trafficPercent: 50, holdMs: 0, minSamples: 60 },
    { trafficPercent: 100, holdMs: 0, minSamples: 0 },
  ],
  policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS },
  checkEveryMs: 10_000,
  startCheck: 'warn',
};
const [FIRST, SECOND, LAST] = PLAN.steps;
if (FIRST === undefined || SECOND === undefined || LAST === undefined) throw new Error('the plan has three steps');
const FOUR_EYES: Plan = { ...PLAN, steps: [FIRST, { ...SECOND, approval: { by: 1, fourEyes: true } }, LAST] };

let world: TestWorld;
let engine: Engine;
beforeEach(async () => {
  world = await openTestWorld();
  world.wait(INTERVAL_MS - (world.context.clock.nowMs() % INTERVAL_MS));
  engine = openEngine(world.context, QUIET);
});

async function start(plan = PLAN): Promise<string> {
  const { id } = await startRollout(world.context, HUMAN, { model: MODEL, challenger: 'v2', plan, reason: 'try' });
  await world.report(['v1', 'v2'], []);
  await look();
  return id;
}

const look = (): Promise<void> => world.letLook(engine);

async function check(id: string, challenger: Partial<Traffic> = {}): Promise<void> {
  const { state } = await getRollout(world.context, id);
  const at = { rollout: id, step: 'step' in state ? Math.max(0, state.step) : 0 };
  world.wait(10_000 - INTERVAL_MS);
  await world.report(
    ['v1', 'v2'],
    [
      { version: 'v1', arm: 'champion', requests: 500, ...at },
      { version: 'v2', arm: 'challenger', requests: 70, ...at, ...challenger },
    ],
  );
  await look();
}

async function phase(id: string): Promise<string> {
  const { state } = await getRollout(world.context, id);
  return state.phase === 'stepping' ? `step ${state.step + 1}` : state.phase;
}

async function actions(): Promise<readonly string[]> {
  const entries = await world.store.journal('production', { order: 'oldest-first', limit: 100 });
  return entries.map(({ action }) => action).filter((action) => action.startsWith('rollout.'));
}

async function newestReason(id: string): Promise<string | undefined> {
  return (await world.store.decisions('production', id, 1))[0]?.decision.reason;
}

describe('the stopped line', () => {
  it('keeps a rollout from beginning, climbing and being promoted, until it is resumed', async () => {
    await stopTheLine(world.context, HUMAN, WHY);
    const id = await start();
    expect(await phase(id)).toBe('preparing');
    expect(await newestReason(id)).toMatch(
      /^frozen until the line is resumed: token:ana stopped the line: incident; then: v2 is loaded/,
    );
    await resumeTheLine(world.context, HUMAN, { reason: 'over' });
    await look();
    expect(await phase(id)).toBe('step 1');
    await stopTheLine(world.context, HUMAN, WHY);
    await check(id);
    await check(id);
    expect(await phase(id)).toBe('step 1');
    await resumeTheLine(world.context, HUMAN, { reason: 'over' });
    await check(id);
    expect(await phase(id)).toBe('step 2');
    await check(id);
    expect(await phase(id)).toBe('promoted');
    expect(await actions()).toEqual([
      'rollout.started',
      'rollout.frozen',
      'rollout.began',
      'rollout.frozen',
      'rollout.advanced',
      'rollout.promoted',
    ]);
  });

  it('is not written down again by a process that has just started', async () => {
    const id = await start();
    await stopTheLine(world.context, HUMAN, WHY);
    await check(id);
    const before = await actions();
    engine = openEngine(world.context, QUIET);
    await check(id);
    expect(await actions()).toEqual(before);
    expect(before.at(-1)).toBe('rollout.frozen');
  });

  it.each([
    { name: 'the engine', act: async (id: string) => check(id, { errors: 60 }), ends: 'rolled-back' },
    {
      name: 'a person',
      act: async (id: string) => rollBackRollout(world.context, HUMAN, { rollout: id, ...WHY }),
      ends: 'rolled-back',
    },
    { name: 'an abort', act: async (id: string) => abortRollout(world.context, HUMAN, { rollout: id, ...WHY }), ends: 'aborted' },
    { name: 'a kill', act: async () => killModel(world.context, HUMAN, { model: MODEL, ...WHY }), ends: 'killed' },
  ])('never keeps everybody from going back: $name', async ({ act, ends }) => {
    const id = await start();
    await stopTheLine(world.context, HUMAN, WHY);
    await act(id);
    expect(await phase(id)).toBe(ends);
    expect((await getModel(world.context, MODEL)).champion).toBe('v1');
  });

  it('never keeps a champion from being rolled back', async () => {
    await promoteVersion(world.context, HUMAN, { model: MODEL, version: 'v2', ...WHY });
    await stopTheLine(world.context, HUMAN, WHY);
    await rollBackModel(world.context, HUMAN, { model: MODEL, version: 'v2', ...WHY });
    expect((await getModel(world.context, MODEL)).champion).toBe('v1');
  });

  it('refuses promotions by hand, unless somebody says why not', async () => {
    const id = await start();
    await stopTheLine(world.context, HUMAN, WHY);
    const wish = { rollout: id, reason: 'urgent' };
    await expect(promoteRollout(world.context, HUMAN, wish)).rejects.toMatchObject({ code: 'freeze.active' });
    await expect(promoteVersion(world.context, HUMAN, { model: MODEL, version: 'v3', reason: 'x' })).rejects.toThrow();
    await promoteRollout(world.context, HUMAN, { ...wish, overrideFreeze: true });
    const [entry] = await world.store.journal('production', { order: 'newest-first', limit: 1 });
    expect(entry).toMatchObject({
      action: 'rollout.promoted',
      reason: 'urgent (although frozen until the line is resumed: token:ana stopped the line: incident)',
    });
  });

  it('is passed once by a person who says so, and the journal says who and why', async () => {
    const id = await start();
    await stopTheLine(world.context, HUMAN, WHY);
    await check(id);
    await engine.step(id, { ...BO, skipHold: false, overrideFreeze: true, reason: 'the fix cannot wait' });
    expect(await phase(id)).toBe('step 2');
    expect(await newestReason(id)).toContain(
      'token:bo did not wait (the fix cannot wait), although frozen until the line is resumed',
    );
    await check(id);
    expect(await phase(id)).toBe('step 2');
  });
});

it('beats a promotion that was decided before it: what is acknowledged as frozen never moves', async () => {
  const id = await start();
  await check(id);
  expect(await phase(id)).toBe('step 2');
  const { store } = world;
  let isStopped = false;
  // Somebody stops the line after the engine has decided and before it commits.
  const late: TestWorld['context'] = {
    ...world.context,
    store: {
      ...store,
      commit: async (commit) => {
        if (commit.action === 'rollout.promoted' && !isStopped) {
          isStopped = true;
          await stopTheLine(world.context, HUMAN, WHY);
        }
        return store.commit(commit);
      },
    },
  };
  engine = openEngine(late, QUIET);
  await check(id);
  expect(isStopped).toBe(true);
  expect(await phase(id)).toBe('step 2');
});

it('a window freezes the models that it names, for as long as it says', async () => {
  const id = await start();
  const fromMs = world.context.clock.nowMs();
  const times = { kind: 'dates', fromMs, untilMs: fromMs + 60_000 } as const;
  await saveFreeze(world.context, HUMAN, { name: 'other', models: ['churn'], times, reason: 'audit' });
  await saveFreeze(world.context, HUMAN, { name: 'launch', models: [MODEL], times, reason: 'product launch' });
  await check(id);
  expect(await phase(id)).toBe('step 1');
  expect(await newestReason(id)).toContain('frozen by "launch" until 1970-01-01T00:17Z: product launch');
  world.wait(60_000);
  await check(id);
  expect(await phase(id)).toBe('step 2');
});

it('writes a waiting down also when somebody else changed the rollout at that moment', async () => {
  const id = await start(FOUR_EYES);
  await check(id);
  const { store } = world;
  let isChanged = false;
  const late: TestWorld['context'] = {
    ...world.context,
    store: {
      ...store,
      commit: async (commit) => {
        if (commit.action === 'rollout.waits-for-approval' && !isChanged) {
          isChanged = true;
          await pauseRollout(world.context, HUMAN, { rollout: id, reason: 'lunch' });
          await resumeRollout(world.context, HUMAN, { rollout: id, reason: 'back' });
        }
        return store.commit(commit);
      },
    },
  };
  engine = openEngine(late, QUIET);
  await check(id);
  expect(isChanged).toBe(true);
  expect((await actions()).slice(-3)).toEqual(['rollout.paused', 'rollout.resumed', 'rollout.waits-for-approval']);
});

describe('approvals', () => {
  it('are waited for, from somebody else, and count for one step', async () => {
    const id = await start(FOUR_EYES);
    await check(id);
    expect(await phase(id)).toBe('step 2');
    await check(id);
    await check(id);
    expect(await phase(id)).toBe('step 2');
    expect((await actions()).filter((action) => action === 'rollout.waits-for-approval')).toHaveLength(1);
    const yes = { rollout: id, reason: 'looks right' };
    await expect(approveRollout(world.context, HUMAN, yes)).rejects.toMatchObject({ code: 'rollout.approval_refused' });
    await expect(promoteRollout(world.context, HUMAN, yes)).rejects.toMatchObject({ code: 'rollout.approval_missing' });
    expect(await approveRollout(world.context, BO, yes)).toMatchObject({ outcome: 'done', message: 'approved by token:bo' });
    expect(await approveRollout(world.context, BO, yes)).toMatchObject({ outcome: 'already-done' });
    await check(id);
    expect(await phase(id)).toBe('promoted');
  });

  it('override no guard', async () => {
    const id = await start(FOUR_EYES);
    await check(id);
    await approveRollout(world.context, BO, { rollout: id, reason: 'looks right' });
    await check(id, { errors: 60 });
    expect(await phase(id)).toBe('rolled-back');
  });

  it('leave a replay as it was: every decision again, and no difference to the same plan', async () => {
    const id = await start(FOUR_EYES);
    for (let round = 0; round < 4; round += 1) await check(id);
    await approveRollout(world.context, BO, { rollout: id, reason: 'looks right' });
    await check(id);
    const rollout = await getRollout(world.context, id);
    expect(rollout.state.phase).toBe('promoted');
    const replayed = await engine.replay(rollout, rollout.plan);
    expect(replayed).toMatchObject({ outcome: 'replayed', isFaithful: true });
    expect(replayed).not.toHaveProperty('divergence');
  });
});

it('tells people once that it waits for them, while guards come and go', async () => {
  const id = await start(FOUR_EYES);
  const told: boolean[] = [];
  const holds = openNotedHolds(world.context);
  const waiting = { action: 'hold', verdict: 'healthy', reason: 'r', guards: [], heldFor: 'approval', would: 'advance' } as const;
  const flapping = { action: 'hold', verdict: 'undecided', reason: 'r', guards: [] } as const;
  for (const [window, decision] of [waiting, flapping, waiting, flapping, waiting].entries()) {
    if (window === 4) world.wait(12 * 3_600_000);
    const rollout = await holdRollout(world.context, id);
    const hold = { ...decision, next: rollout.body.state };
    const atMs = world.context.clock.nowMs();
    expect(await holds.isNew(id, hold)).toBe(true);
    const isTold = await holds.wasTold(id, hold, atMs);
    told.push(isTold);
    await applyDecision(world.context, HUMAN, { rollout, decision: hold, window: -100 - window, atMs, isTold });
    holds.note(id, hold);
  }
  expect(told).toEqual([false, false, true, false, false]);
  expect((await actions()).slice(-5)).toEqual([
    'rollout.waits-for-approval',
    'rollout.held',
    'rollout.held',
    'rollout.held',
    'rollout.waits-for-approval',
  ]);
});

it('a dry run says what it would do and does not do it', async () => {
  const id = await start({ ...PLAN, dryRun: true });
  expect(await phase(id)).toBe('step 1');
  await check(id);
  expect(await newestReason(id)).toMatch(/^dry run, it would advance: from 10 % to 50 %/);
  await check(id, { errors: 60 });
  expect(await phase(id)).toBe('step 1');
  expect(await newestReason(id)).toMatch(/^dry run, it would roll-back|^dry run, it would roll back/);
  expect((await actions()).filter((action) => action === 'rollout.would-act')).toHaveLength(2);
});
