/** One step of a rollout on the screen: planned and actual share, and both arms side by side. The rollout's pages depend on it. */
import type { RolloutView } from '@understudy/contract/views';
import { stepOf } from '@understudy/core/rollout';
import type { Verdict } from '@understudy/core/policy';
import { countText, msText, percentText, scoreName, scoreText } from './figures.ts';
import { columnsOf } from './lines.ts';
import type { Palette } from './palette.ts';
import { type Measure, scoreOf, type Task } from './traffic-tracker.ts';

/** What a step is shown with. */
export interface StepPage {
  readonly view: RolloutView;
  readonly task: Task;
  /** What users got since the rollout began. */
  readonly measure: Measure;
}

const BAR = 20;

/** A share as a bar. Anything above nothing shows, and only everything fills it. */
export function barOf(percent: number, palette: Palette): string {
  const filled = percent <= 0 ? 0 : percent >= 100 ? BAR : Math.min(BAR - 1, Math.max(1, Math.round((percent / 100) * BAR)));
  return palette.cyan('█'.repeat(filled)) + palette.dim('░'.repeat(BAR - filled));
}

/** Bar, shares and verdict in one line; the arms below. */
export function stepLines({ view, task, measure }: StepPage, palette: Palette): readonly string[] {
  const verdict = view.now?.verdict;
  const words = verdict === undefined ? [] : [verdictWord(verdict, palette)];
  const head = [barOf(view.challengerPercent, palette), sharesOf(view), stairOf(view), ...words].join('   ');
  return [`  ${head}`, ...armLines({ view, task, measure }, palette).map((line) => `    ${line}`)];
}

function sharesOf(view: RolloutView): string {
  const actual = actualPercent(view);
  return `planned ${percentText(view.challengerPercent)}, actual ${actual === undefined ? '-' : percentText(actual)}`;
}

function stairOf({ rollout }: RolloutView): string {
  const step = stepOf(rollout.state);
  return step < 0 ? 'preparing' : `step ${step + 1} of ${rollout.plan.steps.length}`;
}

/** Share of the step's requests that the challenger was sent; undefined before the first. */
function actualPercent({ arms }: RolloutView): number | undefined {
  const requestsOf = (name: string) => arms.filter(({ arm }) => arm === name).reduce((sum, { requests }) => sum + requests, 0);
  const challenger = requestsOf('challenger');
  const total = challenger + requestsOf('champion');
  return total === 0 ? undefined : (challenger / total) * 100;
}

function verdictWord(verdict: Verdict, palette: Palette): string {
  if (verdict === 'healthy') return palette.green(verdict);
  return verdict === 'harmful' || verdict === 'invalid' ? palette.red(verdict) : palette.yellow(verdict);
}

/** Requests, errors and latencies are the engine's, of this step; the score is what users got since the rollout began. */
function armLines({ view, task, measure }: StepPage, palette: Palette): readonly string[] {
  const head = ['', 'requests', 'errors', 'p50', 'p99', `${scoreName(task)} so far`].map((title) => palette.dim(title));
  const rows = (['champion', 'challenger'] as const).map((name) => {
    const version = view.rollout[name];
    const arm = view.arms.find((counts) => counts.arm === name);
    const score = scoreOf(task, measure.versions[version]);
    return [
      `${version} ${palette.dim(name)}`,
      countText(arm?.requests ?? 0),
      errorsText(arm, palette),
      msText(arm?.p50Ms),
      msText(arm?.p99Ms),
      scoreText(task, score),
    ];
  });
  return columnsOf([head, ...rows], ['left', 'right', 'right', 'right', 'right', 'right']);
}

/** Rescued errors are those that no user saw. */
function errorsText(arm: RolloutView['arms'][number] | undefined, palette: Palette): string {
  if (arm === undefined || arm.errors === 0) return '0';
  const errors = palette.red(countText(arm.errors));
  if (arm.rescued === 0) return errors;
  return arm.rescued === arm.errors ? `${errors} rescued` : `${errors}, ${countText(arm.rescued)} rescued`;
}
