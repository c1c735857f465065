/** Commands on the environment as a whole: status, journal, and the kill switch. */
import { formatDuration } from '@understudy/core/duration';
import type { Command, Input } from './command.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { numberOf } from './input-values.ts';
import { MODEL_COLUMNS } from './model-commands.ts';
import type { Session } from './session.ts';
import { shellWord, showList, showOutcome, timeWords } from './show.ts';
import { renderTable } from './table.ts';

const MODEL = { name: 'model', about: 'name of the model', kind: 'model' } as const;

export const ENVIRONMENT_COMMANDS: readonly Command[] = [
  {
    path: 'status',
    summary: 'The environment at a glance',
    examples: ['status', 'status --json'],
    run: showStatus,
  },
  {
    path: 'kill',
    summary: 'Put everybody on the champion at once',
    details: ['Ends a live rollout. Acts at once and asks nothing.'],
    arguments: [MODEL],
    examples: ['kill digits --reason "wrong answers"'],
    isChange: true,
    reason: 'required',
    async run(session, input) {
      const model = input.argument('model');
      const outcome = await session.change('killModel', { params: { model }, body: { reason: input.reason('') } });
      await showOutcome(session, outcome, `understudy unkill ${shellWord(model)}`);
    },
  },
  {
    path: 'unkill',
    summary: 'Allow rollouts again; a killed rollout stays ended',
    arguments: [MODEL],
    examples: ['unkill digits', 'unkill digits --reason "v3 is repaired"'],
    isChange: true,
    reason: 'optional',
    async run(session, input) {
      const model = input.argument('model');
      const body = { reason: input.reason('allowed again by hand') };
      const outcome = await session.change('unkillModel', { params: { model }, body });
      await showOutcome(session, outcome, `understudy kill ${shellWord(model)} --reason "…"`);
    },
  },
  {
    path: 'journal',
    summary: 'Every change: who, when, why; newest first',
    options: [
      { flags: '--model <model>', about: 'only of this model', kind: 'model' },
      { flags: '--limit <count>', about: 'how many; 100 when left out' },
    ],
    examples: ['journal', 'journal --model digits --limit 20', 'journal --json'],
    run: showJournal,
  },
  {
    path: 'journal verify',
    summary: 'Check that nobody changed the journal afterwards',
    examples: ['journal verify'],
    run: verifyJournal,
  },
];

async function showStatus(session: Session): Promise<void> {
  const { io, clock } = session.deps;
  await session.output.show({
    data: await session.ask('getStatus', {}),
    text: ({ environment, revision, release, models, gateways }) => {
      const connected = gateways.filter(({ isConnected }) => isConnected);
      const current = connected.filter((gateway) => gateway.revision >= revision).length;
      const oldestMs = Math.min(...connected.map(({ seenAtMs }) => seenAtMs));
      const heard =
        connected.length === 0 ? '' : `, all heard of within ${formatDuration(Math.max(0, clock.nowMs() - oldestMs))}`;
      const table = renderTable(MODEL_COLUMNS.head, models.map(MODEL_COLUMNS.row), {
        palette: session.palette,
        empty: 'There is no model yet. Create one: understudy model create <model>',
        ...(io.isTty ? { width: io.columns } : {}),
      });
      const header = [
        `${environment}, revision ${revision}, release ${release}`,
        `${connected.length} of ${gateways.length} gateways connected, ${current} on the current revision${heard}`,
      ];
      return [...header, '', table].join('\n');
    },
    names: ({ models }) => models.map(({ model }) => model.name),
  });
}

async function showJournal(session: Session, input: Input): Promise<void> {
  const [model, limit] = [input.text('model'), input.text('limit')];
  const query = {
    ...(model === undefined ? {} : { model }),
    ...(limit === undefined ? {} : { limit: numberOf(limit, '--limit') }),
  };
  await showList(session, await session.ask('readJournal', { query }), {
    head: ['revision', 'time', 'who', 'action', 'reason', 'changed'],
    row: (entry) => [
      `${entry.revision}`,
      timeWords(entry.atMs),
      entry.actor,
      entry.action,
      entry.reason,
      entry.changes.map(({ kind, id }) => `${kind} ${id}`).join(', '),
    ],
    name: ({ revision }) => `${revision}`,
    empty: 'The journal is empty.',
  });
}

async function verifyJournal(session: Session): Promise<ExitCode> {
  const data = await session.ask('verifyJournal', {});
  await session.output.show({
    data,
    text: ({ intact, entries, head, brokenAtRevision, problem }) =>
      intact
        ? `The journal is intact: ${entries} entries, head ${head ?? 'none'}.`
        : `THE JOURNAL WAS CHANGED at revision ${brokenAtRevision ?? '?'}: ${problem ?? 'the hash does not fit'}. Compare it with a backup.`,
    names: ({ intact }) => [intact ? 'intact' : 'broken'],
  });
  return data.intact ? EXIT.ok : EXIT.error;
}
