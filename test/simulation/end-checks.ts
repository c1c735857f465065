/** What has to be true when a world has come to its end: the journal, what people were told, the evidence, the replay. */
import { replayDecisions } from '@understudy/core/replay';
import { readRecording } from '../../packages/server/src/engine/rollout-recording.ts';
import { repeat, type Wish } from './people.ts';
import type { World } from './world.ts';

/** @returns whether every rollout was decided again */
export async function checkEnd(world: World): Promise<boolean> {
  await checkJournal(world);
  for (const wish of world.people.wishes) await checkWish(world, wish);
  await checkEvidence(world);
  const isPromised = world.clocks !== 'disagree';
  if (isPromised) await checkReplays(world);
  return isPromised;
}

async function checkJournal({ truth, history }: World): Promise<void> {
  const check = await truth.store.verifyJournal(truth.environment);
  if (!check.intact) history.report({ invariant: 'journal', detail: `broken at ${check.brokenAtRevision}: ${check.problem}` });
  else if (check.entries !== history.revision())
    history.report({ invariant: 'journal', detail: `${check.entries} of ${history.revision()} entries` });
}

async function checkWish({ history, truth }: World, wish: Wish): Promise<void> {
  const { reason, told } = wish;
  const committedAtMs = history.committedAtMs(reason);
  const times = committedAtMs.length;
  const say = (detail: string): void => history.report({ invariant: 'once', detail: `${reason} of ${wish.rollout}: ${detail}` });
  if (times > 1) say(`took effect ${times} times`);
  if (told === 'unheard') return;
  if (told === 'refused') {
    // A copy that is still on its way when another one is answered may take effect later: the answer was true.
    if (committedAtMs.some((atMs) => atMs < wish.lookedAtMs)) say('was refused after it had taken effect');
    return;
  }
  if (told.outcome === 'already-done') {
    if (committedAtMs.some((atMs) => atMs < wish.lookedAtMs)) say(`was told "${told.message}" after it had taken effect`);
    return;
  }
  if (times === 0)
    history.report({ invariant: 'nothing lost', detail: `${reason} was told "${told.message}" and never happened` });
  const before = history.revision();
  const again = await repeat(wish, truth).catch((error: unknown) => ({ outcome: 'refused', message: String(error), id: '' }));
  const isSame = again.outcome === told.outcome && again.message === told.message && again.id === told.id;
  if (!isSame) say(`was told "${told.message}", asked again under the same key "${again.message}"`);
  if (history.revision() !== before) say('took effect again when it was asked again');
}

async function checkEvidence({ history, truth, gateways }: World): Promise<void> {
  const stored = await truth.store.evidence(truth.environment, { afterCursor: 0, limit: 100_000 });
  const requests = stored.reduce((sum, { block }) => sum + block.tally.requests, 0);
  const arrived = history.requestsArrived();
  if (requests !== arrived)
    history.report({ invariant: 'counted once', detail: `${requests} requests are stored of ${arrived} that were reported` });
  for (const report of gateways.flatMap(({ acknowledged }) => acknowledged)) {
    if (!history.hasArrived(report))
      history.report({ invariant: 'nothing lost', detail: `report ${report.gateway} ${report.sequence} was acknowledged` });
  }
}

/** Not through the API's replay, which sees deleted evidence in the cursors of other worlds in the same store. */
async function checkReplays({ history, truth }: World): Promise<void> {
  for (const rollout of history.rollouts()) {
    const recording = await readRecording(truth, rollout);
    if (recording === undefined) throw new Error(`${rollout.id} has more evidence than a replay takes`);
    const work = replayDecisions(recording);
    let turn = work.next();
    while (turn.done !== true) turn = work.next();
    const other = turn.value.find(({ isSame }) => !isSame);
    if (other === undefined) continue;
    const { action, recorded, replayed, atMs } = other;
    history.report({
      invariant: 'replay',
      detail: `${rollout.id}: ${action} at ${atMs} was decided on ${recorded}, replayed it is ${replayed}`,
    });
  }
}
