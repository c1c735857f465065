// The truth comes late: real models on the held-out digits, real request ids, the clock turned by hand. Nothing but labels tells the versions apart.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arm } from '@understudy/core/evidence';
import { GRACE_MS, INTERVAL_MS } from '@understudy/core/evidence-pool';
import { BUILT_IN_PLANS, type Plan } from '@understudy/core/plan';
import { boundaryOfRollout, isLive, type Rollout, type RolloutState, stepOf } from '@understudy/core/rollout';
import { DEFAULT_GUARDS, DEFAULT_SEQUENTIAL, type FeedbackNeeded } from '@understudy/core/sequential/config';
import { type Random, randomOf } from '@understudy/core/simulation/random';
import { getModel, getRollout } from '@understudy/server/commands/queries';
import { startRollout } from '@understudy/server/commands/rollouts';
import { HUMAN, openTestWorld, type Traffic } from '@understudy/server/commands/test-world';
import { type FeedbackIntake, openFeedbackIntake } from '@understudy/server/control/feedback';
import { openEngine } from '@understudy/server/engine/rollout-engine';
import { predictRows } from '@understudy/server/gateway/predict-rows';
import { openRequestId, openRequestIds, type RequestIds } from '@understudy/server/gateway/request-id';
import { openOnnxRuntime } from '@understudy/server/runtimes/onnx-runtime';
import { inspectOnnx } from '@understudy/server/runtimes/onnx-inspect';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

const DIGITS = join(import.meta.dirname, '../examples/models/digits');
const KEY = new Uint8Array(32).fill(7);
const HOUR_MS = 3_600_000;
// What is known is told at the end of its minute, so that it comes within the hour.
const LONGEST_LAG_MS = HOUR_MS - 60_000;
// One report in so long.
const ROUND_MS = 5000;
const REQUESTS_PER_ROUND = 100;

/** Whether each held-out digit is read rightly, by version. 0.95 and 0.9825 of them are. */
const right = new Map<string, readonly boolean[]>();

beforeAll(async () => {
  const text = await readFile(join(DIGITS, 'requests.json'), 'utf8');
  const { features, labels } = z
    .object({ features: z.array(z.array(z.number())), labels: z.array(z.number()) })
    .parse(JSON.parse(text));
  for (const version of ['v1', 'v2']) {
    const path = join(DIGITS, `${version}.onnx`);
    const signature = await inspectOnnx(path);
    const runtime = await openOnnxRuntime({ path, signature });
    const predictions = await predictRows(runtime, features);
    await runtime.close();
    right.set(
      version,
      predictions.map((prediction, index) => prediction === labels[index]),
    );
  }
}, 30_000);

function planWith(needed: FeedbackNeeded): Plan {
  const [standard] = BUILT_IN_PLANS;
  if (standard === undefined) throw new Error('there is no built-in plan');
  const guards = [
    ...DEFAULT_SEQUENTIAL.guards.filter(({ metric }) => metric !== 'drift'),
    { metric: 'feedback', name: 'accuracy', ...DEFAULT_GUARDS.feedback, needed } as const,
  ];
  const steps = standard.steps.map((step, index) => ({ ...step, holdMs: index < standard.steps.length - 1 ? 300_000 : 0 }));
  return { ...standard, steps, policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL, guards } };
}

/** What happened, at hours since the start. */
interface Course {
  readonly events: readonly { readonly hours: number; readonly what: string }[];
  readonly champion: string | undefined;
  /** Of a rollback of the champion. */
  readonly reason?: string;
}

/** A label on its way. */
interface Label {
  readonly knownAtMs: number;
  readonly requestId: string;
  readonly correct: boolean;
}

/** Plays hours of traffic with both versions as quick and as free of errors as each other; labels come within an hour. */
async function play(models: Record<Arm, string>, needed: FeedbackNeeded, hours: number): Promise<Course> {
  const world = await openTestWorld();
  const { context } = world;
  world.wait(INTERVAL_MS - (context.clock.nowMs() % INTERVAL_MS));
  const failed = (_fields: object, event: string): never => expect.unreachable(event);
  const engine = openEngine(context, { info: () => undefined, warn: () => undefined, error: failed });
  const intake = openFeedbackIntake({ ...context, openId: (id) => openRequestId(KEY, id) });
  const ids = openRequestIds(KEY, 'gateway');
  const random = randomOf(1, 'late truth');
  const startMs = context.clock.nowMs();
  const { id } = await startRollout(context, HUMAN, { model: 'fraud', challenger: 'v2', plan: planWith(needed), reason: 'try' });
  const events: { hours: number; what: string }[] = [];
  let waiting: Label[] = [];
  for (let round = 0; round < (hours * HOUR_MS) / ROUND_MS; round += 1) {
    const rollout = await getRollout(context, id);
    const { champion } = await getModel(context, 'fraud');
    const atMs = context.clock.nowMs();
    const what = `${wordsOf(rollout.state)}, champion ${champion ?? 'nobody'}`;
    if (what !== events.at(-1)?.what) events.push({ hours: (atMs - startMs) / HOUR_MS, what });
    const answers = drawAnswers(rollout, champion, random);
    await world.report(['v1', 'v2'], trafficOf(answers));
    for (const answer of answers) waiting.push(labelOf(answer, { ids, atMs, random, models }));
    if (round % 12 === 11) waiting = await tell(intake, waiting, atMs);
    world.wait(GRACE_MS);
    await engine.tick();
    world.wait(ROUND_MS - GRACE_MS);
  }
  const { champion, lastRollback } = await getModel(context, 'fraud');
  await world.store.close();
  return { events, champion, ...(lastRollback === undefined ? {} : { reason: lastRollback.reason }) };
}

/** A request that was answered, in its place. */
interface Answer {
  readonly version: 'v1' | 'v2';
  readonly arm: Arm;
  readonly trial?: { readonly rollout: string; readonly step: number };
}

/** Requests of a round: each goes to the challenger with the chance that the step gives it. */
function drawAnswers(rollout: Rollout, champion: string | undefined, random: Random): readonly Answer[] {
  const step = stepOf(rollout.state);
  const isOn = isLive(rollout.state) && step >= 0;
  const share = boundaryOfRollout(rollout) / 100_000;
  return Array.from({ length: REQUESTS_PER_ROUND }, (): Answer => {
    if (!isOn) return { version: champion === 'v2' ? 'v2' : 'v1', arm: 'champion' };
    const trial = { rollout: rollout.id, step };
    return random.uniform() < share ? { version: 'v2', arm: 'challenger', trial } : { version: 'v1', arm: 'champion', trial };
  });
}

function trafficOf(answers: readonly Answer[]): readonly Traffic[] {
  return [...Map.groupBy(answers, ({ version }) => version).values()].flatMap(([first, ...others]) =>
    first === undefined ? [] : [{ version: first.version, arm: first.arm, ...first.trial, requests: 1 + others.length }],
  );
}

interface Labelling {
  readonly ids: RequestIds;
  readonly atMs: number;
  readonly random: Random;
  readonly models: Record<Arm, string>;
}

function labelOf({ version, arm, trial }: Answer, { ids, atMs, random, models }: Labelling): Label {
  const origin = { environment: 'production', model: 'fraud', version, arm, ...trial };
  const digits = right.get(version === 'v1' ? models.champion : models.challenger) ?? [];
  const correct = digits[Math.floor(random.uniform() * digits.length)] ?? false;
  return { requestId: ids.mintFor(origin)(atMs), correct, knownAtMs: atMs + random.uniform() * LONGEST_LAG_MS };
}

/** Tells what is known by now. @returns what is not */
async function tell(intake: FeedbackIntake, waiting: readonly Label[], atMs: number): Promise<Label[]> {
  const [known, unknown] = [
    waiting.filter(({ knownAtMs }) => knownAtMs <= atMs),
    waiting.filter(({ knownAtMs }) => knownAtMs > atMs),
  ];
  const receipt = await intake.take(known.map(({ requestId, correct }) => ({ requestId, correct })));
  expect(receipt).toEqual({ accepted: known.length, late: 0, ignored: [] });
  return unknown;
}

function wordsOf(state: RolloutState): string {
  return state.phase === 'stepping' ? `step ${state.step + 1}` : state.phase;
}

const BETTER = { champion: 'v1', challenger: 'v2', shadow: 'v2' } as const;
const WORSE = { champion: 'v2', challenger: 'v1', shadow: 'v1' } as const;

describe('labels that come within an hour', { timeout: 120_000 }, () => {
  it('roll back a version that is three points less accurate, and perfect in all else', async () => {
    const { events, champion } = await play(WORSE, 'promotion', 2);
    expect(events.at(-1)?.what).toBe('rolled-back, champion v1');
    expect(events.map(({ what }) => what)).not.toContain('promoted, champion v2');
    expect(champion).toBe('v1');
  });

  it('promote a version that is better only once they have proven it', async () => {
    const { events } = await play(BETTER, 'promotion', 2);
    const promoted = events.find(({ what }) => what === 'promoted, champion v2');
    expect(events.find(({ what }) => what.startsWith('step 4'))?.hours).toBeLessThan(1);
    expect(promoted?.hours).toBeGreaterThan(1);
  });

  it('undo a promotion that did not wait for them', async () => {
    const { events, reason } = await play(WORSE, 'afterwards', 2);
    expect(events.find(({ what }) => what === 'promoted, champion v2')?.hours).toBeLessThan(1);
    expect(events.at(-1)?.what).toBe('promoted, champion v1');
    expect(reason).toMatch(/^late truth about rollout "fraud-1": accuracy: challenger 0\.9/);
  });
});
