/** `understudy hook …`: who is told what happens, and what came of telling. */
import type { DeliveriesView } from '@understudy/contract/people-endpoints';
import { formatDuration } from '@understudy/core/duration';
import { HOOK_EVENTS, isHookEvent } from '@understudy/core/hook';
import type { Command } from './command.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { agoWords, shellWord, showList, showOutcome } from './show.ts';
import { renderTable } from './table.ts';

const HOOK = { name: 'hook', about: 'its name, as in `hook list`' } as const;
const EVENTS = Object.keys(HOOK_EVENTS).filter(isHookEvent);

export const HOOK_COMMANDS: readonly Command[] = [
  {
    path: 'hook create',
    summary: 'Create a webhook; its signing secret is printed once, to stdout',
    details: ['Without --event it is told everything that a person should know.'],
    arguments: [
      { name: 'hook', about: 'what you call it' },
      { name: 'url', about: 'where messages are posted to' },
    ],
    options: [
      { flags: '--format <format>', about: 'understudy: CloudEvents; slack: also Mattermost', choices: ['understudy', 'slack'] },
      { flags: '--event <event>', about: 'tell it this', choices: EVENTS, isRepeatable: true },
    ],
    examples: [
      'hook create ops https://ops.example/understudy > ops.secret',
      'hook create chat https://hooks.slack.com/services/T/B/x --format slack',
    ],
    isChange: true,
    async run(session, input) {
      const events = input.list('event').filter(isHookEvent);
      const created = await session.change('createHook', {
        body: {
          name: input.argument('hook'),
          url: input.argument('url'),
          format: input.text('format') === 'slack' ? 'slack' : 'understudy',
          ...(events.length === 0 ? {} : { events }),
        },
      });
      if (created === undefined) return;
      await session.output.show({ data: created, text: ({ secret }) => secret, names: ({ hook }) => [hook.name] });
      const word = shellWord(created.hook.name);
      session.note(`messages are signed with it (Standard Webhooks); it is not shown again`);
      session.note(`try it: understudy hook test ${word}`);
      session.note(`undo: understudy hook delete ${word} --reason "…"`);
    },
  },
  {
    path: 'hook list',
    summary: 'List webhooks, and how their last message went',
    examples: ['hook list'],
    async run(session) {
      await showList(session, await session.ask('listHooks', {}), {
        head: ['hook', 'to', 'format', 'events', 'waiting', 'given up', 'last'],
        row: ({ name, origin, format, events, pending, dead, disabled, last }) => [
          name,
          origin,
          format,
          events.length === EVENTS.length ? 'all' : events.join(', '),
          `${pending}`,
          `${dead}`,
          disabled === undefined
            ? last === undefined
              ? 'nothing sent yet'
              : `${last.outcome} ${agoWords(session, last.atMs)}`
            : `disabled: ${disabled.reason}`,
        ],
        name: ({ name }) => name,
        empty: 'There is no hook. Create one: understudy hook create <name> <url>',
      });
    },
  },
  {
    path: 'hook test',
    summary: 'Send a test message now; exit code 1 when it does not arrive',
    arguments: [HOOK],
    examples: ['hook test ops'],
    isChange: true,
    async run(session, input): Promise<ExitCode | void> {
      const result = await session.change('testHook', { params: { hook: input.argument('hook') } });
      if (result === undefined) return;
      await session.output.show({
        data: result,
        text: ({ outcome, status, problem, tookMs }) =>
          `${outcome}${status === undefined ? '' : ` (${status})`} in ${formatDuration(tookMs)}${problem === undefined ? '' : `: ${problem}`}`,
        names: ({ outcome }) => [outcome],
      });
      return result.outcome === 'delivered' ? EXIT.ok : EXIT.error;
    },
  },
  {
    path: 'hook deliveries',
    summary: 'What was sent lately, what waits, and what was given up',
    arguments: [HOOK],
    examples: ['hook deliveries ops', 'hook deliveries ops --json'],
    async run(session, input) {
      const nowMs = session.deps.clock.nowMs();
      const view = await session.ask('listDeliveries', { params: { hook: input.argument('hook') } });
      await session.output.show({
        data: view,
        text: (data) =>
          renderTable(HEAD, [...waitingRows(data, nowMs), ...triedRows(data, nowMs)], {
            palette: session.palette,
            empty: 'Nothing was sent yet.',
          }),
        names: ({ log }) => log.map(({ id }) => id),
      });
    },
  },
  {
    path: 'hook delete',
    summary: 'Delete a webhook; what waits for it is not sent',
    arguments: [HOOK],
    examples: ['hook delete ops --reason "moved"'],
    isChange: true,
    reason: 'required',
    async run(session, input) {
      const request = { params: { hook: input.argument('hook') }, query: { reason: input.reason('') } };
      await showOutcome(session, await session.change('deleteHook', request));
    },
  },
];

const HEAD = ['revision', 'event', 'result', 'try', 'when', 'status', 'problem', 'id'];

function waitingRows({ pending }: DeliveriesView, nowMs: number): readonly (readonly string[])[] {
  return pending.map(({ revision, attempts, nextAtMs }) => {
    const inWords = `in ${formatDuration(Math.max(0, nextAtMs - nowMs))}`;
    return [`${revision}`, '', 'waiting', `${attempts + 1}`, inWords, '', '', ''];
  });
}

function triedRows({ log, dead }: DeliveriesView, nowMs: number): readonly (readonly string[])[] {
  const older = dead.filter(({ id, attempt }) => !log.some((one) => one.id === id && one.attempt === attempt));
  return [...log, ...older].map(({ revision, event, outcome, attempt, atMs, status, problem, id }) => [
    `${revision}`,
    event,
    outcome,
    `${attempt}`,
    `${formatDuration(Math.max(0, nowMs - atMs))} ago`,
    status === undefined ? '' : `${status}`,
    problem ?? '',
    id,
  ]);
}
