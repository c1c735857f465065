/** The second story: harmful versions are rolled back by the engine, each for its own reason, and a fixed one is retried. */
import { isAppError } from '@understudy/core/errors';
import type { ModelAsset } from './assets.ts';
import { CLIMB, CLIMB_ANEW } from './demo-plans.ts';
import type { PlanFile } from '@understudy/contract/plan-file';
import { countText, plural, scoreText, secondsText } from './figures.ts';
import { type Climb, type Fall, problemsOfClimb, problemsOfFall, type StoryResult } from './outcome.ts';
import { command, conclude, heading, offlineOf, playRollout, say, type Story } from './play.ts';
import type { Followed } from './rollout-follower.ts';
import { FIRST_CHAMPION, type Stage } from './stage.ts';
import { climbWords, concludeClimb } from './story-better.ts';
import { type Measure, scoreOf } from './traffic-tracker.ts';
import { rest } from './waiting.ts';

const TITLE = 'Harmful ones are rolled back by themselves';
const GARBAGE = 'v3';
const FIXED = 'v2';
const SLOW = 'v4';
const ENDS_WITHIN_MS = 120_000;
// Long enough for answers that were under way to arrive and be reported.
const AFTERMATH_MS = 1000;

export const HARMFUL: Story = { title: TITLE, tell: tellHarmful };

async function tellHarmful(stage: Stage): Promise<StoryResult> {
  heading(stage.screen, `2  ${TITLE}`);
  const garbage = await tellGarbage(stage);
  const fixed = await tellFixed(stage, garbage.followed);
  const slow = await tellSlow(stage);
  return {
    title: TITLE,
    must: `diabetes ${GARBAGE} and digits ${SLOW} are rolled back, ${FIXED} is promoted`,
    happened: [fallWords(garbage), climbWords(fixed), fallWords(slow)].join(', '),
    problems: [...problemsOfFall(garbage), ...problemsOfClimb(fixed), ...problemsOfFall(slow)],
  };
}

async function tellGarbage(stage: Stage): Promise<Fall> {
  const { screen, assets } = stage;
  const [ours, theirs] = [GARBAGE, FIRST_CHAMPION].map((version) => offlineOf(assets.diabetes, version)['mae'] ?? 0);
  say(
    screen,
    `${GARBAGE} of diabetes looked better offline: its mean error was ${ours}, that of ${FIRST_CHAMPION} ${theirs}. But it was exported without its scaler. It answers every request with 200, quickly, and with nonsense.`,
  );
  const fall = await fallOf(stage, assets.diabetes, {
    challenger: GARBAGE,
    plan: CLIMB_ANEW,
    guards: ['drift'],
    reason: 'better offline',
  });
  tellDamage(stage, fall.followed, fall.measure);
  await tellRefusal(stage);
  return fall;
}

async function fallOf(
  stage: Stage,
  asset: ModelAsset,
  wish: {
    readonly challenger: string;
    readonly plan: PlanFile;
    readonly guards: readonly string[];
    readonly reason: string;
  },
): Promise<Fall> {
  const { client, signal, traffic } = stage;
  const { challenger, plan, guards, reason } = wish;
  traffic.mark(asset.model);
  const started = await client('startRollout', { body: { model: asset.model, challenger, plan, reason }, signal });
  const followed = await playRollout(stage, { asset, started, withinMs: ENDS_WITHIN_MS });
  await rest(AFTERMATH_MS, signal);
  const { model } = await client('getModel', { params: { model: asset.model }, signal });
  return { followed, guards, measure: traffic.measureOf(asset.model), model };
}

function tellDamage({ screen, assets }: Stage, followed: Followed, measure: Measure): void {
  const { task } = assets.diabetes.traffic;
  const { challenger, champion } = followed.last.rollout;
  const seen = measure.versions[challenger];
  const decidedAtMs = followed.decisions.at(-1)?.atMs;
  if (seen?.wrongSpan === undefined || decidedAtMs === undefined) return;
  const [ours, theirs] = [challenger, champion].map((version) => scoreText(task, scoreOf(task, measure.versions[version])));
  const lateMs = seen.wrongSpan.lastMs - decidedAtMs;
  const afterwards =
    lateMs > 0 ? `The last wrong answer arrived ${lateMs.toFixed(0)} ms later.` : 'No wrong answer arrived after it.';
  conclude(
    screen,
    `${plural(seen.wrongUsers, 'user')} got ${plural(seen.wrong, 'answer')} off the scale: ${challenger} is off by ${ours} on average, ${champion} by ${theirs}. Of the ${countText(measure.versions[champion]?.users ?? 0)} users of ${champion}, ${countText(measure.versions[champion]?.wrongUsers ?? 0)} got such an answer. From the first one to the rollback: ${secondsText(decidedAtMs - seen.wrongSpan.firstMs)}. ${afterwards}`,
  );
}

/** The rollback sticks: the same version gets no second rollout by accident. */
async function tellRefusal({ client, screen, signal }: Stage): Promise<void> {
  try {
    await client('startRollout', { body: { model: 'diabetes', challenger: GARBAGE, reason: 'by accident' }, signal });
  } catch (error) {
    if (!isAppError(error, 'rollout.unfit_challenger')) throw error;
    conclude(screen, 'Started again by accident, it is refused: it stays marked unhealthy until a person says otherwise.');
    screen.print('');
    return;
  }
  throw new Error(`a second rollout of ${GARBAGE} was not refused`);
}

async function tellFixed(stage: Stage, failed: Followed): Promise<Climb> {
  const { client, screen, signal, traffic } = stage;
  const asset = stage.assets.diabetes;
  const rollout = failed.last.rollout.id;
  say(screen, `The fix is ${FIXED}. One command tries again, with the same users first in line:`);
  command(screen, `understudy rollout retry ${rollout} --challenger ${FIXED}`);
  traffic.mark(asset.model);
  const body = { challenger: FIXED, reason: 'exported with its scaler' };
  const started = await client('retryRollout', { params: { rollout }, body, signal });
  const followed = await playRollout(stage, { asset, started, withinMs: ENDS_WITHIN_MS });
  await rest(AFTERMATH_MS, signal);
  const climb = { followed, task: asset.traffic.task, measure: traffic.measureOf(asset.model), mustBeBetter: true };
  concludeClimb(stage, climb);
  screen.print('');
  return climb;
}

async function tellSlow(stage: Stage): Promise<Fall> {
  const { screen, assets } = stage;
  say(screen, `${SLOW} of digits is as right as ${FIXED}, but slow: it works in small steps where one product would do.`);
  // On a machine with little to spare it does not answer in time at all, which counts as an error and is rescued.
  const wish = { challenger: SLOW, plan: CLIMB, guards: ['latency', 'errors'], reason: 'as good as any' };
  const fall = await fallOf(stage, assets.digits, wish);
  const { versions, rescued, errors } = fall.measure;
  const helped = rescued === 0 ? '' : `${plural(rescued, 'answer')} came from the champion instead, as it took too long; `;
  conclude(screen, `${plural(versions[SLOW]?.users ?? 0, 'user')} had to wait for it; ${helped}${plural(errors, 'error')}.`);
  return fall;
}

function fallWords({ followed }: Pick<Fall, 'followed'>): string {
  const { rollout } = followed.last;
  if (rollout.state.phase !== 'rolled-back') return `${rollout.challenger} is ${rollout.state.phase}`;
  return `${rollout.challenger} rolled back after ${secondsText(rollout.state.atMs - rollout.startedAtMs)}`;
}
