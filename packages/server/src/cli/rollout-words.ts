/** What a rollout's state means, in sentences: where it stands, what it waits for, how it ended. Views of rollouts depend on it. */
import type { RolloutView } from '@understudy/contract/views';
import { bakeOf } from '@understudy/core/bake';
import { formatDuration } from '@understudy/core/duration';
import { asksForNothing, type Plan, type PlanStep, shareWords } from '@understudy/core/plan';
import type { GuardReading, Verdict } from '@understudy/core/policy';
import { isLive, type Restraint, type RolloutState, stepOf } from '@understudy/core/rollout';
import { EXIT, type ExitCode } from './exit-codes.ts';

const STEPPING_WORDS: Readonly<Record<Verdict, string>> = {
  healthy: 'climbing: every guard is healthy',
  harmful: 'failing: a guard found harm',
  undecided: 'gathering evidence',
  'no-data': 'waiting for traffic',
  'champion-sick': 'held: the champion fails as well',
  invalid: 'held: the sample cannot be trusted',
};

const HELD_WORDS: Readonly<Record<Restraint, string>> = {
  approval: 'held: waits for approval',
  freeze: 'held: frozen',
  'time-box': 'held: the time box is over, a person decides',
  'dry-run': 'dry run: it would act now',
};

/** Where the rollout stands, in a few words. */
export function statusOf({ rollout, now }: RolloutView): string {
  const { state } = rollout;
  switch (state.phase) {
    case 'preparing':
      return now?.heldFor === undefined ? 'preparing: the challenger gets no traffic yet' : HELD_WORDS[now.heldFor];
    case 'stepping':
      if (now?.heldFor !== undefined) return HELD_WORDS[now.heldFor];
      return bakingWords(rollout, now?.verdict) ?? STEPPING_WORDS[now?.verdict ?? 'no-data'];
    case 'paused':
      return `paused by ${state.by}`;
    case 'promoted':
      return `promoted: ${rollout.challenger} became champion`;
    case 'rolled-back':
      return `rolled back: everybody went back to ${rollout.champion}`;
    case 'aborted':
      return `aborted by ${state.by}: everybody went back to ${rollout.champion}`;
    case 'killed':
      return `killed by ${state.by}: everybody went back to ${rollout.champion}`;
  }
}

/** While nothing is wrong: a bake waits for time, not for evidence. */
function bakingWords(rollout: RolloutView['rollout'], verdict: Verdict = 'no-data'): string | undefined {
  const bake = bakeOf(rollout);
  if (bake?.untilMs === undefined || (verdict !== 'healthy' && verdict !== 'undecided')) return undefined;
  return `baking: ${bake.heldBackPercent} % held back on ${rollout.champion} until ${new Date(bake.untilMs).toISOString().slice(0, 16).replace('T', ' ')}Z`;
}

/** `2 of 5`; undefined before the first step and after a promotion. */
export function stepWordsOf({ rollout }: RolloutView): string | undefined {
  const step = stepOf(rollout.state);
  return step < 0 ? undefined : `${step + 1} of ${rollout.plan.steps.length}`;
}

/** The sentence that explains the status: who and why for ended and paused ones, the engine's reason for others. */
export function reasonOf({ rollout, now, lastDecision }: RolloutView): string {
  const { state } = rollout;
  if ('reason' in state) return `${state.reason} (${state.by})`;
  return now?.reason ?? lastDecision?.decision.reason ?? 'the engine has not looked yet';
}

/**
 * What happens next and what it waits for, one sentence each.
 * @param atMs now, on the server's clock
 */
export function nextOf(view: RolloutView, atMs: number): readonly string[] {
  const { rollout } = view;
  const { state, plan } = rollout;
  switch (state.phase) {
    case 'preparing':
      return [`${firstShareOf(plan)} once ${rollout.challenger} is loaded and probed on every gateway`];
    case 'stepping':
      return nextOfStep(view, { step: state.step, heldMs: atMs - state.sinceMs });
    case 'paused':
      return [`understudy rollout resume ${rollout.id}`];
    case 'promoted':
      return ['nothing: the rollout is over; the champion stays watched'];
    case 'rolled-back':
      return [
        `fixed: understudy rollout retry ${rollout.id} --challenger VERSION`,
        `not to blame: understudy rollout retry ${rollout.id}`,
      ];
    case 'aborted':
      return [`understudy rollout retry ${rollout.id}`];
    case 'killed':
      return [`understudy unkill ${rollout.model}`, `then understudy rollout retry ${rollout.id}`];
  }
}

/** The exit code that a finished, or paused, rollout ends a waiting command with; undefined while it goes on. */
export function exitCodeOf(state: RolloutState): ExitCode | undefined {
  if (state.phase === 'promoted') return EXIT.ok;
  if (state.phase === 'paused') return EXIT.paused;
  return isLive(state) ? undefined : EXIT.rolledBack;
}

/** A guard's value as people read it. */
export function guardValue(value: number | undefined, unit: GuardReading['unit']): string {
  if (value === undefined) return '-';
  switch (unit) {
    case 'ms':
      return `${value < 100 ? value.toFixed(2) : value.toFixed(0)} ms`;
    case 'share':
      return `${(value * 100).toFixed(2)} %`;
    case 'standard deviations':
      return `${value.toFixed(2)} sd`;
    case 'score':
      return value.toFixed(3);
    case 'number':
      return String(Number(value.toPrecision(4)));
  }
}

/** A count with its thousands apart. */
export function countWords(count: number): string {
  return count.toLocaleString('en-US');
}

function firstShareOf({ steps: [first] }: Plan): string {
  return first === undefined ? '0 %' : shareWords(first);
}

function nextOfStep(view: RolloutView, at: { readonly step: number; readonly heldMs: number }): readonly string[] {
  const { plan, challenger, champion } = view.rollout;
  if (view.now?.heldFor !== undefined) return [view.now.reason];
  if (view.now?.verdict === 'harmful') return [`back to ${champion} for everybody at the next check`];
  const step = plan.steps[at.step];
  const following = plan.steps[at.step + 1];
  const goal = following === undefined ? `${challenger} becomes champion` : shareWords(following);
  const waits = step === undefined ? [] : waitsFor(view, step, at.heldMs);
  return waits.length === 0 ? [`${goal} at the next check`] : [`${goal}, after:`, ...waits];
}

function waitsFor({ arms, now }: RolloutView, step: PlanStep, heldMs: number): readonly string[] {
  const asked = step.shadowPercent === undefined ? 'challenger' : 'shadow';
  const seen = arms.find((arm) => arm.arm === asked)?.requests ?? 0;
  const waits: string[] = [];
  if (heldMs < step.holdMs) waits.push(`${formatDuration(step.holdMs - heldMs)} more of holding this step`);
  if (seen < step.minSamples) waits.push(`${countWords(step.minSamples - seen)} more requests on the challenger`);
  // While requests are missing, the verdict says nothing else than that.
  const isJudged = now !== undefined && now.verdict !== 'healthy' && !asksForNothing(step);
  if (isJudged && (seen >= step.minSamples || now.verdict !== 'undecided')) waits.push(`healthy guards: ${now.reason}`);
  return waits;
}
