/** The first story: a better model climbs the staircase and becomes champion. */
import { CLIMB } from './demo-plans.ts';
import { countText, percentText, plural, scoreText } from './figures.ts';
import { type Climb, problemsOfClimb, type StoryResult } from './outcome.ts';
import { conclude, heading, offlineOf, playRollout, say, type Story } from './play.ts';
import { FIRST_CHAMPION, type Stage } from './stage.ts';
import { scoreOf } from './traffic-tracker.ts';
import { rest } from './waiting.ts';

const TITLE = 'A better model climbs';
const CHALLENGER = 'v2';
const ENDS_WITHIN_MS = 90_000;
// The load generator reports several times a second; the last answers of the rollout are in by then.
const REPORTS_MS = 500;

export const BETTER: Story = { title: TITLE, tell: tellBetter };

async function tellBetter(stage: Stage): Promise<StoryResult> {
  const { client, screen, signal, traffic } = stage;
  const asset = stage.assets.digits;
  heading(screen, `1  ${TITLE}`);
  const [ours, theirs] = [CHALLENGER, FIRST_CHAMPION].map((version) => offlineOf(asset, version)['accuracy'] ?? 0);
  say(
    screen,
    `Offline, ${CHALLENGER} of digits read ${percentText((ours ?? 0) * 100)} of its scans, ${FIRST_CHAMPION} ${percentText((theirs ?? 0) * 100)}. Is it as good with real users, and as fast? It gets ${CLIMB.steps.map(({ traffic: share }) => share ?? 0).join(' → ')} % of them, and every step must be earned.`,
  );
  traffic.mark(asset.model);
  const started = await client('startRollout', {
    body: { model: asset.model, challenger: CHALLENGER, plan: CLIMB, reason: 'better offline' },
    signal,
  });
  const followed = await playRollout(stage, { asset, started, withinMs: ENDS_WITHIN_MS });
  await rest(REPORTS_MS, signal);
  const climb: Climb = { followed, task: asset.traffic.task, measure: traffic.measureOf(asset.model), mustBeBetter: true };
  concludeClimb(stage, climb);
  return {
    title: TITLE,
    must: `${CHALLENGER} of digits is promoted`,
    happened: climbWords(climb),
    problems: problemsOfClimb(climb),
  };
}

/** What users got during a climb. */
export function concludeClimb({ screen }: Stage, { followed, task, measure }: Climb): void {
  const { champion, challenger } = followed.last.rollout;
  const [ours, theirs] = [challenger, champion].map((version) => scoreText(task, scoreOf(task, measure.versions[version])));
  const score =
    task.kind === 'class' ? `was right on ${ours}, ${champion} on ${theirs}` : `was off by ${ours}, ${champion} by ${theirs}`;
  const forward = measure.moves[`${champion}>${challenger}`] ?? 0;
  const back = measure.moves[`${challenger}>${champion}`] ?? 0;
  const unsent =
    measure.skipped === 0 ? '' : ` (${countText(measure.skipped)} more were due but never sent: the machine was held up)`;
  conclude(
    screen,
    `Measured on the users' own requests: ${challenger} ${score}. Users got ${countText(measure.answers)} answers and ${plural(measure.errors, 'error')}${unsent}; ${countText(forward)} of them went from ${champion} to ${challenger}, and ${back === 0 ? 'nobody' : countText(back)} back.`,
  );
}

/** How a climb ended, for the summary. */
export function climbWords({ followed }: Pick<Climb, 'followed'>): string {
  const { rollout } = followed.last;
  if (rollout.state.phase !== 'promoted') return `${rollout.challenger} is ${rollout.state.phase}`;
  const seconds = (rollout.state.atMs - rollout.startedAtMs) / 1000;
  return `${rollout.challenger} promoted after ${seconds.toFixed(0)} s`;
}
