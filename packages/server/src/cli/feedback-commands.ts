/** `understudy feedback …`: say what was right, and see what was said. */
import type { CallInput } from '@understudy/contract/client';
import { Feedback, type FeedbackView } from '@understudy/contract/feedback-endpoints';
import { describeProblems } from '@understudy/contract/problems';
import { formatDuration } from '@understudy/core/duration';
import { AppError } from '@understudy/core/errors';
import { z } from 'zod';
import type { Command, Input } from './command.ts';
import { namedNumberOf, numberOf, readDataFile } from './input-values.ts';
import { timeWords } from './show.ts';
import { renderTable } from './table.ts';
import { UsageError } from './usage-error.ts';

export const FEEDBACK_COMMANDS: readonly Command[] = [
  {
    path: 'feedback give',
    summary: 'Tell the truth about a request, or about many from a file',
    details: [
      'A request is named by the id that its answer had in the header',
      'x-understudy-request-id. Said again, the last word counts.',
    ],
    arguments: [{ name: 'request-id', about: 'of one request; left out with --file', isOptional: true }],
    options: [
      { flags: '--right', about: 'the prediction was right' },
      { flags: '--wrong', about: 'the prediction was wrong' },
      { flags: '--score <name=value>', about: 'a value in [0, 1], such as rating=0.8', isRepeatable: true },
      { flags: '--file <file>', about: 'JSON or YAML: a list of feedback, as the API takes it' },
    ],
    examples: ['feedback give 1.ZnJhdWQ.x --wrong', 'feedback give --file labels.json'],
    isChange: true,
    async run(session, input) {
      const feedback = await feedbackOf(input);
      const receipt = await session.change('giveFeedback', { body: { feedback } });
      if (receipt === undefined) return;
      await session.output.show({
        data: receipt,
        text: ({ accepted, late, ignored }) =>
          [
            `${accepted} taken${late === 0 ? '' : `, ${late} of them too late to be evidence`}`,
            ...ignored.map(({ index, reason }) => `left out, number ${index + 1}: ${reason}`),
          ].join('\n'),
        names: () => [],
      });
    },
  },
  {
    path: 'feedback show',
    summary: 'What was said of the requests of a model, and how late labels come',
    arguments: [{ name: 'model', about: 'name of the model', kind: 'model' }],
    options: [{ flags: '--hours <number>', about: 'requests of so many hours; 48 when left out' }],
    examples: ['feedback show fraud', 'feedback show fraud --hours 200 --json'],
    async run(session, input) {
      const hours = input.text('hours');
      const query = hours === undefined ? {} : { hours: numberOf(hours, '--hours') };
      const view = await session.ask('getFeedback', { params: { model: input.argument('model') }, query });
      await session.output.show({
        data: view,
        text: ({ scores }) => renderTable(HEAD, scores.map(rowOf), { palette: session.palette, empty: NOTHING_SAID }),
        names: ({ scores }) => scores.map(({ name }) => name),
      });
      const { lag } = view;
      session.note(
        `labels are due ${formatDuration(view.labelsDueMs)} after a request; judged are requests before ${timeWords(view.judgedUntilMs)}`,
      );
      if (lag !== undefined) {
        const [half, most, all] = [lag.p50Ms, lag.p90Ms, lag.p99Ms].map(formatDuration);
        session.note(`of the labels 50 % came within ${half}, 90 % within ${most}, 99 % within ${all}`);
      }
    },
  },
];

const HEAD = ['score', 'version', 'arm', 'rollout', 'requests', 'mean', 'judged'];
const NOTHING_SAID = 'Nobody has said anything about these requests yet.';

function rowOf({ name, version, arm, rollout, requests, mean, judged }: FeedbackView['scores'][number]): readonly string[] {
  return [name, version, arm, rollout ?? '-', `${requests}`, mean.toFixed(3), `${judged}`];
}

type Given = CallInput<'giveFeedback'>['body']['feedback'];

async function feedbackOf(input: Input): Promise<Given> {
  const [file, requestId] = [input.text('file'), input.optionalArgument('request-id')];
  if (file !== undefined) {
    if (requestId !== undefined) throw new UsageError('give a request id or --file, not both');
    return readGiven(file);
  }
  if (requestId === undefined) throw new UsageError('name a request by its id, or give --file with many');
  if (input.flag('right') && input.flag('wrong')) throw new UsageError('a prediction is --right or --wrong, not both');
  const scores = input.list('score').map((text) => namedNumberOf(text, '--score'));
  const isSaid = input.flag('right') || input.flag('wrong');
  if (!isSaid && scores.length === 0) throw new UsageError('nothing is said: add --right, --wrong or --score name=value');
  return [
    {
      requestId,
      ...(isSaid ? { correct: input.flag('right') } : {}),
      ...(scores.length === 0 ? {} : { scores: Object.fromEntries(scores) }),
    },
  ];
}

async function readGiven(file: string): Promise<Given> {
  const parsed = z.array(Feedback).safeParse(await readDataFile(file));
  if (parsed.success) return parsed.data;
  throw new AppError('request.invalid', `cannot use the feedback in ${file}: ${describeProblems(parsed.error)}`);
}
