/** What had to happen in a story, held against what did. Pure: the numbers come from the API and from measured answers. */
import type { RolloutView } from '@understudy/contract/views';
import type { Model } from '@understudy/core/model';
import { asksForNothing } from '@understudy/core/plan';
import { countText, plural, scoreText } from './figures.ts';
import type { Followed } from './rollout-follower.ts';
import { type Measure, movesBetween, scoreOf, type Task } from './traffic-tracker.ts';

/** The end of a story. It ended as it must when there is no problem. */
export interface StoryResult {
  readonly title: string;
  readonly must: string;
  readonly happened: string;
  readonly problems: readonly string[];
}

/** A rollout that had to be promoted, and what users got meanwhile. */
export interface Climb {
  readonly followed: Followed;
  readonly task: Task;
  readonly measure: Measure;
  /** Whether it has to have answered better than the champion, not only as well. */
  readonly mustBeBetter: boolean;
}

/** Promoted by the engine, over every step of its plan, with better answers where that is asked, and no user noticed. */
export function problemsOfClimb({ followed, task, measure, mustBeBetter }: Climb): readonly string[] {
  const { rollout } = followed.last;
  const { challenger, champion, plan, state } = rollout;
  const problems: string[] = [];
  if (state.phase !== 'promoted') problems.push(`${challenger} was not promoted: ${endingOf(followed.last)}`);
  else if (state.by !== 'engine') problems.push(`${challenger} was promoted by ${state.by}, not by the engine`);
  const climbed = followed.decisions.filter(({ decision }) => decision.action === 'advance').length;
  // A last step that asks for nothing is the promotion itself.
  const rises = plan.steps.filter((step) => !asksForNothing(step)).length - 1;
  if (state.phase === 'promoted' && climbed !== rises) {
    problems.push(`${challenger} climbed ${climbed} steps instead of ${rises}`);
  }
  if (mustBeBetter && !isBetter(task, measure, { than: champion, version: challenger })) {
    const [ours, theirs] = [challenger, champion].map((version) => scoreText(task, scoreOf(task, measure.versions[version])));
    problems.push(`${challenger} was no better than ${champion}: ${ours} against ${theirs}`);
  }
  const back = movesBetween(measure, challenger, champion);
  if (back > 0) problems.push(`${plural(back, 'user')} went from ${challenger} back to ${champion} during the climb`);
  return [...problems, ...problemsOfUsers(measure)];
}

/** A rollout that had to be rolled back, for a reason of its own. */
export interface Fall {
  readonly followed: Followed;
  /** One of these guards had to fire; a part of the name is enough. */
  readonly guards: readonly string[];
  readonly measure: Measure;
  /** The model afterwards. */
  readonly model: Model;
}

/** Rolled back by the engine because of the guard; the champion stayed, and no user got an error. */
export function problemsOfFall({ followed, guards, measure, model }: Fall): readonly string[] {
  const { rollout } = followed.last;
  const problems: string[] = [];
  if (rollout.state.phase !== 'rolled-back') {
    problems.push(`${rollout.challenger} was not rolled back: ${endingOf(followed.last)}`);
  } else {
    if (rollout.state.by !== 'engine')
      problems.push(`${rollout.challenger} was rolled back by ${rollout.state.by}, not by the engine`);
    const fired = harmfulGuards(followed);
    if (!fired.some((name) => guards.some((guard) => name.includes(guard)))) {
      problems.push(`no guard of ${guards.join(', ')} fired, but ${fired.join(', ') || 'none'}: ${rollout.state.reason}`);
    }
  }
  if (model.champion !== rollout.champion)
    problems.push(`${model.champion ?? 'nobody'} is champion instead of ${rollout.champion}`);
  return [...problems, ...problemsOfUsers(measure)];
}

/** A champion that had to be sent back after its promotion. */
export interface Relapse {
  readonly model: Model;
  readonly failed: string;
  readonly restored: string;
  readonly measure: Measure;
}

// An answer may have been under way while the routing table changed.
const STRAGGLER_MS = 1000;

/** Sent back by the engine to the last known good; users did get errors, and get none any more. */
export function problemsOfRelapse({ model, failed, restored, measure }: Relapse): readonly string[] {
  const record = model.lastRollback;
  if (record === undefined || record.failed !== failed)
    return [`${failed} was not sent back; ${model.champion ?? 'nobody'} is champion`];
  const problems: string[] = [];
  if (record.by !== 'engine') problems.push(`${failed} was sent back by ${record.by}, not by the engine`);
  if (model.champion !== restored) problems.push(`${model.champion ?? 'nobody'} is champion instead of ${restored}`);
  if (measure.errorSpan === undefined) problems.push(`${failed} was sent back although no user got an error`);
  else if (measure.errorSpan.lastMs > record.atMs + STRAGGLER_MS) {
    problems.push(`users still got errors ${Math.round(measure.errorSpan.lastMs - record.atMs)} ms after the rollback`);
  }
  return problems;
}

/** The guards that the last decision found harmful. */
function harmfulGuards({ decisions }: Followed): readonly string[] {
  const guards = decisions.at(-1)?.decision.guards ?? [];
  return guards.filter(({ verdict }) => verdict === 'harmful').map(({ guard }) => guard);
}

/** Users are never to notice a rollout. */
function problemsOfUsers({ errors, problems }: Measure): readonly string[] {
  if (errors === 0) return [];
  const kinds = Object.entries(problems).map(([problem, count]) => `${countText(count)}× ${problem}`);
  return [`users got ${plural(errors, 'error')} (${kinds.join(', ')})`];
}

function isBetter(task: Task, measure: Measure, { version, than }: { readonly version: string; readonly than: string }): boolean {
  const ours = scoreOf(task, measure.versions[version]);
  const theirs = scoreOf(task, measure.versions[than]);
  if (ours === undefined || theirs === undefined) return false;
  return task.kind === 'class' ? ours > theirs : ours < theirs;
}

function endingOf({ rollout }: RolloutView): string {
  return 'reason' in rollout.state ? `it was ${rollout.state.phase} (${rollout.state.reason})` : `it is ${rollout.state.phase}`;
}
