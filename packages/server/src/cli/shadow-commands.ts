/** `understudy shadow …`: copy requests to a version whose answers nobody gets, and see how it compares. */
import { cloudEventsOf, ndjsonOf } from '@understudy/contract/pair-log';
import type { ShadowView } from '@understudy/contract/shadow-endpoints';
import type { Command } from './command.ts';
import { momentOf, numberOf } from './input-values.ts';
import type { Session } from './session.ts';
import { exampleWords, renderShadow } from './shadow-frame.ts';
import { shellWord, showOutcome, timeWords } from './show.ts';
import { harmlessJson } from './terminal-text.ts';
import { UsageError } from './usage-error.ts';

const MODEL = { name: 'model', about: 'name of the model', kind: 'model' } as const;

export const SHADOW_COMMANDS: readonly Command[] = [
  {
    path: 'shadow start',
    summary: 'Copy requests to a version, whose answers nobody gets',
    details: [
      'The champion answers everybody. A copy carries the header',
      '`x-understudy-shadow: true`, so that a model server can leave out what has',
      'effects beyond its answer. Again with another share: changes the share.',
    ],
    arguments: [MODEL, { name: 'version', about: 'the version that gets copies', kind: 'version' }],
    options: [{ flags: '--percent <share>', about: 'of the subjects; 10 when left out' }],
    examples: ['shadow start digits v2 --percent 10', 'shadow start digits v2 --percent 100'],
    isChange: true,
    reason: 'optional',
    async run(session, input) {
      const percent = numberOf(input.text('percent') ?? '10', '--percent');
      const model = input.argument('model');
      const body = { version: input.argument('version'), percent, reason: input.reason('shadow start') };
      const view = await session.change('startShadow', { params: { model }, body });
      if (view === undefined) return;
      await showShadow(session, view);
      session.note(`next: understudy shadow get ${shellWord(model)}`);
    },
  },
  {
    path: 'shadow get',
    summary: 'Show what a shadow has come to: copies, pairs, verdict',
    arguments: [MODEL],
    examples: ['shadow get digits', 'shadow get digits --json'],
    async run(session, input) {
      await showShadow(session, await session.ask('getShadow', { params: { model: input.argument('model') } }));
    },
  },
  {
    path: 'shadow stop',
    summary: 'Stop copying; the shadow of a rollout ends with its step',
    arguments: [MODEL],
    examples: ['shadow stop digits'],
    isChange: true,
    reason: 'optional',
    async run(session, input) {
      const params = { model: input.argument('model') };
      const body = { reason: input.reason('shadow stop') };
      await showOutcome(session, await session.change('stopShadow', { params, body }));
    },
  },
  {
    path: 'shadow pairs',
    summary: 'The shadow log: both predictions, both latencies, the difference',
    details: ['A few pairs are kept in ten seconds: the worst ones and a fair sample.'],
    arguments: [MODEL],
    options: [
      { flags: '--worst', about: 'the pairs that are farthest apart first' },
      { flags: '--since <time>', about: 'ISO 8601, or 2h for two hours ago; 1h when left out' },
      { flags: '--limit <count>', about: 'so many pairs at most; 100 when left out' },
      { flags: '--ndjson', about: 'one JSON object a line' },
      { flags: '--cloudevents', about: 'one CloudEvent a line' },
    ],
    examples: ['shadow pairs digits --worst --limit 10', 'shadow pairs digits --since 24h --ndjson > pairs.ndjson'],
    async run(session, input) {
      const model = input.argument('model');
      const [isNdjson, isEvents] = [input.flag('ndjson'), input.flag('cloudevents')];
      if (isNdjson && isEvents) throw new UsageError('--ndjson and --cloudevents contradict each other');
      const since = input.text('since');
      const query = {
        order: input.flag('worst') ? ('worst' as const) : ('newest' as const),
        limit: numberOf(input.text('limit') ?? '100', '--limit'),
        ...(since === undefined ? {} : { since: momentOf(since, session.deps.clock.nowMs()) }),
      };
      const pairs = await session.ask('listPairs', { params: { model }, query });
      if (isNdjson) return void session.deps.io.stdout.write(harmlessLines(ndjsonOf(pairs, { model })));
      if (isEvents) {
        const lines = cloudEventsOf(pairs, { model }).map((event) => `${JSON.stringify(event)}\n`);
        return void session.deps.io.stdout.write(harmlessLines(lines.join('')));
      }
      await session.output.show({
        data: pairs,
        text: (rows) =>
          rows.length === 0
            ? `No pair of "${model}" was kept in that time. Is there a shadow? understudy shadow get ${shellWord(model)}`
            : rows.map((pair) => `${timeWords(pair.atMs)}  ${exampleWords(pair)}`).join('\n'),
        names: (rows) => rows.map(({ requestId }) => requestId),
      });
    },
  },
];

async function showShadow(session: Session, view: ShadowView): Promise<void> {
  const options = { width: session.deps.io.columns, palette: session.palette };
  await session.output.show({
    data: view,
    text: (data) => renderShadow(data, options),
    names: ({ copies }) => (copies === undefined ? [] : [copies.version]),
  });
}

/** Each line is JSON by itself. */
function harmlessLines(text: string): string {
  return text
    .split('\n')
    .map((line) => harmlessJson(line))
    .join('\n');
}
