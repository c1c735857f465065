/** `understudy rollout …`: start rollouts and look at them. What changes a live one is in `rollout-actions.ts`. */
import type { Command, Input } from './command.ts';
import type { ExitCode } from './exit-codes.ts';
import { durationOf, numberOf } from './input-values.ts';
import { planOf } from './plan-source.ts';
import { ROLLOUT_ACTIONS } from './rollout-actions.ts';
import { reasonOf, statusOf } from './rollout-words.ts';
import { findRollout } from './rollout-target.ts';
import { waitForRollout, watchRollout } from './rollout-watch.ts';
import type { Session } from './session.ts';
import { agoWords, shellWord, showList, showRollout, timeWords } from './show.ts';
import { renderWhy } from './why-frame.ts';

const TARGET = { name: 'rollout', about: 'a rollout, or a model: its live or newest rollout', kind: 'rollout' } as const;
const EVERY = { flags: '--every <time>', about: 'how often to look; 1s when left out' };

export const ROLLOUT_COMMANDS: readonly Command[] = [
  {
    path: 'rollout start',
    summary: 'Start a rollout of a challenger',
    arguments: [
      { name: 'model', about: 'name of the model', kind: 'model' },
      { name: 'challenger', about: 'the version on trial', kind: 'version' },
    ],
    options: [{ flags: '--plan <plan>', about: 'name of a plan, or a YAML file; standard when left out', kind: 'plan' }],
    examples: ['rollout start digits v2', 'rollout start digits v2 --plan careful', 'rollout start digits v2 --plan ./plan.yaml'],
    isChange: true,
    reason: 'optional',
    async run(session, input) {
      const plan = await planOf(input.text('plan') ?? 'standard');
      const [model, challenger] = [input.argument('model'), input.argument('challenger')];
      const body = { model, challenger, plan, reason: input.reason('start') };
      const view = await session.change('startRollout', { body });
      const word = shellWord(view?.rollout.id ?? model);
      await showRollout(session, view, [
        `watch it: understudy rollout get ${word} -w`,
        `everybody back on the champion: understudy kill ${shellWord(model)} --reason "…"`,
      ]);
    },
  },
  {
    path: 'rollout get',
    summary: 'Show status, both versions and every guard',
    details: ['With -w it is redrawn until it ends; exit code 0 when promoted, 10 when', 'rolled back, aborted or killed.'],
    arguments: [TARGET],
    options: [{ flags: '-w, --watch', about: 'follow it until it ends' }, EVERY],
    examples: ['rollout get digits', 'rollout get digits -w', 'rollout get digits-3 -w --json'],
    async run(session, input) {
      const view = await findRollout(session, input.argument('rollout'));
      if (!input.flag('watch')) return showRollout(session, view);
      return watchRollout(session, view, { everyMs: everyOf(input) });
    },
  },
  {
    path: 'rollout list',
    summary: 'List rollouts, newest first',
    arguments: [{ name: 'model', about: 'only of this model', kind: 'model', isOptional: true }],
    examples: ['rollout list', 'rollout list digits --json'],
    run: listRollouts,
  },
  {
    path: 'rollout wait',
    summary: 'Wait until a rollout ends: a gate for CI',
    details: [
      'Exit code 0: promoted; 8: not ended in time; 10: rolled back, aborted',
      'or killed; 11: paused, a person decides.',
    ],
    arguments: [TARGET],
    options: [{ flags: '--timeout <time>', about: 'give up after this long; 30m when left out' }, EVERY],
    examples: ['rollout wait digits --timeout 2h'],
    async run(session, input): Promise<ExitCode> {
      const timeoutMs = durationOf(input.text('timeout') ?? '30m', '--timeout');
      const view = await findRollout(session, input.argument('rollout'));
      return waitForRollout(session, view, { everyMs: everyOf(input), timeoutMs });
    },
  },
  {
    path: 'rollout why',
    summary: 'Why it stands where it stands, guard by guard',
    arguments: [TARGET],
    examples: ['rollout why digits', 'rollout why digits-3 --json'],
    async run(session, input) {
      const { io, clock } = session.deps;
      await session.output.show({
        data: await findRollout(session, input.argument('rollout')),
        text: (view) => renderWhy(view, { width: io.columns, palette: session.palette, nowMs: clock.nowMs() }),
        names: ({ rollout }) => [rollout.id],
      });
    },
  },
  {
    path: 'rollout history',
    summary: 'Decisions on a rollout, newest first',
    arguments: [TARGET],
    options: [{ flags: '--limit <count>', about: 'how many; 100 when left out' }],
    examples: ['rollout history digits', 'rollout history digits-3 --limit 5 --json'],
    run: listDecisions,
  },
  ...ROLLOUT_ACTIONS,
];

function everyOf(input: Input): number {
  return durationOf(input.text('every') ?? '1s', '--every');
}

async function listRollouts(session: Session, input: Input): Promise<void> {
  const model = input.optionalArgument('model');
  const query = model === undefined ? {} : { model };
  await showList(session, await session.ask('listRollouts', { query }), {
    head: ['rollout', 'challenger', 'champion', 'share', 'status', 'started'],
    row: (view) => [
      view.rollout.id,
      view.rollout.challenger,
      view.rollout.champion,
      `${view.challengerPercent} %`,
      `${statusOf(view)}; ${reasonOf(view)}`,
      agoWords(session, view.rollout.startedAtMs),
    ],
    name: ({ rollout }) => rollout.id,
    empty: 'There is no rollout yet. Start one: understudy rollout start <model> <challenger>',
  });
}

async function listDecisions(session: Session, input: Input): Promise<void> {
  const { rollout } = await findRollout(session, input.argument('rollout'));
  const limit = input.text('limit');
  const query = limit === undefined ? {} : { limit: numberOf(limit, '--limit') };
  await showList(session, await session.ask('listDecisions', { params: { rollout: rollout.id }, query }), {
    head: ['time', 'decision', 'verdict', 'reason'],
    row: ({ atMs, decision }) => [timeWords(atMs), decision.action, decision.verdict, decision.reason],
    name: ({ rollout: id, window }) => `${id}/${window}`,
    empty: `No decision has been made on ${rollout.id} yet.`,
  });
}
