import { COHORT_MS } from '@understudy/core/feedback';
import { beforeEach, expect, it } from 'vitest';
import { updateModel } from '../commands/models.ts';
import { getModel } from '../commands/queries.ts';
import { HUMAN, openTestWorld, type TestWorld } from '../commands/test-world.ts';
import { openFeedbackCohorts } from './feedback-cohorts.ts';

const DUE_MS = 600_000;

let world: TestWorld;
beforeEach(async () => {
  world = await openTestWorld();
  world.wait(COHORT_MS - (world.context.clock.nowMs() % COHORT_MS));
  await updateModel(world.context, HUMAN, { model: 'fraud', labelsDueMs: DUE_MS, reason: 'labels are quick' });
});

async function say(request: string, value: number): Promise<void> {
  const atMs = world.context.clock.nowMs();
  const mark = { model: 'fraud', version: 'v1', arm: 'champion', name: 'accuracy', requestAtMs: atMs, givenAtMs: atMs } as const;
  await world.store.saveFeedback('production', [{ ...mark, request, value }]);
}

async function judge(cohorts = openFeedbackCohorts(world.context)): Promise<readonly unknown[]> {
  await cohorts.judge(await getModel(world.context, 'fraud'));
  const evidence = await world.store.evidence('production', { afterCursor: 0, limit: 100 });
  return evidence.map(({ block }) => block.tally.labels?.['accuracy']?.sum);
}

it('judges a cohort when its labels are due, with what was said last by then', async () => {
  const cohorts = openFeedbackCohorts(world.context);
  await say('r1', 0.25);
  await say('r2', 0.5);
  world.wait(DUE_MS);
  expect(await judge(cohorts)).toEqual([]);
  await say('r3', 1);
  world.wait(COHORT_MS);
  expect(await judge(cohorts)).toEqual([0.75]);
  world.wait(DUE_MS);
  expect(await judge(cohorts)).toEqual([0.75, 1]);
});

it('judges each cohort once, also after a restart, in two processes, and when something is said later', async () => {
  await say('r1', 0.25);
  world.wait(DUE_MS + COHORT_MS);
  const [one, other] = [openFeedbackCohorts(world.context), openFeedbackCohorts(world.context)];
  await Promise.all([judge(one), judge(other)]);
  world.wait(-DUE_MS - COHORT_MS);
  await say('r1', 1);
  await say('r2', 1);
  world.wait(DUE_MS + COHORT_MS);
  expect(await judge()).toEqual([0.25]);
  expect(await judge(one)).toEqual([0.25]);
});

it('judges by what the model says now when labels are due', async () => {
  await say('r1', 0.5);
  world.wait(COHORT_MS);
  const cohorts = openFeedbackCohorts(world.context);
  expect(await judge(cohorts)).toEqual([]);
  await updateModel(world.context, HUMAN, { model: 'fraud', labelsDueMs: 0, reason: 'they are instant' });
  expect(await judge(cohorts)).toEqual([0.5]);
});
