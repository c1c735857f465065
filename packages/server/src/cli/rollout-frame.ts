/** One rollout on a screen: where it stands, both versions, every guard, and what comes next. `rollout get` and the watch depend on it. */
import type { RolloutView } from '@understudy/contract/views';
import { approvalNeedOf } from '@understudy/core/approval';
import { formatDuration } from '@understudy/core/duration';
import type { Arm } from '@understudy/core/evidence';
import { type Fact, type FactOptions, renderFacts } from './facts.ts';
import { renderGuards } from './guard-lines.ts';
import { countWords, nextOf, reasonOf, statusOf, stepWordsOf } from './rollout-words.ts';
import { copiesFacts } from './shadow-frame.ts';
import { wrap } from './terminal-text.ts';

export interface FrameOptions extends FactOptions {
  /** Now, on the clock of this machine. */
  readonly nowMs: number;
  /** A line about the connection, at the bottom. */
  readonly footer?: string;
}

export function renderRollout(view: RolloutView, options: FrameOptions): string {
  const { width, palette, footer } = options;
  const guards = renderGuards(view.now?.guards ?? view.lastDecision?.decision.guards ?? [], {
    width,
    palette,
    withReasons: false,
  });
  const parts = [
    renderFacts(headerOf(view, options), options),
    renderTree(view, options),
    guards,
    renderFacts(
      [
        ['why', reasonOf(view)],
        ...(view.shadow === undefined ? [] : copiesFacts(view.shadow)),
        ['forecast', view.now?.forecast?.sentence],
        ['next', nextOf(view, serverNowMs(view, options.nowMs))],
        ['warning', view.warnings],
      ],
      options,
    ),
    footer === undefined
      ? ''
      : wrap(footer, width)
          .map((line) => palette.dim(line))
          .join('\n'),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

const ARM_ORDER: readonly Arm[] = ['champion', 'challenger', 'shadow'];

/** One line for a log: what changed, without redrawing. */
export function rolloutLine(view: RolloutView): string {
  const { rollout, challengerPercent } = view;
  const step = stepWordsOf(view);
  return [rollout.id, step === undefined ? [] : `step ${step}`, `${percentWords(challengerPercent)} on ${rollout.challenger}`]
    .flat()
    .concat(statusOf(view), reasonOf(view))
    .join(' | ');
}

/** The time that the engine looked at, so that the two machines' clocks need not agree. */
export function serverNowMs(view: RolloutView, nowMs: number): number {
  return view.now?.atMs ?? nowMs;
}

function headerOf(view: RolloutView, { palette, nowMs }: FrameOptions): readonly Fact[] {
  const { rollout } = view;
  const { state } = rollout;
  const atMs = serverNowMs(view, nowMs);
  const step = stepWordsOf(view);
  const held = 'sinceMs' in state ? `, for ${agoOf(state.sinceMs, atMs)}` : '';
  return [
    ['model', rollout.model],
    ['rollout', `${rollout.id}: ${rollout.challenger} against ${rollout.champion}`],
    ['status', palette.bold(statusOf(view))],
    ['step', step === undefined ? undefined : `${step}${held}`],
    ['share', shareOf(view)],
    ['plan', `${rollout.plan.name}: ${staircaseOf(view)}${rollout.plan.dryRun === true ? ' (dry run)' : ''}`],
    ['approvals', approvalNeedOf(rollout, 'next')?.sentence],
    ['started', `${agoOf(rollout.startedAtMs, atMs)} ago by ${rollout.startedBy}`],
    [
      state.phase === 'paused' ? 'paused' : 'ended',
      'atMs' in state ? `${agoOf(state.atMs, atMs)} ago by ${state.by}` : undefined,
    ],
    ['retry of', rollout.retryOf],
  ];
}

function agoOf(thenMs: number, atMs: number): string {
  return formatDuration(Math.max(0, atMs - thenMs));
}

/** The staircase with the present step in brackets. */
function staircaseOf({ rollout }: RolloutView): string {
  const { state, plan } = rollout;
  const present = 'step' in state ? state.step : -1;
  const shares = plan.steps.map(({ trafficPercent, shadowPercent, isBake }, index) => {
    const ofTraffic = isBake === true ? `${trafficPercent} bake` : `${trafficPercent}`;
    const share = shadowPercent === undefined ? ofTraffic : `shadow ${shadowPercent}`;
    return index === present ? `[${share}]` : share;
  });
  return `${shares.join(' > ')} %`;
}

function shareOf({ challengerPercent, arms }: RolloutView): string {
  const count = (name: string) => arms.filter(({ arm }) => arm === name).reduce((sum, { requests }) => sum + requests, 0);
  const challenger = count('challenger');
  const total = challenger + count('champion');
  const actual =
    total === 0
      ? 'no requests in this step yet'
      : `actual ${percentWords((challenger / total) * 100)} (${countWords(challenger)} of ${countWords(total)} requests)`;
  return `set ${percentWords(challengerPercent)}, ${actual}`;
}

function percentWords(percent: number): string {
  return `${Number(percent.toFixed(1))} %`;
}

function renderTree({ rollout, arms }: RolloutView, { width, palette }: FrameOptions): string {
  const names = arms.length === 0 ? [] : [rollout.model];
  const ordered = arms.toSorted((left, right) => ARM_ORDER.indexOf(left.arm) - ARM_ORDER.indexOf(right.arm));
  const lines = ordered.flatMap((arm, index) => {
    const isLast = index === ordered.length - 1;
    const counts = [
      `${countWords(arm.requests)} requests`,
      `${countWords(arm.errors)} errors`,
      arm.rescued === 0 ? [] : `${countWords(arm.rescued)} rescued`,
      arm.p50Ms === undefined ? [] : `p50 ${arm.p50Ms.toFixed(2)} ms`,
      arm.p99Ms === undefined ? [] : `p99 ${arm.p99Ms.toFixed(2)} ms`,
    ].flat();
    return wrap(`${arm.arm} ${arm.version}: ${counts.join(', ')}`, width - 3).map((line, row) => {
      const branch = row > 0 ? (isLast ? '   ' : '│  ') : isLast ? '└─ ' : '├─ ';
      return palette.dim(branch) + line;
    });
  });
  return [...names, ...lines].join('\n');
}
