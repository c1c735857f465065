/** Why a rollout stands where it stands: the newest decision, and what the engine sees now, guard by guard. */
import type { RolloutView } from '@understudy/contract/views';
import { approvalNeedOf } from '@understudy/core/approval';
import { formatDuration } from '@understudy/core/duration';
import { renderFacts } from './facts.ts';
import { renderGuards } from './guard-lines.ts';
import { type FrameOptions, serverNowMs } from './rollout-frame.ts';
import { copiesFacts } from './shadow-frame.ts';
import { nextOf, reasonOf, statusOf, stepWordsOf } from './rollout-words.ts';

export function renderWhy(view: RolloutView, options: FrameOptions): string {
  const { rollout, now, lastDecision, warnings } = view;
  const atMs = serverNowMs(view, options.nowMs);
  const guardOptions = { width: options.width, palette: options.palette, withReasons: true };
  const decided =
    lastDecision === undefined
      ? 'none yet'
      : `${lastDecision.decision.action}, ${formatDuration(Math.max(0, atMs - lastDecision.atMs))} ago: ${lastDecision.decision.reason}`;
  const header = renderFacts(
    [
      ['rollout', rollout.id],
      ['status', options.palette.bold(statusOf(view))],
      ['step', stepWordsOf(view)],
      ['decided', decided],
      ['sees now', now === undefined ? 'nothing: the rollout is over' : `${now.verdict}: ${now.reason}`],
      ['approvals', approvalNeedOf(rollout, 'next')?.sentence],
      ['forecast', now?.forecast?.sentence],
      ['because', now === undefined ? reasonOf(view) : undefined],
    ],
    options,
  );
  const guards = renderGuards(now?.guards ?? lastDecision?.decision.guards ?? [], guardOptions);
  const footer = renderFacts(
    [
      ...(view.shadow === undefined ? [] : copiesFacts(view.shadow)),
      [now === undefined ? 'next' : 'waits for', nextOf(view, atMs)],
      ['warning', warnings],
    ],
    options,
  );
  return [header, guards, footer].filter((part) => part !== '').join('\n\n');
}
