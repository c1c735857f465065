/** `understudy replay`: decides a rollout again from its stored evidence, and tries another plan on it. */
import type { DivergenceView, ReplayedDecisionView, ReplayView } from '@understudy/contract/views';
import { formatDuration } from '@understudy/core/duration';
import type { Command } from './command.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { FactOptions } from './facts.ts';
import { planOf } from './plan-source.ts';
import { findRollout } from './rollout-target.ts';
import { countWords } from './rollout-words.ts';
import type { Session } from './session.ts';
import { timeWords } from './show.ts';
import { renderTable } from './table.ts';
import { wrap } from './terminal-text.ts';

// A server gives up after a minute; a rollout of hours takes seconds.
const TIMEOUT_MS = 65_000;

export const REPLAY_COMMANDS: readonly Command[] = [
  {
    path: 'replay',
    summary: 'Decide a rollout again from its stored evidence',
    details: [
      'Shows that the decisions follow from the evidence: verdict and every number',
      'of every guard are compared. With --plan it also says where another plan',
      'would first have decided otherwise. Changes nothing.',
      '',
      'Exit code 0: all is the same; 12: something differs; 4: the evidence is not',
      'there any more, or is more than the server can replay.',
    ],
    arguments: [{ name: 'rollout', about: 'a rollout, or a model: its live or newest rollout', kind: 'rollout' }],
    options: [{ flags: '--plan <plan>', about: 'name of another plan, or a YAML file', kind: 'plan' }],
    examples: ['replay digits', 'replay digits-3 --plan careful', 'replay digits-3 --plan ./plan.yaml --json'],
    async run(session, input): Promise<ExitCode> {
      const wish = input.text('plan');
      const plan = wish === undefined ? {} : { plan: await planOf(wish) };
      const { rollout } = await findRollout(session, input.argument('rollout'));
      const request = { params: { rollout: rollout.id }, body: plan };
      const view = await session.ask('replayRollout', request, { timeoutMs: TIMEOUT_MS });
      const { id, startedAtMs } = rollout;
      await session.output.show({
        data: view,
        text: (data) => renderReplay(data, { id, startedAtMs, ...textOptions(session) }),
        names: ({ outcome }) => [outcome],
      });
      return exitCodeOf(view);
    },
  },
];

interface ReplayFrame extends FactOptions {
  readonly id: string;
  readonly startedAtMs: number;
}

function textOptions({ deps, palette }: Session): FactOptions {
  return { width: deps.io.columns, palette };
}

function exitCodeOf(view: ReplayView): ExitCode {
  if (view.outcome !== 'replayed') return EXIT.conflict;
  return view.isFaithful && view.divergence === undefined ? EXIT.ok : EXIT.different;
}

function renderReplay(view: ReplayView, frame: ReplayFrame): string {
  const sentences = (texts: readonly string[]): string => texts.flatMap((text) => wrap(text, frame.width)).join('\n');
  switch (view.outcome) {
    case 'evidence-deleted':
      return sentences([goneSentence(frame.id, view.keptSinceMs)]);
    case 'too-much-evidence':
      return sentences([
        `${frame.id} cannot be replayed: it rests on more than ${countWords(view.mostBlocks)} blocks of evidence, the most that the server replays at once.`,
      ]);
    case 'replayed':
      if (view.decisions.length === 0) return sentences([`No decision has been made on ${frame.id} yet.`]);
      return [
        decisionTable(view.decisions, frame),
        '',
        sentences([faithSentence(frame.id, view.decisions), ...otherPlanSentences(view.otherPlan, view.divergence, frame)]),
      ].join('\n');
  }
}

function goneSentence(id: string, keptSinceMs: number | undefined): string {
  const rest = keptSinceMs === undefined ? 'nothing is kept any more' : `only what began after ${timeWords(keptSinceMs)} is kept`;
  return `${id} cannot be replayed: evidence that it rests on has been deleted (${rest}; evidenceDays in docs/configuration.md). This says nothing about its decisions.`;
}

function decisionTable(decisions: readonly ReplayedDecisionView[], { startedAtMs, palette, width }: ReplayFrame): string {
  const rows = decisions.map(({ atMs, action, recorded, replayed, isSame }) => [
    formatDuration(Math.max(0, atMs - startedAtMs)),
    action,
    recorded,
    replayed,
    isSame ? palette.green('same') : palette.red(recorded === replayed ? 'other numbers' : 'other verdict'),
  ]);
  return renderTable(['after', 'decision', 'then', 'now', 'compared'], rows, { palette, width, empty: '' });
}

function faithSentence(id: string, decisions: readonly ReplayedDecisionView[]): string {
  const count = decisions.length;
  const [first, ...others] = decisions.filter(({ isSame }) => !isSame);
  if (first === undefined) {
    const all = count === 1 ? 'The decision' : `All ${countWords(count)} decisions`;
    return `${all} on ${id} came out the same: every verdict, and every number of every guard.`;
  }
  const many = others.length === 0 ? '1 decision' : `${countWords(others.length + 1)} decisions`;
  return `${many} of ${countWords(count)} on ${id} came out otherwise, first at ${timeWords(first.atMs)}: the evidence or the decision was changed since, or another release decided then.`;
}

function otherPlanSentences(
  plan: string | undefined,
  divergence: DivergenceView | undefined,
  { startedAtMs }: ReplayFrame,
): readonly string[] {
  if (plan === undefined) return [];
  if (divergence === undefined) return [`The plan "${plan}" would have decided the same to the end.`];
  const { atMs, recorded, other, reason, challengerRequests } = divergence;
  const after = formatDuration(Math.max(0, atMs - startedAtMs));
  return [
    `The plan "${plan}" would have decided otherwise first after ${after} and ${countWords(challengerRequests)} requests to the challenger: ${other} instead of ${recorded}. Its reason: ${reason}. What would have come after that nobody knows, as other requests would have gone to the challenger.`,
  ];
}
