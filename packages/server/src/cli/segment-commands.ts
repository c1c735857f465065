/** `understudy segment …`: look at segments and save them. */
import type { SegmentView } from '@understudy/contract/flag-views';
import { isAppError } from '@understudy/core/errors';
import type { Command, Input } from './command.ts';
import { revisionOf } from './flag-commands.ts';
import { readDataFile } from './input-values.ts';
import type { Session } from './session.ts';
import { showList, showOutcome } from './show.ts';

const SEGMENT = { name: 'segment', about: 'key of the segment', kind: 'segment' } as const;

export const SEGMENT_COMMANDS: readonly Command[] = [
  {
    path: 'segment list',
    summary: 'List the segments',
    examples: ['segment list', 'segment list -o name'],
    async run(session) {
      await showList(session, await session.ask('listSegments', {}), {
        head: ['segment', 'name', 'keys', 'rules', 'revision', 'used by'],
        row: ({ segment, revision, usedBy }) => [
          segment.key,
          segment.name,
          `${[...segment.included, ...segment.excluded].reduce((sum, { keys }) => sum + keys.length, 0)}`,
          `${segment.rules.length}`,
          `${revision}`,
          usedBy.join(', '),
        ],
        name: ({ segment }) => segment.key,
        empty: 'There is no segment yet. Write one (docs/flags.md) and save it: understudy segment save <file>',
      });
    },
  },
  {
    path: 'segment get',
    summary: 'Print a segment as YAML, to read or to edit',
    arguments: [SEGMENT],
    examples: ['segment get testers', 'segment get testers > testers.yaml'],
    async run(session, input) {
      await showSegment(session, await session.ask('getSegment', { params: { segment: input.argument('segment') } }));
    },
  },
  {
    path: 'segment save',
    summary: 'Create or replace a segment from a file',
    details: [
      'Refused when somebody changed the segment since the revision in the',
      'file, or since --revision. Without either, what is there is replaced.',
    ],
    arguments: [{ name: 'file', about: 'YAML or JSON' }],
    options: [
      { flags: '--revision <number>', about: 'the revision the file was made from; 0 when there is no such segment yet' },
    ],
    examples: ['segment save testers.yaml --reason "two more accounts"'],
    isChange: true,
    reason: 'required',
    run: save,
  },
  {
    path: 'segment delete',
    summary: 'Delete a segment that nothing refers to',
    arguments: [SEGMENT],
    examples: ['segment delete testers --reason "not used any more"'],
    isChange: true,
    reason: 'required',
    async run(session, input) {
      const request = { params: { segment: input.argument('segment') }, query: { reason: input.reason('') } };
      await showOutcome(session, await session.change('deleteSegment', request));
    },
  },
];

async function save(session: Session, input: Input): Promise<void> {
  const { readSegmentFile } = await import('@understudy/contract/flag-file');
  const read = readSegmentFile(await readDataFile(input.argument('file')));
  const segment = read.document;
  const revision = revisionOf(input) ?? read.revision ?? (await presentRevision(session, segment.key));
  const body = { segment, revision, reason: input.reason('') };
  const saved = await session.change('saveSegment', { params: { segment: segment.key }, body });
  if (saved !== undefined) await showSegment(session, saved);
}

async function presentRevision(session: Session, segment: string): Promise<number> {
  try {
    return (await session.ask('getSegment', { params: { segment } })).revision;
  } catch (error) {
    if (isAppError(error, 'segment.not_found')) return 0;
    throw error;
  }
}

async function showSegment(session: Session, view: SegmentView): Promise<void> {
  const { stringify } = await import('yaml');
  await session.output.show({
    data: view,
    text: ({ segment, revision }) => stringify({ revision, segment }),
    names: ({ segment }) => [segment.key],
  });
  if (view.usedBy.length > 0) session.note(`used by ${view.usedBy.join(', ')}`);
  for (const note of view.notes) session.note(`note: ${note}`);
}
