/** `understudy eval`, `why` and `bucket`: what a flag gives to somebody, how it came to that, and the bucket that callers bring. */
import type { CallInput } from '@understudy/contract/client';
import type { EvaluationView } from '@understudy/contract/flag-views';
import { parseJson } from '@understudy/contract/parsed-json';
import type { Command, Input, Option } from './command.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { renderFacts } from './facts.ts';
import { momentOf } from './input-values.ts';
import type { Session } from './session.ts';
import { UsageError } from './usage-error.ts';

const FLAG = { name: 'flag', about: 'key of the flag', kind: 'flag' } as const;

const SUBJECT: readonly Option[] = [
  { flags: '--attribute <name=value>', about: 'an attribute of the user; key=… is the sticky key', isRepeatable: true },
  { flags: '--user <json>', about: 'all attributes of the user at once' },
  { flags: '--kinds <json>', about: 'entities of other kinds, such as {"organization": {"key": "acme"}}' },
  { flags: '--at <time>', about: 'as of this time: ISO 8601, or 2h for two hours ago' },
];

export const EVALUATION_COMMANDS: readonly Command[] = [
  {
    path: 'eval',
    summary: 'What a flag gives to somebody',
    arguments: [FLAG],
    options: SUBJECT,
    examples: ['eval checkout --attribute key=42', `eval checkout --user '{"key": "42", "plan": "pro"}' --json`],
    async run(session, input) {
      const data = await evaluate(session, input);
      await session.output.show({
        data,
        text: (view) => factsOf(session, view),
        names: ({ variant }) => (variant === undefined ? [] : [variant]),
      });
      return exitCodeOf(data);
    },
  },
  {
    path: 'why',
    summary: 'How a flag comes to what it gives to somebody, step by step',
    arguments: [FLAG],
    options: SUBJECT,
    examples: ['why checkout --attribute key=42', 'why checkout --attribute key=42 --attribute plan=pro'],
    async run(session, input) {
      const data = await evaluate(session, input);
      await session.output.show({
        data,
        text: (view) =>
          [factsOf(session, view), '', ...view.why.map(({ sentence }, index) => `${index + 1}. ${sentence}`)].join('\n'),
        names: ({ variant }) => (variant === undefined ? [] : [variant]),
      });
      return exitCodeOf(data);
    },
  },
  {
    path: 'bucket',
    summary: 'The bucket of a subject, for services that bucket users themselves',
    details: [
      'What a service sends with flags of the profile "attribute" (docs/flags.md):',
      'compare it with what your own code computes.',
    ],
    arguments: [{ name: 'subject', about: 'the sticky key, such as a user id' }],
    examples: ['bucket user-42', 'bucket user-42 --json'],
    async run(session, input) {
      const data = await session.ask('bucketOfSubject', { query: { subject: input.argument('subject') } });
      await session.output.show({ data, text: ({ bucket }) => `${bucket}`, names: ({ bucket }) => [`${bucket}`] });
    },
  },
];

async function evaluate(session: Session, input: Input): Promise<EvaluationView> {
  // The word means an address everywhere, and what a flag is asked about everywhere else.
  if (session.flags.context?.trim().startsWith('{') === true) {
    throw new UsageError('--context is the name of a stored address here; write --user with the attributes');
  }
  const [at, kinds] = [input.text('at'), input.text('kinds')];
  const user = input.text('user');
  const body = {
    flag: input.argument('flag'),
    context: { ...(user === undefined ? {} : objectOf(user, '--user')), ...attributesOf(input.list('attribute')) },
    ...(kinds === undefined ? {} : { kinds: await kindsOf(kinds) }),
    ...(at === undefined ? {} : { at: momentOf(at, session.deps.clock.nowMs()) }),
  };
  return session.ask('evaluateFlag', { body });
}

type Body = CallInput<'evaluateFlag'>['body'];
type Attributes = NonNullable<Body['context']>;

async function kindsOf(text: string): Promise<NonNullable<Body['kinds']>> {
  const kinds = objectOf(text, '--kinds');
  const { FLAG_ENDPOINTS } = await import('@understudy/contract/flag-endpoints');
  const parsed = FLAG_ENDPOINTS.evaluateFlag.body.shape.kinds.safeParse(kinds);
  if (parsed.success) return parsed.data;
  throw new UsageError('--kinds: write attributes for each kind, such as {"organization": {"key": "acme"}}');
}

function objectOf(text: string, option: string): Attributes {
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError(`${option} ${text}: write a JSON object such as {"key": "42"}`);
  }
  return Object.fromEntries(Object.entries(value));
}

/** Numbers, booleans, lists and objects as JSON reads them, everything else as text; a key is always text. */
function attributesOf(words: readonly string[]): Attributes {
  return Object.fromEntries(
    words.map((word) => {
      const [name = '', ...rest] = word.split('=');
      if (name === '' || rest.length === 0) throw new UsageError(`--attribute ${word}: write NAME=VALUE, such as key=42`);
      const text = rest.join('=');
      return [name, name === 'key' ? text : (parseJson(text) ?? text)];
    }),
  );
}

function factsOf(session: Session, { flag, value, variant, reason, why }: EvaluationView): string {
  return renderFacts(
    [
      ['flag', flag],
      ['value', value === undefined ? "the caller's own default" : JSON.stringify(value)],
      ['variant', variant ?? 'none'],
      ['reason', reason],
      ['because', why.at(-1)?.sentence],
    ],
    { width: session.deps.io.columns, palette: session.palette },
  );
}

function exitCodeOf({ detail }: EvaluationView): ExitCode {
  return detail.kind === 'error' ? EXIT.error : EXIT.ok;
}
