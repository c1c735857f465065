/** `understudy flag …`: look at flags, save them, switch and ramp them, and take them over from other systems. */
import type { FlagView, ImportReportView } from '@understudy/contract/flag-views';
import { isAppError } from '@understudy/core/errors';
import { BUCKET_COUNT } from '@understudy/core/bucketing';
import type { Serve } from '@understudy/core/flags/flag';
import type { Command, Input } from './command.ts';
import { renderFacts } from './facts.ts';
import { numberOf, readDataFile } from './input-values.ts';
import type { Session } from './session.ts';
import { shellWord, showList, showOutcome } from './show.ts';
import { UsageError } from './usage-error.ts';

const FLAG = { name: 'flag', about: 'key of the flag', kind: 'flag' } as const;
const FILE = { name: 'file', about: 'YAML or JSON' } as const;
const SOURCES = ['unleash', 'launchdarkly', 'flagsmith'] as const;

export const FLAG_COMMANDS: readonly Command[] = [
  {
    path: 'flag list',
    summary: "List people's flags and those that follow rollouts",
    examples: ['flag list', 'flag list -o name'],
    async run(session) {
      await showList(session, await session.ask('listFlags', {}), {
        head: ['flag', 'state', 'gives', 'rules', 'revision', 'notes'],
        row: ({ flag, follows, revision, notes }) => [
          flag.key,
          `${flag.on ? 'on' : 'OFF'}${follows === undefined ? '' : `, follows ${follows}`}`,
          serveWords(flag.fallthrough),
          `${flag.rules.length + flag.pins.length}`,
          follows === undefined ? `${revision}` : undefined,
          notes.length === 0 ? undefined : `${notes.length}`,
        ],
        name: ({ flag }) => flag.key,
        empty: 'There is no flag yet. Write one (docs/flags.md) and save it: understudy flag save <file>',
      });
    },
  },
  {
    path: 'flag get',
    summary: 'Print a flag as YAML, to read or to edit',
    details: ['With its revision in it, `flag save` notices when somebody changed the', 'flag since.'],
    arguments: [FLAG],
    examples: ['flag get checkout', 'flag get checkout > checkout.yaml'],
    async run(session, input) {
      await showFlag(session, await session.ask('getFlag', { params: { flag: input.argument('flag') } }));
    },
  },
  {
    path: 'flag save',
    summary: 'Create or replace a flag from a file',
    details: [
      'Refused when somebody changed the flag since the revision in the file,',
      'or since --revision. Without either, what is there now is replaced.',
    ],
    arguments: [FILE],
    options: [{ flags: '--revision <number>', about: 'the revision the file was made from; 0 when there is no such flag yet' }],
    examples: ['flag save checkout.yaml --reason "pin the test accounts"'],
    isChange: true,
    reason: 'required',
    run: save,
  },
  {
    path: 'flag delete',
    summary: 'Delete a flag that no other flag depends on',
    arguments: [FLAG],
    examples: ['flag delete checkout --reason "fully rolled out"'],
    isChange: true,
    reason: 'required',
    async run(session, input) {
      const request = { params: { flag: input.argument('flag') }, query: { reason: input.reason('') } };
      await showOutcome(session, await session.change('deleteFlag', request));
    },
  },
  {
    path: 'flag on',
    summary: 'Switch a flag on',
    arguments: [FLAG],
    examples: ['flag on checkout'],
    isChange: true,
    reason: 'optional',
    run: (session, input) => switchTo(session, input, true),
  },
  {
    path: 'flag off',
    summary: 'Switch a flag off: everybody gets its off variant at once',
    details: ['Acts at once and asks nothing.'],
    arguments: [FLAG],
    examples: ['flag off checkout --reason "payments fail"'],
    isChange: true,
    reason: 'required',
    run: (session, input) => switchTo(session, input, false),
  },
  {
    path: 'flag ramp',
    summary: 'Give a variant another percentage; only who must move does',
    arguments: [FLAG, { name: 'variant', about: 'name of the variant' }, { name: 'percent', about: 'such as 25 or 25%' }],
    options: [
      { flags: '--against <variant>', about: 'gives or takes the difference; the others in proportion when left out' },
      { flags: '--rule <number>', about: 'the split of this rule, from 1; the fallthrough when left out' },
    ],
    examples: ['flag ramp checkout new 25%', 'flag ramp checkout new 50 --rule 2 --reason "no complaints"'],
    isChange: true,
    reason: 'optional',
    run: ramp,
  },
  {
    path: 'flag import',
    summary: 'Take flags and segments over from another system',
    details: [
      'The file is what that system sends to its SDKs (docs/flags.md). Prints',
      'what is not the same afterwards; --preview only prints it.',
    ],
    arguments: [FILE],
    options: [
      { flags: '--from <system>', about: 'whose file it is', choices: SOURCES },
      { flags: '--preview', about: 'ask the server for the report and write nothing' },
      { flags: '--replace', about: 'replace flags and segments that exist already' },
    ],
    examples: ['flag import features.json --from unleash --preview', 'flag import features.json --from unleash'],
    isChange: true,
    reason: 'optional',
    run: importFile,
  },
];

async function save(session: Session, input: Input): Promise<void> {
  const { readFlagFile } = await import('@understudy/contract/flag-file');
  const read = readFlagFile(await readDataFile(input.argument('file')));
  const flag = read.document;
  const revision = revisionOf(input) ?? read.revision ?? (await presentRevision(session, flag.key));
  const saved = await session.change('saveFlag', {
    params: { flag: flag.key },
    body: { flag, revision, reason: input.reason('') },
  });
  if (saved === undefined) return;
  await showFlag(session, saved);
  session.note(`try it: understudy eval ${shellWord(saved.flag.key)} --attribute key=42`);
}

/** `--revision` as a number. */
export function revisionOf(input: Input): number | undefined {
  const text = input.text('revision');
  return text === undefined ? undefined : numberOf(text, '--revision');
}

async function presentRevision(session: Session, flag: string): Promise<number> {
  try {
    return (await session.ask('getFlag', { params: { flag } })).revision;
  } catch (error) {
    if (isAppError(error, 'flag.not_found')) return 0;
    throw error;
  }
}

async function switchTo(session: Session, input: Input, on: boolean): Promise<void> {
  const flag = input.argument('flag');
  const body = { on, reason: input.reason('switched on by hand') };
  const undo = on ? `understudy flag off ${shellWord(flag)} --reason "…"` : `understudy flag on ${shellWord(flag)}`;
  await showOutcome(session, await session.change('switchFlag', { params: { flag }, body }), undo);
}

async function ramp(session: Session, input: Input): Promise<void> {
  const [flag, variant, text] = [input.argument('flag'), input.argument('variant'), input.argument('percent')];
  const percent = numberOf(text.replace(/ ?%$/, ''), '<percent>');
  const [against, rule] = [input.text('against'), input.text('rule')];
  const body = {
    variant,
    percent,
    reason: input.reason('ramped by hand'),
    ...(against === undefined ? {} : { against }),
    ...(rule === undefined ? {} : { rule: numberOf(rule, '--rule') }),
  };
  await showOutcome(session, await session.change('rampFlag', { params: { flag }, body }));
}

async function importFile(session: Session, input: Input): Promise<void> {
  const from = SOURCES.find((source) => source === input.text('from'));
  if (from === undefined) throw new UsageError(`say whose file it is: --from ${SOURCES.join(', --from ')}`);
  const { Json } = await import('@understudy/contract/flag-documents');
  const data = Json.parse(await readDataFile(input.argument('file')));
  const body = { from, data, replace: input.flag('replace'), reason: input.reason(`import from ${from}`) };
  const report = input.flag('preview')
    ? await session.ask('importFlags', { body: { ...body, dryRun: true } })
    : await session.change('importFlags', { body });
  if (report === undefined) return;
  await session.output.show({
    data: report,
    text: (shown) => renderReport(session, shown),
    names: ({ flags, segments }) => [...flags, ...segments].map(({ key }) => key),
  });
}

function renderReport(session: Session, { message, replaced, losses, leftOut }: ImportReportView): string {
  const said = ({ about, sentence }: ImportReportView['losses'][number]) => `${about}: ${sentence}`;
  return renderFacts(
    [
      ['import', message],
      ['replaces', replaced.join(', ')],
      ['left out', leftOut.map(said)],
      ['differs', losses.length === 0 ? 'nothing: everything means the same here' : losses.map(said)],
    ],
    { width: session.deps.io.columns, palette: session.palette },
  );
}

async function showFlag(session: Session, view: FlagView): Promise<void> {
  const { stringify } = await import('yaml');
  await session.output.show({
    data: view,
    text: ({ flag, revision }) => stringify({ revision, flag }),
    names: ({ flag }) => [flag.key],
  });
  if (view.follows !== undefined) session.note(`It follows the rollouts of model ${view.follows} and is not changed by hand.`);
  for (const note of view.notes) session.note(`note: ${note}`);
}

function serveWords(serve: Serve): string {
  if ('variant' in serve) return serve.variant;
  const { slices, total = BUCKET_COUNT } = serve.split;
  const weights = new Map<string, number>();
  for (const { variant, weight } of slices) weights.set(variant, (weights.get(variant) ?? 0) + weight);
  return [...weights].map(([variant, weight]) => `${variant} ${Math.round((weight * 100_000) / total) / 1000} %`).join(', ');
}
