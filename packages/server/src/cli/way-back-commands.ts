/** `understudy model drill` and `understudy model golden …`: whether a rollback would work, and what it is tried with. */
import type { CallInput } from '@understudy/contract/client';
import type { DrillView, GoldenView } from '@understudy/contract/views';
import type { Command, Input } from './command.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { renderFacts } from './facts.ts';
import { numberOf, readBaseline, readDataFile } from './input-values.ts';
import type { Session } from './session.ts';
import { agoWords, shellWord } from './show.ts';
import { renderTable } from './table.ts';
import { UsageError } from './usage-error.ts';

const MODEL = { name: 'model', about: 'name of the model', kind: 'model' } as const;

export const WAY_BACK_COMMANDS: readonly Command[] = [
  {
    path: 'model drill',
    summary: 'Whether a rollback would work now; changes nothing',
    details: ['Ends with 13 when it would not, and with --strict also when nobody has', 'seen that it would.'],
    arguments: [MODEL],
    options: [{ flags: '--strict', about: 'doubts count as failures' }],
    examples: ['model drill digits', 'model drill digits --strict --json'],
    run: drill,
  },
  {
    path: 'model golden set',
    summary: 'Set the requests that gateways try the fallback with',
    details: [
      'FILE has a list of requests: each with a body, and what to expect.',
      'With --answers-of it has rows of features, and what that version',
      'predicts for them now is expected from then on.',
    ],
    arguments: [MODEL, { name: 'file', about: 'YAML or JSON: requests, or rows of features' }],
    options: [
      { flags: '--answers-of <version>', about: 'take the answers of this version', kind: 'version' },
      { flags: '--tolerance <number>', about: 'with --answers-of: numbers may differ by so much' },
    ],
    examples: ['model golden set digits golden.yaml', 'model golden set digits rows.json --answers-of v1'],
    isChange: true,
    async run(session, input) {
      const body = await goldenOf(input);
      await showGolden(session, await session.change('setGolden', { params: { model: input.argument('model') }, body }));
    },
  },
  {
    path: 'model golden show',
    summary: 'Show the golden requests of a model',
    arguments: [MODEL],
    examples: ['model golden show digits --json'],
    async run(session, input) {
      await showGolden(session, await session.ask('getGolden', { params: { model: input.argument('model') } }));
    },
  },
  {
    path: 'model golden clear',
    summary: 'Go without golden requests',
    arguments: [MODEL],
    examples: ['model golden clear digits'],
    isChange: true,
    async run(session, input) {
      await showGolden(session, await session.change('clearGolden', { params: { model: input.argument('model') } }));
    },
  },
];

const SIGNS: Readonly<Record<DrillView['checks'][number]['outcome'], string>> = { ok: '✔', doubtful: '!', failed: '✖' };

/** @returns 0 when it works, 13 when it does not */
async function drill(session: Session, input: Input): Promise<ExitCode> {
  const data = await session.ask('drillRollback', { params: { model: input.argument('model') } });
  await session.output.show({
    data,
    text: (view) => renderDrill(session, view),
    names: ({ target }) => (target === undefined ? [] : [target]),
  });
  const isGood = data.outcome === 'works' || (data.outcome === 'doubtful' && !input.flag('strict'));
  return isGood ? EXIT.ok : EXIT.noWayBack;
}

function renderDrill(session: Session, { model, outcome, target, checks }: DrillView): string {
  const { columns: width } = session.deps.io;
  const { palette } = session;
  const words = {
    works: `a rollback of ${model} would work now`,
    doubtful: `a rollback of ${model} would probably work now`,
    fails: `a rollback of ${model} would NOT work now`,
  };
  const goal = target === undefined ? '' : `, and go to ${target}`;
  const facts = checks.map((check) => [`${SIGNS[check.outcome]} ${check.name}`, check.detail] as const);
  return `${palette.bold(words[outcome] + goal)}\n\n${renderFacts(facts, { width, palette })}`;
}

async function goldenOf(input: Input): Promise<CallInput<'setGolden'>['body']> {
  const [file, answersOf, tolerance] = [input.argument('file'), input.text('answersOf'), input.text('tolerance')];
  if (answersOf !== undefined) {
    const rows = await readBaseline(file);
    if (!('features' in rows)) throw new UsageError(`${file} holds predictions; --answers-of needs rows of features`);
    const { features } = rows;
    return { answersOf, features, ...(tolerance === undefined ? {} : { tolerance: numberOf(tolerance, '--tolerance') }) };
  }
  if (tolerance !== undefined) throw new UsageError('--tolerance needs --answers-of; in a file, each request has its own');
  const [{ GoldenInput }, { describeProblems }] = await Promise.all([
    import('@understudy/contract/model-endpoints'),
    import('@understudy/contract/problems'),
  ]);
  const read = await readDataFile(file);
  const parsed = GoldenInput.safeParse(Array.isArray(read) ? { requests: read } : read);
  if (parsed.success) return parsed.data;
  throw new UsageError(
    `cannot use ${file}: ${describeProblems(parsed.error)}. Write {"requests": [{"body": {"features": [1, 2]}, "expect": [0.7]}]}`,
  );
}

async function showGolden(session: Session, view: GoldenView | undefined): Promise<void> {
  if (view === undefined) return;
  await session.output.show({ data: view, text: (data) => renderGolden(session, data), names: ({ model }) => [model] });
}

function renderGolden(session: Session, { model, golden }: GoldenView): string {
  if (golden === undefined) {
    return `${model} has no golden requests. Set some: understudy model golden set ${shellWord(model)} FILE`;
  }
  const rows = golden.requests.map(({ body, expect, tolerance }, index) => [
    `${index + 1}`,
    shortened(JSON.stringify(body)),
    expect === undefined ? 'any valid answer' : shortened(expect.join(', ')),
    tolerance === undefined ? '1 %' : `${tolerance}`,
  ]);
  const table = renderTable(['request', 'body', 'expected', 'tolerance'], rows, { palette: session.palette, empty: '' });
  return `${golden.protocol}, set ${agoWords(session, golden.setAtMs)} by ${golden.setBy}\n\n${table}`;
}

function shortened(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 39)}…`;
}
