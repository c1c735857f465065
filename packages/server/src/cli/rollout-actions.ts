/** What a person does to a live rollout: pause, resume, step, promote, abort, roll back, retry. */
import type { RolloutView } from '@understudy/contract/views';
import type { Command, Input } from './command.ts';
import { confirm } from './confirm.ts';
import { OVERRIDE_FREEZE, overrideOf } from './freeze-commands.ts';
import type { ExitCode } from './exit-codes.ts';
import { planOf } from './plan-source.ts';
import { reasonOf, statusOf } from './rollout-words.ts';
import { findRollout } from './rollout-target.ts';
import type { Session } from './session.ts';
import { shellWord, showRollout } from './show.ts';

const TARGET = { name: 'rollout', about: 'a rollout, or a model: its live or newest rollout', kind: 'rollout' } as const;

export const ROLLOUT_ACTIONS: readonly Command[] = [
  {
    path: 'rollout pause',
    summary: 'Freeze the share; guards stay armed',
    arguments: [TARGET],
    examples: ['rollout pause digits', 'rollout pause digits --reason "holiday"'],
    isChange: true,
    reason: 'optional',
    run: async (session, input) =>
      act(session, input, {
        verb: 'pauseRollout',
        reason: 'paused by hand',
        undo: ({ rollout }) => [`rollout resume ${rollout.id}`],
      }),
  },
  {
    path: 'rollout resume',
    summary: 'Go on from where it was paused',
    arguments: [TARGET],
    examples: ['rollout resume digits'],
    isChange: true,
    reason: 'optional',
    run: async (session, input) =>
      act(session, input, {
        verb: 'resumeRollout',
        reason: 'resumed by hand',
        undo: ({ rollout }) => [`rollout pause ${rollout.id}`],
      }),
  },
  {
    path: 'rollout step',
    summary: 'Ask the engine for a decision now',
    arguments: [TARGET],
    options: [{ flags: '--skip-hold', about: "pass this step's hold time; guards still apply" }, OVERRIDE_FREEZE],
    examples: ['rollout step digits', 'rollout step digits --skip-hold'],
    isChange: true,
    reason: 'optional',
    async run(session, input) {
      const { rollout } = await findRollout(session, input.argument('rollout'));
      const body = { skipHold: input.flag('skipHold'), overrideFreeze: overrideOf(input), reason: input.reason('manual step') };
      await showRollout(session, await session.change('stepRollout', { params: { rollout: rollout.id }, body }));
    },
  },
  {
    path: 'rollout approve',
    summary: 'Agree that it leaves its present step upwards',
    details: ['For this step only. Guards decide as ever: an approval overrides none.'],
    arguments: [TARGET],
    examples: ['rollout approve digits --reason "numbers look right"'],
    isChange: true,
    reason: 'required',
    async run(session, input) {
      const { rollout } = await findRollout(session, input.argument('rollout'));
      const body = { reason: input.reason('') };
      await showRollout(session, await session.change('approveRollout', { params: { rollout: rollout.id }, body }));
    },
  },
  {
    path: 'rollout promote',
    summary: 'Make the challenger champion, whatever the evidence',
    arguments: [TARGET],
    options: [OVERRIDE_FREEZE],
    examples: ['rollout promote digits', 'rollout promote digits-3 --yes --reason "checked by hand"'],
    isChange: true,
    isConfirmed: true,
    reason: 'optional',
    run: promote,
  },
  {
    path: 'rollout abort',
    summary: 'End it without blaming the challenger',
    arguments: [TARGET],
    examples: ['rollout abort digits --reason "wrong version"'],
    isChange: true,
    reason: 'optional',
    run: async (session, input) =>
      act(session, input, {
        verb: 'abortRollout',
        reason: 'aborted by hand',
        undo: ({ rollout }) => [`rollout retry ${rollout.id}`],
      }),
  },
  {
    path: 'rollout rollback',
    summary: 'End it and mark the challenger unhealthy',
    details: ['Acts at once and asks nothing.'],
    arguments: [TARGET],
    examples: ['rollout rollback digits --reason "users complain"'],
    isChange: true,
    reason: 'required',
    run: async (session, input) => act(session, input, { verb: 'rollBackRollout', reason: '', undo: undoOfRollback }),
  },
  {
    path: 'rollout retry',
    summary: 'Start again after it ended, with the same subjects',
    arguments: [TARGET],
    options: [
      { flags: '--challenger <version>', about: 'with this version instead', kind: 'version' },
      { flags: '--plan <plan>', about: 'with this plan instead', kind: 'plan' },
    ],
    examples: ['rollout retry digits', 'rollout retry digits-3 --challenger v4'],
    isChange: true,
    reason: 'optional',
    run: retry,
  },
];

interface ActionOn {
  readonly verb: 'pauseRollout' | 'resumeRollout' | 'abortRollout' | 'rollBackRollout';
  /** The reason when none is given. */
  readonly reason: string;
  /** Commands that take it back, in order. */
  undo(view: RolloutView): readonly string[];
}

async function act(session: Session, input: Input, action: ActionOn): Promise<void> {
  const { rollout } = await findRollout(session, input.argument('rollout'));
  const request = { params: { rollout: rollout.id }, body: { reason: input.reason(action.reason) } };
  const view = await session.change(action.verb, request);
  if (view === undefined) return;
  await showRollout(session, view, [
    `undo: ${action
      .undo(view)
      .map((command) => `understudy ${command}`)
      .join(' && ')}`,
  ]);
}

function undoOfRollback({ rollout }: RolloutView): readonly string[] {
  return [`rollout retry ${shellWord(rollout.id)}`];
}

async function promote(session: Session, input: Input): Promise<ExitCode | void> {
  const before = await findRollout(session, input.argument('rollout'));
  const { id, model, champion, challenger } = before.rollout;
  const refused = await confirm(session, [
    `${challenger} becomes champion of ${model} now and serves all of its requests; ${champion} becomes the fallback.`,
    `Rollout ${id} has ${before.challengerPercent} % on it. Status: ${statusOf(before)}; ${reasonOf(before)}`,
  ]);
  if (refused !== undefined) return refused;
  const body = { overrideFreeze: overrideOf(input), reason: input.reason('promoted by hand') };
  const view = await session.change('promoteRollout', { params: { rollout: id }, body });
  await showRollout(session, view, [`undo: understudy model rollback ${shellWord(model)} ${shellWord(challenger)} --reason "…"`]);
}

async function retry(session: Session, input: Input): Promise<void> {
  const { rollout } = await findRollout(session, input.argument('rollout'));
  const [challenger, plan] = [input.text('challenger'), input.text('plan')];
  const body = {
    reason: input.reason('retry'),
    ...(challenger === undefined ? {} : { challenger }),
    ...(plan === undefined ? {} : { plan: await planOf(plan) }),
  };
  const view = await session.change('retryRollout', { params: { rollout: rollout.id }, body });
  await showRollout(session, view, [`watch it: understudy rollout get ${view?.rollout.id ?? rollout.model} -w`]);
}
