/** After everything is healed: whatever was left behind comes to its right end by itself, within a stated time. */
import { isLive } from '@understudy/core/rollout';
import { MODEL } from './gateways.ts';
import type { Act } from './people.ts';
import type { World } from './world.ts';

/**
 * From the last thing that a person does: a gateway's report (1 s), readiness at the next tick (1.2 s), two steps with a hold of at
 * most 3 s, evidence of a closed interval for each (2.4 s) and a check every 4 s at most; after a promotion by hand the
 * watch (2 s), its cooldown (3 s) and its window of 200 requests of two gateways.
 */
const PROGRESS_MS = 30_000;

// The slowest person gives up after so long.
const QUIET_MS = 45_000;
const LOOK_EVERY_MS = 250;
const MOST_LOOKS = 6;
// What somebody asked a control plane that stood still, or that waits for the store in vain, is tried again when that wait is over.
const LATE_COPIES_MS = 2500;
// Evidence of before the end is still on its way.
const SETTLE_MS = 300;

export async function finish(world: World): Promise<void> {
  const { time, people, history, isWatchedToTheEnd } = world;
  await until(world, QUIET_MS, () => !people.isAnybodyWaiting());
  if (people.isAnybodyWaiting())
    history.report({ invariant: 'progress', detail: 'somebody waits for an answer although all is well' });
  if (isWatchedToTheEnd) {
    await until(world, LATE_COPIES_MS, () => false);
    await unblock(world);
    await until(world, PROGRESS_MS, () => isAtRightEnd(world));
    if (!isAtRightEnd(world)) history.report({ invariant: 'progress', detail: `after ${PROGRESS_MS} ms ${describe(world)}` });
  }
  await time.runUntil(time.nowMs() + SETTLE_MS);
}

/** Undoes what only people undo. A copy of what somebody asked before may still arrive, so it looks twice. */
async function unblock(world: World): Promise<void> {
  for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
    const act = unblockingAct(world);
    if (act === undefined) return;
    let isDone = false;
    void world.people.ask(act, world.history.newest()?.id ?? '').then(() => {
      isDone = true;
    });
    await until(world, QUIET_MS, () => isDone);
  }
  world.history.report({ invariant: 'progress', detail: `people cannot go on although all is well: ${describe(world)}` });
}

function unblockingAct({ history }: World): Act | undefined {
  const model = history.model();
  if (model?.killed !== undefined) return 'unkill';
  if (history.newest()?.state.phase === 'paused') return 'resume';
  return model?.liveRollout === undefined && model?.champion === 'v1' ? 'retry' : undefined;
}

function isAtRightEnd({ history, isHarmful, gateways }: World): boolean {
  const newest = history.newest();
  const model = history.model();
  if (newest === undefined || model === undefined || isLive(newest.state)) return false;
  // What was decided also has to arrive: every gateway lives on the last revision.
  if (gateways.some(({ snapshot }) => snapshot()?.revision !== history.revision())) return false;
  if (!isHarmful) return model.champion === 'v2';
  // Somebody said that the champion of before fails as well: then there is nobody to go back to, and the alarm says so.
  return model.champion === 'v1' || (model.alarm !== undefined && history.health('v1')?.state === 'unhealthy');
}

async function until({ time }: World, atMostMs: number, isSo: () => boolean): Promise<void> {
  const endMs = time.nowMs() + atMostMs;
  while (!isSo() && time.nowMs() < endMs) await time.runUntil(time.nowMs() + LOOK_EVERY_MS);
}

function describe({ history, gateways, isHarmful }: World): string {
  const newest = history.newest();
  const known = gateways.map(({ snapshot }) => snapshot()?.revision ?? 'none').join(', ');
  const kind = isHarmful ? 'harmful' : 'healthy';
  return `${newest?.id} of a ${kind} challenger is ${JSON.stringify(newest?.state)}, champion of ${MODEL} is ${history.model()?.champion}; revision ${history.revision()}, gateways know ${known}`;
}
