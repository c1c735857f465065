/** `understudy freeze …`, `stop-the-line` and `resume-the-line`: times in which no rollout goes forward. */
import type { CallInput } from '@understudy/contract/client';
import type { FreezesView } from '@understudy/contract/people-endpoints';
import { WEEKDAYS } from '@understudy/core/freeze';
import type { Command, Input, Option } from './command.ts';
import type { Session } from './session.ts';
import { shellWord, showOutcome, timeWords } from './show.ts';
import { renderTable } from './table.ts';
import { UsageError } from './usage-error.ts';

/** For commands that go forward. */
export const OVERRIDE_FREEZE: Option = { flags: '--override-freeze', about: 'do it although frozen; needs --reason' };

/** @throws UsageError without a reason of the person's own */
export function overrideOf(input: Input): boolean {
  const isOverride = input.flag('overrideFreeze');
  if (isOverride && input.reason('') === '') throw new UsageError('--override-freeze needs --reason: why can it not wait?');
  return isOverride;
}

const FREEZE = { name: 'freeze', about: 'its name, as in `freeze list`' } as const;

export const FREEZE_COMMANDS: readonly Command[] = [
  {
    path: 'stop-the-line',
    summary: 'Freeze every rollout of the environment at once',
    details: [
      'Nothing begins, climbs or is promoted until resume-the-line. Rollbacks,',
      'kills and aborts happen as ever. Acts at once and asks nothing.',
    ],
    examples: ['stop-the-line --reason "incident 4711"'],
    isChange: true,
    reason: 'required',
    async run(session, input) {
      const outcome = await session.change('stopTheLine', { body: { reason: input.reason('') } });
      await showOutcome(session, outcome, 'understudy resume-the-line --reason "…"');
    },
  },
  {
    path: 'resume-the-line',
    summary: 'Let rollouts go forward again',
    examples: ['resume-the-line --reason "incident 4711 is over"'],
    isChange: true,
    reason: 'required',
    async run(session, input) {
      const outcome = await session.change('resumeTheLine', { body: { reason: input.reason('') } });
      await showOutcome(session, outcome, 'understudy stop-the-line --reason "…"');
    },
  },
  {
    path: 'freeze list',
    summary: 'List freezes, and whether each holds now',
    examples: ['freeze list', 'freeze list --json'],
    async run(session) {
      await showFreezes(session, await session.ask('listFreezes', {}));
    },
  },
  {
    path: 'freeze set',
    summary: 'Set a freeze: weekly, or from date to date',
    details: [
      'Weekly with --day: times of the clock, 00:00 to 24:00 when left out; an',
      'end at or before the beginning is on the day after. Without --day, two',
      'moments as in ISO 8601. Rollbacks are never frozen.',
    ],
    arguments: [FREEZE],
    options: [
      { flags: '--day <day>', about: 'on this day of each week', choices: WEEKDAYS, isRepeatable: true },
      { flags: '--from <time>', about: '16:00, or 2026-12-24T00:00:00+01:00' },
      { flags: '--to <time>', about: '24:00, or the moment at which it ends' },
      { flags: '--timezone <zone>', about: 'whose clocks, such as Europe/Berlin; UTC when left out' },
      { flags: '--model <model>', about: 'only for this model', kind: 'model', isRepeatable: true },
    ],
    examples: [
      'freeze set weekend --day sat --day sun --reason "nobody is here"',
      'freeze set night --day fri --from 22:00 --to 06:00 --reason "asleep"',
    ],
    isChange: true,
    reason: 'required',
    async run(session, input) {
      const name = input.argument('freeze');
      const models = [...input.list('model')];
      const body = { times: timesOf(input), reason: input.reason(''), ...(models.length === 0 ? {} : { models }) };
      const view = await session.change('saveFreeze', { params: { freeze: name }, body });
      if (view === undefined) return;
      await showFreezes(session, view);
      session.note(`undo: understudy freeze delete ${shellWord(name)} --reason "…"`);
    },
  },
  {
    path: 'freeze delete',
    summary: 'Delete a freeze',
    arguments: [FREEZE],
    examples: ['freeze delete weekend --reason "we are here now"'],
    isChange: true,
    reason: 'required',
    async run(session, input) {
      const request = { params: { freeze: input.argument('freeze') }, query: { reason: input.reason('') } };
      await showOutcome(session, await session.change('deleteFreeze', request));
    },
  },
];

type Times = CallInput<'saveFreeze'>['body']['times'];

function timesOf(input: Input): Times {
  const days = WEEKDAYS.filter((day) => input.list('day').includes(day));
  const [from, to, timezone] = [input.text('from'), input.text('to'), input.text('timezone')];
  if (days.length > 0) {
    return {
      days,
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
      ...(timezone === undefined ? {} : { timezone }),
    };
  }
  if (from === undefined || to === undefined) throw new UsageError('name a --day, or give both --from and --to');
  if (timezone !== undefined) throw new UsageError('--timezone goes with --day; a moment carries its own, such as +01:00');
  return { from, until: to };
}

async function showFreezes(session: Session, view: FreezesView): Promise<void> {
  await session.output.show({
    data: view,
    text: ({ freezes }) =>
      renderTable(
        ['freeze', 'when', 'models', 'now', 'why', 'by'],
        freezes.map(({ name, times, models, isActive, reason, setBy }) => [
          name,
          timesWords(times),
          models?.join(', ') ?? 'all',
          isActive ? 'frozen' : '-',
          reason,
          setBy,
        ]),
        { palette: session.palette, empty: 'There is no freeze. Set one: understudy freeze set <name> --day sat --reason "…"' },
      ),
    names: ({ freezes }) => freezes.map(({ name }) => name),
  });
  const { stopped } = view;
  if (stopped !== undefined) {
    session.note(`the line is stopped since ${timeWords(stopped.atMs)} by ${stopped.by}: ${stopped.reason}`);
  }
}

function timesWords(times: FreezesView['freezes'][number]['times']): string {
  return 'days' in times
    ? `${times.days.join(', ')} ${times.from} to ${times.to} ${times.timezone}`
    : `${times.from} until ${times.until}`;
}
