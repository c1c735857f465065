import { AppError } from '@understudy/core/errors';
import type { Flag } from '@understudy/core/flags/flag';
import { BUILT_IN_PLANS } from '@understudy/core/plan';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyDecision } from '../commands/decisions.ts';
import { rollBackRollout, startRollout } from '../commands/rollouts.ts';
import { create, holdRollout, replace } from '../commands/queries.ts';
import { HUMAN, openTestWorld, type TestWorld } from '../commands/test-world.ts';
import { createToken } from '../commands/tokens.ts';
import { compileRegex } from '../regex.ts';
import { withDocumentCache } from '../storage/document-cache.ts';
import type { Store } from '../storage/store.ts';
import { type CompiledFlags, type FlagFeed, openFlagFeed } from './flag-feed.ts';

const [PLAN] = BUILT_IN_PLANS;
const FLAG: Flag = {
  key: 'checkout',
  type: 'boolean',
  on: true,
  offVariant: 'off',
  variants: [
    { name: 'on', value: true },
    { name: 'off', value: false },
  ],
  prerequisites: [],
  pins: [],
  rules: [],
  fallthrough: { variant: 'on' },
  bucketing: { profile: 'unleash', salt: 'checkout' },
};

let world: TestWorld;
let feed: FlagFeed;
let seen: CompiledFlags[];
let timers: { dueInMs: number; run: () => void }[];

const log = { warn: (): void => {}, error: (): void => {} };

function openFeed(context = world.context): Promise<FlagFeed> {
  const after = (dueInMs: number, run: () => void): (() => void) => {
    const timer = { dueInMs, run };
    timers.push(timer);
    return () => void (timers = timers.filter((other) => other !== timer));
  };
  return openFlagFeed({ ...context, compileRegex, timers: { after }, log });
}

beforeEach(async () => {
  world = await openTestWorld();
  seen = [];
  timers = [];
  feed = await openFeed();
  feed.onChange((state) => seen.push(state));
});

afterEach(() => feed.close());

async function addFlag(flag: Flag): Promise<void> {
  const writes = [create('flag', flag.key, flag)];
  const atMs = world.context.clock.nowMs();
  await world.store.commit({ environment: 'production', writes, actor: 'test', action: 'flag.created', reason: 'test', atMs });
  await feed.refresh();
}

function valueOf(key: string, subject = 'ana'): unknown {
  const at = { atMs: world.context.clock.nowMs(), random: () => 0 };
  return feed.now()?.evaluator.evaluate(key, { user: { key: subject } }, at).value;
}

/** How many of a thousand users have the challenger, by both flags of the model. */
function shares(): readonly [versions: number, derived: number] {
  const users = Array.from({ length: 1000 }, (_, index) => `user-${index}`);
  const on = users.filter((user) => valueOf('fraud-version', user) === 'v2');
  const derived = users.filter((user) => valueOf('fraud-v2', user) === true);
  expect(derived).toEqual(on);
  return [on.length, derived.length];
}

async function climbTo(id: string, step: number): Promise<void> {
  const rollout = await holdRollout(world.context, id);
  const atMs = world.context.clock.nowMs();
  const next = { phase: 'stepping', step, sinceMs: atMs } as const;
  const decision = { action: 'advance', verdict: 'healthy', reason: 'test', guards: [], next } as const;
  await applyDecision(world.context, HUMAN, { rollout, decision, window: step, atMs });
  await feed.refresh();
}

describe('the flag feed', () => {
  it('has the flags that follow models, and takes in a flag of a person with its commit', async () => {
    expect([valueOf('fraud-version'), valueOf('checkout')]).toEqual(['v1', undefined]);
    await addFlag(FLAG);
    expect(valueOf('checkout')).toBe(true);
    expect(seen.map(({ revision }) => revision)).toEqual([await world.store.revision('production')]);
  });

  it('says nothing about commits that change no flag, but knows their tokens', async () => {
    const before = feed.now();
    await createToken(world.context, HUMAN, { name: 'ci', scopes: ['read'] });
    await feed.refresh();
    expect(seen).toEqual([]);
    expect(feed.now()).toBe(before);
    expect(feed.tokens()?.map(({ name }) => name)).toEqual(['ci']);
  });

  it('moves the share with each step, the same for the derived boolean, and back with the rollback', async () => {
    const plan = PLAN;
    if (plan === undefined) throw new Error('there is a built-in plan');
    const input = { model: 'fraud', challenger: 'v2', plan, reason: 'try' };
    const { id } = await startRollout(world.context, HUMAN, input);
    await feed.refresh();
    expect(shares()).toEqual([0, 0]);
    const counted: number[] = [];
    for (const step of plan.steps.keys()) {
      await climbTo(id, step);
      counted.push(shares()[0]);
    }
    const wanted = plan.steps.map(({ trafficPercent }) => trafficPercent * 10);
    for (const [index, count] of counted.entries()) expect(Math.abs(count - (wanted[index] ?? 0))).toBeLessThan(50);
    await rollBackRollout(world.context, HUMAN, { rollout: id, reason: 'fire' });
    await feed.refresh();
    expect(shares()).toEqual([0, 0]);
  });

  it('says so when a schedule begins and when it ends', async () => {
    const nowMs = world.context.clock.nowMs();
    await addFlag({ ...FLAG, schedule: { fromMs: nowMs + 5000, untilMs: nowMs + 9000 } });
    const told = seen.length;
    expect([valueOf('checkout'), timers.map(({ dueInMs }) => dueInMs)]).toEqual([false, [5000]]);
    world.wait(5000);
    timers.shift()?.run();
    expect([valueOf('checkout'), seen.length - told, timers.map(({ dueInMs }) => dueInMs)]).toEqual([true, 1, [4000]]);
    world.wait(4000);
    timers.shift()?.run();
    expect([valueOf('checkout'), seen.length - told, timers]).toEqual([false, 2, []]);
  });

  it('waits again when a timer fires early', async () => {
    const untilMs = world.context.clock.nowMs() + 2_000_000_000;
    await addFlag({ ...FLAG, rules: [{ all: [{ type: 'time', is: 'after', atMs: untilMs }], serve: { variant: 'off' } }] });
    const told = seen.length;
    expect(timers.map(({ dueInMs }) => dueInMs)).toEqual([86_400_000]);
    timers.shift()?.run();
    expect([seen.length - told, timers.length]).toEqual([0, 1]);
  });

  it('keeps what it has while the store cannot be read, and says that it is not current', async () => {
    const held = await holdFlag();
    await world.store.commit({
      environment: 'production',
      actor: 'test',
      action: 'flag.changed',
      reason: 'broken',
      atMs: 1,
      writes: [{ ...replace('flag', held, FLAG), body: { key: 'broken' } }],
    });
    expect(await feed.refresh()).toBe(false);
    expect(valueOf('checkout')).toBe(true);
  });

  it('takes in what it could not read at first, on a store that gives the same lists again', async () => {
    const cached = withDocumentCache(world.store, { environment: 'production', isShared: true });
    // The first question of a refresh is answered; after the lists nobody answers any more.
    let left = Infinity;
    const revision: Store['revision'] = async (environment) => {
      left -= 1;
      if (left < 0) throw new AppError('store.busy', 'nobody answers');
      return cached.revision(environment);
    };
    const other = await openFeed({ ...world.context, store: { ...cached, onCommit: () => () => {}, revision } });
    await addFlag(FLAG);
    left = 1;
    expect(await other.refresh()).toBe(false);
    left = Infinity;
    expect(await other.refresh()).toBe(true);
    expect(other.now()?.documents.flags.map(({ key }) => key)).toContain(FLAG.key);
    other.close();
  });

  it('goes on when a listener fails, and says nothing after its end', async () => {
    feed.onChange(() => {
      throw new Error('a bug');
    });
    const others: number[] = [];
    feed.onChange(({ revision }) => others.push(revision));
    await addFlag(FLAG);
    expect(others).toHaveLength(1);
    feed.close();
    await addFlag({ ...FLAG, key: 'second' });
    expect(others).toHaveLength(1);
  });
});

async function holdFlag(): Promise<{ readonly id: string; readonly revision: number; readonly body: Flag }> {
  await addFlag(FLAG);
  return { id: FLAG.key, revision: await world.store.revision('production'), body: FLAG };
}
