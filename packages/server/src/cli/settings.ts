/** Which control plane to talk to and with which token: flags, then environment, project file, user's context, default. */
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { AppError } from '@understudy/core/errors';
import { type Context, type Contexts, isOpenToOthers, readContexts } from './context-file.ts';
import { type Environment, readAll } from './io.ts';
import { findProjectFile, type ProjectFile } from './project-file.ts';
import { UsageError } from './usage-error.ts';

const DEFAULT_URL = 'http://127.0.0.1:7070';

export interface Settings {
  readonly url: string;
  /** Where the address comes from, for people. */
  readonly urlFrom: string;
  readonly token?: string;
  readonly tokenFrom?: string;
  /** What a person should know, such as a token file that others can read. */
  readonly warnings: readonly string[];
}

export interface SettingsInput {
  /** `--url`, `--token-file` and `--context`, where given. */
  readonly flags: { readonly url?: string; readonly tokenFile?: string; readonly context?: string };
  readonly env: Environment;
  readonly cwd: string;
  /** For `--token-file -`. */
  readonly stdin: Readable;
}

interface Sources extends SettingsInput {
  readonly project: ProjectFile | undefined;
  readonly contexts: Contexts;
}

/** @throws AppError `config.invalid`, UsageError */
export async function resolveSettings(input: SettingsInput): Promise<Settings> {
  if (input.flags.url !== undefined && input.flags.context !== undefined) {
    throw new UsageError('--url and --context contradict each other: a context has its own address');
  }
  const project = await findProjectFile(input.cwd);
  const sources: Sources = { ...input, project, contexts: await readContexts(input.env) };
  const address = addressOf(sources);
  const token = await tokenOf(sources, address.url);
  return { ...address, ...token };
}

/** The address alone, for those who bring a token of their own. */
export async function resolveAddress(input: SettingsInput): Promise<string> {
  const project = await findProjectFile(input.cwd);
  return addressOf({ ...input, project, contexts: await readContexts(input.env) }).url;
}

/** Reads a token from a file, or from stdin for `-`. Surrounding white space does not count. */
export async function readToken(file: string, stdin: Readable): Promise<string> {
  const text = file === '-' ? await readAll(stdin) : await readTokenFile(file);
  const token = text.trim();
  if (token === '') throw new UsageError(`no token: ${file === '-' ? 'stdin' : file} is empty`);
  if (/\s/.test(token))
    throw new UsageError(`${file === '-' ? 'stdin' : file} holds more than a token; it must hold the token alone`);
  return token;
}

/** @throws UsageError unless it is an http or https address */
export function checkUrl(url: string, from: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw new UsageError(`"${url}" (${from}) is not an address; write one such as ${DEFAULT_URL}`);
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw new UsageError(
      `the address (${from}) carries a password; leave it out and log in with a token: understudy login --url …`,
    );
  }
  return url.replace(/\/+$/, '');
}

function addressOf(sources: Sources): Pick<Settings, 'url' | 'urlFrom'> {
  const { flags, env, project } = sources;
  const layers: readonly (readonly [string | undefined, string])[] = [
    [flags.url, '--url'],
    [urlOfContext(sources, flags.context), `context ${flags.context ?? ''}, from --context`],
    [filled(env['UNDERSTUDY_URL']), 'UNDERSTUDY_URL'],
    [
      urlOfContext(sources, filled(env['UNDERSTUDY_CONTEXT'])),
      `context ${env['UNDERSTUDY_CONTEXT'] ?? ''}, from the environment`,
    ],
    [project?.url, project?.file ?? ''],
    [urlOfContext(sources, project?.context), `context ${project?.context ?? ''}, from ${project?.file ?? ''}`],
    [urlOfContext(sources, sources.contexts.current), `context ${sources.contexts.current ?? ''}`],
  ];
  for (const [url, urlFrom] of layers) if (url !== undefined) return { url: checkUrl(url, urlFrom), urlFrom };
  return { url: DEFAULT_URL, urlFrom: 'default' };
}

async function tokenOf(sources: Sources, url: string): Promise<Pick<Settings, 'token' | 'tokenFrom' | 'warnings'>> {
  const { flags, env, project, stdin } = sources;
  const fromFile = async (file: string, tokenFrom: string) => {
    const isOpen = file !== '-' && (await isOpenToOthers(file));
    const warnings = isOpen ? [`others can read the token in ${file}; close it with: chmod 600 ${file}`] : [];
    return { token: await readToken(file, stdin), tokenFrom, warnings };
  };
  if (flags.tokenFile !== undefined) return fromFile(flags.tokenFile, `--token-file ${flags.tokenFile}`);
  if (flags.context !== undefined) return tokenOfContext(sources, flags.context, url);
  const inEnv = filled(env['UNDERSTUDY_TOKEN']);
  if (inEnv !== undefined) return { token: inEnv.trim(), tokenFrom: 'UNDERSTUDY_TOKEN', warnings: [] };
  const envFile = filled(env['UNDERSTUDY_TOKEN_FILE']);
  if (envFile !== undefined) return fromFile(envFile, 'UNDERSTUDY_TOKEN_FILE');
  const envContext = filled(env['UNDERSTUDY_CONTEXT']);
  if (envContext !== undefined) return tokenOfContext(sources, envContext, url);
  if (project?.tokenFile !== undefined) return fromFile(project.tokenFile, project.file);
  return tokenOfContext(sources, project?.context ?? contextAt(sources.contexts, url), url);
}

/** A stored token goes only to the address it was stored with, whoever says where to send it. */
function tokenOfContext(
  sources: Sources,
  name: string | undefined,
  url: string,
): Pick<Settings, 'token' | 'tokenFrom' | 'warnings'> {
  const context = name === undefined ? undefined : contextOf(sources, name);
  if (name === undefined || context?.token === undefined) return { warnings: [] };
  if (!isSameAddress(context.url, url)) {
    return { warnings: [`the token of context "${name}" is for ${context.url}, so it is not sent to ${url}`] };
  }
  return { token: context.token, tokenFrom: `context ${name}`, warnings: [] };
}

function contextAt({ contexts, current }: Contexts, url: string): string | undefined {
  if (current !== undefined && isSameAddress(contexts[current]?.url, url)) return current;
  return Object.keys(contexts).find((name) => isSameAddress(contexts[name]?.url, url));
}

function urlOfContext(sources: Sources, name: string | undefined): string | undefined {
  return name === undefined ? undefined : contextOf(sources, name).url;
}

function contextOf(sources: Sources, name: string): Context {
  const { contexts } = sources.contexts;
  const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (found !== undefined) return found;
  const known = Object.keys(contexts).join(', ');
  throw new AppError(
    'config.invalid',
    `there is no context "${name}"; ${known === '' ? 'there is none yet' : `there are ${known}`}. Make one with: understudy login --context ${name}`,
  );
}

function isSameAddress(left: string | undefined, right: string): boolean {
  return left !== undefined && URL.canParse(left) && new URL(left).href === new URL(right).href;
}

async function readTokenFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new AppError('config.invalid', `cannot read the token: ${why}`, { cause: error });
  }
}

function filled(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value;
}
