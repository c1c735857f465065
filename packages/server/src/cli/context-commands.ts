/** `understudy login` and `understudy context …`: where the control plane is, kept for the user. */
import type { Command, Input } from './command.ts';
import { type Context, type Contexts, readContexts, writeContexts } from './context-file.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { nearestOf } from './nearest.ts';
import type { Session } from './session.ts';
import { checkUrl, readToken, resolveAddress } from './settings.ts';
import { showList } from './show.ts';
import { UsageError } from './usage-error.ts';

export const CONTEXT_COMMANDS: readonly Command[] = [
  {
    path: 'login',
    summary: 'Store an address and its token for this user',
    details: [
      'The token comes from --token-file, from stdin, or from a hidden question.',
      'It is tried first, then kept in a file that only you can read (mode 0600).',
    ],
    examples: ['login --url https://understudy.example.com', 'login --context prod --url https://… --token-file -'],
    run: login,
  },
  {
    path: 'context list',
    summary: 'List the stored addresses',
    examples: ['context list'],
    async run(session) {
      const { contexts, current } = await readContexts(session.deps.env);
      const rows = Object.entries(contexts).map(([name, { url, token }]) => ({
        name,
        url,
        isCurrent: name === current,
        hasToken: token !== undefined,
      }));
      await showList(session, rows, {
        head: ['context', 'address', 'token', 'current'],
        row: ({ name, url, isCurrent, hasToken }) => [name, url, hasToken ? 'stored' : 'none', isCurrent ? 'yes' : ''],
        name: ({ name }) => name,
        empty: 'There is no context yet. Make one: understudy login --url <address>',
      });
    },
  },
  {
    path: 'context use',
    summary: 'Choose the address that is used from now on',
    arguments: [{ name: 'context', about: 'name of the context', kind: 'context' }],
    examples: ['context use prod'],
    run: useContext,
  },
];

async function login(session: Session): Promise<ExitCode | void> {
  const { env } = session.deps;
  const { flags } = session;
  const before = await readContexts(env);
  const name = flags.context ?? 'default';
  const url = await addressFor(session, before);
  const token = await askToken(session);
  if (token === undefined) return EXIT.error;
  const { createClient } = await import('@understudy/contract/client');
  const who = await createClient({ url, token })('whoAmI', { signal: session.signal });
  const file = await writeContexts(env, withContext(before, name, { url, token }));
  await session.output.show({
    data: { context: name, url, name: who.name, scopes: who.scopes, environment: who.environment },
    text: (data) =>
      `Logged in to ${data.url} (${data.environment}) as ${data.name}: ${data.scopes.join(', ')}. Context ${data.context} is current.`,
    names: (data) => [data.context],
  });
  session.note(`stored in ${file}; next: understudy status`);
}

/** `--url`, else that of the context named, else what other commands would use. */
async function addressFor({ deps, flags }: Session, { contexts }: Contexts): Promise<string> {
  if (flags.url !== undefined) return checkUrl(flags.url, '--url');
  const { context = '' } = flags;
  if (Object.hasOwn(contexts, context)) return contexts[context]?.url ?? '';
  return resolveAddress({ flags: {}, env: deps.env, cwd: deps.cwd, stdin: deps.io.stdin });
}

async function askToken(session: Session): Promise<string | undefined> {
  const { io } = session.deps;
  const file = session.flags.tokenFile;
  if (file !== undefined || !session.canAsk) return readToken(file ?? '-', io.stdin);
  const { password } = await import('@clack/prompts');
  const answer = await password({ message: 'Token', input: io.stdin, output: io.stderr, signal: session.signal });
  if (typeof answer === 'string' && answer.trim() !== '') return answer.trim();
  session.note('No token, so nothing was stored.');
  return undefined;
}

async function useContext(session: Session, input: Input): Promise<void> {
  const { env } = session.deps;
  const name = input.argument('context');
  const before = await readContexts(env);
  const context = Object.hasOwn(before.contexts, name) ? before.contexts[name] : undefined;
  if (context === undefined) {
    const known = Object.keys(before.contexts);
    const near = nearestOf(name, known);
    const advice = near === undefined ? 'see: understudy context list' : `did you mean "${near}"?`;
    throw new UsageError(`there is no context "${name}"; ${advice}`);
  }
  await writeContexts(env, withContext(before, name, context));
  await session.output.show({
    data: { context: name, url: context.url },
    text: (data) => `Context ${data.context} is current: ${data.url}`,
    names: (data) => [data.context],
  });
}

function withContext(before: Contexts, name: string, context: Context): Contexts {
  return { current: name, contexts: { ...before.contexts, [name]: context } };
}
