/** What the stories have in common: headings, speech, and a rollout followed live on the screen. */
import type { DecisionView, RolloutView } from '@understudy/contract/views';
import type { ModelAsset } from './assets.ts';
import { barOf, stepLines } from './render-step.ts';
import { decisionLines } from './render-decision.ts';
import { paragraph, widthOf } from './lines.ts';
import type { StoryResult } from './outcome.ts';
import { type Followed, followRollout } from './rollout-follower.ts';
import type { Screen } from './screen.ts';
import type { Stage } from './stage.ts';

/** One story: what it is called, and how it is told. */
export interface Story {
  readonly title: string;
  tell(stage: Stage): Promise<StoryResult>;
}

/** A line across the screen that begins a story. */
export function heading(screen: Screen, title: string): void {
  const rule = '━'.repeat(Math.max(2, screen.columns - widthOf(title) - 4));
  screen.print('', `${screen.palette.cyan('━━')} ${screen.palette.bold(title)} ${screen.palette.cyan(rule)}`, '');
}

/** A paragraph of the narrator. */
export function say(screen: Screen, text: string): void {
  screen.print(...paragraph(text, { columns: screen.columns, lead: '' }), '');
}

/** What came of it: a sign and a paragraph. */
export function conclude(screen: Screen, text: string): void {
  screen.print(...paragraph(text, { columns: screen.columns, lead: `  ${screen.palette.green('→')} ` }));
}

/** A command as somebody would type it. */
export function command(screen: Screen, text: string): void {
  screen.print(`  ${screen.palette.dim('$')} ${screen.palette.bold(text)}`, '');
}

/** A rollout that is to be followed. */
export interface Play {
  readonly asset: ModelAsset;
  readonly started: RolloutView;
  readonly withinMs: number;
}

/** Follows a rollout to its end: the present step redrawn, past steps and decisions left standing. */
export async function playRollout(stage: Stage, { asset, started, withinMs }: Play): Promise<Followed> {
  const { client, screen, signal, traffic } = stage;
  const { palette, columns } = screen;
  const { id, startedAtMs } = started.rollout;
  const { task } = asset.traffic;
  const pageOf = (view: RolloutView) => stepLines({ view, task, measure: traffic.measureOf(asset.model) }, palette);

  function onDecision(view: DecisionView, step: RolloutView | undefined): void {
    const isOnStep = step?.rollout.state.phase === 'stepping';
    if (step !== undefined && isOnStep) screen.print(...pageOf(step));
    screen.print(...decisionLines({ view, startedAtMs, columns }, palette), '');
    if (view.decision.action === 'promote')
      screen.print(`  ${barOf(100, palette)}   everybody is on ${started.rollout.challenger}`, '');
  }

  function onLook(view: RolloutView): void {
    const reason = view.now?.reason ?? 'the engine has not looked yet';
    const page = view.rollout.state.phase === 'preparing' ? [`  ${barOf(0, palette)}   preparing`] : pageOf(view);
    screen.live([...page, ...paragraph(reason, { columns, lead: '  … ' }).map((line) => palette.dim(line))]);
  }

  return followRollout({ client, rollout: id, withinMs, signal, onLook, onDecision });
}

/** The model's asset of one version. */
export function offlineOf(asset: ModelAsset, version: string): Readonly<Record<string, number>> {
  return asset.versions.find((each) => each.version === version)?.offline ?? {};
}
