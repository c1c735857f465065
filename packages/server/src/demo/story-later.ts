/** The third story: a version fails after its promotion, and the watch sends the model back to its last known good. */
import type { ModelView } from '@understudy/contract/views';
import { SHORT } from './demo-plans.ts';
import { countText, percentText, plural } from './figures.ts';
import {
  type Climb,
  type Fall,
  problemsOfClimb,
  problemsOfFall,
  problemsOfRelapse,
  type Relapse,
  type StoryResult,
} from './outcome.ts';
import { paragraph } from './lines.ts';
import { command, conclude, heading, playRollout, say, type Story } from './play.ts';
import { relapseLines, termLines } from './render-relapse.ts';
import type { Followed } from './rollout-follower.ts';
import type { Stage } from './stage.ts';
import { concludeClimb } from './story-better.ts';
import { DemoFailure, rest, waitFor } from './waiting.ts';

const TITLE = 'It fails later';
const MODEL = 'digits';
const GOOD = 'v2';
const FRAGILE = 'v5';
const ENDS_WITHIN_MS = 120_000;
const SENT_BACK_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 100;
const REPORTS_MS = 500;
// After the rollback, users are watched for so long: nobody may get an error any more.
const QUIET_MS = 2500;

export const LATER: Story = { title: TITLE, tell: tellLater };

async function tellLater(stage: Stage): Promise<StoryResult> {
  const { client, screen, signal } = stage;
  heading(screen, `3  ${TITLE}`);
  const { model } = await client('getModel', { params: { model: MODEL }, signal });
  if (model.champion !== GOOD) {
    throw new DemoFailure(`this story begins with ${GOOD} as champion of ${MODEL}, but it is ${model.champion ?? 'nobody'}`);
  }
  const promoted = await tellPromotion(stage);
  const relapse = await tellRelapse(stage);
  const rescued = await tellRescue(stage, promoted.followed);
  const took = relapseMs(relapse);
  return {
    title: TITLE,
    must: `digits ${FRAGILE} is promoted, fails, and ${GOOD} is restored`,
    happened: `${relapse.model.champion ?? 'nobody'} is champion${took === undefined ? '' : `, ${(took / 1000).toFixed(1)} s after the first error`}`,
    problems: [...problemsOfClimb(promoted), ...problemsOfRelapse(relapse), ...problemsOfRescue(rescued)],
  };
}

async function tellPromotion(stage: Stage): Promise<Climb> {
  const { client, screen, signal, traffic } = stage;
  const asset = stage.assets.digits;
  say(screen, `${FRAGILE} of digits is as good as ${GOOD} on everything that users send today, so it is promoted, and rightly.`);
  traffic.mark(MODEL);
  const body = { model: MODEL, challenger: FRAGILE, plan: SHORT, reason: 'a new tone curve' };
  const started = await client('startRollout', { body, signal });
  const followed = await playRollout(stage, { asset, started, withinMs: ENDS_WITHIN_MS });
  await rest(REPORTS_MS, signal);
  const climb = { followed, task: asset.traffic.task, measure: traffic.measureOf(MODEL), mustBeBetter: false };
  concludeClimb(stage, climb);
  screen.print('');
  return climb;
}

async function tellRelapse(stage: Stage): Promise<Relapse> {
  const { client, screen, signal, traffic } = stage;
  say(
    screen,
    `Then the world changes: new scanner firmware stretches the contrast of 30 % of the scans, and ${FRAGILE} throws on these. It is champion; there is nobody beside it who could answer instead.`,
  );
  traffic.mark(MODEL);
  traffic.set(MODEL, { world: 'shifted' });
  const what = `the watch to send ${FRAGILE} back`;
  await waitFor({ what, withinMs: SENT_BACK_WITHIN_MS, everyMs: LOOK_EVERY_MS, signal }, async () => {
    const view = await client('getModel', { params: { model: MODEL }, signal });
    showWatch(stage, view);
    if (view.model.lastRollback?.failed === FRAGILE) return { found: undefined };
    return { insteadOf: `${view.watch?.state ?? 'no watch'}: ${view.watch?.reason ?? ''}` };
  });
  await rest(QUIET_MS, signal);
  const { model } = await client('getModel', { params: { model: MODEL }, signal });
  const relapse = { model, failed: FRAGILE, restored: GOOD, measure: traffic.measureOf(MODEL) };
  screen.print(...relapseLines(relapse, screen), '');
  await tellWhoWasChampion(stage, relapse);
  return relapse;
}

function showWatch({ screen, traffic }: Stage, { model, watch }: ModelView): void {
  const { answers, errors } = traffic.measureOf(MODEL);
  const rate = answers + errors === 0 ? 0 : (errors / (answers + errors)) * 100;
  screen.live([
    `  ${model.champion ?? 'nobody'} is champion   ${countText(answers)} answers, ${plural(errors, 'error')} (${percentText(rate)})`,
    screen.palette.dim(`  watch: ${watch?.state ?? '-'}`),
  ]);
}

async function tellWhoWasChampion({ client, screen, signal }: Stage, { model, measure }: Relapse): Promise<void> {
  const atMs = measure.errorSpan?.firstMs ?? Date.now();
  const at = new Date(atMs).toISOString();
  const { champion } = await client('getChampion', { params: { model: MODEL }, query: { at }, signal });
  const answer = `Who was champion of ${MODEL} when? At the first error (${at}): ${champion ?? 'nobody'}.`;
  screen.print(...paragraph(answer, { columns: screen.columns, lead: '  ' }), '');
  screen.print(...termLines(model.terms, screen.palette).map((line) => `    ${line}`), '');
}

/** The same version on trial in the changed world: its failures are answered by the champion. */
async function tellRescue(stage: Stage, failed: Followed): Promise<Fall> {
  const { client, screen, signal, traffic } = stage;
  const asset = stage.assets.digits;
  const rollout = failed.last.rollout.id;
  say(screen, `What if ${FRAGILE} had met the new scanner while it was still on trial? Try it again:`);
  command(screen, `understudy rollout retry ${rollout}`);
  traffic.mark(MODEL);
  const started = await client('retryRollout', { params: { rollout }, body: { reason: 'with the new scanner' }, signal });
  const followed = await playRollout(stage, { asset, started, withinMs: ENDS_WITHIN_MS });
  await rest(REPORTS_MS, signal);
  const measure = traffic.measureOf(MODEL);
  conclude(
    screen,
    `It failed ${plural(measure.rescued, 'time')}, and each time the champion answered instead: users got ${plural(measure.errors, 'error')}.`,
  );
  const { model } = await client('getModel', { params: { model: MODEL }, signal });
  return { followed, guards: ['errors'], measure, model };
}

function problemsOfRescue(fall: Fall): readonly string[] {
  const none = fall.measure.rescued === 0 ? [`no request of ${FRAGILE} was rescued`] : [];
  return [...problemsOfFall(fall), ...none];
}

function relapseMs({ model, measure }: Relapse): number | undefined {
  if (model.lastRollback === undefined || measure.errorSpan === undefined) return undefined;
  return model.lastRollback.atMs - measure.errorSpan.firstMs;
}
